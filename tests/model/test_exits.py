"""Leaving a guest, moment by moment: ticks that come in time and not in work, and the end of what is possible."""

import dataclasses

import pytest

from labkit.host import HostError
from labkit.host.costs import COSTS
from labkit.host.timing import Program
from labkit.model.exits import play


def costing(exit_seconds, ticks=250.0):
    one = dataclasses.replace(COSTS.exit, value=exit_seconds)
    return dataclasses.replace(COSTS, exit=one, ticks=dataclasses.replace(COSTS.ticks, value=ticks))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_slow_guest_has_more_ticks(share):
    """Of each time between two ticks a share goes to handling them: T = T_native / (1 - share)."""
    played = play(Program("compute", 5.0, 1, 1.0), "guest", costs=costing(share / 500))
    assert played.seconds == pytest.approx(5.0 / (1 - share), rel=0.01)
    assert played.exits == pytest.approx(250 * played.seconds, abs=2)


def test_a_guest_that_only_handles_interrupts_is_refused():
    with pytest.raises(HostError, match="never gets on"):
        play(Program("compute", 1.0, 1, 1.0), "guest", costs=costing(1 / 500))


def test_the_work_is_done_whatever_comes_between():
    played = play(Program("disk", 0.5, 1, 5000.0), "hosted")
    assert played.layers["guest"] == pytest.approx(0.5) and sum(played.layers.values()) == pytest.approx(played.seconds)


def test_the_same_repeat_is_the_same_and_another_is_not():
    program = Program("disk", 0.2, 1, 1000.0)
    assert play(program, "guest", 1) == play(program, "guest", 1) != play(program, "guest", 2)


def test_no_numbers_no_play():
    with pytest.raises(HostError, match="no published numbers"):
        play(Program("disk", 1.0, 1, 1000.0), "emulated")
    with pytest.raises(HostError, match="no published numbers"):
        play(Program("compute", 1.0, 1, 1000.0), "moon")
