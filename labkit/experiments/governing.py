"""A governor of memory: looks at every machine, asks a policy what each should have, and moves the balloons.

It is written once for both hosts, as a policy is a pure function and all that is moved is moved by `Machine.set`. What
the guests do then is each host's own. A step goes like this: the governor asks the policy, takes from those that
should have less, waits until their balloons have arrived, and gives what there is to those that should have more. Then
programs end and others begin, and take what their guest has left for them; all is watched for a while, and looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from labkit.host import Host, HostError, Job, Machine, MemoryLoad, Observation
from labkit.host.memory import GUEST
from labkit.host.policies import Policy, Seen, moves

__all__ = ["SPARE", "Governed", "govern"]

SPARE = GUEST.reserve + 8.0
"""MiB that a guest's programs leave free: what has to, and what the program that fills memory needs itself."""

_CLOSE = 1.0  # MiB; so near to its target a balloon has arrived
_PAUSE = 0.25  # seconds between two looks at a balloon on its way
_PATIENCE = 20  # such looks at which no balloon moved; a guest that will not give what it should keeps it for now


@dataclass
class Governed:
    """One machine under the governor.

    Parameters
    ----------
    machine : Machine
        The machine.
    promised, minimum : float
        The most and the least that it has, in MiB.
    touched : float
        Which part of what its programs hold they also touch.
    random : random.Random
        Which pages are sampled.
    weight : float
        How much it counts where memory is short.
    """

    machine: Machine
    promised: float
    minimum: float
    touched: float
    random: Random
    weight: float = 1.0
    job: Job | None = None
    wants: int = 0
    has: int = 0
    goal: float = math.inf
    now: Mapping[str, float] = field(default_factory=dict)
    idle: list[float] = field(default_factory=list)
    short: list[float] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)

    def look(self) -> None:
        """Look at its memory."""
        self.now = self.machine.memory_seen()

    def seen(self, samples: int) -> Seen:
        """What a policy is told of it; what is touched is estimated from so many pages, 0 for no estimate."""
        size, used = self.now["size"], self.now["size"] - self.now["guest_free"] + SPARE
        active = used
        if samples:
            part = min(1.0, (used - self.has * (1 - self.touched)) / size)
            active = size * sum(self.random.random() < part for _ in range(samples)) / samples
        committed = used + max(0, self.wants - self.has)
        reported = bool(self.sizes)  # its programs have been watched once
        name, least = self.machine.name, self.minimum
        return Seen(name, self.promised, least, size, used, committed, active, self.weight, reported)

    def change(self, wants: int) -> bool:
        """Let a step's programs begin where they are not those that are there, or lack something; whether any did."""
        if wants == self.wants and self.has == wants:
            return False
        self.look()
        still_to_go = max(0.0, self.now["size"] - self.goal)  # where its balloon has not arrived
        could = min(wants, max(0, math.floor(self.now["guest_free"] - still_to_go + self.has - SPARE)))
        if wants == self.wants and could <= self.has:
            return False
        self.wants = wants
        self.end()
        self.has = could
        if could:
            self.job = self.machine.run(MemoryLoad(could))
        return could > 0

    def end(self) -> None:
        """Let its programs end."""
        if self.job is not None:
            self.job.cancel()
            self.job = None


def govern(
    host: Host,
    governed: Sequence[Governed],
    policy: Policy,
    total: float,
    wanted: Mapping[str, Sequence[int]],
    interval: float,
    tell: Callable[[str], None] = lambda _sentence: None,
) -> list[Observation]:
    """Let a policy govern machines for as many steps as `wanted` has.

    Parameters
    ----------
    host : Host
        Where they run.
    governed : sequence of Governed
        The machines; what was seen of each in every step is written there: `idle`, `short` and `sizes`, in MiB.
    policy : Policy
        By whose rules.
    total : float
        The memory that the host has for them, in MiB.
    wanted : mapping of str to sequence of int
        What the programs of each want in every step, in MiB.
    interval : float
        How long each step is watched, in s.
    tell : callable
        Told what is done.

    Returns
    -------
    list of Observation
        One for each step: the stretch that was watched, without what the moving took.

    Raises
    ------
    HostError
        Where the machines together ever have more than `total`.
    """
    _begin(governed)
    steps, samples, parts = len(next(iter(wanted.values()))), getattr(policy, "samples", 0), []
    for step in range(steps):
        _move(host, governed, policy, total, samples if step else 0)
        tell(f"step {step + 1} of {steps}")
        filling = [one for one in governed if one.change(wanted[one.machine.name][step])]
        for one in filling:
            if one.job is not None:
                one.job.wait()
        parts.append(host.observe(seconds=interval, every=interval))
        for one in governed:
            one.look()
            one.idle.append(max(0.0, one.now["guest_free"] - SPARE))
            one.short.append(float(max(0, one.wants - one.has)))
            one.sizes.append(one.now["size"])
        if sum(one.sizes[-1] for one in governed) > total + _CLOSE * len(governed):
            raise HostError(f"The machines have more than the {total:g} MiB that there are.", "Tell us how it came.")
    return parts


def _begin(governed: Sequence[Governed]) -> None:
    """Let a program be started that fills nothing: what files it needs are in the guests' memory from then on."""
    jobs = [one.machine.run(MemoryLoad(0)) for one in governed]
    for one, job in zip(governed, jobs, strict=True):
        job.wait()
        job.cancel()
        one.look()


def _move(host: Host, governed: Sequence[Governed], policy: Policy, total: float, samples: int) -> None:
    """Ask the policy, take, wait, and give."""
    seen = [one.seen(samples) for one in governed]
    targets = policy.targets(seen, total)
    # A balloon takes nothing that is in use: there is no disk in these guests that could be swapped to.
    floors = [min(now.granted, math.ceil(now.used)) for now in seen]
    told = moves([now.granted for now in seen], targets, floors, total)
    _send(host, [(one, goal) for one, now, goal in zip(governed, seen, told, strict=True) if goal < now.granted])
    granted = [one.now["size"] for one in governed]
    told = moves(granted, targets, granted, total)
    _send(host, [(one, goal) for one, has, goal in zip(governed, granted, told, strict=True) if goal > has])


def _send(host: Host, goals: list[tuple[Governed, float]]) -> None:
    """Send balloons, and wait until they have arrived."""
    whole = [(one, float(math.floor(goal + 1e-6))) for one, goal in goals]
    under_way = [(one, goal) for one, goal in whole if abs(one.now["size"] - goal) >= _CLOSE]
    for one, goal in under_way:
        one.goal = goal
        one.machine.set(memory=goal)
    looks = 0
    while under_way and looks < _PATIENCE:
        host.observe(seconds=_PAUSE, every=_PAUSE)
        before = [one.now["size"] for one, _goal in under_way]
        for one, _goal in under_way:
            one.look()
        moved = any(abs(one.now["size"] - was) >= _CLOSE for (one, _goal), was in zip(under_way, before, strict=True))
        looks = 0 if moved else looks + 1
        under_way = [(one, goal) for one, goal in under_way if abs(one.now["size"] - goal) >= _CLOSE]
