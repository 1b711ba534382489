"""Who gets how much at one moment: against fractions, and every set of machines looked at."""

from fractions import Fraction
from itertools import chain, combinations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from labkit.model.fluid.crowding import crowd
from labkit.model.fluid.filling import allocate, fill

from .fluid_oracle import fair_with_pins
from .hosts import shares

amounts = st.sampled_from([Fraction(n, 8) for n in (1, 2, 3, 5, 8, 12, 16, 24)])
leasts = st.sampled_from([Fraction(n, 8) for n in (0, 0, 0, 1, 2, 4, 8)])


@st.composite
def claims(draw: st.DrawFn):
    """A number of CPUs, and machines with a weight, a least, a most and a pin; the leasts may not fit."""
    cpus = draw(st.integers(1, 4))
    pins = st.frozensets(st.integers(0, cpus - 1), min_size=1)
    count = draw(st.integers(1, 6))
    rows = []
    for _ in range(count):
        most = draw(amounts)
        rows.append((draw(st.one_of(shares, st.just(1024))), min(draw(leasts), most), most, draw(pins)))
    return cpus, [list(column) for column in zip(*rows, strict=True)]


def overcrowded(amounts, pins):
    """By how much the worst set is overcrowded, and all sets that are so, each set looked at."""
    places = range(len(amounts))
    sets = chain.from_iterable(combinations(places, size) for size in range(1, len(amounts) + 1))
    excess = {s: sum(amounts[i] for i in s) - len(frozenset().union(*(pins[i] for i in s))) for s in sets}
    worst = max(excess.values())
    return worst, [set(chosen) for chosen, amount in excess.items() if amount == worst]


@given(claims())
@settings(max_examples=400, deadline=None)
def test_the_overcrowded_are_found(room):
    _, (_, _, mosts, pins) = room
    worst, sets = overcrowded(mosts, pins)
    found = crowd([float(most) for most in mosts], pins)
    if worst <= 0:
        assert found == set()
    else:
        assert found == min(sets, key=len)


@given(claims())
@settings(max_examples=400, deadline=None)
def test_parts_are_max_min_fair_with_reservations_limits_and_pins(room):
    cpus, (weights, least, mosts, pins) = room
    assume(overcrowded(least, pins)[0] <= 0)
    expected = fair_with_pins(weights, least, mosts, pins)
    given_ = allocate(weights, [float(x) for x in least], [float(x) for x in mosts], pins, frozenset(range(cpus)))
    assert list(given_) == pytest.approx([float(part) for part in expected], abs=1e-10)


@given(claims())
@settings(max_examples=200, deadline=None)
def test_without_pins_one_level_fills_all(room):
    cpus, (weights, least, mosts, _) = room
    assume(sum(least) <= cpus)
    everywhere = [frozenset(range(cpus))] * len(weights)
    expected = fair_with_pins(weights, least, mosts, everywhere)
    given_ = fill(weights, [float(x) for x in least], [float(x) for x in mosts], float(cpus))
    assert list(given_) == pytest.approx([float(part) for part in expected], abs=1e-10)
    assert sum(given_) == pytest.approx(float(min(cpus, sum(mosts))), abs=1e-10)


def test_a_case_worked_out_by_hand():
    # Two CPUs. a may use CPU 0 alone, b both, c CPU 1 alone, each wants a whole CPU, c weighs three times as much.
    # Without pins, a 0.4, b 0.4, c 1.2, but c wants 1 at most: a 0.5, b 0.5, c 1. That can be done: b moves to CPU 0.
    both, first, second = frozenset({0, 1}), frozenset({0}), frozenset({1})
    assert list(allocate([1, 1, 3], [0.0] * 3, [1.0] * 3, [first, both, second], both)) == [0.5, 0.5, 1.0]
    # Three on CPU 0 alone and one that may use both: it leaves CPU 0 to them.
    assert list(allocate([1, 1, 1, 9], [0.0] * 4, [1.0] * 4, [first] * 3 + [both], both)) == pytest.approx(
        [1 / 3, 1 / 3, 1 / 3, 1]
    )
    # One CPU, the least of a is taken from b and c, by weight.
    assert list(fill([2, 2, 4], [0.7, 0.0, 0.0], [1.0] * 3, 1.0)) == pytest.approx([0.7, 0.1, 0.2])
