"""A machine and its vCPUs as the host's scheduler sees them: a team and its runners.

The host knows nothing of what a runner thinks of. It keeps a card for each: how much work is left,
how long the runner has run, queued and slept, and two marks on the scheduler's own clock by which
`labkit.model.cpu` decides whose turn it is. Shares belong to the team, not to the runner: a team
that sends two runners gets no more than a team of one, as long as there is only one track.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        CPU seconds it still wants; infinite for a load that spins, 0 for a vCPU at rest.
    ran, waited, slept : float
        Three books in seconds, each kept by itself: running, ready but not running, and neither.
    since : float
        When its present state began, for a vCPU that waits or sleeps.
    cpu : Cpu or None
        The CPU that runs it or holds it in its queue; None while it sleeps.
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
        "cpu",
        "deadline",
        "group",
        "index",
        "inverse",
        "lag",
        "last",
        "ran",
        "rank",
        "since",
        "slept",
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
        self.ran = 0.0
        self.waited = 0.0
        self.slept = 0.0
        self.since = now
        self.cpu: Cpu | None = None
        self.last = -1
        self.vruntime = 0.0
        self.deadline = 0.0
        self.lag = 0.0

    def books(self, now: float) -> tuple[float, float, float]:
        """Seconds run, waited and slept up to `now`; changes nothing."""
        cpu = self.cpu
        if cpu is None:
            return self.ran, self.waited, self.slept + now - self.since
        if cpu.current is not self:
            return self.ran, self.waited + now - self.since, self.slept
        # Its wait was booked up to the end of the switch; where that is still to come, not all of it has passed.
        ahead = cpu.since - now
        if ahead > 0:
            return self.ran, self.waited - ahead, self.slept
        return self.ran - ahead, self.waited, self.slept

    def __repr__(self) -> str:
        where = "asleep" if self.cpu is None else f"on CPU {self.cpu.index}"
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

    __slots__ = ("name", "runnable", "shares", "vcpus")

    def __init__(self, name: str, shares: int, vcpus: int, allowed: frozenset[int], now: float) -> None:
        self.name = name
        self.shares = shares
        self.runnable = 0
        self.vcpus = tuple(VCpu(self, index, allowed, now) for index in range(vcpus))

    @property
    def weight(self) -> float:
        """What each of its runnable vCPUs weighs."""
        return self.shares / max(self.runnable, 1)
