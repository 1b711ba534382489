"""How many vCPUs does a server need?

Each machine is a server to which requests come at random; a request waits in line until one of the machine's vCPUs is
free, first come, first served. A light web server is well off with one vCPU. A busy database with one
vCPU would be near its end; with two it answers quickly.

The machines are watched one after another, each alone on as many host CPUs as it has vCPUs, and pinned to them: so a
vCPU never waits for a CPU, and what is measured is the size of the machine. That is what the theory, M/M/c, supposes.

Settings
--------
vcpus : the machines' vCPUs, in their order: `m1`, `m2`, ...
arrival_rate : how many requests come to each in a second, on average (Poisson); a single number goes for all
service_time : the mean CPU time that a request takes, in s; it is exponential
seed : decides when requests come and what they take; both hosts serve the same ones
requests : how many come to each machine; the machine is watched until the last one is done

Quantities
----------
throughput : requests done per second: all but the first, divided by the time from when the first is done until the
    last is, in 1/s.
response : from a request's coming to its being done, the mean of all, in s.

Bound between live and simulated
--------------------------------
For the `response` of each machine, half the width of the 95% confidence interval of the mean of so many requests in an
M/M/c queue (`labkit.experiments.queueing.half_width`). Written before this experiment first ran live; it was then that
of the machine for which it is narrowest, and for one vCPU that of a queue which has long forgotten that it began empty.
After few requests near the full load that was wider than the response itself, and so no bound at all. Both hosts serve
the same requests, so this is no test of chance: it says that a live host's error should be smaller than what watching
so few requests leaves uncertain anyway. For a machine whose requests are too many, and for `throughput`, none is
derived.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labkit.experiments.arrivals import count
from labkit.experiments.needs import ask
from labkit.experiments.phases import joined
from labkit.experiments.queueing import half_width, mean_response
from labkit.experiments.settings import SettingError, integer, integers, number, numbers
from labkit.host import Host, Job, Machine, Observation, RequestLoad, Row, Served

__all__ = [
    "BOUNDS",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "Settings",
    "bounds",
    "intervals",
    "machines",
    "run",
    "simulated_host",
    "theory",
]

NAME = "cpu-sizing"
QUESTION = "How many vCPUs does a server need?"
LESSON = "02"
NEEDS = ("pin", "requests")
QUANTITIES = {"throughput": "1/s", "response": "s"}
LABELS = {
    "throughput": ("Requests done", "As many as come, while the machine keeps up with them."),
    "response": ("Mean response time of a request", "The longer the bar, the longer people wait for an answer."),
}
BOUNDS: dict[str, float] = {}  # those there are depend on the settings and the machine: see bounds
_REQUESTS = 400_000  # of all machines together
_LONGEST = 20_000.0  # seconds of the host's own time for one machine
_LOOK = 600.0  # seconds of one look


@dataclass(frozen=True)
class Settings:
    """How large the servers are, and what comes to them."""

    vcpus: tuple[int, ...] = integers(
        (1, 2), minimum=1, maximum=16, shortest=1, longest=8, unit="vCPU", about="vCPUs of each machine"
    )
    arrival_rate: tuple[float, ...] = numbers(
        (10.0, 36.0),
        minimum=0.1,
        maximum=1000.0,
        shortest=1,
        longest=8,
        unit="1/s",
        about="requests that come to each machine",
    )
    service_time: float = number(0.025, minimum=0.001, maximum=1.0, unit="s", about="mean CPU time of a request")
    seed: int = integer(1, minimum=0, maximum=1_000_000, unit="", about="decides which requests come")
    requests: int = integer(200, minimum=20, maximum=100_000, unit="1", about="requests that come to each machine")

    def check(self) -> None:
        """Refuse lists that do not fit each other, and what would take too long.

        Raises
        ------
        SettingError
            With the numbers.
        """
        if len(self.arrival_rate) not in (1, len(self.vcpus)):
            raise SettingError(
                f"arrival_rate must have one number, or as many as vcpus has: {len(self.vcpus)}, "
                f"not {len(self.arrival_rate)}."
            )
        if self.requests * len(self.vcpus) > _REQUESTS:
            raise SettingError(
                f"requests times the number of machines must be {_REQUESTS} at most, "
                f"not {self.requests} x {len(self.vcpus)}."
            )
        for vcpus, rate in _sizes(self):
            lasts = self.requests * max(1 / rate, self.service_time / vcpus)
            if lasts > _LONGEST:
                raise SettingError(
                    f"requests must be so few that each machine has them done in {_LONGEST:g} s, "
                    f"not in about {lasts:.0f} s; take fewer, or a higher arrival_rate."
                )


def _sizes(settings: Settings) -> list[tuple[int, float]]:
    """Each machine's vCPUs and arrival rate."""
    rates = settings.arrival_rate if len(settings.arrival_rate) > 1 else settings.arrival_rate * len(settings.vcpus)
    return list(zip(settings.vcpus, rates, strict=True))


def machines(settings: Settings) -> int:
    """How many machines there are."""
    return len(settings.vcpus)


def intervals(settings: Settings) -> dict[tuple[str, str], float]:
    """Half the width of the 95% confidence interval of each machine's mean response, in s, where there is one."""
    widths = {
        (name, "response"): half_width(vcpus, rate, settings.service_time, settings.requests)
        for name, (vcpus, rate) in zip(_names(settings), _sizes(settings), strict=True)
    }
    return {key: width for key, width in widths.items() if width is not None}


def bounds(settings: Settings) -> dict[tuple[str, str], float]:
    """How far live may be from simulated, by machine and quantity: each machine's own interval."""
    return intervals(settings)


def simulated_host(settings: Settings) -> dict[str, Any]:
    """How the simulated host is opened: with a CPU for each vCPU of the largest machine, in its fast mode.

    Nobody waits for a CPU here, so there are no turns to be told apart: the fluid mode leaves out nothing that counts.
    """
    return {"cpus": max(settings.vcpus), "mode": "fluid"}


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """M/M/c in the long run, by Erlang's second formula.

    `throughput`: what comes in, or what c vCPUs can do, c / service time, if that is less: with more requests than that
    there is in the long run always somebody in line, and all vCPUs work all the time. `response`:
    `labkit.experiments.queueing.mean_response`; None where the requests are too many, for then it grows without end.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used: each machine is alone.

    Returns
    -------
    dict of (machine, quantity) to float or None
        `throughput` in 1/s, `response` in s.

    References
    ----------
    L. Kleinrock, *Queueing Systems*, volume 1 (1975), sections 3.2 and 3.5.
    """
    found: dict[tuple[str, str], float | None] = {}
    for name, (vcpus, rate) in zip(_names(settings), _sizes(settings), strict=True):
        found[name, "throughput"] = min(rate, vcpus / settings.service_time)
        found[name, "response"] = mean_response(vcpus, rate, settings.service_time)
    return found


def _names(settings: Settings) -> list[str]:
    return [f"m{number}" for number in range(1, len(settings.vcpus) + 1)]


def _made(host: Host, settings: Settings, name: str) -> tuple[Machine, Job, RequestLoad]:
    """A machine on CPUs of its own, the requests that come to it, and the job that serves them."""
    vcpus, rate = _sizes(settings)[_names(settings).index(name)]
    machine = host.create(name, vcpus=vcpus, pin=range(vcpus))
    load = count(settings.requests, rate, settings.service_time, settings.seed, name)
    return machine, machine.run(load), load


def _watched(host: Host, job: Job, seconds: float) -> list[Observation]:
    """Look at the host for as long as requests come, in pieces that a host takes at one time."""
    pieces = max(1, math.ceil(seconds / _LOOK))
    each = max(seconds / pieces, 0.5)
    return [host.observe(seconds=each, every=max(0.2, each / 200)) for _ in range(pieces)]


def _served(job: Job, patience: float) -> Served:
    """What became of the requests, once all are done; after so many more seconds, what became of them by then."""
    while patience > 0:
        served = job.wait(timeout=min(patience, _LOOK))
        if served is not None:
            return served
        patience -= _LOOK
    job.cancel()
    return job.result


def _rows(name: str, served: Served) -> list[Row]:
    finishes = [finish for finish in served.finishes if math.isfinite(finish)]
    responses = served.responses()
    rows = []
    if len(finishes) > 1 and max(finishes) > min(finishes):
        throughput = (len(finishes) - 1) / (max(finishes) - min(finishes))
        rows.append(Row(machine=name, quantity="throughput", unit="1/s", value=throughput))
    if responses:
        mean = math.fsum(responses) / len(responses)
        rows.append(Row(machine=name, quantity="response", unit="s", value=mean))
    return rows


def run(host: Host, settings: Settings) -> Observation:
    """Let one server after another do its requests, on either host."""
    ask(host, *NEEDS)
    parts: list[Observation] = []
    rows: list[Row] = []
    for name in _names(settings):
        machine, job, load = _made(host, settings, name)
        try:
            parts += _watched(host, job, load.arrivals[-1])
            # Twice the work that may be left, and a minute: a live machine that hangs is not waited for for ever.
            served = _served(job, 60.0 + 2 * math.fsum(load.work))
        finally:
            machine.stop()
        rows += _rows(name, served)
    return dataclasses.replace(joined(parts, rows), events=())
