"""A machine and its vCPUs as the host's scheduler sees them: a team and its runners.

The host knows nothing of what a runner thinks of. It keeps a card for each: how much work is left,
how long the runner has run, queued and slept, and two marks on the scheduler's own clock by which
`labkit.model.cpu` decides whose turn it is. Shares belong to the team, not to the runner: a team
that sends two runners gets no more than a team of one, as long as there is only one track.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labkit.model.bandwidth import Limit
    from labkit.model.cpu import Cpu

__all__ = ["Group", "VCpu"]


class VCpu:
    """One virtual CPU: its work, its books, and its place in the fair scheduler.

    Parameters
    ----------
    group : Group
        The machine that it belongs to.
    index : int
        Which vCPU of the machine it is, from 0.
    allowed : frozenset of int
        The host CPUs it may run on.
    now : float
        The time of its creation in seconds.

    Attributes
    ----------
    rank : tuple
        Decides between equals; by name, so that the order of creation does not matter.
    weight, inverse : float
        Its part of the machine's shares, and one over that.
    work : float
        CPU seconds that it wants and may have now; infinite for a load that spins, 0 for a vCPU at rest.
    limit : Limit or None
        What its cap leaves it, and the work that the cap holds back; None where it has no cap.
    done : callable or None
        Called when it has done all its work, before it goes to sleep; it may give the vCPU more.
    ran, waited, slept, throttled : float
        Four books in seconds, each kept by itself: running; ready but not running; with nothing to do; and
        kept from running by its cap.
    born : float
        When it was made.
    since : float
        When its present state began, for a vCPU that does not run.
    cpu : Cpu or None
        The CPU that runs it or holds it in its queue; None while it sleeps or is throttled.
    last : int
        The CPU it was on last; -1 before its first run.
    vruntime, deadline : float
        Virtual time served, and the virtual time by which its present slice is due; both in
        seconds divided by weight.
    lag : float
        CPU seconds it is owed (below 0: owes) while it is in no queue.
    """

    __slots__ = (
        "allowed",
        "born",
        "cpu",
        "deadline",
        "done",
        "group",
        "index",
        "inverse",
        "lag",
        "last",
        "limit",
        "ran",
        "rank",
        "since",
        "slept",
        "throttled",
        "vruntime",
        "waited",
        "weight",
        "work",
    )

    def __init__(self, group: Group, index: int, allowed: frozenset[int], now: float) -> None:
        self.group = group
        self.index = index
        self.rank = (group.name, index)
        self.weight = float(group.shares)
        self.inverse = 1.0 / self.weight
        self.allowed = allowed
        self.work = 0.0
        self.limit: Limit | None = None
        self.done: Callable[[VCpu], None] | None = None
        self.ran = 0.0
        self.waited = 0.0
        self.slept = 0.0
        self.throttled = 0.0
        self.since = self.born = now
        self.cpu: Cpu | None = None
        self.last = -1
        self.vruntime = 0.0
        self.deadline = 0.0
        self.lag = 0.0

    @property
    def held(self) -> bool:
        """Whether its cap keeps it from running just now."""
        return self.cpu is None and self.limit is not None and self.limit.held > 0

    def books(self, now: float) -> tuple[float, float, float, float]:
        """Seconds run, waited, slept and throttled up to `now`; changes nothing."""
        ran, waited, slept, throttled = self.ran, self.waited, self.slept, self.throttled
        cpu = self.cpu
        passed = now - self.since
        if cpu is None:
            return (ran, waited, slept, throttled + passed) if self.held else (ran, waited, slept + passed, throttled)
        if cpu.current is not self:
            return ran, waited + passed, slept, throttled
        # Its wait was booked up to the end of the switch; where that is still to come, not all of it has passed.
        ahead = cpu.since - now
        if ahead > 0:
            return ran, waited - ahead, slept, throttled
        return ran - ahead, waited, slept, throttled

    def __repr__(self) -> str:
        away = "throttled" if self.held else "asleep"
        where = away if self.cpu is None else f"on CPU {self.cpu.index}"
        return f"<vCPU {self.index} of {self.group.name}, {where}, ran {self.ran:.3f} s>"


class Group:
    """A machine as the scheduler sees it: vCPUs that divide one number of shares.

    Parameters
    ----------
    name : str
        The machine's name.
    shares : int
        The machine's weight.
    vcpus : int
        How many vCPUs it has.
    allowed : frozenset of int
        The host CPUs they may run on.
    now : float
        The time of its creation in seconds.

    Attributes
    ----------
    runnable : int
        How many of the vCPUs run or wait just now.
    cap : float
        The most CPU time it may use, in CPU; infinite where it has no cap.

    Notes
    -----
    Linux gives a machine a control group with a queue of its own on each CPU, and gives that
    queue ``shares * (load of the queue) / (load of the whole group)`` as its weight
    (`calc_group_shares` in kernel/sched/fair.c). The vCPUs of a machine weigh the same within it,
    so each ends up with ``shares / runnable`` of weight. The model gives it that weight directly,
    in the CPU's one queue: at each moment the same rates as with two levels, from one level.
    Two departures: Linux takes the load from an average over some 32 ms (PELT), the model from
    the moment; and Linux rounds it and never goes below 2.
    """

    __slots__ = ("cap", "name", "runnable", "shares", "vcpus")

    def __init__(self, name: str, shares: int, vcpus: int, allowed: frozenset[int], now: float) -> None:
        self.name = name
        self.shares = shares
        self.runnable = 0
        self.cap = inf
        self.vcpus: tuple[VCpu, ...] = ()
        self.grow(vcpus, allowed, now)

    @property
    def weight(self) -> float:
        """What each of its runnable vCPUs weighs."""
        return self.shares / max(self.runnable, 1)

    def grow(self, vcpus: int, allowed: frozenset[int], now: float) -> tuple[VCpu, ...]:
        """Give the machine as many vCPUs as that, and return the new ones, which sleep."""
        new = tuple(VCpu(self, index, allowed, now) for index in range(len(self.vcpus), vcpus))
        self.vcpus += new
        return new
