"""Faults injected for real: each ends in one clear sentence with a remedy, and leaves nothing behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from labkit.host import CpuLoad, HostError, RequestLoad
from labkit.live import agent, guardian, observing
from labkit.views import Panel, run

pytestmark = [pytest.mark.live, pytest.mark.timeless]

TWO = {"shares": (512, 512), "seconds": 6.0}


def clear(error: HostError | str) -> str:
    """The message, which has to be one sentence or two, printable, and to say what to do."""
    text = str(error)
    assert text.count("\n") == 0 and text.isprintable() and 20 < len(text) < 400, text
    assert text.endswith(".") and text.count(". ") >= 1, f"no remedy: {text}"
    return text


def left(root: Path, host_id: str = "") -> list:
    """What there still is of the guests of a host."""
    names = f"lk-{root.name}-{host_id}"
    groups = guardian.control_groups_of(names)
    return [*guardian.processes_of(str(root)), *groups, *root.glob(f"{host_id}*.console"), *root.glob("*.restoring")]


def wait_for(condition, seconds: float, what: str) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, what
        time.sleep(0.05)


@pytest.fixture
def killed_while_watched(monkeypatch):
    """From the given look on, the first machine's QEMU is killed half a second into it."""
    looks, real = [], observing.observe

    def observe(host, machines, seconds, every):
        looks.append(machines[0].process)
        if len(looks) == watch.at:
            threading.Timer(0.5, os.kill, (machines[0].process, signal.SIGKILL)).start()
        return real(host, machines, seconds, every)

    def watch(at: int = 1) -> None:
        watch.at = at
        monkeypatch.setattr(observing, "observe", observe)

    return watch


def test_a_qemu_killed_in_the_middle_of_a_measurement(host, killed_while_watched):
    first, second = host.create("first"), host.create("second")
    for machine in (first, second):
        machine.run(CpuLoad(1.0))
    killed_while_watched()
    with pytest.raises(HostError) as caught:
        host.observe(4)
    said = clear(caught.value)
    assert "first ended while it was being watched" in said and "signal 9" in said
    assert (first.state, second.state) == ("stopped", "running")
    with pytest.raises(HostError, match="it has ended"):
        first.execute(["hostname"])
    assert host.create("third").execute(["hostname"]).output == "third\n", "the host goes on"
    first.stop()  # no error, though it is gone
    assert set(host.machines) == {"second", "third"}
    host.close()
    assert left(host.root, host._id) == []


def test_in_a_lesson_the_other_columns_stay(host, killed_while_watched):
    killed_while_watched()
    result = run("cpu-shares", **TWO)
    assert "m1 ended while it was being watched" in clear(result.outcome.why_not_live)
    assert all(row["live"] is None and row["simulated"] is not None for row in result.rows)
    assert left(host.root) == []


def test_in_a_panel_it_is_told_and_the_guests_are_gone(host, killed_while_watched):
    killed_while_watched(at=2)
    panel = Panel("cpu-shares", shares=(512, 512))
    panel.start()
    try:
        wait_for(lambda: panel._session is None and panel.alert.value, 120, "the session did not end")
        assert "m1 ended while it was being watched" in panel.alert.value and "Create it again" in panel.alert.value
        assert panel.switch.value == "Simulated" and not panel.switch.disabled
        assert left(host.root) == []
        panel.controls.by_setting["shares"][0].value = 1024
        assert panel.alert.value == "" and panel.settings.shares[0] == 1024, "the sliders go on simulating"
    finally:
        panel.stop(30)
        panel.close()


MARKED = """
import json, sys
from pathlib import Path
from labkit import cli
from labkit.live import observing
real = observing.begin

def begin(host, machines):
    real(host, machines)
    Path(sys.argv[1] + ".new").write_text(json.dumps([str(host.root), *(machine.process for machine in machines)]))
    Path(sys.argv[1] + ".new").rename(sys.argv[1])

observing.begin = begin
sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.fixture
def measuring(tmp_path):
    """Start the `labkit` command, and return once it measures: the process, its host's directory, and its QEMUs."""
    started = []

    def start(*words):
        mark = tmp_path / "measuring.json"
        command = [sys.executable, "-c", MARKED, str(mark), *words]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        wait_for(lambda: mark.exists() or started[0].poll() is not None, 180, "it does not come to measure")
        assert mark.exists(), started[0].communicate()
        root, *qemus = json.loads(mark.read_text())
        time.sleep(0.5)
        return started[0], Path(root), qemus

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def test_on_the_command_line_the_simulated_column_stays(host, measuring):
    started, root, qemus = measuring("run", "cpu-shares", "--host", "both", "--set", "seconds=9", "--json")
    os.kill(qemus[2], signal.SIGKILL)
    out, err = started.communicate(timeout=30)
    assert started.returncode == 1 and err.count("\n") == 1
    assert "m3 ended while it was being watched" in clear(err.removesuffix("\n"))
    document = json.loads(out)
    assert all(row["live"] is None and row["simulated"] is not None for row in document["rows"])
    wait_for(lambda: not root.exists(), 15, "the directory is still there")
    assert left(root) == []


def test_an_interrupt_in_the_middle_of_a_live_measurement(host, measuring):
    started, root, _qemus = measuring("run", "cpu-shares", "--host", "both", "--set", "seconds=60")
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=40)  # and not when the 60 s are over
    assert (started.returncode, out) == (130, "")
    assert err.startswith("labkit: interrupted") and err.count("\n") == 1
    wait_for(lambda: not root.exists(), 15, "the directory is still there")
    assert left(root) == []


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(agent, "PATIENCE", 3)


TELL = "sleep 0.3; kill -{how} $(pidof qemu-ga); echo the agent has got {how} >/dev/console"
FOR_EVER = "; while :; do kill -{how} $(pidof qemu-ga); sleep 0.1; done"  # the guest starts it again after a second


def do_to_the_agent(machine, how: str, then: str = FOR_EVER) -> None:
    """Send the agent in a guest a signal, by a program of the agent's own making; return when it has got it."""
    machine.agent.start(["/bin/sh", "-c", (TELL + then).format(how=how)])
    wait_for(lambda: f"the agent has got {how}" in machine.console(), 30, "the agent was not told")


@pytest.mark.parametrize("how", ["STOP", "KILL"])
def test_a_dead_agent_before_a_load(host, impatient, monkeypatch, how):
    machine, other = host.create("a"), host.create("b")
    do_to_the_agent(machine, how)
    with pytest.raises(HostError) as caught:
        machine.run(CpuLoad(1.0))
    said = clear(caught.value)
    assert "the agent in a" in said and "create it again" in said
    monkeypatch.undo()
    other.run(CpuLoad(1.0))
    begun = time.monotonic()
    machine.stop()
    assert time.monotonic() - begun < agent.PATIENCE / 2, "to stop a machine its agent is not asked"
    assert host.observe(1).value("b", "cpu") > 0, "the others go on"
    host.close()
    assert left(host.root, host._id) == []


def test_an_agent_that_dies_while_results_are_collected(any_speed, impatient):
    host = any_speed
    machine = host.create("a")
    job = machine.run(RequestLoad(tuple(0.05 * i for i in range(200)), (0.005,) * 200))
    killer = threading.Timer(2.0, do_to_the_agent, (machine, "KILL", ""))
    killer.start()
    with pytest.raises(HostError) as caught:
        job.wait(20)
    assert "the agent in a" in clear(caught.value)
    killer.join()
    time.sleep(1.5)  # the guest starts its agent again, which knows nothing of what was going on
    with pytest.raises(HostError) as caught:
        job.wait(20)
    assert "create it again" in clear(caught.value)
    machine.stop()
    host.close()
    assert left(host.root, host._id) == []


def test_an_interrupt_is_heard_while_an_agent_does_not_answer(host):
    machine = host.create("a")
    do_to_the_agent(machine, "STOP")
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        machine.run(CpuLoad(1.0))
    machine.stop()
    assert time.monotonic() - begun < agent.PATIENCE / 2, "an agent has a minute to answer; nobody waits for that"
    assert machine.state == "stopped"


@pytest.fixture
def small_group():
    """A control group in which little memory may be taken, of either version."""
    for top, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(top) / f"labkit-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            group.mkdir()
            try:
                (group / limit).write_text(str(24 << 20))
            except OSError:
                group.rmdir()
                continue
            yield group
            for _ in range(50):
                with contextlib.suppress(OSError):
                    group.rmdir()
                    return
                time.sleep(0.1)
            return
    pytest.skip("no control group for memory can be made here")


def test_memory_that_runs_out(host, small_group):
    machine = host.create("a", memory="256 MiB")
    (small_group / "cgroup.procs").write_text(str(machine.process))
    machine.run(CpuLoad(1.0))
    machine.agent.start(["/tools/bin/stress-ng", "--quiet", "--vm", "1", "--vm-bytes", "120M"])
    with pytest.raises(HostError) as caught:
        host.observe(60)  # it ends with the machine
    said = clear(caught.value)
    assert "a ended while it was being watched: Linux killed QEMU because memory ran out." in said
    assert "Stop other machines or programs" in said
    host.close()
    assert left(host.root, host._id) == []


def test_a_qemu_killed_while_its_requests_are_served(any_speed):
    host = any_speed
    machine = host.create("a")
    job = machine.run(RequestLoad(tuple(0.05 * i for i in range(200)), (0.005,) * 200))
    threading.Timer(2.0, os.kill, (machine.process, signal.SIGKILL)).start()
    with pytest.raises(HostError) as caught:
        job.wait(30)
    said = clear(caught.value)
    assert "a ended before its requests were served" in said or "the agent in a" in said
    # The agent's silence may be told before libvirt has heard of the end.
    wait_for(lambda: machine.state == "stopped", 30, "the machine goes on")
    assert not job.running and job.result is None
    host.close()
    assert left(host.root, host._id) == []
