"""disk-pool: its settings, its theory against a count piece by piece, and the simulated host against both."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.experiments import disk_pool
from labkit.experiments.disk_pool import Settings, bounds, theory
from labkit.experiments.settings import SettingError, from_text
from labkit.host import Ability, HostError

MEBI = 1 << 20
PIECE = 262144
TABLES = 200704 + 65536  # of a qcow2 file up to 512 MiB, by du: as it is made, and its L2 table


def counted(size, disks, rate, amount):
    """When the pool is full in s, and what each guest has written by then in B: one piece after the other."""
    free, full = int(size * MEBI) - disks * TABLES, None
    written = [0] * disks
    for turn, guest in itertools.product(range(-(-int(amount * MEBI) // PIECE)), range(disks)):
        if free >= PIECE:
            free -= PIECE
            written[guest] += PIECE
            full = turn if free == 0 and full is None else full
        elif full is None:
            full = turn
    return (None if full is None else full * PIECE / (rate * MEBI)), written


@settings(deadline=None)
@given(
    size=st.integers(4, 40),
    disks=st.integers(1, 5),
    rate=st.sampled_from([0.5, 1.0, 3.0, 8.0]),
    amount=st.sampled_from([0.25, 0.3, 1.0, 4.0, 7.5]),
)
def test_theory_and_the_model_are_what_is_counted(size, disks, rate, amount):
    chosen = Settings(size=size, disks=disks, rate=rate, amount=amount, promised=8.0)
    full, written = counted(size, disks, rate, amount)
    with labkit.simulated() as host:
        seen = {(row["machine"], row["quantity"]): row["value"] for row in disk_pool.run(host, chosen).rows}
        assert not host.machines
    for said in (seen, theory(chosen)):
        assert [said[f"m{number}", "written"] for number in range(1, disks + 1)] == written
        assert said.get(("pool", "time_to_full")) == (None if full is None else pytest.approx(full))
        assert said["pool", "used_in_all"] == disks * (TABLES + -(-int(amount * MEBI) // PIECE) * PIECE)
        assert said["pool", "used"] == min(size * MEBI, said["pool", "used_in_all"])
    assert seen == pytest.approx(theory(chosen))


def test_the_default_by_hand():
    said = theory(Settings())
    # 64 MiB less 4 x 266240 bytes are 251.9 pieces: the 252nd finds too little room, the last of the 63rd round.
    assert said["pool", "time_to_full"] == 62 * 0.25 / 4
    assert said["pool", "used"] == 64 * MEBI
    assert sum(said[f"m{number}", "written"] for number in range(1, 5)) == 251 * PIECE
    # 80% are 53687091.2 bytes; less the tables 200.7 pieces, so the 201st, the first of the 51st round.
    assert said["pool", "time_to_80"] == 50 * 0.25 / 4


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"amount": "65MiB"}, "no more than promised, 64 MiB, not 65 MiB"),
        ({"size": "2MiB", "disks": "16"}, "size must be 8.06 MiB or more for 16 disks, not 2"),
        ({"grown": "80MiB"}, "grown must be 97.02 MiB or more"),
        ({"size": "200MiB"}, "grown must be no less than size, 200 MiB, not 128 MiB"),
    ],
)
def test_settings_that_do_not_fit(chosen, said):
    with pytest.raises(SettingError, match=said):
        from_text(Settings, chosen)


def test_bounds_are_for_what_is_certain():
    assert bounds(Settings())["used"] == bounds(Settings())["intact"] == bounds(Settings())["paused"] == 0
    assert bounds(Settings())["time_to_full"] == pytest.approx(0.5 + 4 * 0.05 + 0.0625)
    assert "paused" not in bounds(Settings(amount=16.0))  # whether a guest ends in time is a matter of moments
    never = bounds(Settings(size=128.0))
    assert never["written"] == never["paused"] == 0


def test_steps_are_those_that_are_told():
    """Getting ready, writing, reading back; and standing still and writing on, where the pool was full in between."""
    assert disk_pool.steps(Settings()) == 5 and disk_pool.steps(Settings(amount=12.0)) == 3


def over_time(seen, machine, quantity):
    (line,) = [line for line in seen.series if (line.machine, line.quantity) == (machine, quantity)]
    assert list(line.times) == sorted(line.times) and len(line.times) == len(line.values)
    return list(zip(line.times, line.values, strict=True))


def test_the_pause_is_to_be_seen():
    """A full pool gives out nothing for as long as it takes somebody to come, and then goes on from there."""
    with labkit.simulated() as host:
        seen = disk_pool.run(host, Settings())
    given = over_time(seen, "pool", "used_in_all")
    level = [moment for moment, amount in given if amount == 64 * MEBI]
    last = max(event.time for event in seen.events if event.kind == "paused")  # a piece later than the first
    assert level[0] == seen.value("pool", "time_to_full") and level[-1] - last == pytest.approx(2)
    assert given[0][1] < 64 * MEBI and given[-1][1] == seen.value("pool", "used_in_all") > 64 * MEBI
    assert not [line for line in seen.series if line.quantity == "used"], "what it says ends at the limit"
    for name in ("m1", "m2", "m3", "m4"):
        (begun,) = [event.time for event in seen.events if (event.kind, event.machine) == ("paused", name)]
        (again,) = [event.time for event in seen.events if (event.kind, event.machine) == ("resumed", name)]
        state = over_time(seen, name, "paused")
        assert state[:3] == [(0, 0), (begun, 0), (begun, 1)]
        assert state[3:] == [(again, 1), (again, 0), (seen.seconds, 0)]
        assert begun < level[0] + 0.25 and again == level[-1]
    assert [event.time for event in seen.events] == sorted(event.time for event in seen.events)


def test_who_had_written_all_before_is_never_paused():
    with labkit.simulated() as host:
        chosen = Settings(size=16.5, disks=3, amount=5.25, promised=8.0)
        seen = disk_pool.run(host, chosen)
    states = {name: over_time(seen, name, "paused") for name in ("m1", "m2", "m3")}
    for name, state in states.items():
        assert any(value for _moment, value in state) == bool(seen.value(name, "paused"))
    assert {len(state) for state in states.values()} == {2, 6}


def test_what_comes_after_is_said_where_it_comes_to_that():
    (said,) = disk_pool.notes(Settings())
    assert "2 s later it is enlarged from 64 to 128 MiB" in said
    assert disk_pool.notes(Settings(amount=12.0)) == []


def test_what_it_says_is_true_of_a_pool_that_is_never_full():
    with labkit.simulated() as host:
        seen = disk_pool.run(host, Settings(amount=12.0))
    assert "time_to_full" not in {row["quantity"] for row in seen.rows}
    assert [line.quantity for line in seen.series] == ["used_in_all"]
    for name in ("used", "written"):
        assert disk_pool.LABELS[name][0].endswith("until it was full, or all was written")


def test_a_host_without_pools_is_told_so():
    with labkit.simulated() as host:
        able = host.can
        host.can = lambda what: Ability(False, reason="Not here.") if what == "pool" else able(what)
        with pytest.raises(HostError, match="Not here"):
            disk_pool.run(host, Settings())
