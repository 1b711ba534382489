"""What an observer keeps rolled up reads like the tuple that it is."""

import copy
import itertools
import pickle

import pytest

from labkit.host import CpuLoad, Event
from labkit.model import simulated
from labkit.model.rolled import Rolled


def test_it_is_made_once_and_only_when_somebody_looks():
    made = itertools.count()
    roll = Rolled(3, lambda: (next(made), "a", "b"))
    assert len(roll) == 3
    assert bool(roll)
    assert next(made) == 0
    assert roll == (1, "a", "b")
    assert list(roll) == [1, "a", "b"]
    assert (roll[0], roll[-1], roll[1:], "b" in roll, roll.index("a")) == (1, "b", ("a", "b"), True, 1)
    assert next(made) == 2


def test_it_equals_what_it_is():
    roll, same, other = (Rolled(2, lambda last=last: (1, last)) for last in (2, 2, 3))
    assert roll == same
    assert roll == (1, 2)
    assert (1, 2) == roll  # noqa: SIM300 - both ways round
    assert roll != other
    assert roll != [1, 2]
    assert copy.deepcopy(roll) == (1, 2)
    assert pickle.loads(pickle.dumps(roll)) == (1, 2)  # noqa: S301 - our own
    with pytest.raises(TypeError):
        hash(roll)
    with pytest.raises(IndexError):
        roll[2]
    assert repr(roll) == "(1, 2)"
    assert not Rolled(0, tuple)


def test_what_was_seen_does_not_change_when_the_host_goes_on():
    with simulated(1) as host:
        web, late = host.create("web", maximum_vcpus=2, cap=0.5), host.create("late")
        web.run(CpuLoad())
        seen = host.observe(0.5)
        twin = copy.deepcopy(host.observe(0.5))  # unrolled at once
        web.set(vcpus=2)
        late.run(CpuLoad())
        host.observe(0.5)
        web.stop()
    assert len(seen.events) == len(list(seen.events))
    assert {event.machine for event in seen.events} == {"web"}
    for series in seen.series:
        row = seen.value(series.machine, series.quantity)
        assert sum(series.values) / len(series.values) == pytest.approx(row, abs=0.2)
    assert [series.quantity for series in seen.series] == [series.quantity for series in twin.series]


def test_the_events_of_an_observation_are_a_sequence_of_events():
    with simulated(1) as host:
        for name in ("m1", "m2"):
            host.create(name).run(CpuLoad())
        seen = host.observe(0.02)
    assert len(seen.events) == 5
    assert all(isinstance(event, Event) for event in seen.events[1:3])
    assert [event.machine for event in reversed(seen.events)][0] == seen.events[-1].machine
    times = [event.time for event in seen.events]
    assert times == sorted(times)
