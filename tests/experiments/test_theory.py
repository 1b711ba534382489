"""The theory of `cpu-shares` against an oracle of its own: the level found by bisection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.experiments import cpu_shares
from labkit.experiments.cpu_shares import Settings, theory

SHARES = st.lists(st.integers(2, 262144), min_size=2, max_size=64)


def poured(weights, capacity):
    """Weighted max-min fairness: raise one level until the CPUs are full or everybody has a whole one."""
    low, high = 0.0, 1.0
    for _ in range(200):
        level = (low + high) / 2
        used = sum(min(1.0, weight * level) for weight in weights)
        low, high = (level, high) if used < capacity else (low, level)
    return [min(1.0, weight * high) for weight in weights]


@given(SHARES, st.integers(1, 64))
def test_it_is_weighted_max_min_fairness(shares, cpus):
    said = theory(Settings(shares=tuple(shares), cpus=cpus))
    for number, expected in enumerate(poured(shares, cpus), 1):
        assert said[f"m{number}", "cpu"] == pytest.approx(expected, abs=1e-6)
        assert said[f"m{number}", "ready"] == pytest.approx(1 - expected, abs=1e-6)


@given(SHARES, st.integers(1, 64))
def test_nothing_is_lost_and_nobody_gets_more_than_a_cpu(shares, cpus):
    used = [
        value for (_machine, what), value in theory(Settings(shares=tuple(shares), cpus=cpus)).items() if what == "cpu"
    ]
    assert sum(used) == pytest.approx(min(cpus, len(shares)))
    assert all(0 < value <= 1 for value in used)


def test_the_flagship():
    said = theory(Settings())
    assert [said[f"m{n}", "cpu"] for n in (1, 2, 3)] == pytest.approx([1 / 7, 2 / 7, 4 / 7])


def test_weights_really_in_force_come_before_the_shares_asked_for():
    said = theory(Settings(), {"m1": 272, "m2": 526, "m3": 1024})
    assert said["m1", "cpu"] == pytest.approx(272 / 1822)


def test_quantities_and_bounds_belong_together():
    assert set(cpu_shares.QUANTITIES) == set(cpu_shares.BOUNDS) == {what for _machine, what in theory(Settings())}
