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
    """Getting ready, writing, reading back; and writing what is left, where the pool was full in between."""
    assert disk_pool.steps(Settings()) == 4 and disk_pool.steps(Settings(amount=12.0)) == 3


def test_what_it_says_is_true_of_a_pool_that_is_never_full():
    with labkit.simulated() as host:
        seen = disk_pool.run(host, Settings(amount=12.0))
    assert "time_to_full" not in {row["quantity"] for row in seen.rows}
    for name in ("used", "written"):
        assert disk_pool.LABELS[name][0].endswith("until it was full, or all was written")


def test_a_host_without_pools_is_told_so():
    with labkit.simulated() as host:
        able = host.can
        host.can = lambda what: Ability(False, reason="Not here.") if what == "pool" else able(what)
        with pytest.raises(HostError, match="Not here"):
            disk_pool.run(host, Settings())
