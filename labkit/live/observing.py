"""Watching machines: a stopwatch that starts when all of them work, and two readings of every meter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from labkit.host import HostError, Observation, Row, Series
from labkit.host.gauges import Gauges
from labkit.host.tallies import Tallies
from labkit.live import counters

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["begin", "observe"]

SETTLED = 0.9  # of what a load asks for; from there on it counts as running
SETTLE_AT_MOST = 30.0  # seconds
LAG = 0.2  # seconds; waiting and being held back are each counted when they are over, a period later at the most


def observe(host: LiveHost, machines: list[LiveMachine], seconds: float, every: float) -> Observation:
    """Carry out `LiveHost.observe`."""
    begin(host, machines)
    readings = [_read(host, machines)]
    gauges = Gauges([machine for machine in machines if machine.gauge.watched])
    tallies = Tallies([machine for machine in machines if machine.tallied])
    begun = readings[0].time
    steps = max(1, round(seconds / every))
    for step in range(1, steps + 1):
        due = begun + seconds * step / steps
        if step < steps and time.monotonic() > due:
            continue  # late, on a busy computer: a very short interval would say nothing, as counters tick
        time.sleep(max(0.0, due - time.monotonic()))
        machines = [machine for machine in machines if not machine.may_end or machine.state == "running"]
        readings.append(_read(host, machines))
        gauges.look()
        tallies.look()
        host.progress("Measuring", step / steps)
    host.note("domstats", "--vcpu", *(machine.name for machine in machines))
    first, last = readings[0], readings[-1]
    everywhere = range(host.cpus)
    watched = {cpu for machine in machines for cpu in machine.pinned or everywhere} or set(everywhere)
    disturbed = counters.disturbance(first, last, [host.cpu_numbers[cpu] for cpu in sorted(watched)])
    rows, series = _worked_out(machines, readings, disturbed)
    times = [reading.time - begun for reading in readings[1:]]
    told = [observer.told(times) for observer in (gauges, tallies)]
    seen = (*rows, *told[0][0], *told[1][0]), (*series, *told[0][1], *told[1][1])
    return Observation(last.time - begun, *seen, (), host.provenance(), round(disturbed, 4))


def begin(host: LiveHost, machines: list[LiveMachine]) -> None:
    """Let all loads begin that wait for it.

    First those that go on and on, and when each of them keeps its machine as busy as it should, those with a timetable:
    these hear the word one right after the other.

    Raises
    ------
    HostError
        Where a load does not begin.
    """
    armed = [job for machine in machines for job in machine.jobs if job.armed]
    for job in armed:
        host.progress("Getting the loads ready", 0.0)
        job.make_ready()
    for job in armed:
        if job.duty:
            job.go()
    _settle(host, machines)
    for job in armed:
        if not job.duty:
            job.go()


def _read(host: LiveHost, machines: list[LiveMachine]) -> counters.Reading:
    return counters.read(host.connection, machines, here=host.root is not None)


def _settle(host: LiveHost, machines: list[LiveMachine]) -> None:
    """Return when every load keeps its vCPUs as busy as it is meant to, whatever they are given."""
    waiting = [machine for machine in machines if any(not job.settled for job in machine.jobs)]
    if not waiting:
        return
    ends = time.monotonic() + SETTLE_AT_MOST
    before = _read(host, waiting)
    while waiting:
        host.progress(f"Waiting for the load in {', '.join(machine.name for machine in waiting)}", 0.0)
        time.sleep(0.25)
        now = _read(host, waiting)
        for machine in list(waiting):
            name = machine.name
            # Being held back by a cap is counted as waiting too.
            wanted = now.ran[name] - before.ran[name] + now.delayed[name] - before.delayed[name]
            duty = max(job.duty for job in machine.jobs)
            if wanted >= SETTLED * duty * machine.vcpu_seconds(before.time, now.time):
                waiting.remove(machine)
                for job in machine.jobs:
                    job.settled = True
        before = now
        if waiting and time.monotonic() > ends:
            raise HostError(f"The load in {waiting[0].name} did not begin.", "Look at machine.console().")


def _worked_out(
    machines: list[LiveMachine], readings: list[counters.Reading], disturbed: float
) -> tuple[list[Row], list[Series]]:
    """Rows for the whole time, and series with a value for each interval."""
    quantities = [("cpu", "CPU"), ("ready", "1")]
    if any(reading.capped for reading in readings):
        quantities.append(("throttled", "1"))
    first, last = readings[0], readings[-1]
    steps = list(zip(readings, readings[1:], strict=False))
    ends = tuple(reading.time - first.time for reading in readings[1:])
    rows, series = [], []
    for machine in machines:
        within = _delay_holds_throttling(machine, first, last)
        whole = _between(machine, first, last, within)
        parts = [_between(machine, before, after, within) for before, after in steps]
        for quantity, unit in quantities:
            row: Row = {"machine": machine.name, "quantity": quantity, "unit": unit, "value": whole[quantity]}
            if disturbed > 0.03:
                row["disturbed"] = True
            rows.append(row)
            series.append(Series(machine.name, quantity, unit, ends, tuple(part[quantity] for part in parts)))
    return rows, series


def _between(machine: LiveMachine, before: counters.Reading, after: counters.Reading, within: bool) -> dict[str, float]:
    """Each quantity of a machine between two readings; its vCPUs are those that it had from moment to moment."""
    name = machine.name
    there = machine.vcpu_seconds(before.time, after.time)
    throttled = after.throttled[name] - before.throttled[name]
    delayed = after.delayed[name] - before.delayed[name]
    return {
        "cpu": (after.ran[name] - before.ran[name]) / (after.time - before.time),
        "ready": max(0.0, delayed - throttled if within else delayed) / there,
        "throttled": throttled / there,
    }


def _delay_holds_throttling(machine: LiveMachine, first: counters.Reading, last: counters.Reading) -> bool:
    """Whether the time for which a vCPU was held back is in its delay too.

    It is in every Linux with CPU bandwidth control: delay runs from when a thread is queued until it runs
    (kernel/sched/stats.h, sched_info_enqueue), and a thread that is held back stays queued. Should a kernel count
    otherwise, it shows where the delay is less than the time held back.
    """
    name = machine.name
    delayed = last.delayed[name] - first.delayed[name]
    throttled = last.throttled[name] - first.throttled[name]
    return delayed > throttled - LAG * machine.vcpus
