"""Pools of the model, against counting by hand: what is full when, who stands still, and who goes on."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import labkit
from labkit.host import HostError
from labkit.host.pools import Filling, HasPools, PausingMachine, Pool
from labkit.host.trimming import TrimmingMachine

MEBI = 1 << 20
PIECE = 262144
EMPTY = 200704  # a new qcow2 file of up to 256 GiB: du of what Debian 12's qemu-img makes
TABLE = 65536


@pytest.fixture
def host():
    with labkit.simulated() as opened:
        yield opened


def guests(host, pool, *names, size="64 MiB", format="qcow2"):
    return [host.create(name, disks=[pool.disk(f"d-{name}", size, format=format)]) for name in names]


def test_it_is_what_the_protocol_says(host):
    pool = host.pool("8 MiB")
    (machine,) = guests(host, pool, "m1")
    assert isinstance(host, HasPools)
    assert isinstance(pool, Pool)
    assert isinstance(machine, PausingMachine)
    assert isinstance(machine, TrimmingMachine)
    assert isinstance(pool.fill([machine], rate=1, amount=1), Filling)
    assert host.can("pool")
    assert host.can("trim")


def test_when_it_is_full_and_what_comes_then(host):
    pool = host.pool("4 MiB")
    two = guests(host, pool, "m1", "m2")
    assert pool.used == 2 * EMPTY
    filling = pool.fill(two, rate="1 MiB", amount="3 MiB")
    seen = filling.watch(60)
    # 4194304 - 2 * (200704 + 65536) = 3661824 = 13.97 pieces: the 14th of both together finds too little room. It is
    # the 7th of m2's, due after 6 pieces, and each takes a quarter of a second.
    assert seen.value("pool", "time_to_full") == 1.5
    assert seen.value("m1", "written") == 7 * PIECE
    assert seen.value("m2", "written") == 6 * PIECE
    assert [machine.state for machine in two] == ["paused", "paused"]
    assert pool.used == pool.size == seen.value("pool", "used") == 4 * MEBI
    assert [event.detail for event in seen.events if event.kind == "alarm"] == [
        f"the pool is {part}% full" for part in (70, 80, 90, 100)
    ]
    assert {(event.machine, event.time) for event in seen.events if event.kind == "paused"} == {
        ("m1", 1.75),
        ("m2", 1.5),
    }
    assert seen.seconds == 1.75
    with pytest.raises(HostError, match="paused"):
        filling.intact()
    assert filling.watch(5).value("m1", "written") == 7 * PIECE  # nobody goes on by itself

    two[0].resume()  # there is still no room
    filling.watch(5)
    assert two[0].state == "paused"
    pool.grow("7 MiB")
    two[1].resume()
    later = filling.watch(60)
    assert later.value("m2", "written") == 3 * MEBI
    assert later.value("m1", "written") == 7 * PIECE
    two[0].resume()
    filling.watch(60)
    assert filling.intact() == {"m1": True, "m2": True}
    assert pool.used == 2 * (EMPTY + TABLE + 3 * MEBI)


def test_a_paused_guest_does_not_hurry_afterwards(host):
    pool = host.pool("2 MiB")
    (machine,) = guests(host, pool, "m1")
    filling = pool.fill([machine], rate="1 MiB", amount="4 MiB")
    filling.watch(60)
    host.observe(100)
    pool.grow("8 MiB")
    machine.resume()
    seen = filling.watch(60)
    # 2097152 - 266240 are 6.98 pieces; the 7th is tried again at once, and 9 more follow a quarter of a second apart.
    assert seen.seconds == 9 * 0.25


def test_room_that_one_guest_gives_back_another_may_take(host):
    pool = host.pool("3 MiB")
    full, other = guests(host, pool, "m1", "m2")
    other.write("d-m2", [(0, MEBI)])
    filling = pool.fill([full], rate="8 MiB", amount="2 MiB")
    filling.watch(10)
    assert full.state == "paused"
    other.discard("d-m2", [(0, MEBI)])
    full.resume()
    filling.watch(10)
    assert filling.intact() == {"m1": True}
    assert pool.used == 2 * (EMPTY + TABLE) + 2 * MEBI


def test_a_machine_that_is_switched_off_while_it_is_paused_leaves_its_disk(host):
    pool = host.pool("1 MiB")
    (machine,) = guests(host, pool, "m1")
    filling = pool.fill([machine], rate="1 MiB", amount="4 MiB")
    filling.watch(10)
    machine.stop()
    assert machine.state == "stopped"
    assert filling.watch(1).value("m1", "paused") == 0
    pool.disks["d-m1"].remove()
    assert pool.used == 0
    pool.remove()
    with pytest.raises(HostError, match="removed"):
        pool.disk("again", 1)


def test_what_a_pool_cannot_do_is_said(host):
    pool = host.pool("1 MiB")
    with pytest.raises(HostError, match="vmdk"):
        pool.disk("data", "8 MiB", format="vmdk")
    with pytest.raises(HostError, match="would be less"):
        pool.grow("512 KiB")
    with pytest.raises(HostError, match="left for an empty disk"):
        [pool.disk(f"d{number}", 1) for number in range(9)]
    assert "d8" not in pool.disks
    machine = host.create("m1", disks=[host.disk("elsewhere", 8)])
    with pytest.raises(HostError, match="no disk of this pool"):
        pool.fill([machine], rate=1, amount=1)
    assert host.disk("other", "8 MiB", format="vmdk").store_bytes is None
    with pytest.raises(HostError, match="no disk"):
        machine.discard("nowhere", [(0, 4096)])
    with pytest.raises(ValueError, match="whole blocks"):
        machine.discard("elsewhere", [(0, 512)])


@given(
    st.sampled_from([("qcow2", 65536), ("raw", 4096)]),
    st.lists(
        st.tuples(st.sampled_from(["write", "discard"]), st.integers(0, 255), st.integers(1, 64)),
        min_size=1,
        max_size=30,
    ),
)
def test_what_is_held_after_any_writes_and_discards(kind, acts):
    """Against sets: a unit is held from its first write on, until one discard covers all of it."""
    format, unit = kind
    with labkit.simulated() as host:
        disk = host.disk("data", 1, format=format)
        machine = host.create("m1", disks=[disk])
        held, table = ({0}, 0) if format == "raw" else (set(), 0)
        for what, block, blocks in acts:
            offset = block * 4096
            length = min(blocks * 4096, MEBI - offset)
            getattr(machine, what)("data", [(offset, length)])
            if what == "write":
                held |= set(range(offset // unit, -(-(offset + length) // unit)))
                table = TABLE
            else:
                inside = {index for index in held if offset <= index * unit and (index + 1) * unit <= offset + length}
                held -= inside
                if -(-offset // unit) < (offset + length) // unit:
                    table = TABLE
        assert disk.store_bytes == len(held) * unit + (EMPTY + table if format == "qcow2" else 0)
        assert disk.guest_bytes == len(held) * unit
        if format == "qcow2" and held:  # no longer than it ever had to be: freed clusters are taken first
            assert disk.file_bytes >= 5 * unit + len(held) * unit
        offsets = [extent.offset for extent in disk.map() if extent.data]
        assert len(set(offsets)) == len(offsets)


@given(
    st.integers(1, 4),
    st.integers(2, 24),
    st.sampled_from([0.5, 1.0, 4.0]),
    st.integers(1, 20),
)
def test_the_moment_it_is_full_against_counting_piece_by_piece(count, size, rate, pieces):
    names = [f"m{number}" for number in range(count)]
    free = size * MEBI - count * (EMPTY + TABLE)
    expected, time_to_full = dict.fromkeys(names, 0), None
    for turn, name in itertools.product(range(pieces), names):  # in the order in which they are due
        if time_to_full is None and free >= PIECE:
            free -= PIECE
            expected[name] += PIECE
            if free:
                continue
        if time_to_full is None:
            time_to_full = turn * PIECE / (rate * MEBI)
    with labkit.simulated() as host:
        pool = host.pool(size)
        filling = pool.fill(guests(host, pool, *names), rate=rate, amount=pieces * PIECE / MEBI)
        seen = filling.watch(1000)
        assert {name: seen.value(name, "written") for name in names} == expected
        if time_to_full is None:
            with pytest.raises(KeyError):
                seen.value("pool", "time_to_full")
            assert all(filling.intact().values())
        else:
            assert seen.value("pool", "time_to_full") == pytest.approx(time_to_full)
