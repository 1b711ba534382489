"""Watching the simulated host: an observer with a stopwatch and a notebook.

At the start and at the end of each interval the observer copies down every meter; the differences are the series,
and the difference over the whole stretch is the row. Beside it runs a chart recorder (`labkit.model.chart`).
The observer touches nothing: a host that is watched does exactly what it would have done unwatched.
"""

from __future__ import annotations

import math
from functools import partial
from math import inf
from typing import TYPE_CHECKING

import simpy

from labkit.host import DiskLoad, MemoryLoad, Observation, Provenance, Row, Series
from labkit.host.gauges import Gauges
from labkit.host.tallies import Tallies
from labkit.model.chart import Chart
from labkit.model.rolled import Rolled

if TYPE_CHECKING:
    from labkit.model.machine import SimulatedMachine
    from labkit.model.simulated import SimulatedHost

__all__ = ["observe"]

LOOK = 0.25  # seconds of simulated time between two looks at how long the chart has become


def observe(host: SimulatedHost, seconds: float, every: float) -> Observation:
    """Run the host's clock for `seconds` and return what was seen; see `SimulatedHost.observe`."""
    machines = list(host.machines.values())
    # Only a machine with a load moves a meter. So idle machines cost next to nothing, however many there are.
    places = [place for place, machine in enumerate(machines) if machine.job is not None and machine.busy]
    busy = [machines[place] for place in places]
    gauged = [machine for machine in machines if machine.gauged]
    start = host.now
    chart = Chart(host)
    gauges = Gauges(gauged)
    tallies = Tallies([machine for machine in machines if machine.tallied])
    meters = [[_meters(machine)] for machine in busy]
    count = max(math.ceil(seconds / every - 1e-9), 1)
    ends = [min(step * every, seconds) for step in range(1, count)] + [seconds]
    times: list[float] = []
    # Where nothing runs on a CPU there is nothing on the chart; who fills memory is not on it.
    drawing = any(not isinstance(machine.job.load, (MemoryLoad, DiskLoad)) for machine in busy if machine.job)
    for end in ends:
        while drawing and start + end - host.now > LOOK:
            host.advance(host.now + LOOK)
            chart.look()
        host.advance(start + end)
        chart.look()
        times.append(host.now - start)
        gauges.look()
        tallies.look()
        for machine, readings in zip(busy, meters, strict=True):
            readings.append(_meters(machine))
    passed = times[-1]
    quantities = [("cpu", "CPU"), ("ready", "1")]
    if min([machine.group.cap for machine in machines], default=inf) < inf:
        quantities.append(("throttled", "1"))
    names = [machine.name for machine in machines]
    rows: list[Row] = [
        {"machine": name, "quantity": quantity, "unit": unit, "value": 0.0}
        for name in names
        for quantity, unit in quantities
    ]
    seen: dict[int, tuple[list[tuple[float, ...]], tuple[int, ...]]] = {}
    for place, machine, readings in zip(places, busy, meters, strict=True):
        seen[place] = readings, (1, machine.vcpus, machine.vcpus)
        for number, per in enumerate(seen[place][1][: len(quantities)]):
            # A difference of two large sums may come out a hair's breadth below nothing.
            passing = max(readings[-1][number] - readings[0][number], 0.0)
            rows[place * len(quantities) + number]["value"] = passing / (passed * per)
    levels, over_time = (
        gauged + tallied for gauged, tallied in zip(gauges.told(times), tallies.told(times), strict=True)
    )
    return Observation(
        seconds=passed,
        rows=(*rows, *levels),
        series=Rolled(len(rows) + len(levels), partial(_series, names, quantities, seen, times, tuple(over_time))),
        events=chart.timeline(),
        provenance=_provenance(host, machines, capped=len(quantities) == 3, gauged=bool(gauged)),
    )


def _series(
    names: list[str],
    quantities: list[tuple[str, str]],
    seen: dict[int, tuple[list[tuple[float, ...]], tuple[int, ...]]],
    times: list[float],
    levels: tuple[Series, ...],
) -> tuple[Series, ...]:
    """The rows over time: each quantity of each machine, from the readings of those that did anything; and `levels`."""
    still = (0.0,) * len(times)
    series: list[Series] = []
    for place, name in enumerate(names):
        readings, pers = seen.get(place, (None, ()))
        for number, (quantity, unit) in enumerate(quantities):
            values = still
            if readings is not None:
                values = _rates([reading[number] for reading in readings], times, pers[number])
            series.append(Series(name, quantity, unit, times, values))
    return (*series, *levels)


def _meters(machine: SimulatedMachine) -> tuple[float, float, float]:
    """Seconds that the machine's vCPUs have run, waited, and been throttled, since it was made."""
    now = machine.host.now
    total_ran = total_waited = total_throttled = 0.0
    for vcpu in machine.group.vcpus:
        ran, waited, _, throttled = vcpu.books(now)
        total_ran += ran
        total_waited += waited
        total_throttled += throttled
    return total_ran, total_waited, total_throttled


def _rates(readings: list[float], times: list[float], per: int) -> tuple[float, ...]:
    """The mean rate over each interval, from readings of a meter at the start and at each of `times`."""
    rates = []
    before = 0.0
    for time, old, new in zip(times, readings, readings[1:], strict=False):
        rates.append(max(new - old, 0.0) / ((time - before) * per))
        before = time
    return tuple(rates)


def _provenance(host: SimulatedHost, machines: list[SimulatedMachine], *, capped: bool, gauged: bool) -> Provenance:
    mechanisms = {"shares": host.can("shares").mechanism}
    if min([len(machine.pin) for machine in machines], default=host.cpus) < host.cpus:
        mechanisms["pin"] = host.can("pin").mechanism
    if capped:
        mechanisms["cap"] = host.can("cap").mechanism
    if gauged:
        mechanisms["balloon"] = host.can("balloon").mechanism
    if host.sharing is not None:
        mechanisms["sharing"] = host.can("sharing").mechanism
    return Provenance(
        host="simulated",
        name=host.name,
        mechanisms=mechanisms,
        weights={machine.name: float(machine.group.shares) for machine in machines},
        versions={"simpy": simpy.__version__},
    )
