"""A disk that fills, for real: small file systems of memory in a mount namespace that nobody else sees."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from labkit.live.places import cache_root

pytestmark = [pytest.mark.live, pytest.mark.timeless]

BEGIN = """
import json, os, shutil, sys, time
from pathlib import Path
from labkit.host import HostError
small = Path(sys.argv[1])

def fill():
    with (small / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4096):
                pass
        except OSError:
            pass
    return (small / "filler")

def left():
    return sorted(str(path) for path in small.rglob("*") if path.name != "filler" and not path.is_dir())
"""


@pytest.fixture
def small(tmp_path):
    """Run Python where a directory has so little room, and give back what it printed as JSON."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can mount a small file system here")

    def run(place: str, size: str, program: str, **environment: str):
        mounted = (
            f'mount --make-rprivate / && mkdir -p "{place}" && mount -t tmpfs -o size={size},mode=700 none "{place}"'
        )
        python = f'exec "{sys.executable}" -c "$0" "{place}"'
        ended = subprocess.run(
            ["unshare", "-m", "sh", "-c", f"{mounted} && {python}", BEGIN + program],
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | environment,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        assert "Traceback" not in ended.stderr
        return json.loads(ended.stdout.splitlines()[-1])

    return run


STREET = f"/tmp/labkit-{os.getuid()}"


def test_where_hosts_live_there_is_no_room(host, small):
    program = """
import contextlib, io
from labkit import cli
fill()
out, err = io.StringIO(), io.StringIO()
with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    code = cli.main(["run", "cpu-shares", "--host", "both", "--set", "seconds=1", "--json"])
print(json.dumps([code, json.loads(out.getvalue()), err.getvalue(), left()]))
"""
    code, document, complaint, left = small(STREET, "256k", program)
    assert code == 1 and left == []
    assert complaint.count("\n") == 1 and "needs 8 MiB below" in complaint and "0.0 MiB are free. Free" in complaint
    assert all(row["live"] is None and row["simulated"] is not None for row in document["rows"])


@pytest.mark.parametrize("when", ["(fill(), configure(root))", "(configure(root), fill())"])
def test_it_fills_while_the_host_is_opened(host, small, when):
    """Room enough is there when labkit asks, and gone when it writes libvirt's settings, or libvirt its files."""
    program = """
from labkit.live import capacity, driver
capacity.PLACE = 0
configure = driver._configure
driver._configure = lambda root: WHEN
import labkit
try:
    labkit.live()
    said = "it opened"
except HostError as error:
    said = str(error)
ends = time.monotonic() + 30
while left() and time.monotonic() < ends:  # the guardian's moment
    time.sleep(0.1)
print(json.dumps([said, left()]))
"""
    said, left = small(STREET, "4m", program.replace("WHEN", when))
    assert "No space left on device" in said and "Free some space" in said
    assert left == []


def test_what_libvirt_remembers_may_be_broken(host, small, tmp_path):
    """Another process may be just writing it, and it is only a memory."""
    program = """
import labkit
(small / "image").symlink_to(os.environ["IMAGE"])
remembered = small / "capabilities" / f"user-{os.geteuid()}"
remembered.mkdir(parents=True)
(remembered / "gone.xml").symlink_to("/gone")
with labkit.live() as host:
    print(json.dumps(host.name))
"""
    image, cache = str((cache_root() / "image").resolve()), str(tmp_path / "cache")
    assert small(cache, "12m", program, IMAGE=image, LABKIT_CACHE=cache).startswith("live host, this computer")


def test_a_console_that_fills_the_disk(host, small):
    program = """
import labkit
with labkit.live() as host:
    machine = host.create("loud")
    filler = fill()
    machine.agent.start(["/bin/sh", "-c", "cat /proc/kallsyms >/dev/console"])
    time.sleep(1.5)
    seen = machine.execute(["hostname"]).output, machine.state, host.observe(0.5).seconds
    try:
        host.create("next")
        said = "it came up"
    except HostError as error:
        said = str(error)
    machines = list(host.machines)
    filler.unlink()
    again = host.create("again").execute(["hostname"]).output
root = host.root
print(json.dumps([seen, said, machines, again, [str(path) for path in root.glob("*.console")]]))
"""
    seen, said, machines, again, left = small(STREET, "16m", program)
    assert seen[:2] == ["loud\n", "running"] and seen[2] >= 0.5, "what runs goes on"
    assert "A machine needs 8 MiB below /tmp/labkit-" in said and "are free. Free some space there." in said
    assert (machines, again, left) == (["loud"], "again\n", [])


SAVES = """
import labkit
from labkit.live import capacity
(small / "image").symlink_to(os.environ["IMAGE"])
free = shutil.disk_usage(small).free
{patch}
with labkit.live() as host:
    machine = host.create("a", memory="112 MiB")
    seen = machine.started_from, machine.execute(["hostname"]).output, [l for l in host.journal() if "power-on" in l]
saved = [path.name for path in (small / "saved").glob("*") if path.suffix != ".lock"]
print(json.dumps([seen, saved, free - shutil.disk_usage(small).free]))
"""


PATCH = """
from types import SimpleNamespace
from labkit.live import starting
capacity.require_disk = lambda memory, directory: None
starting.time = SimpleNamespace(**vars(time) | {"sleep": lambda seconds: None})
"""


@pytest.mark.parametrize("asked", [True, False], ids=["known before", "while it is written"])
def test_no_room_to_save_a_boot(host, small, tmp_path, asked):
    # Nor does it wait here until a saved guest's random numbers are old enough: nobody will start from this one.
    patch = "" if asked else PATCH
    image = str((cache_root() / "image").resolve())
    seen, saved, taken = small(
        str(tmp_path / "cache"),
        "12m",
        SAVES.replace("{patch}", patch),
        IMAGE=image,
        LABKIT_CACHE=str(tmp_path / "cache"),
    )
    assert seen[:2] == ["power-on", "a\n"], "a full disk takes speed from a lab, and nothing else"
    (why,) = seen[2]
    assert ("needs 176 MiB of disk" in why) if asked else ("save the booted guest" in why), why
    assert saved == [] and taken < 1 << 20, "half a saved boot was left"


def test_answers_on_a_full_disk(small, tmp_path):
    program = """
from labkit.course.predict import Asked, Prediction
from labkit.course.progress import Progress
progress = Progress(small / "progress.json")
asked = Prediction(progress, "02", "first", Asked("How much?", "CPU", 0.0, 1.0))
asked.lock("0.25")
filler = fill()
Prediction(progress, "02", "second", asked.asked).lock("0.5", 50, "because " * 20)
told = Prediction(progress, "02", "second", asked.asked).text()
on_disk = sorted(Progress(progress.path).lesson("02")["predictions"])
filler.unlink()
progress.record()
print(json.dumps([told, on_disk, sorted(Progress(progress.path).lesson("02")["predictions"]), left()]))
"""
    told, before, after, left = small(str(tmp_path / "home"), "64k", program)
    assert "Locked." in told and "No space left on device" in told and "Make room for it" in told
    assert (before, after) == (["first"], ["first", "second"])
    assert [path.rpartition("/")[2] for path in left] == [".progress.json.lock", "progress.json"]
