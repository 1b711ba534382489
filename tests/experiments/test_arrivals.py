"""Requests drawn from a seed: the same for everybody, and as random as they should be."""

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.experiments.arrivals import count, phased, poisson

FIRST_ARRIVALS = (0.0163857838058, 0.029976449687)
FIRST_WORK = (0.000432298936922, 0.0135824135844)


def test_the_same_seed_gives_the_same_requests_for_ever():
    load = poisson(40, 0.015, 1, "web", 10)
    assert load == poisson(40, 0.015, 1, "web", 10)
    # Written down once: another draw in a later version would change every number of every lesson.
    assert load.arrivals[:2] == pytest.approx(FIRST_ARRIVALS) and load.work[:2] == pytest.approx(FIRST_WORK)


def test_other_seeds_and_other_names_give_other_requests():
    loads = {poisson(40, 0.015, seed, name, 10) for seed in (1, 2) for name in ("web", "m1")}
    assert len(loads) == 4


def test_a_longer_stream_begins_as_the_shorter_one():
    short, long = poisson(40, 0.015, 1, "web", 10), poisson(40, 0.015, 1, "web", 20)
    assert long.arrivals[: len(short.arrivals)] == short.arrivals and long.work[: len(short.work)] == short.work


def test_gaps_and_work_are_exponential_and_know_nothing_of_each_other():
    load = count(40_000, 50, 0.02, 7, "m1")
    gaps = [later - sooner for sooner, later in zip((0.0, *load.arrivals), load.arrivals, strict=False)]
    for drawn, mean in ((gaps, 1 / 50), (load.work, 0.02)):
        # 40,000 of them: the mean is known to 0.5%, the standard deviation to 1%; four times that is allowed.
        assert statistics.fmean(drawn) == pytest.approx(mean, rel=0.02)
        assert statistics.stdev(drawn) == pytest.approx(mean, rel=0.04)
        assert sum(one > mean for one in drawn) / len(drawn) == pytest.approx(math.exp(-1), abs=0.01)
    assert statistics.correlation(gaps, load.work) == pytest.approx(0, abs=4 / 200)
    assert statistics.correlation(gaps[1:], gaps[:-1]) == pytest.approx(0, abs=4 / 200)


def test_a_rate_that_changes():
    load = phased([(100, 10), (200, 80), (900, 10)], 0.02, 3, "spike", 300)
    counts = [sum(since <= time < since + 100 for time in load.arrivals) for since in (0, 100, 200)]
    for seen, expected in zip(counts, (1000, 8000, 1000), strict=True):
        assert abs(seen - expected) < 4 * math.sqrt(expected)
    assert load.arrivals[-1] < 300 and len(load.work) == len(load.arrivals)


def test_a_change_to_the_same_rate_changes_nothing():
    steady, changed = poisson(10, 0.02, 3, "m1", 20), phased([(5, 10), (9, 10), (99, 10)], 0.02, 3, "m1", 20)
    assert changed.arrivals == pytest.approx(steady.arrivals) and changed.work == steady.work


def test_before_the_change_nothing_of_it_is_seen():
    calm, spike = (phased([(5, 10), (9, rate), (20, 10)], 0.02, 3, "spike", 20) for rate in (10, 80))
    before = [time for time in calm.arrivals if time < 5]
    assert before and spike.arrivals[: len(before)] == tuple(before)


@settings(deadline=None)
@given(st.floats(0.1, 200), st.floats(0.0005, 1), st.integers(0, 10**6), st.floats(0.5, 20))
def test_any_stream_is_a_load_that_ends_in_time(rate, work, seed, until):
    load = poisson(rate, work, seed, "m1", until)
    assert len(load.arrivals) == 1 or load.arrivals[-1] < until
