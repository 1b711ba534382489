"""Files and blocks of a simulated guest, against a notebook: what is there after going back, and with how much room."""

import hashlib
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.host import HostError

KIBI, MEBI = 1 << 10, 1 << 20
EMPTY = 200704  # a new qcow2 file of up to 256 GiB: du of what Debian 12's qemu-img makes
TABLE = UNIT = 65536
ROOM = 5 * MEBI


@pytest.fixture
def host():
    with labkit.simulated() as opened:
        yield opened


def made(host, size="8 MiB", pool=None, name="web", **more):
    return host.create(name, disks=[(pool or host).disk(f"{name}-data", size, **more)])


@pytest.mark.parametrize("kind", ["internal", "external", "disk-only"])
def test_going_back_brings_files_back_and_takes_later_ones_away(host, kind):
    machine = made(host)
    volume = machine.volume("web-data")
    volume.save("x", "1 MiB")
    before = volume.files
    snapshot = machine.snapshot("s", kind=kind)
    assert volume.files == before  # an empty layer above has lost nothing
    volume.save("y", "1 MiB")
    volume.delete("x")
    volume.save("z", "2 MiB")  # over the blocks that x had
    machine.revert(snapshot)
    assert machine.volume("web-data").files == volume.files == before
    volume.save("y", "1 MiB")
    assert list(volume.files) == ["x", "y"] and volume.files["x"] == before["x"]


def test_a_file_system_of_later_is_not_there_after_going_back(host):
    machine = made(host)
    early = machine.snapshot("early")
    machine.volume("web-data").save("x", 1)
    late = machine.snapshot("late")
    seen = machine.volume("web-data").files
    machine.revert(early)
    assert machine.volume("web-data").files == {}
    machine.revert(late)
    assert machine.volume("web-data").files == seen != {}


@pytest.mark.parametrize("kind", ["internal", "external"])
@pytest.mark.parametrize("seed", range(8))
def test_any_order_of_files_and_snapshots(host, kind, seed):
    """The oracle is a plain dict of names, copied whole at each snapshot."""
    rng, machine = random.Random(seed), made(host)
    volume = machine.volume("web-data")
    notebook: dict[str, str] = {}
    kept = {}
    for step in range(50):
        what = rng.choice(["save", "save", "delete", "trim", "take", "back"])
        if what == "save" and len(notebook) < 6:
            volume.save(f"f{step}", rng.choice(["4 KiB", "60 KiB", "1 MiB"]))
            sums = volume.files
            assert sums[f"f{step}"] not in [notebook.values(), *(book.values() for book in kept.values())]
            notebook[f"f{step}"] = sums[f"f{step}"]
        elif what == "delete" and notebook:
            name = rng.choice(sorted(notebook))
            volume.delete(name)
            del notebook[name]
        elif what == "trim":
            volume.trim()
        elif what == "take":
            kept[machine.snapshot(f"s{step}", kind=kind).name] = dict(notebook)
        elif what == "back" and kept:
            name = rng.choice(sorted(kept))
            machine.revert(machine.snapshots[name])
            notebook = dict(kept[name])
        assert volume.files == notebook


@pytest.mark.parametrize("kind", ["internal", "external"])
def test_a_file_over_which_something_is_written_is_another(host, kind):
    machine = made(host)
    volume = machine.volume("web-data")
    volume.save("x", "1 MiB")
    before = volume.files
    snapshot = machine.snapshot("s", kind=kind)
    mark = machine.contents("web-data")["disk"]
    machine.write("web-data", [(0, 4096)])
    assert volume.files != before and machine.contents("web-data")["disk"] != mark
    machine.revert(snapshot)
    machine.discard("web-data", [(0, MEBI)])
    assert volume.files != before and volume.files["x"] != hashlib.md5(b"", usedforsecurity=False).hexdigest()
    machine.revert(snapshot)
    machine.discard("web-data", [(0, 4096)])  # of a unit as a whole, or nothing
    assert volume.files == before


WAYS = {
    "write": lambda machine: machine.write("web-data", [(0, 8 * MEBI)]),
    "overwrite": lambda machine: machine.overwrite("web-data", [(0, 8 * MEBI)]),
    "save": lambda machine: machine.volume("web-data").save("big", "8 MiB"),
}


@pytest.mark.parametrize("format", ["qcow2", "raw"])
@pytest.mark.parametrize("way", WAYS)
def test_a_full_pool_stops_the_machine_whichever_way_it_writes(host, way, format):
    pool = host.pool("5 MiB")
    machine = made(host, "16 MiB", pool, format=format)
    with pytest.raises(HostError, match=r"web is paused: its pool has no room\. Let it grow, then machine\.resume\(\)"):
        WAYS[way](machine)
    assert machine.state == "paused" and pool.used == pool.size == ROOM
    disk = machine.disks["web-data"]
    assert disk.map()[0].length == disk.guest_bytes > 4 * MEBI  # it wrote from the beginning on
    for ask in (
        lambda: machine.write("web-data", [(0, 4096)]),
        lambda: machine.discard("web-data", [(0, 4096)]),
        lambda: machine.volume("web-data").files,
        lambda: machine.snapshot("s", kind="external", memory=False),
    ):
        with pytest.raises(HostError, match="web is paused"):
            ask()
    machine.resume()  # there is still no room
    assert machine.state == "paused" and pool.used == ROOM
    pool.grow("32 MiB")
    machine.resume()
    assert machine.state == "running"
    # What it was writing is there now, as if it had never stood still.
    assert pool.used == 8 * MEBI + (EMPTY + TABLE if format == "qcow2" else 0)
    if way == "save":
        assert list(machine.volume("web-data").files) == ["big"]


def test_going_back_is_a_way_out_of_a_full_pool(host):
    pool = host.pool("5 MiB")
    machine = made(host, "16 MiB", pool)
    volume = machine.volume("web-data")
    volume.save("small", 1)
    before, snapshot = volume.files, machine.snapshot("s", kind="external")
    with pytest.raises(HostError, match="is paused"):
        volume.save("big", 8)
    machine.revert(snapshot)
    assert machine.state == "running" and volume.files == before
    assert pool.used == 2 * EMPTY + TABLE + MEBI  # both layers, the upper one empty
    machine.write("web-data", [(15 * MEBI, 4096)])  # and nothing of what waited then is written with it
    assert pool.used == 2 * (EMPTY + TABLE) + MEBI + UNIT and volume.files == before


@pytest.mark.parametrize("kind", ["internal", "external"])
def test_a_snapshot_for_which_there_is_no_room_leaves_everything_as_it_was(host, kind):
    pool = host.pool(f"{EMPTY + TABLE + MEBI} B")
    machine = made(host, "16 MiB", pool)
    machine.volume("web-data").save("x", 1)
    seen, used, length = machine.volume("web-data").files, pool.used, machine.disks["web-data"].file_bytes
    with pytest.raises(HostError, match="The pool has 0 bytes left"):
        machine.snapshot("s", kind=kind)
    assert machine.state == "running" and not machine.snapshots
    assert (machine.volume("web-data").files, pool.used) == (seen, used)
    assert machine.disks["web-data"].file_bytes == length


def test_what_is_written_after_a_snapshot_takes_room_of_its_own_again(host):
    """The pool's arithmetic by hand: a cluster and its table are copied once for each snapshot."""
    pool = host.pool("100 MiB")
    machine = made(host, "16 MiB", pool)
    machine.write("web-data", [(0, MEBI)])
    machine.snapshot("s")
    before = pool.used
    assert machine.disks["web-data"].growth(0, 128 * KIBI) == 2 * UNIT + TABLE
    for _ in range(2):
        machine.write("web-data", [(0, 128 * KIBI)])
        assert pool.used == before + 2 * UNIT + TABLE
        assert machine.disks["web-data"].growth(0, 128 * KIBI) == 0


def test_a_filling_machine_that_is_paused_by_another_write_does_not_write(host):
    pool = host.pool("3 MiB")
    machine = made(host, "16 MiB", pool)
    filling = pool.fill([machine], rate="1 MiB", amount="1 MiB")
    filling.watch(0.3)  # two pieces
    with pytest.raises(HostError, match="is paused"):
        machine.write("web-data", [(4 * MEBI, 4 * MEBI)])
    assert filling.watch(5).value("web", "written") == 2 * 256 * KIBI
    pool.grow("16 MiB")
    machine.resume()
    assert filling.watch(5).value("web", "written") == MEBI
    assert filling.intact() == {"web": True}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["write", "discard", "keep"]), st.integers(0, 255), st.integers(1, 64)),
        min_size=1,
        max_size=20,
    )
)
def test_growth_says_beforehand_what_the_store_gives(acts):
    with labkit.simulated() as host:
        machine = made(host, "1 MiB")
        disk = machine.disks["web-data"]
        for number, (what, block, blocks) in enumerate(acts):
            offset = block * 4096
            length = min(blocks * 4096, MEBI - offset)
            if what == "keep":
                machine.snapshot(f"s{number}")
            elif what == "discard":
                machine.discard("web-data", [(offset, length)])
            else:
                said, before = disk.growth(offset, length), disk.store_bytes
                machine.write("web-data", [(offset, length)])
                assert disk.store_bytes - before == said
                assert said <= UNIT * math.ceil(length / UNIT + 1) + TABLE
