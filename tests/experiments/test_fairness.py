"""Fair parts, against a level found by bisection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.experiments.fairness import max_min, within_reach

from .oracles import poured

CLAIMS = st.lists(st.tuples(st.floats(0.01, 16), st.integers(2, 262144)), min_size=1, max_size=20)


@given(CLAIMS, st.floats(0.1, 20))
def test_it_is_the_level_to_which_all_rise(claims, capacity):
    demands, weights = zip(*claims, strict=True)
    assert max_min(demands, weights, capacity) == pytest.approx(poured(demands, weights, capacity), abs=1e-6)


@given(CLAIMS, st.floats(0.1, 20))
def test_nothing_is_left_lying_and_nobody_gets_more_than_asked(claims, capacity):
    demands, weights = zip(*claims, strict=True)
    got = max_min(demands, weights, capacity)
    assert sum(got) == pytest.approx(min(capacity, sum(demands)))
    assert all(0 <= part <= demand for part, demand in zip(got, demands, strict=True))


def test_what_is_within_reach_is_more_than_what_is_asked_for_where_there_is_room():
    assert within_reach(0, 1.0, [0.2, 0.4, 0.4], [1, 1, 1], 2) == pytest.approx(1.0)
    assert within_reach(0, 2.0, [0.2, 0.4, 0.4], [1, 1, 1], 2) == pytest.approx(1.2)
    assert within_reach(0, 2.0, [0.2, 0.9, 0.9], [1, 1, 1], 2) == pytest.approx(2 / 3)
