"""Who gets the CPU when everybody wants it?

Several machines are pinned to the same host CPUs and all of them spin. Each has its own CPU shares.

Settings
--------
shares : the machines' CPU shares, in their order: `m1`, `m2`, ...
cpus : how many host CPUs they all share
seconds : how long they are watched

Quantities
----------
cpu : CPU time per second of elapsed time, in CPU. Live: the sum of libvirt's ``vcpu.N.time``.
ready : the fraction of elapsed time x vCPUs in which a vCPU wanted to run and had to wait.
    Live: the sum of libvirt's ``vcpu.N.delay``.

Bound between live and simulated, at cpus=1
-------------------------------------------
0.03 CPU for `cpu`, 0.05 for `ready`, for up to 16 machines watched for 6 s or more; written before this
experiment first ran (an earlier trial of the live host at the default shares had been 0.024 CPU off). It allows
for one round of the run queue (16 turns of 4 ms are 0.011 of 6 s), for counters that advance by 10 ms (0.002),
and for what QEMU's other threads and the computer itself use up. Outside that range no bound is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labkit.experiments.needs import ask
from labkit.experiments.settings import integer, integers, number
from labkit.host import CpuLoad, Host, Machine, Observation

__all__ = [
    "BOUNDS",
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

NAME = "cpu-shares"
QUESTION = "Who gets the CPU when everybody wants it?"
LESSON = "02"
NEEDS = ("shares", "pin")
QUANTITIES = {"cpu": "CPU", "ready": "1"}
BOUNDS = {"cpu": 0.03, "ready": 0.05}


@dataclass(frozen=True)
class Settings:
    """How many machines there are, what they are promised, and what they share."""

    shares: tuple[int, ...] = integers(
        (256, 512, 1024),
        minimum=2,
        maximum=262144,
        shortest=2,
        longest=64,
        unit="shares",
        about="each machine's weight when CPUs are short",
    )
    cpus: int = integer(1, minimum=1, maximum=64, unit="CPU", about="host CPUs that all machines are pinned to")
    seconds: float = number(6.0, minimum=0.5, maximum=120.0, unit="s", about="how long the machines are watched")


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity; empty where no bound was derived."""
    stated = settings.cpus == 1 and settings.seconds >= 6 and len(settings.shares) <= 16
    return dict(BOUNDS) if stated else {}


def names(settings: Settings) -> list[str]:
    """The machines' names, `m1` and on, in the order of the shares."""
    return [f"m{number}" for number in range(1, len(settings.shares) + 1)]


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float]:
    """Weighted max-min fairness: each gets its share of what is left by those that need less.

    Exact for one CPU; on several a host with a run queue a CPU comes near it in the long run.
    A machine of one vCPU can use one CPU at the most. Those whose proportional part exceeds that get one
    CPU; the rest divide what remains by weight, and so on until nobody exceeds it.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        The weights really in force where a host could not set the shares exactly.

    Returns
    -------
    dict of (machine, quantity) to float
        `cpu` in CPU; `ready`, a fraction: a spinning vCPU waits whenever it does not run.

    References
    ----------
    D. Bertsekas, R. Gallager, *Data Networks*, 2nd edition (1992), section 6.5.2, max-min flow control.
    """
    machines = names(settings)
    weight = {machine: float(share) for machine, share in zip(machines, settings.shares, strict=True)}
    weight.update({machine: weights[machine] for machine in machines if weights and machine in weights})
    left, capacity, got = set(machines), float(settings.cpus), {}
    while left:
        total = sum(weight[machine] for machine in left)
        full = {machine for machine in left if weight[machine] * capacity >= total}
        if not full:
            got.update({machine: weight[machine] * capacity / total for machine in left})
            break
        got.update(dict.fromkeys(full, 1.0))
        left -= full
        capacity -= len(full)
    return {
        (machine, quantity): value
        for machine in machines
        for quantity, value in (("cpu", got[machine]), ("ready", 1.0 - got[machine]))
    }


def prepare(host: Host, settings: Settings) -> list[Machine]:
    """Make the machines, pin them to the same CPUs, and let them spin."""
    ask(host, *NEEDS)
    cpus = range(settings.cpus)
    machines = [
        host.create(name, shares=share, pin=cpus) for name, share in zip(names(settings), settings.shares, strict=True)
    ]
    for machine in machines:
        machine.run(CpuLoad(1.0))
    return machines


def adjust(machines: list[Machine], settings: Settings) -> None:
    """Give running machines the shares of other settings."""
    for machine, share in zip(machines, settings.shares, strict=True):
        machine.set(shares=share)


def run(host: Host, settings: Settings) -> Observation:
    """Watch spinning machines of different shares for a while, on either host."""
    machines = prepare(host, settings)
    try:
        return host.observe(seconds=settings.seconds)
    finally:
        for machine in machines:
            machine.stop()
