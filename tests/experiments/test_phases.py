"""Looks joined into one: the rows are given, time goes on from look to look."""

import math

import pytest

from labkit.experiments.phases import EVENTS, joined, mean_response, suffixed
from labkit.host import Event, Observation, Provenance, Row, Series, Served


def look(seconds, machine="m1", disturbed=0.0, events=1, **mechanisms):
    origin = Provenance("live", "a host", mechanisms=mechanisms)
    rows = (Row(machine=machine, quantity="cpu", unit="CPU", value=0.5, disturbed=True),)
    rows += (Row(machine=machine, quantity="ready", unit="1", value=0.1),)
    line = Series(machine, "cpu", "CPU", (seconds / 2, seconds), (0.4, 0.6))
    return Observation(seconds, rows, (line,), (Event(0.5, "run", machine),) * events, origin, disturbed)


def test_time_goes_on():
    parts = [look(2.0, disturbed=0.01, pin="one"), look(4.0, disturbed=0.05, cap="two"), look(1.0, machine="m2")]
    whole = joined(parts, [])
    assert whole.seconds == 7 and whole.disturbed == 0.05
    lines = {line.machine: line for line in whole.series}
    assert lines["m1"].times == (1, 2, 4, 6) and lines["m1"].values == (0.4, 0.6, 0.4, 0.6)
    assert lines["m2"].times == (6.5, 7)
    assert [event.time for event in whole.events] == [0.5, 2.5, 6.5]
    assert whole.provenance.mechanisms == {"pin": "one", "cap": "two"}


def test_events_do_not_pile_up_without_end():
    assert len(joined([look(1.0, events=15_000)] * 3, []).events) == EVENTS


def test_rows_are_named_after_their_phase_and_keep_what_else_they_say():
    (row,) = suffixed(look(1.0), "before", ("cpu",))
    assert row == {"machine": "m1", "quantity": "cpu_before", "unit": "CPU", "value": 0.5, "disturbed": True}


def test_requests_count_to_the_phase_in_which_they_came():
    served = Served((0.5, 1.0, 2.5, 3.0), (0.6, 3.0, math.inf, 3.5), ended=10.0)
    assert mean_response(served, 0, 2) == pytest.approx((0.1 + 2.0) / 2)  # whenever they were done
    assert mean_response(served, 2, 4, ended=4.0) == pytest.approx((1.5 + 0.5) / 2)  # or had waited by the end
    assert mean_response(served, 4, 6) is None
    assert mean_response(served, 3.0, 4) == pytest.approx(0.5)  # the first moment belongs to the phase
