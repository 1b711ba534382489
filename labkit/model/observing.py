"""Watching the simulated host: an observer with a stopwatch and a notebook.

At the start and at the end of each interval the observer copies down every meter; the differences are the series,
and the difference over the whole stretch is the row. Beside it runs a chart recorder, which draws one
stroke for each stretch in which a vCPU was on a CPU. The observer touches nothing: a host that is
watched does exactly what it would have done unwatched.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import simpy

from labkit.host import Event, Observation, Provenance, Row, Series

if TYPE_CHECKING:
    from labkit.model.cpu import Span
    from labkit.model.machine import SimulatedMachine
    from labkit.model.simulated import SimulatedHost

__all__ = ["SPANS", "observe"]

SPANS = 20_000
"""How many ``"run"`` events an observation holds at most; where there were more, an event ``"cut"`` says so."""

LOOK = 0.25  # seconds of simulated time between two looks at how long the chart has become


def observe(host: SimulatedHost, seconds: float, every: float) -> Observation:
    """Run the host's clock for `seconds` and return what was seen; see `SimulatedHost.observe`."""
    machines = list(host.machines.values())
    # Only a machine with a load moves a meter. So idle machines cost next to nothing, however many there are.
    busy = [machine for machine in machines if machine.busy]
    start = host.now
    chart = _Chart(host)
    meters = [[_meters(machine)] for machine in busy]
    count = max(math.ceil(seconds / every - 1e-9), 1)
    ends = [min(step * every, seconds) for step in range(1, count)] + [seconds]
    times: list[float] = []
    for end in ends:
        while start + end - host.now > LOOK:
            host.advance(host.now + LOOK)
            chart.look()
        host.advance(start + end)
        chart.look()
        times.append(host.now - start)
        for machine, readings in zip(busy, meters, strict=True):
            readings.append(_meters(machine))
    passed = times[-1]
    seen = {machine.name: readings for machine, readings in zip(busy, meters, strict=True)}
    still = (0.0,) * len(times)
    rows: list[Row] = []
    series: list[Series] = []
    for machine in machines:
        readings = seen.get(machine.name)
        for place, (quantity, unit, per) in enumerate((("cpu", "CPU", 1), ("ready", "1", machine.vcpus))):
            value, values = 0.0, still
            if readings is not None:
                # A difference of two large sums may come out a hair's breadth below nothing.
                value = max(readings[-1][place] - readings[0][place], 0.0) / (passed * per)
                values = _rates([reading[place] for reading in readings], times, per)
            rows.append({"machine": machine.name, "quantity": quantity, "unit": unit, "value": value})
            series.append(Series(machine.name, quantity, unit, times, values))
    return Observation(
        seconds=passed,
        rows=tuple(rows),
        series=tuple(series),
        events=chart.events(start),
        provenance=_provenance(host, machines),
    )


def _meters(machine: SimulatedMachine) -> tuple[float, float]:
    """Seconds that the machine's vCPUs have run, and waited, since it was made."""
    now = machine.host.now
    ran = waited = 0.0
    for vcpu in machine.group.vcpus:
        books = vcpu.books(now)
        ran += books[0]
        waited += books[1]
    return ran, waited


def _rates(readings: list[float], times: list[float], per: int) -> tuple[float, ...]:
    """The mean rate over each interval, from readings of a meter at the start and at each of `times`."""
    rates = []
    before = 0.0
    for time, old, new in zip(times, readings, readings[1:], strict=False):
        rates.append(max(new - old, 0.0) / ((time - before) * per))
        before = time
    return tuple(rates)


def _provenance(host: SimulatedHost, machines: list[SimulatedMachine]) -> Provenance:
    mechanisms = {"shares": host.can("shares").mechanism}
    if any(len(machine.pin) < host.cpus for machine in machines):
        mechanisms["pin"] = host.can("pin").mechanism
    return Provenance(
        host="simulated",
        name=host.name,
        mechanisms=mechanisms,
        weights={machine.name: float(machine.shares) for machine in machines},
        versions={"simpy": simpy.__version__},
    )


class _Chart:
    """The chart recorder: collects the spans of all CPUs, until there are too many.

    Parameters
    ----------
    host : SimulatedHost
        The host whose CPUs are recorded, from now on.
    """

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host
        self._spans: list[Span] = []
        self._recording = True
        for cpu in host.scheduler.cpus:
            cpu.spans = self._spans
            cpu.started = max(cpu.started, host.now)  # what it did before is not part of this observation

    def look(self) -> None:
        """Stop recording where the chart has become too long."""
        if self._recording and len(self._spans) > SPANS:
            self._stop()

    def _stop(self) -> None:
        self._recording = False
        now = self._host.now
        for cpu in self._host.scheduler.cpus:
            cpu.spans = None
            if cpu.current is not None and now > cpu.started:
                self._spans.append((cpu.started, now, cpu.current, cpu.index))

    def events(self, start: float) -> tuple[Event, ...]:
        """The chart as events, in order of time counted from `start`."""
        if self._recording:
            self._stop()
        spans = sorted(self._spans, key=lambda span: (span[0], span[3]))
        events = [
            Event(begin - start, "run", vcpu.group.name, end - begin, vcpu.index, cpu)
            for begin, end, vcpu, cpu in spans[:SPANS]
        ]
        if len(spans) > SPANS:
            cut = spans[SPANS][0] - start
            detail = f"the time line is kept up to here, {SPANS} stretches; rows and series cover the whole observation"
            events.append(Event(cut, "cut", detail=detail))
        return tuple(events)
