"""How fast is a disk that may answer only so many requests a second?

Several machines write to disks of their own, as fast as they get answers. Each disk has its own limit, so that a noisy
neighbour leaves something of the store to the others.

Settings
--------
iops : the disks' limits in requests a second, in the machines' order: `m1`, `m2`, ...
depth : how many requests each machine has under way at once
seconds : how long they are watched

Quantities
----------
iops : requests that a machine's disk answered in a second, in 1/s.
latency : how long a request took, from when the guest handed it over, in ms.

They are watched from a second after their beginning: by then what the limit lets through at once has gone through.

Bound between live and simulated
--------------------------------
5% of each `iops`, for 6 s or more and limits from 50/s to 400/s; written before this experiment first ran live. A limit
lets a tenth of a second's worth through at once, so a look of 6 s may find 0.1 s / 6 s = 1.7% more or fewer; QEMU's
timer and libvirt's two readings add some ms of 6 s. Above 400/s an emulated guest may not ask as fast as it may. None
is given for `latency`: the live one lacks the time that the guest itself takes from one answer to its next request,
which is no part of the model and long where a guest is emulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labkit.experiments.needs import ask
from labkit.experiments.settings import integer, integers, number
from labkit.host import DiskLoad, Host, Machine, Observation

__all__ = [
    "ADJUSTS",
    "BOUNDS",
    "HEADLINE",
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

NAME = "disk-throttle"
QUESTION = "How fast is a disk that may answer only so many requests a second?"
LESSON = "04"
NEEDS = ("disks", "throttle")
QUANTITIES = {"iops": "1/s", "latency": "ms"}
HEADLINE = "iops"
LABELS = {
    "iops": ("Requests answered in a second", "Is each bar as long as its limit, whatever the others do?"),
    "latency": ("How long a request takes", "Twice the limit, half the wait; twice the depth, twice the wait."),
}
BOUNDS = {"iops": 0.05}
ADJUSTS = ("iops",)

DISK = "64 MiB"
MEMORY = "192 MiB"  # of a machine; fio needs it
SETTLED = 1.0  # seconds; ten times what the bucket holds


@dataclass(frozen=True)
class Settings:
    """How many machines there are, and what holds each back."""

    iops: tuple[int, ...] = integers(
        (100, 200),
        minimum=10,
        maximum=1000,
        shortest=1,
        longest=8,
        unit="1/s",
        about="the most requests each machine's disk answers in a second",
    )
    depth: int = integer(4, minimum=1, maximum=32, unit="", about="requests that each machine has under way at once")
    seconds: float = number(6.0, minimum=0.5, maximum=60.0, unit="s", about="how long the machines are watched")


def _names(settings: Settings) -> list[str]:
    return [f"m{number}" for number in range(1, len(settings.iops) + 1)]


def bounds(settings: Settings) -> dict[tuple[str, str], float]:
    """How far live may be from simulated, by machine and quantity; empty where no bound was derived."""
    if settings.seconds < 6:
        return {}
    limits = zip(_names(settings), settings.iops, strict=True)
    return {(name, "iops"): BOUNDS["iops"] * limit for name, limit in limits if 50 <= limit <= 400}


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """The steady state of a token bucket that is always asked for more, and Little's law.

    In any time t a bucket of size b and rate r lets at most b + r t through; asked for more than that without end it
    lets r a second through once it has been emptied. Requests under way = rate x latency (J. D. C. Little, "A proof for
    the queuing formula L = lambda W", Operations Research 9 (1961)), so latency = depth / rate.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used; there are no CPU shares here.

    Returns
    -------
    dict of (machine, quantity) to float
        `iops` in 1/s and `latency` in ms.
    """
    found: dict[tuple[str, str], float | None] = {}
    for name, limit in zip(_names(settings), settings.iops, strict=True):
        found[name, "iops"], found[name, "latency"] = float(limit), settings.depth / limit * 1000
    return found


def prepare(host: Host, settings: Settings) -> list[Machine]:
    """Make the machines with a disk each, limit it, and let them write."""
    ask(host, *NEEDS)
    machines = []
    for name in _names(settings):
        machines.append(host.create(name, memory=MEMORY, disks=[host.disk(name, DISK)]))
    adjust(machines, settings)
    jobs = [machine.run(DiskLoad(machine.name, depth=settings.depth)) for machine in machines]
    jobs[-1].wait(SETTLED)
    return machines


def adjust(machines: list[Machine], settings: Settings) -> None:
    """Give the disks of running machines the limits of other settings."""
    for machine, limit in zip(machines, settings.iops, strict=True):
        machine.throttle(machine.name, limit)


def run(host: Host, settings: Settings) -> Observation:
    """Watch machines write to disks with different limits, on either host."""
    machines = prepare(host, settings)
    try:
        return host.observe(seconds=settings.seconds)
    finally:
        for machine in machines:
            disks = list(machine.disks.values())
            machine.stop()
            for disk in disks:
                disk.remove()
