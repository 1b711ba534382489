"""A server is suddenly popular. What helps: more shares, or another vCPU?

Three servers share the host's CPUs. For a while eight times as many requests come to one of them, `spike`, more than
its one vCPU can do. More shares do not help it: its own vCPU is the limit, not the others. A second vCPU, added while
it runs, does.

Settings
--------
at : when the spike begins, in seconds from the start
control : what is done at that moment: ``none``; ``shares``: `spike` gets `shares`, the others keep 1024;
    ``hot-add``: `spike` gets a second vCPU, and keeps it
cpus : how many host CPUs all share
length : how long the spike lasts
seconds : how long they are watched after it
spike_rate : how many requests come to `spike` in a second during the spike; before and after 10 come
service_time : the mean CPU time that a request takes; it is exponential
shares : of `spike`, under control ``shares``
seed : decides when requests come and what they take; both hosts serve the same ones

Machines are `spike`, and `m1` and `m2`, to which 20 requests come in a second all the time. The requests of each come
at random (Poisson).

Quantities, each for the phases ``before``, ``during`` and ``after``
-------------------------------------------------------------------
cpu_... : CPU time per second of elapsed time, in CPU.
response_... : from a request's coming to its being done, the mean of those that came in this phase, in ms, whenever
    they were done. One that was not done at the end of it all counts with what it had waited by then.

Bound between live and simulated, at 2 CPUs or more and the standard requests
-----------------------------------------------------------------------------
0.1 CPU for `cpu_before`, where `at` is 2 s or more, and for `cpu_during`, where `length` is 4 s or more and nothing is
hot-added; written before this experiment first ran live. 0.03 as for `cpu-shares`. A server in a guest may begin up to
0.1 s after the look does, and between two looks a live host needs time to change a machine: put together up to 0.15 s,
in which a machine's use differs by up to 0.4 CPU before (0.03 of 2 s) and 1 CPU during (0.04 of 4 s). And up to
0.08 CPU s of work that is under way may fall into the one phase or the other: 0.04 of 2 s, 0.02 of 4 s. A
hot-added vCPU is used from when the guest has found it, which is not foreseen to better than half a second: there, and
after the spike, where what was left undone is made up for, none is given. None is derived for responses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labkit.experiments.arrivals import AHEAD, phased
from labkit.experiments.fairness import within_reach
from labkit.experiments.needs import ask
from labkit.experiments.phases import joined, mean_response, suffixed
from labkit.experiments.settings import choice, integer, number
from labkit.host import Host, Job, Machine, Observation, Row

__all__ = [
    "ACTS",
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

NAME = "cpu-spike"
QUESTION = "A server is suddenly popular. What helps: more shares, or another vCPU?"
LESSON = "02"
NEEDS = ("pin", "requests")
PHASES = ("before", "during", "after")
QUANTITIES = {f"cpu_{phase}": "CPU" for phase in PHASES} | {f"response_{phase}": "ms" for phase in PHASES}
LABELS = {f"cpu_{phase}": (f"CPU time used {phase} the spike", "") for phase in PHASES} | {
    f"response_{phase}": (f"Mean response time of requests that came {phase} the spike", "") for phase in PHASES
}
HEADLINE = "response_during"
ACTS = {"shares": ("control", "shares")}  # only under that control
BOUNDS = {"cpu_before": 0.1, "cpu_during": 0.1}
_NAMES = ("spike", "m1", "m2")
_CALM, _STEADY, _SHARES = 10.0, 20.0, 1024  # requests in a second of spike when calm, and of the others; shares


@dataclass(frozen=True)
class Settings:
    """When the spike comes, how high and how long it is, and what is done about it."""

    at: float = number(2.0, minimum=1.0, maximum=30.0, unit="s", about="when the spike begins")
    control: str = choice("none", ("none", "shares", "hot-add"), about="what is done when it begins")
    cpus: int = integer(2, minimum=1, maximum=16, unit="CPU", about="host CPUs that all are pinned to")
    length: float = number(4.0, minimum=0.5, maximum=30.0, unit="s", about="how long the spike lasts")
    seconds: float = number(6.0, minimum=1.0, maximum=60.0, unit="s", about="how long they are watched after it")
    spike_rate: float = number(80.0, minimum=10.0, maximum=1000.0, unit="1/s", about="requests to spike during it")
    service_time: float = number(20.0, minimum=0.5, maximum=200.0, unit="ms", about="mean CPU time of a request")
    shares: int = integer(8192, minimum=2, maximum=262144, unit="shares", about="spike's, under control=shares")
    seed: int = integer(1, minimum=0, maximum=1_000_000, unit="", about="decides which requests come")


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity; empty where no bound was derived."""
    usual = Settings()
    if settings.cpus < 2 or (settings.spike_rate, settings.service_time) != (usual.spike_rate, usual.service_time):
        return {}
    stated = dict(BOUNDS)
    if settings.at < 2:
        del stated["cpu_before"]
    if settings.length < 4 or settings.control == "hot-add":
        del stated["cpu_during"]
    return stated


def needs(settings: Settings) -> tuple[str, ...]:
    """What it asks of a host with these settings."""
    return NEEDS if settings.control == "none" else (*NEEDS, settings.control)


def machines(_settings: Settings) -> int:
    """How many machines there are."""
    return len(_NAMES)


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """CPU time in each phase, where it follows from demands alone; nothing about response times.

    In every phase a machine asks for arrival rate x mean work, and can reach what max-min fairness leaves it, up to its
    vCPUs. One that asks for less than that is stable and gets what it asks for; one that asks for more is always busy
    and gets what it can reach. Both are long-run means: in a phase of seconds there are by chance more requests, or
    fewer.

    A machine that has fallen behind in an earlier phase has work left over from it. As long as it cannot be said when
    that is done, its CPU time is left out (None), as is that of a machine whose demand is exactly what it can reach;
    and others' is, where it makes a difference to them. The response times of so short a phase, which begins with
    whatever the one before it left, have no closed form: they are left out.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        The weights really in force where a host could not set the shares exactly; they are in force
        from the spike on, or all the time under another control than ``shares``.

    Returns
    -------
    dict of (machine, quantity) to float or None
        `cpu_before`, `cpu_during`, `cpu_after` in CPU, and the response times, None.

    References
    ----------
    `labkit.experiments.fairness.max_min`. Stability: R. M. Loynes, "The stability of a queue with non-independent
    inter-arrival and service times", Mathematical Proceedings of the Cambridge Philosophical Society 58 (1962).
    """
    found: dict[tuple[str, str], float | None] = {}
    behind: set[int] = set()
    for phase in PHASES:
        acted = phase != "before"
        limits = [2.0 if acted and settings.control == "hot-add" else 1.0, 1.0, 1.0]
        weigh = [float(_SHARES)] * len(_NAMES)
        if acted and settings.control == "shares":
            weigh[0] = float(settings.shares)
        if weights and (acted or settings.control != "shares"):
            weigh = [float(weights.get(name, weight)) for name, weight in zip(_NAMES, weigh, strict=True)]
        rate = settings.spike_rate if phase == "during" else _CALM
        demands = [one * settings.service_time / 1000 for one in (rate, _STEADY, _STEADY)]
        values = _of_phase(demands, limits, weigh, settings.cpus, behind)
        for name, value in zip(_NAMES, values, strict=True):
            found[name, f"cpu_{phase}"], found[name, f"response_{phase}"] = value, None
        behind |= {place for place, value in enumerate(values) if value is None or value < demands[place]}
    order = list(QUANTITIES)
    return dict(sorted(found.items(), key=lambda item: (_NAMES.index(item[0][0]), order.index(item[0][1]))))


def _of_phase(
    demands: Sequence[float], limits: Sequence[float], weights: Sequence[float], cpus: float, behind: set[int]
) -> list[float | None]:
    """The CPU time of each machine in one phase, where those `behind` have work left over; see `theory`."""
    capped = [min(demand, limit) for demand, limit in zip(demands, limits, strict=True)]
    # Those that have work left over may want all that they can use, or be done with it: both ends of what may be.
    greedy = [limits[place] if place in behind else wish for place, wish in enumerate(capped)]
    values: list[float | None] = []
    for place, demand in enumerate(demands):
        reach = [within_reach(place, limits[place], wishes, weights, cpus) for wishes in (capped, greedy)]
        least, most = min(reach), max(reach)
        if demand > most * (1 + 1e-12) and most - least < 1e-12:
            values.append(most)  # it can never do all of it
        elif demand < least * (1 - 1e-12) and place not in behind:
            values.append(demand)
        else:
            values.append(None)
    return values


def _started(host: Host, settings: Settings) -> tuple[list[Machine], list[Job]]:
    """The machines with their loads, and the jobs."""
    ask(host, *needs(settings))
    cpus = range(settings.cpus)
    # A machine that may grow asks more of a live host; so only where it will.
    roomy = {"maximum_vcpus": 2} if settings.control == "hot-add" else {}
    made = [host.create(name, pin=cpus, **(roomy if name == "spike" else {})) for name in _NAMES]
    end = settings.at + settings.length + settings.seconds
    calm = (settings.at, _CALM), (settings.at + settings.length, settings.spike_rate), (end + AHEAD, _CALM)
    steady = ((end + AHEAD, _STEADY),)
    mean = settings.service_time / 1000
    jobs = [
        machine.run(phased(calm if name == "spike" else steady, mean, settings.seed, name, end + AHEAD))
        for name, machine in zip(_NAMES, made, strict=True)
    ]
    return made, jobs


def run(host: Host, settings: Settings) -> Observation:
    """Watch three servers before, during and after a spike of requests to one of them, on either host."""
    made, jobs = _started(host, settings)
    try:
        parts = [host.observe(seconds=settings.at)]
        if settings.control == "shares":
            made[0].set(shares=settings.shares)
        elif settings.control == "hot-add":
            made[0].set(vcpus=2)
        parts += [host.observe(seconds=settings.length), host.observe(seconds=settings.seconds)]
        for job in jobs:
            job.cancel()
        rows = [row for phase, part in zip(PHASES, parts, strict=True) for row in suffixed(part, phase, ("cpu",))]
        edges = (0.0, settings.at, settings.at + settings.length, settings.at + settings.length + settings.seconds)
        for name, job in zip(_NAMES, jobs, strict=True):
            for phase, since, until in zip(PHASES, edges, edges[1:], strict=False):
                mean = mean_response(job.result, since, until, edges[-1])
                if mean is not None:
                    rows.append(Row(machine=name, quantity=f"response_{phase}", unit="ms", value=1000 * mean))
    finally:
        for machine in made:
            machine.stop()
    order = list(QUANTITIES)
    return joined(parts, sorted(rows, key=lambda row: (_NAMES.index(row["machine"]), order.index(row["quantity"]))))
