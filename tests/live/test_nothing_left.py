"""However a process ends, its guests end too; and nobody else's are touched."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from labkit.live import guardian, ownership
from labkit.live.ownership import clean

pytestmark = [pytest.mark.live, pytest.mark.timeless]

OPENS = """
import sys, time, labkit
host = labkit.live()
print(host.driver.root, flush=True)
{then}
time.sleep(600)
"""


def start(then: str) -> tuple[subprocess.Popen, str]:
    child = subprocess.Popen([sys.executable, "-c", OPENS.format(then=then)], stdout=subprocess.PIPE, text=True)
    root = child.stdout.readline().strip()
    assert root, "no live host in the child"
    return child, root


def wait_for(condition, seconds: float, what: str) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, what
        time.sleep(0.05)


def control_groups(root: str) -> list[Path]:
    return guardian.control_groups_of(f"lk-{Path(root).name}-")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_owner_leaves_nothing(host, how):
    child, root = start("host.create('a'); host.create('b'); print('up', flush=True)")
    assert child.stdout.readline() == "up\n"
    assert len(guardian.processes_of(root)) >= 2
    child.send_signal(how)
    child.wait(30)
    wait_for(lambda: not Path(root).exists(), 60, "the guardian did not clear up")
    assert not guardian.processes_of(root)
    assert not control_groups(root)


def at_once(do, moments) -> None:
    """Do it for all moments, each in a process of its own, four at a time: all of them wait more than they work."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(do, moments))


def test_killed_in_the_middle_of_a_start(host):
    def killed(after: float) -> None:
        child, root = start("host.create('a', cold=True)")
        time.sleep(after)
        child.kill()
        child.wait(30)
        wait_for(lambda: not Path(root).exists(), 60, "the guardian did not clear up")
        time.sleep(1.0)
        assert not guardian.processes_of(root)
        assert not control_groups(root)

    at_once(killed, (0.05, 0.2, 0.4, 0.8, 1.5))


@pytest.mark.parametrize("cold", [True, False])
def test_interrupted_in_the_middle_of_a_start(host, cold):
    host.create("warm").stop()  # so that there is a saved boot
    at_once(lambda after: interrupted(after, cold), (0.05, 0.15, 0.3, 0.8))


def interrupted(after: float, cold: bool) -> None:
    then = f"""
import _thread, threading
try:
    threading.Timer({after}, _thread.interrupt_main).start()
    host.create('a', cold={cold})
    time.sleep(5)
except KeyboardInterrupt:
    print('interrupted', flush=True)
host.close()
print('closed', flush=True)
"""
    child, root = start(then)
    try:
        assert child.stdout.readline() == "interrupted\n"
        assert child.stdout.readline() == "closed\n"
        assert not guardian.processes_of(root), "the half-started machine goes on"
    finally:
        child.kill()
        child.wait(30)


def test_a_forked_child_that_ends_takes_nothing_with_it(host):
    then = """
import os
machine = host.create('parent')
if os.fork() == 0:
    host.close()
    sys.exit(0)
os.wait()
print(machine.state, machine.execute(['hostname']).output.strip(), flush=True)
"""
    child, _root = start(then)
    try:
        assert child.stdout.readline() == "running parent\n"
    finally:
        child.kill()
        child.wait(30)


def test_two_owners_do_not_meet(host):
    one, first = start("host.create('same'); print('up', flush=True)")
    two, second = start("host.create('same'); print('up', flush=True)")
    try:
        assert first != second
        assert one.stdout.readline() == two.stdout.readline() == "up\n"
        one.kill()
        one.wait(30)
        wait_for(lambda: not Path(first).exists(), 60, "the first was not cleared up")
        assert guardian.processes_of(second), "the second's machine went with the first's"
    finally:
        two.kill()
        two.wait(30)


def test_clean_sweeps_what_even_the_guardian_left(host):
    child, root = start("host.create('left'); print('up', flush=True)")
    assert child.stdout.readline() == "up\n"
    # The guardian dies first: nobody is left to clear up.
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if root in words and guardian.__file__ in words:
            process.kill()
    child.kill()
    child.wait(30)
    time.sleep(1.5)
    assert guardian.processes_of(root), "there was nothing to clean"
    shown = clean(dry_run=True)
    assert any(root in line for line in shown)
    assert guardian.processes_of(root), "a dry run changed something"
    done = clean()
    assert any(root in line for line in done)
    assert not guardian.processes_of(root)
    assert not Path(root).exists()
    assert not any(root in line for line in clean())


def test_clean_leaves_foreign_and_used_ones_alone(host):
    mine = host.create("mine")
    foreign = subprocess.Popen(
        ["qemu-system-x86_64", "-name", "guest=lk-foreign", "-S", "-display", "none", "-accel", "tcg", "-m", "32"]
    )
    # Not below pytest's own folder, whose name grows with every run: a socket's path ends at 108 bytes.
    other = Path(tempfile.mkdtemp(prefix="labkit-other-"))
    embedded = subprocess.Popen(
        [sys.executable, "-c", FOREIGN, str(other)], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    try:
        assert embedded.stdout.readline() == "up\n"
        clean()
        assert foreign.poll() is None
        assert embedded.poll() is None
        assert guardian.processes_of(str(other)), "a foreign domain was swept away"
        assert mine.state == "running"
    finally:
        foreign.kill()
        foreign.wait(10)
        embedded.kill()
        embedded.wait(10)
        guardian.end_everything(str(other), quiet=0.2)


FOREIGN = """
import sys, time
from pathlib import Path
from labkit.live import driver, reaping
root = Path(sys.argv[1])
driver._configure(root)
libvirt = driver.load_libvirt()
reaping.adopt_orphans()
with reaping.collecting():
    connection = libvirt.open(f"qemu:///embed?root={root}")
    connection.createXML(\"\"\"<domain type='qemu'><name>somebodys</name><memory unit='MiB'>32</memory>
      <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>\"\"\", 0)
print("up", flush=True)
time.sleep(600)
"""


def test_an_expired_host_is_abandoned(host):
    owned = next(found for found in ownership.hosts() if found.root == str(host.root))
    assert not owned.abandoned
    mark = Path(owned.root) / "owner.json"
    kept = mark.read_text()
    try:
        mark.write_text(json.dumps(json.loads(kept) | {"expires": ownership.clock() - 1}))
        assert next(found for found in ownership.hosts() if found.root == owned.root).abandoned
    finally:
        mark.write_text(kept)
