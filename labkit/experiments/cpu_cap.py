"""How much CPU does a machine get that may not use more than so much?

Several machines are pinned to the same host CPUs and all of them spin. Each has its own cap: a most, also where
nobody else wants the CPU.

Settings
--------
caps : the machines' caps in percent of one CPU, in their order: `m1`, `m2`, ...
cpus : how many host CPUs they all share
seconds : how long they are watched

Quantities
----------
cpu : CPU time per second of elapsed time, in CPU.
ready : the fraction of elapsed time in which a machine wanted to run, was allowed to, and had to wait for others.
throttled : the fraction in which it wanted to run and had used up what its cap gives it for the present period.

Bound between live and simulated, at cpus=1
-------------------------------------------
0.03 CPU for `cpu`, for up to 16 machines watched for 6 s or more; written before this experiment first ran live. It
is that of `cpu-shares`, for the same reasons, and what a cap adds fits into it: the look may begin and end anywhere
in a period of 0.1 s, and at the most one quota more or less falls into it: 0.1 s of 6 s is 0.017 of the quota. None is
derived for `ready` and `throttled`: which of the two a waiting machine is in depends, where several caps hold, on where
the machines' periods begin. On either host that is chance (`labkit.model.bandwidth`), and not the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labkit.experiments.fairness import max_min
from labkit.experiments.needs import ask
from labkit.experiments.settings import integer, integers, number
from labkit.host import CpuLoad, Host, Machine, Observation

__all__ = [
    "ADJUSTS",
    "BOUNDS",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "Settings",
    "adjust",
    "bounds",
    "prepare",
    "run",
    "theory",
]

NAME = "cpu-cap"
QUESTION = "How much CPU does a machine get that may not use more than so much?"
LESSON = "02"
NEEDS = ("cap", "pin")
QUANTITIES = {"cpu": "CPU", "ready": "1", "throttled": "1"}
LABELS = {
    "throttled": ("Throttled: wanted a CPU, its cap said no", "Whose bar is long? There the cap holds, not the others.")
}
BOUNDS = {"cpu": 0.03}
ADJUSTS = ("caps",)


@dataclass(frozen=True)
class Settings:
    """How many machines there are, how much each may use, and what they share."""

    caps: tuple[int, ...] = integers(
        (25, 50, 100),
        minimum=1,
        maximum=100,
        shortest=1,
        longest=64,
        unit="%",
        about="the most each machine may use, in percent of one CPU",
    )
    cpus: int = integer(1, minimum=1, maximum=16, unit="CPU", about="host CPUs that all machines are pinned to")
    seconds: float = number(6.0, minimum=0.5, maximum=60.0, unit="s", about="how long the machines are watched")


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity; empty where no bound was derived."""
    stated = settings.cpus == 1 and settings.seconds >= 6 and len(settings.caps) <= 16
    return dict(BOUNDS) if stated else {}


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """Max-min fairness with limits, and who waits for whom, where that has one answer.

    Each machine gets the least of its cap and of the level to which all others rise. A machine that spins waits
    whenever it does not run, so ready + throttled = 1 - cpu in every case. Which of the two:

    - As many CPUs as machines, or more: nobody waits for anybody. ready = 0, throttled = 1 - cap.
    - One CPU, and the level is below the cap: within a period the quota is not used up, for in every stretch as long as
      a period the machine runs as long as its level says. throttled = 0, ready = 1 - cpu.
    - One CPU, and this machine's cap is the only one that holds: the others are never throttled, so at the beginning
      of its period, wherever that is, all n machines compete, and it runs 1/n of the time until its quota is used up,
      at n x cap of the period. Until then it is ready whenever it does not run, after that throttled:
      throttled = 1 - n x cap, ready = (n - 1) x cap.
    - Otherwise it is left out (None). Where several caps hold, it depends on whether the periods begin together:
      two machines with caps of 20% are ready for 0.2 and throttled for 0.6 of the time where they do; where the
      periods begin in turns, neither is ever ready. On several CPUs it also depends on who stands in which queue.

    Exact in the limit of endlessly short turns; on several CPUs, a host with a run queue a CPU comes near it.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        The weights really in force; all are equal here, and so they change nothing unless a host set others.

    Returns
    -------
    dict of (machine, quantity) to float or None
        `cpu` in CPU, `ready` and `throttled` as fractions of elapsed time.

    References
    ----------
    `labkit.experiments.fairness.max_min`; periods and quotas: P. Turner, B. Rao, N. Rao, "CPU bandwidth control for
    CFS", Linux Symposium (2010).
    """
    names = _names(settings)
    caps = [cap / 100 for cap in settings.caps]
    weight = [float((weights or {}).get(name, 1024.0)) for name in names]
    if len(set(weight)) > 1:  # a host that weighs them otherwise than asked has other turns within a period, too
        used = max_min(caps, weight, settings.cpus)
        splits: list[tuple[float | None, float | None]] = [(None, None)] * len(names)
    else:
        used = max_min(caps, [1.0] * len(names), settings.cpus)
        splits = [_split(place, caps, used, settings.cpus) for place in range(len(names))]
    found: dict[tuple[str, str], float | None] = {}
    for name, cpu, (ready, throttled) in zip(names, used, splits, strict=True):
        found[name, "cpu"], found[name, "ready"], found[name, "throttled"] = cpu, ready, throttled
    return found


def _split(place: int, caps: list[float], used: list[float], cpus: int) -> tuple[float | None, float | None]:
    """A machine's ready and throttled time; see `theory`."""
    cap, cpu, machines = caps[place], used[place], len(caps)
    if machines <= cpus:
        return 0.0, 1.0 - cap
    if cap >= 1.0:  # a whole CPU is all that a vCPU can use
        return 1.0 - cpu, 0.0
    if cpus > 1:
        return None, None
    if cpu < cap * (1 - 1e-12):
        return 1.0 - cpu, 0.0
    if sum(other >= limit * (1 - 1e-12) for other, limit in zip(used, caps, strict=True)) > 1:
        return None, None
    return (machines - 1) * cap, 1.0 - machines * cap


def _names(settings: Settings) -> list[str]:
    return [f"m{number}" for number in range(1, len(settings.caps) + 1)]


def prepare(host: Host, settings: Settings) -> list[Machine]:
    """Make the machines, cap them, pin them to the same CPUs, and let them spin."""
    ask(host, *NEEDS)
    cpus = range(settings.cpus)
    machines = [
        host.create(name, cap=cap / 100, pin=cpus) for name, cap in zip(_names(settings), settings.caps, strict=True)
    ]
    for machine in machines:
        machine.run(CpuLoad(1.0))
    return machines


def adjust(machines: list[Machine], settings: Settings) -> None:
    """Give running machines the caps of other settings."""
    for machine, cap in zip(machines, settings.caps, strict=True):
        machine.set(cap=cap / 100)


def run(host: Host, settings: Settings) -> Observation:
    """Watch spinning machines with different caps for a while, on either host."""
    machines = prepare(host, settings)
    try:
        return host.observe(seconds=settings.seconds)
    finally:
        for machine in machines:
            machine.stop()
