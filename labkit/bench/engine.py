"""How fast the simulated hosts are, beside the least that such a thing could cost in Python.

The peers are a bare SimPy loop, which does nothing but wait and wake up, and a plain loop over events that knows no
host at all. All is measured in CPU time of this process, each round ours and the peer's in turn, so other
people's work on the same computer disturbs the ratio little.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

import simpy

from labkit.bench.figures import Figure, beside, within
from labkit.host import CpuLoad, RequestLoad
from labkit.model import LINUX, FluidHost, SimulatedHost

__all__ = ["engine_figures"]

_BUSY = 3  # machines that spin on one CPU, as in lesson 02
_SECONDS = 60.0  # of simulated time
_SLICES = _SECONDS / (LINUX.slice(1) + LINUX.switch_cost)  # one follows the other on a CPU that never idles
_IDLE = 1000
_HOSTS, _CPUS, _MACHINES, _VCPUS, _JOBS = 100, 16, 1000, 2, 10_000


def engine_figures(rounds: int, tell: Callable[[str], None]) -> list[Figure]:
    """Slices per second, what idle machines cost, and a fleet of a hundred hosts.

    Parameters
    ----------
    rounds : int
        How often each is timed; one round more comes first and does not count.
    tell : callable
        Told in a sentence what is being done.
    """
    tell("Timing the simulated hosts ...")
    kinds: dict[str, Callable[[], float]] = {
        "bare": _bare,
        "slices": lambda: _slices(lambda host: host.pass_time(_SECONDS)),
        "seen": lambda: _slices(lambda host: host.observe(_SECONDS)),
        "alone": lambda: _watching(0),
        "idle": lambda: _watching(_IDLE),
        "fleet": _fleet,
        "plain": _plain_fleet,
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds + 1):
        for kind, measure in kinds.items():
            value = measure()
            if number:
                taken[kind].append(value)
    peer = f"timeouts of a bare SimPy loop with {_BUSY} processes"
    return [
        _at_least("Time slices of the simulated host", taken["slices"], "1/s", peer, taken["bare"], 0.35),
        _at_least("The same, while it is observed", taken["seen"], "1/s", peer, taken["bare"], 0.35),
        beside(
            f"Observing {_BUSY} busy machines for {_SECONDS:g} s beside {_IDLE:,} idle ones",
            taken["idle"],
            "s",
            f"the {_BUSY} alone",
            taken["alone"],
            2.0,
        ),
        within(
            f"A fleet of {_HOSTS} hosts with {_MACHINES:,} machines and {_JOBS:,} jobs, in fluid mode",
            taken["fleet"],
            "s",
            1.0,
            peer="a plain loop over the same events",
            other=statistics.median(taken["plain"]),
        ),
    ]


def _at_least(
    name: str, values: Sequence[float], unit: str, peer: str, others: Sequence[float], least: float
) -> Figure:
    """A figure whose goal is a part of its peer's."""
    value, other = statistics.median(values), statistics.median(others)
    return Figure(
        name,
        round(value),
        unit,
        len(values),
        (round(min(values)), round(max(values))),
        peer,
        round(other),
        round(value / other, 2),
        f"at least {least:g} × the peer",
        value / other >= least,
    )


# -- slices ---------------------------------------------------------------------------------------


def _bare() -> float:
    """Timeouts in a second of CPU time: as many processes as there are vCPUs that want to run."""

    def waiting(env: simpy.Environment) -> Generator[Any, Any, None]:
        while True:
            yield env.timeout(LINUX.slice(1))

    env = simpy.Environment()
    for _ in range(_BUSY):
        env.process(waiting(env))
    started = time.process_time()
    env.run(until=_SECONDS / _BUSY)
    return _SECONDS / LINUX.slice(1) / (time.process_time() - started)


def _busy_host(idle: int = 0) -> SimulatedHost:
    host = SimulatedHost(1)
    for number in range(_BUSY):
        host.create(f"busy{number}").run(CpuLoad())
    for number in range(idle):
        host.create(f"idle{number}")
    return host


def _slices(pass_time: Callable[[SimulatedHost], object]) -> float:
    """Time slices in a second of CPU time."""
    with _busy_host() as host:
        started = time.process_time()
        pass_time(host)
        return _SLICES / (time.process_time() - started)


def _watching(idle: int) -> float:
    """CPU seconds that an observation takes."""
    with _busy_host(idle) as host:
        started = time.process_time()
        host.observe(_SECONDS)
        return time.process_time() - started


# -- the fleet ------------------------------------------------------------------------------------


def _arrival(job: int) -> float:
    return 0.01 * job


def _work(job: int) -> float:
    return 10.0 + job % 17


def _fleet() -> float:
    """CPU seconds from nothing to the last completion: machine j on host j mod 100, job i in machine i mod 1,000."""
    started = time.process_time()
    env = simpy.Environment()
    hosts = [FluidHost(_CPUS, env=env) for _ in range(_HOSTS)]
    for number in range(_MACHINES):
        mine = range(number, _JOBS, _MACHINES)
        load = RequestLoad(tuple(map(_arrival, mine)), tuple(map(_work, mine)), "sharing")
        hosts[number % _HOSTS].create(f"m{number}", vcpus=_VCPUS).run(load)
    env.run()
    return time.process_time() - started


def _plain_fleet() -> float:
    """CPU seconds of the same by a plain loop, host by host, that brings all work up to date at every event."""
    started = time.process_time()
    for host in range(_HOSTS):
        _plain_host(range(host, _MACHINES, _HOSTS))
    return time.process_time() - started


def _plain_host(machines: range) -> dict[int, float]:
    """When each job on one host is done."""
    coming = sorted((job for machine in machines for job in range(machine, _JOBS, _MACHINES)), reverse=True)
    left: dict[int, dict[int, float]] = {machine: {} for machine in machines}
    done: dict[int, float] = {}
    now = 0.0
    while len(done) < len(machines) * (_JOBS // _MACHINES):
        rates = _plain_rates(left)
        comes = _arrival(coming[-1]) if coming else float("inf")
        first, finish = -1, comes
        for machine, rate in rates.items():
            job, rest = min(left[machine].items(), key=lambda item: item[1])
            if now + rest / rate < finish:
                first, finish = job, now + rest / rate
        for machine, rate in rates.items():
            served = rate * (finish - now)
            jobs = left[machine]
            for job in jobs:
                jobs[job] -= served
        now = finish
        if first >= 0:
            done[first] = now
            del left[first % _MACHINES][first]
        else:
            job = coming.pop()
            left[job % _MACHINES][job] = _work(job)
    return done


def _plain_rates(left: dict[int, dict[int, float]]) -> dict[int, float]:
    """What each job of each machine gets: equal shares among machines, none more than a CPU for each job and vCPU."""
    hungry = sorted((min(len(jobs), _VCPUS), machine) for machine, jobs in left.items() if jobs)
    free, rates = float(_CPUS), {}
    for place, (want, machine) in enumerate(hungry):
        part = min(want, free / (len(hungry) - place))
        free -= part
        rates[machine] = part / len(left[machine])
    return rates
