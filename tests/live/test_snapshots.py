"""Snapshots of real guests: brought back whole, as often as one likes, and nothing is left of them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

import labkit
from labkit.experiments import snapshot_consistency, snapshot_revert
from labkit.host import CpuLoad, HostError
from labkit.live import guardian, snapshots

pytestmark = [pytest.mark.live, pytest.mark.timeless]


def values(seen):
    return {(row["machine"], row["quantity"]): row["value"] for row in seen.rows}


def on_both(module, settings, host):
    """What both hosts say where a bound is given, which is 0 for all of it."""
    with labkit.simulated() as simulated:
        expected = values(module.run(simulated, settings))
    live = values(module.run(host, settings))
    assert not host.machines and set(live) == set(expected)
    bounded = [key for key in live if key[1] in module.bounds(settings)]
    assert {key: live[key] for key in bounded} == {key: expected[key] for key in bounded}
    return live


@pytest.mark.parametrize("kind", ["internal", "external", "disk-only"])
def test_a_ruined_guest_is_brought_back(host, kind):
    live = on_both(snapshot_revert, snapshot_revert.Settings(kind=kind, held=2.0), host)
    assert (live["memory", "same_harmed"], live["disk", "same_harmed"]) == (0, 0)
    assert (live["memory", "same_back"], live["disk", "same_back"]) == (kind != "disk-only", 1)
    if kind != "disk-only":  # no less than what it was given to hold, and no more than it has, with its devices
        assert 2 < live["web", "state"] < 128 + 16
    assert 0 <= live["web", "stopped"] <= live["web", "take"]


@pytest.mark.parametrize(("freeze", "lost"), [("no", 20), ("yes", 0)])
def test_what_a_database_finds_in_a_snapshot(host, freeze, lost):
    live = on_both(snapshot_consistency, snapshot_consistency.Settings(freeze=freeze, records=20), host)
    assert (live["log", "lost"], live["table", "lost"], live["disk", "recovery"]) == (0, lost, freeze == "no")


@pytest.mark.parametrize("kind", ["internal", "external"])
def test_back_and_forth_the_guest_knows_what_time_it_is(host, kind):
    disk = host.disk("data", "8 MiB")
    machine = host.create("web", disks=[disk], shares=512)
    told = []
    for name in ("one", "two"):
        machine.execute(["sh", "-c", f"echo {name} >/which; echo {name} | dd of={machine.device('data')} conv=fsync"])
        machine.snapshot(name, kind=kind, freeze=name == "two")
    machine.set(shares=256)
    for name in ("two", "one", "two"):
        if kind == "external" and len(told) == 2:  # also a machine that has ended by itself
            machine.domain.destroy()
            assert machine.state == "stopped"
        machine.revert(machine.snapshots[name])
        look = "cat /which; head -n 1 /dev/vdb; date +%s; head -c 16 /dev/urandom | hexdump -v -e '1/1 \"%x\"'"
        which, on_disk, clock, random = machine.execute(["sh", "-c", look]).output.split()
        assert (which, on_disk) == (name, name)
        assert abs(int(clock) - time.time()) < 30
        told.append(random)
    assert len(set(told)) == 3, "random bytes came again"
    assert machine.state == "running" and machine.shares == 256
    assert machine.domain.schedulerParameters().get("cpu_shares", 256) == 256
    files = {path.name for path in disk.path.parent.iterdir()}
    last = machine.snapshots["two"]
    machine.stop()
    with pytest.raises(HostError, match="web has been switched off"):
        machine.revert(last)
    assert not any(name.endswith(".memory") for name in {path.name for path in disk.path.parent.iterdir()})
    if kind == "external":
        assert len(files) == 5, files  # the disk, what was written after each of two, and two memories
    host.close()
    assert not disk.path.parent.exists()


def test_what_cannot_be_taken_says_why(host):
    machine = host.create("web", disks=[host.disk("data", "8 MiB", format="raw")])
    with pytest.raises(HostError, match="only qcow2"):
        machine.snapshot("one")
    with pytest.raises(HostError, match="has its memory in it"):
        machine.snapshot("one", memory=False)
    job = machine.run(CpuLoad())
    with pytest.raises(HostError, match="has a load"):
        machine.snapshot("one", kind="external")
    snapshot = machine.snapshot("one", kind="external", memory=False)  # raw below, qcow2 above
    assert not job._over
    with pytest.raises(HostError, match="already"):
        machine.snapshot("one", kind="external", memory=False)
    assert list(machine.snapshots) == ["one"] and "disks only" in repr(snapshot)
    assert any("snapshot-create-as web one" in line and "--disk-only" in line for line in host.journal())


OPENS = """
import labkit
host = labkit.live()
print(host.driver.root, flush=True)
machine = host.create("web", disks=[host.disk("data", "8 MiB")])
print("up", flush=True)
number = 0
while True:
    number += 1
    snapshot = machine.snapshot(f"s{number}", kind="external")
    machine.revert(snapshot)
"""


def test_killed_in_the_middle_of_it_leaves_nothing(host):
    for after in (0.2, 1.0):
        child = subprocess.Popen([sys.executable, "-c", OPENS], stdout=subprocess.PIPE, text=True)
        root = child.stdout.readline().strip()
        assert child.stdout.readline() == "up\n"
        time.sleep(after)
        child.kill()
        child.wait(30)
        ends = time.monotonic() + 60
        while Path(root).exists():
            assert time.monotonic() < ends, "the guardian did not clear up"
            time.sleep(0.05)
        assert not guardian.processes_of(root)


def test_a_disk_in_a_pool_goes_back_within_its_pool(host, monkeypatch):
    if not (able := host.can("pool")):
        pytest.skip(able.reason)
    pool = host.pool("16 MiB")
    disk = pool.disk("data", "8 MiB")
    machine = host.create("web", disks=[disk])
    machine.write("data", [(0, 65536)])
    place, before = disk.path.parent, pool.used
    snapshot = machine.snapshot("one", kind="external")
    assert disk.path.parent == place and pool.used > before
    machine.write("data", [(65536, 1 << 20)])
    written = pool.used
    assert written >= before + (1 << 20)

    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "run_tool", lambda *words: (Path(words[-1]).touch(), no_room())[1])
        with pytest.raises(HostError, match="no room"):
            machine.revert(snapshot)
    assert machine.state == "running" and machine.execute(["echo", "here"]).output == "here\n"
    assert len(list(place.iterdir())) == 2, "half a layer was left"

    machine.revert(snapshot)
    assert machine.state == "running" and disk.path.parent == place
    assert before < pool.used <= written - (1 << 20)
    machine.write("data", [(0, 65536)])
    machine.stop()
    over = host.disk("over", backing=disk)
    assert over.path.parent == place and pool.disks == {"data": disk, "over": over}
    assert over.map()[0].depth == 1
    pool.remove()
    assert not host.shelf._disks


def no_room():
    raise HostError("There is no room.")


def test_records_are_found_in_a_snapshot_of_a_disk_in_a_pool(host):
    if not (able := host.can("pool")):
        pytest.skip(able.reason)
    machine = host.create("web", disks=[host.pool("48 MiB").disk("data", "16 MiB")])
    machine.keep_records("data", 5, "both")
    found = machine.records_in(machine.snapshot("one", kind="disk-only"), "data", 5)
    assert (found["log"], found["table"], found["damaged"]) == (5, 5, 0)


def test_a_guest_that_held_still_goes_on(host, monkeypatch):
    def frozen():
        return machine.agent.call("guest-fsfreeze-status")

    machine = host.create("web", disks=[host.disk("data", "16 MiB")])
    nothing = machine.snapshot("nothing", kind="disk-only", freeze=True)
    assert not nothing.frozen and "written down" not in repr(nothing)
    assert any("0 were frozen" in line for line in host.journal())
    volume = machine.volume("data")
    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "_description", lambda *_: (seen.append(frozen()), "<no snapshot")[1])
        seen = []
        with pytest.raises(HostError, match="take a snapshot"):
            machine.snapshot("bad", kind="external", freeze=True)
    assert seen == ["frozen"] and frozen() == "thawed"
    volume.save("one", "64 KiB")
    good = machine.snapshot("good", kind="external", freeze=True)
    assert good.frozen and frozen() == "thawed"
    machine.revert(good)
    assert frozen() == "thawed"
    volume.save("two", "64 KiB")
    assert set(volume.files) == {"one", "two"}
