"""Watching a fluid host: the meters are read at the ends of the intervals, and nothing else happens.

There is no time line of who was on which CPU: of a liquid nobody can say which drop is whose. So there are rows
and series, and no ``"run"`` events.
"""

from __future__ import annotations

import math
from math import ceil
from typing import TYPE_CHECKING

import simpy

from labkit.host import Observation, Provenance, Row, Series

if TYPE_CHECKING:
    from labkit.model.fluid.host import FluidHost
    from labkit.model.fluid.machine import FluidMachine

__all__ = ["observe"]


def observe(host: FluidHost, seconds: float, every: float) -> Observation:
    """Run the host's clock for `seconds` and return what was seen; see `FluidHost.observe`."""
    machines = list(host.machines.values())
    # Only a machine with a load moves a meter. So idle machines cost next to nothing, however many there are.
    busy = [machine for machine in machines if machine.busy]
    start = host.now
    meters = [[machine.guest.books(start)] for machine in busy]
    count = max(ceil(seconds / every - 1e-9), 1)
    times: list[float] = []
    for end in [*(min(step * every, seconds) for step in range(1, count)), seconds]:
        host.advance(start + end)
        times.append(host.now - start)
        for machine, readings in zip(busy, meters, strict=True):
            readings.append(machine.guest.books(host.now))
    passed = times[-1]
    lengths = [time - before for before, time in zip([0.0, *times], times, strict=False)]
    seen = {machine.name: readings for machine, readings in zip(busy, meters, strict=True)}
    capped = any(machine.cap < math.inf for machine in machines)
    still = (0.0,) * len(times)
    rows: list[Row] = []
    series: list[Series] = []
    for machine in machines:
        readings = seen.get(machine.name)
        for place, (quantity, unit, per) in enumerate(_quantities(machine, capped)):
            value, values = 0.0, still
            if readings is not None:
                meter = [reading[place] for reading in readings]
                # A difference of two large sums may come out a hair's breadth below nothing.
                value = max(meter[-1] - meter[0], 0.0) / (passed * per)
                values = tuple(
                    max(new - old, 0.0) / (length * per)
                    for old, new, length in zip(meter, meter[1:], lengths, strict=False)
                )
            rows.append({"machine": machine.name, "quantity": quantity, "unit": unit, "value": value})
            series.append(Series(machine.name, quantity, unit, times, values))
    return Observation(
        seconds=passed,
        rows=tuple(rows),
        series=tuple(series),
        events=(),
        provenance=_provenance(host, machines, capped),
    )


def _quantities(machine: FluidMachine, capped: bool) -> list[tuple[str, str, int]]:
    """What is seen of a machine, with its unit and what its seconds are divided by."""
    parts = [("cpu", "CPU", 1), ("ready", "1", machine.vcpus), ("throttled", "1", machine.vcpus)]
    return parts if capped else parts[:2]


def _provenance(host: FluidHost, machines: list[FluidMachine], capped: bool) -> Provenance:
    used = {
        "shares": True,
        "pin": any(len(machine.pin) < host.cpus for machine in machines),
        "cap": capped,
        "reservation": any(machine.reservation for machine in machines),
    }
    return Provenance(
        host="simulated",
        name=host.name,
        mechanisms={name: host.can(name).mechanism for name, needed in used.items() if needed},
        weights={machine.name: float(machine.shares) for machine in machines},
        versions={"simpy": simpy.__version__},
    )
