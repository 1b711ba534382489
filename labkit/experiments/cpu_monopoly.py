"""Can one greedy machine ruin it for the others, and what helps?

A machine with many vCPUs spins on all of them. Beside it, on the same host CPUs, a web server with one vCPU gets
requests. What the server needs is less than its fair part; yet every request that finds the CPU taken waits. Against
that somebody can give the server more shares, or the greedy machine a cap.

Settings
--------
greedy : how many vCPUs the greedy machine has; all of them spin
control : ``none``; ``shares``: the server gets `shares`, the greedy machine keeps 1024; ``cap``: the greedy machine
    may use no more than `cap`
cpus : how many host CPUs both share
seconds : how long they are watched, from the first moment on
shares : the server's shares under control ``shares``
cap : the greedy machine's cap under control ``cap``, in percent of one CPU; each of its vCPUs has an equal part of it
arrival_rate : how many requests come to the server in a second, on average; they come at random (Poisson)
service_time : the mean CPU time that a request takes; it is exponential
seed : decides when requests come and what they take; both hosts serve the same ones. On the simulated host also when
    in time the periods of a cap begin, which Linux leaves to chance

Quantities
----------
cpu : CPU time per second of elapsed time, in CPU, of the machines `greedy` and `web`.
response : from a request's coming to its being done, the mean of all that came while `web` was watched, in ms. One
    that is not done at the end counts with what it had waited by then.

Bound between live and simulated, at up to 2 CPUs
-------------------------------------------------
0.05 CPU for `cpu`, watched for 6 s or more; written before this experiment first ran live. 0.03 as for `cpu-shares`;
the server in the guest may begin up to 0.1 s after the look does, which at a demand of 0.6 CPU over 6 s is 0.01;
and a piece of work that is under way at the end may have run on one host and wait on the other, 0.01 for four mean
pieces. Where the requests ask for more than 0.9 CPU none is given: then the smallest difference decides what is
left undone. None is derived for `response`: how long a request waits depends on the order of turns, which differs
from one Linux to the next, and with a cap on when the greedy vCPUs' periods begin: whether all four spin at once, or
one after another, is chance (`labkit.model.bandwidth`), and no host repeats another's.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labkit.experiments.arrivals import AHEAD, poisson
from labkit.experiments.fairness import max_min, within_reach
from labkit.experiments.needs import ask
from labkit.experiments.phases import mean_response
from labkit.experiments.settings import SettingError, choice, integer, number
from labkit.host import CpuLoad, Host, Job, Machine, Observation, Row

__all__ = [
    "ACTS",
    "BOUNDS",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "Settings",
    "bounds",
    "machines",
    "needs",
    "run",
    "simulated_host",
    "theory",
]

NAME = "cpu-monopoly"
QUESTION = "Can one greedy machine ruin it for the others, and what helps?"
LESSON = "02"
NEEDS = ("pin", "requests")
QUANTITIES = {"cpu": "CPU", "response": "ms"}
LABELS = {"response": ("Mean response time of a request", "The longer the bar, the longer people wait for an answer.")}
ACTS = {"shares": ("control", "shares"), "cap": ("control", "cap")}  # each only under its own control
BOUNDS = {"cpu": 0.05}
_SHARES = 1024  # what a machine has where nobody says otherwise
_FEWEST = 20  # requests expected; of fewer a mean says little, and there might be none


@dataclass(frozen=True)
class Settings:
    """The greedy machine, the server and its requests, and what is done about it."""

    greedy: int = integer(4, minimum=1, maximum=16, unit="vCPU", about="vCPUs of the greedy machine")
    control: str = choice("none", ("none", "shares", "cap"), about="what is done for the server")
    cpus: int = integer(2, minimum=1, maximum=16, unit="CPU", about="host CPUs that both are pinned to")
    seconds: float = number(6.0, minimum=0.5, maximum=60.0, unit="s", about="how long they are watched")
    shares: int = integer(8192, minimum=2, maximum=262144, unit="shares", about="web's, under control=shares")
    cap: int = integer(
        50, minimum=10, maximum=1600, unit="%", about="greedy's, in percent of one CPU, under control=cap"
    )
    arrival_rate: float = number(40.0, minimum=1.0, maximum=1000.0, unit="1/s", about="requests that come to web")
    service_time: float = number(15.0, minimum=0.5, maximum=1000.0, unit="ms", about="mean CPU time of a request")
    seed: int = integer(
        1, minimum=0, maximum=1_000_000, unit="", about="decides which requests come, and a cap's periods"
    )

    def check(self) -> None:
        """Refuse too few requests for a mean, and a cap that leaves a vCPU less than a hundredth of a CPU.

        Raises
        ------
        SettingError
            With the numbers.
        """
        if self.arrival_rate * self.seconds < _FEWEST:
            raise SettingError(
                f"arrival_rate times seconds must give {_FEWEST} requests or more, "
                f"not {self.arrival_rate:g} x {self.seconds:g}."
            )
        if self.control == "cap" and self.cap < self.greedy:
            raise SettingError(f"cap must be {self.greedy}% or more, 1% for each vCPU of greedy, not {self.cap}%.")


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity; empty where no bound was derived."""
    stated = settings.cpus <= 2 and settings.seconds >= 6 and _demand(settings) <= 0.9
    return dict(BOUNDS) if stated else {}


def needs(settings: Settings) -> tuple[str, ...]:
    """What it asks of a host with these settings."""
    return NEEDS if settings.control == "none" else (*NEEDS, settings.control)


def machines(_settings: Settings) -> int:
    """How many machines there are."""
    return 2


def simulated_host(settings: Settings) -> dict[str, Any]:
    """How the simulated host is opened: another seed, another draw of when the periods of a cap begin."""
    return {"cpus": settings.cpus, "seed": settings.seed}


def _demand(settings: Settings) -> float:
    """What the requests ask for, in CPU."""
    return settings.arrival_rate * settings.service_time / 1000


def _limit(settings: Settings) -> float:
    """The most that the greedy machine can use, in CPU."""
    return min(float(settings.greedy), _greedy_cap(settings))


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """CPU time by max-min fairness, and the response time where the server runs at one steady speed.

    `cpu`: each machine gets its fair part by weight, the server no more than its requests ask for, the greedy machine
    no more than its vCPUs or its cap. Long-run means; in a few seconds there are by chance more requests, or fewer.

    `response`: with Poisson arrivals and exponential work a server with one vCPU that runs at a steady speed r whenever
    it has work is an M/M/1 queue with mean service time s / r. Its mean response is (s / r) / (1 - rho), with
    rho = arrival rate x s / r. The speed is steady in two cases, without a cap on the greedy machine:

    - There is a CPU for each vCPU of both: r = 1.
    - There is one CPU: r is the server's part by weight, in the limit of endlessly short turns.

    Everywhere else it is left out (None): on several CPUs it depends on who stands in whose queue, with a cap on when
    the greedy machine's quota is used up, and beyond rho = 1 there is no long-run mean.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        The weights really in force where a host could not set the shares exactly.

    Returns
    -------
    dict of (machine, quantity) to float or None
        `cpu` in CPU, the server's `response` in ms.

    References
    ----------
    Max-min fairness: `labkit.experiments.fairness.max_min`. M/M/1: L. Kleinrock, *Queueing Systems*, volume 1 (1975),
    section 3.2.
    """
    weigh = {"greedy": float(_SHARES), "web": float(_web_shares(settings)), **(weights or {})}
    both = [weigh["greedy"], weigh["web"]]
    wishes = [_limit(settings), min(_demand(settings), 1.0)]
    greedy, web = max_min(wishes, both, settings.cpus)
    response = None
    roomy = settings.greedy + 1 <= settings.cpus
    if settings.control != "cap" and (roomy or settings.cpus == 1):
        speed = 1.0 if roomy else within_reach(1, 1.0, wishes, both, settings.cpus)
        busy = _demand(settings) / speed
        if busy < 1:
            response = settings.service_time / speed / (1 - busy)
    return {("greedy", "cpu"): greedy, ("web", "cpu"): web, ("web", "response"): response}


def _web_shares(settings: Settings) -> int:
    return settings.shares if settings.control == "shares" else _SHARES


def _greedy_cap(settings: Settings) -> float:
    return settings.cap / 100 if settings.control == "cap" else math.inf


def _started(host: Host, settings: Settings) -> tuple[list[Machine], Job]:
    """Both machines with their loads, and the server's job."""
    ask(host, *needs(settings))
    cpus = range(settings.cpus)
    greedy = host.create("greedy", vcpus=settings.greedy, pin=cpus, cap=_greedy_cap(settings))
    web = host.create("web", shares=_web_shares(settings), pin=cpus)
    greedy.run(CpuLoad(1.0))
    mean = settings.service_time / 1000
    load = poisson(settings.arrival_rate, mean, settings.seed, "web", settings.seconds + AHEAD)
    return [greedy, web], web.run(load)


def run(host: Host, settings: Settings) -> Observation:
    """Watch a server beside a greedy machine for a while, on either host."""
    both, job = _started(host, settings)
    try:
        seen = host.observe(seconds=settings.seconds)
        job.cancel()
        response = mean_response(job.result, 0.0, settings.seconds, settings.seconds)
    finally:
        for machine in both:
            machine.stop()
    rows = [row for row in seen.rows if row["quantity"] == "cpu"]
    if response is not None:
        rows.append(Row(machine="web", quantity="response", unit="ms", value=1000 * response))
    return dataclasses.replace(seen, rows=tuple(rows))
