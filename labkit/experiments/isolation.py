"""What does it do to the others when one machine runs wild?

Two machines on one host. One of them, `service`, answers requests. The other, `noisy`, comes to harm: it spins, its
kernel panics, or its programs take all the memory it has. What of that does the service feel?

Settings
--------
harm : what becomes of `noisy`: ``none``: it is idle; ``spin``: it keeps its vCPU busy; ``panic``: its kernel gives up a
    third of the time in; ``memory``: its programs take memory until its kernel's out-of-memory killer ends them, over
    and over, which keeps its vCPU busy too
cpus : how many host CPUs both are pinned to
seconds : how long they are watched
arrival_rate : how many requests come to the service in a second, on average; they come at random (Poisson)
service_time : the mean CPU time that a request takes; it is exponential
seed : decides when requests come and what they take; both hosts serve the same ones

Quantities
----------
alive : 1 for a machine that still runs and answers at the end, 0 for one that does not.
response : from a request's coming to `service` to its being done, the mean of all that came while it was watched, in
    ms. One that is not done at the end counts with what it had waited by then.

Events of kind ``inside`` say what each machine sees of itself, before and after: its own CPU, memory, disk and network
card. One of kind ``harm`` says when a machine came to harm from inside, and what could be seen of it.

Bound between live and simulated
--------------------------------
0 for `alive`. For `response`, where nobody competes with the service for a CPU and its requests are not too many: half
the width of the 95% confidence interval of the mean of so many requests in an M/M/1 queue
(`labkit.experiments.queueing.half_width`), as for `cpu-sizing`. Both written before this experiment first ran live. For
`response` beside a machine that takes its CPU time none is derived: it depends on the order of turns, as
for `cpu-monopoly`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from labkit.experiments.arrivals import AHEAD, poisson
from labkit.experiments.needs import ask
from labkit.experiments.phases import joined, mean_response
from labkit.experiments.queueing import half_width
from labkit.experiments.queueing import mean_response as queued
from labkit.experiments.settings import SettingError, choice, integer, number
from labkit.host import CpuLoad, Event, Host, HostError, Job, Machine, Observation, Row
from labkit.host.harm import HARMS, HarmsMachines

__all__ = [
    "BOUNDS",
    "HEADLINE",
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
    "theory",
]

NAME = "isolation"
QUESTION = "What does it do to the others when one machine runs wild?"
LESSON = "01"
NEEDS = ("pin", "requests", "inside")
QUANTITIES = {"alive": "1", "response": "ms"}
LABELS = {
    "alive": ("Alive at the end", "1 for a machine that still runs and answers, 0 for one that does not.", "1 or 0"),
    "response": ("Mean response time of a request", "The longer the bar, the longer people wait for an answer."),
}
HEADLINE = "response"
BOUNDS = {"alive": 0.0}  # and for the response one that depends on the settings: see bounds
_NAMES = ("noisy", "service")
_FEWEST = 20  # requests expected; of fewer a mean says little, and there might be none


@dataclass(frozen=True)
class Settings:
    """What harm comes to one machine, and what the other has to do."""

    harm: str = choice("panic", ("none", "spin", "panic", "memory"), about="what becomes of noisy")
    cpus: int = integer(1, minimum=1, maximum=16, unit="CPU", about="host CPUs that both are pinned to")
    seconds: float = number(6.0, minimum=1.5, maximum=60.0, unit="s", about="how long they are watched")
    arrival_rate: float = number(20.0, minimum=1.0, maximum=1000.0, unit="1/s", about="requests that come to service")
    service_time: float = number(15.0, minimum=0.5, maximum=1000.0, unit="ms", about="mean CPU time of a request")
    seed: int = integer(1, minimum=0, maximum=1_000_000, unit="", about="decides which requests come")

    def check(self) -> None:
        """Refuse too few requests for a mean.

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


def _alone(settings: Settings) -> bool:
    """Whether the service has a CPU whenever it wants one."""
    return settings.cpus > 1 or settings.harm in ("none", "panic")


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity."""
    stated = dict(BOUNDS)
    if _alone(settings):
        requests = round(settings.arrival_rate * settings.seconds)
        width = half_width(1, settings.arrival_rate, settings.service_time / 1000, requests)
        if width is not None:
            stated["response"] = 1000 * width
    return stated


def needs(settings: Settings) -> tuple[str, ...]:
    """What it asks of a host with these settings."""
    return (*NEEDS, "harm") if settings.harm in HARMS else NEEDS


def machines(_settings: Settings) -> int:
    """How many machines there are."""
    return len(_NAMES)


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """Who is alive, from what isolation means; and the response time, where the service has a CPU to itself.

    `alive`: a machine has its own kernel, and its own memory. So a panic ends the one whose kernel it is, and no other;
    spinning and want of memory end neither, as a kernel ends programs before it gives up itself.

    `response`: with Poisson arrivals and exponential work a server with one vCPU that always has a CPU is an M/M/1
    queue: 1 / (1 / service time − arrival rate), in the long run. It is left out (None) where noisy competes for the
    only CPU, for then it depends on the order of turns, and where the requests are too many.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used: both have the same shares.

    Returns
    -------
    dict of (machine, quantity) to float or None
        `alive` in 1, the service's `response` in ms.

    References
    ----------
    G. J. Popek and R. P. Goldberg, "Formal requirements for virtualizable third generation architectures",
    Communications of the ACM 17 (1974): a virtual machine monitor keeps complete control of the resources. M/M/1: L.
    Kleinrock, *Queueing Systems*, volume 1 (1975), section 3.2.
    """
    response = queued(1, settings.arrival_rate, settings.service_time / 1000) if _alone(settings) else None
    return {
        ("noisy", "alive"): 0.0 if settings.harm == "panic" else 1.0,
        ("service", "alive"): 1.0,
        ("service", "response"): None if response is None else 1000 * response,
    }


def _started(host: Host, settings: Settings) -> tuple[list[Machine], Job]:
    """Both machines, and the service's job."""
    cpus = range(settings.cpus)
    both = [host.create(name, pin=cpus) for name in _NAMES]
    mean = settings.service_time / 1000
    load = poisson(settings.arrival_rate, mean, settings.seed, "service", settings.seconds + AHEAD)
    return both, both[1].run(load)


def _inside(host: HarmsMachines, machine: Machine, when: float) -> list[Event]:
    """What a machine sees of itself, as an event; none where it is not there any more, or does not answer."""
    if machine.state != "running":
        return []
    try:
        seen = host.inside(machine)
    except HostError:
        return []
    words = ", ".join(f"{what}: {value}" for what, value in seen.items())
    return [Event(time=when, kind="inside", machine=machine.name, detail=words)]


def run(host: Host, settings: Settings) -> Observation:
    """Watch a service while the machine beside it comes to harm, on either host."""
    ask(host, *needs(settings))
    if not isinstance(host, HarmsMachines):
        raise HostError("No harm can be done to this host's machines.", "Use labkit.simulated() or labkit.live().")
    both, job = _started(host, settings)
    noisy, _service = both
    try:
        told = [event for machine in both for event in _inside(host, machine, 0.0)]
        if settings.harm == "spin":
            noisy.run(CpuLoad(1.0))
        elif settings.harm == "memory":
            told.append(_harmed(host, noisy, "memory", 0.0))
        parts = [host.observe(seconds=settings.seconds / 3)]
        if settings.harm == "panic":
            told.append(_harmed(host, noisy, "panic", parts[0].seconds))
        parts.append(host.observe(seconds=settings.seconds * 2 / 3))
        job.cancel()
        response = mean_response(job.result, 0.0, settings.seconds, settings.seconds)
        at_last = [_inside(host, machine, settings.seconds) for machine in both]
    finally:
        for machine in both:
            machine.stop()
    rows = [
        Row(machine=machine.name, quantity="alive", unit="1", value=float(bool(look)))
        for machine, look in zip(both, at_last, strict=True)
    ]
    if response is not None:
        rows.append(Row(machine="service", quantity="response", unit="ms", value=1000 * response))
    seen = joined(parts, rows)
    return dataclasses.replace(seen, events=(*told, *seen.events, *(event for look in at_last for event in look)))


def _harmed(host: HarmsMachines, machine: Machine, how: Literal["panic", "memory"], when: float) -> Event:
    """Let a machine come to harm; what was seen of it, as an event."""
    return Event(time=when, kind="harm", machine=machine.name, detail=f"{how}: {host.harm(machine, how)}")
