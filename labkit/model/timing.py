"""The simulated host with a stopwatch: a small program in several places, and a guest's start."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import simpy

from labkit.host import Event, Observation, Provenance, Row
from labkit.host.timing import Program
from labkit.model.exits import Played, places_of, play

if TYPE_CHECKING:
    from labkit.model.simulated import SimulatedHost

__all__ = ["times"]

_SUPPOSES = {
    "guest": "hardware assistance: direct execution, and an exit at each tick and each use of a device",
    "hosted": "hardware assistance, and two world switches and the host's own way for each of these",
    "nested": "hardware assistance in a guest of a hypervisor that has it too: many exits for one",
    "emulated": "every instruction translated, addresses too, as published of QEMU 0.4.2",
}


def times(host: SimulatedHost, program: Program) -> Observation:
    """The time of the same work in each place; see `labkit.host.timing.TimesPrograms`."""
    host.note(f"time {program.kind} seconds={program.seconds:g} repeats={program.repeats} rate={program.rate:g}")
    rows: list[Row] = []
    events: list[Event] = []
    places = places_of(program.kind)
    for place in places:
        played = [play(program, place, repeat) for repeat in range(program.repeats)]
        ratio = statistics.median(one.seconds / one.native for one in played)
        rows.append(Row(machine=place, quantity="seconds", unit="s", value=program.seconds * ratio))
        events += _layers(place, played[0])
    supposed = {place: _SUPPOSES[place] for place in places if place in _SUPPOSES}
    return Observation(
        seconds=program.seconds,
        rows=tuple(rows),
        series=(),
        events=tuple(events),
        provenance=Provenance(
            host="simulated",
            name=host.name,
            mechanisms={"programs": host.can("programs").mechanism, **supposed},
            versions={"simpy": simpy.__version__},
        ),
    )


def _layers(place: str, played: Played) -> list[Event]:
    """Where the time of one play went: the layers one after another, as if each were passed once."""
    events, begins = [], 0.0
    for layer, seconds in played.layers.items():
        detail = f"{layer}: {seconds / played.seconds:.2%} of the time"
        events.append(Event(time=begins, kind="layer", machine=place, seconds=seconds, detail=detail))
        begins += seconds
    return events
