"""Snapshots of simulated machines, against a notebook that is copied whole; and the page cache against the clock."""

import random

import pytest

import labkit
from labkit.host import CpuLoad, HostError, Snapshot
from labkit.model.disks.branched import Branched
from labkit.model.disks.qcow2 import Qcow2

KIBI, MEBI = 1 << 10, 1 << 20


@pytest.fixture
def host():
    with labkit.simulated() as host:
        yield host


def made(host, name="web", format="qcow2"):
    return host.create(name, disks=[host.disk(f"{name}-disk", "16 MiB", format=format)])


@pytest.mark.parametrize("kind", ["internal", "external"])
@pytest.mark.parametrize("seed", range(10))
def test_any_order_of_writing_and_going_back(host, kind, seed):
    rng, machine = random.Random(seed), made(host)
    marks = {}
    for step in range(60):
        what = rng.choice(["write", "write", "hold", "take", "back"])
        if what == "write":
            machine.overwrite("web-disk", [(rng.randrange(4096) * 4096, 4096)])
        elif what == "hold":
            machine.hold(rng.randint(0, 16))
        elif what == "take":
            snapshot = machine.snapshot(f"s{step}", kind=kind)
            marks[snapshot.name] = dict(machine.contents("web-disk"))
        elif marks:
            name = rng.choice(sorted(marks))
            machine.revert(machine.snapshots[name])
            assert machine.contents("web-disk") == marks[name]
    assert list(machine.snapshots) == list(marks)


def test_every_change_changes_the_marks(host):
    machine = made(host)
    seen = [machine.contents("web-disk")]
    for change in (lambda: machine.hold(1), lambda: machine.overwrite("web-disk", [(0, 4096)]), machine.ruin):
        change()
        seen.append(machine.contents("web-disk"))
    assert [one["memory"] != other["memory"] for one, other in zip(seen, seen[1:], strict=False)] == [True, False, True]
    assert [one["disk"] != other["disk"] for one, other in zip(seen, seen[1:], strict=False)] == [False, True, False]


def test_a_cluster_is_copied_once_for_each_snapshot(host):
    machine = made(host)
    disk = machine.disks["web-disk"]
    machine.overwrite("web-disk", [(0, 256 * KIBI)])
    for name in ("one", "two"):
        machine.snapshot(name)
        before = disk.store_bytes
        for _ in range(3):
            machine.overwrite("web-disk", [(0, 4096)])
        assert disk.store_bytes - before == 2 * 64 * KIBI  # the cluster, and the table


def test_after_going_back_the_room_is_used_again(host):
    machine = made(host)
    machine.overwrite("web-disk", [(0, 256 * KIBI)])
    snapshot = machine.snapshot("one")
    machine.overwrite("web-disk", [(0, 256 * KIBI)])
    length = machine.disks["web-disk"].file_bytes
    for _ in range(3):
        machine.revert(snapshot)
        machine.overwrite("web-disk", [(0, 256 * KIBI)])
        assert machine.disks["web-disk"].file_bytes == length


def test_what_a_snapshot_has_is_not_given_back_to_the_store():
    plain = Branched(Qcow2(16 * MEBI))
    plain.write(0, 256 * KIBI)
    with_snapshot = Branched(plain)
    taken = [plain.store_bytes, with_snapshot.store_bytes]
    assert taken[0] == taken[1] == Qcow2.store_bytes.fget(plain)
    with_snapshot.keep("one")
    before = with_snapshot.store_bytes
    for file in (plain, with_snapshot):
        file.discard(0, 128 * KIBI)
    assert taken[0] - plain.store_bytes == 128 * KIBI
    assert with_snapshot.store_bytes - before == 64 * KIBI  # another table of places, and nothing freed
    assert len(with_snapshot.places) == 2


def test_time_passes_and_the_snapshot_tells_of_it(host):
    machine = made(host)
    before = host.now
    snapshot = machine.snapshot("one")
    assert isinstance(snapshot, Snapshot) and host.now - before == pytest.approx(snapshot.seconds)
    before = host.now
    assert machine.revert(snapshot) == pytest.approx(host.now - before)
    assert f"{snapshot.state_bytes / MEBI:.1f} MiB" in repr(snapshot)


def test_disk_only_is_external_without_memory_and_boots_anew(host):
    machine = made(host)
    machine.hold(4)
    booted = machine.snapshot("one", kind="disk-only")
    assert (booted.kind, booted.memory, booted.state_bytes) == ("external", False, 0)
    same = machine.snapshot("two", kind="external", memory=False)
    whole = machine.snapshot("three", kind="external")
    assert (same.kind, same.memory, whole.memory) == ("external", False, True)
    began = host.now
    seconds = machine.revert(booted)
    _machine, start = host.boot("other", "cold")
    assert seconds == pytest.approx(start.seconds) and host.now - began == pytest.approx(2 * start.seconds)
    assert seconds > machine.revert(whole)
    assert machine.revert(same) == seconds


def test_what_cannot_be_taken_says_why(host):
    with pytest.raises(HostError, match="no disk"):
        host.create("bare").snapshot("one")
    raw = made(host, "raw", format="raw")
    with pytest.raises(HostError, match="only qcow2"):
        raw.snapshot("one")
    raw.snapshot("one", kind="external")
    machine = made(host)
    with pytest.raises(HostError, match="has its memory in it"):
        machine.snapshot("one", memory=False)
    one = machine.snapshot("one")
    with pytest.raises(HostError, match="already"):
        machine.snapshot("one")
    with pytest.raises(HostError, match="other kind"):
        machine.snapshot("two", kind="external")
    with pytest.raises(HostError, match="no snapshot of raw"):
        raw.revert(one)
    with pytest.raises(ValueError, match="kind"):
        machine.snapshot("two", kind="warm")
    job = machine.run(CpuLoad())
    with pytest.raises(HostError, match="has a load"):
        machine.snapshot("two")
    machine.revert(one)
    assert job.progress == 1.0 and not machine.busy
    with labkit.simulated(mode="fluid") as other, pytest.raises(HostError, match="fluid"):
        other.create("m1").snapshot("one")


@pytest.mark.parametrize(("seconds", "table"), [(20, 0), (29, 0), (36, 30)])
def test_what_nobody_synced_is_written_down_after_half_a_minute(host, seconds, table):
    machine = made(host, "db")
    machine.keep_records("db-disk", 30, "none")
    host.pass_time(seconds)
    snapshot = machine.snapshot("backup", kind="external", memory=False)
    assert machine.records_in(snapshot, "db-disk", 30)["table"] == table


def test_the_program_goes_on_and_the_snapshot_does_not_change(host):
    machine = made(host, "db")
    machine.keep_records("db-disk", 10, "both")
    first = machine.snapshot("first", kind="external", memory=False)
    host.pass_time(2.0)
    second = machine.snapshot("second", kind="external", memory=False)
    assert machine.records_in(second, "db-disk", 60)["log"] > machine.records_in(first, "db-disk", 60)["log"] >= 10


def test_lengths_after_two_snapshots_and_going_back_as_they_were_measured(host):
    """How much longer the file of a real guest's disk became, each time, with QEMU 7.2.22: to the byte."""
    machine = made(host)
    disk, grown = machine.disks["web-disk"], []

    def write(length):
        before = disk.file_bytes
        machine.overwrite("web-disk", [(0, length)])
        grown.append(disk.file_bytes - before)

    machine.overwrite("web-disk", [(0, 256 * KIBI)])
    first = machine.snapshot("a")
    write(64 * KIBI)
    machine.snapshot("b")  # its list of 138 bytes is the last in the file, as the first one's hole took a table
    write(64 * KIBI)
    machine.revert(first)
    write(192 * KIBI)
    assert grown == [131072, 196470, 65536]
