"""All the CPUs of a host together: who waits where.

Picture a row of treadmills with a queue in front of each, and a warden. A runner who comes back goes
to a free treadmill, else to the one used before. A treadmill that falls free takes somebody who waits
elsewhere. And now and then the warden walks along the row and moves people from a long queue to a short one.

So what is fair is each queue, and the row only as far as the warden gets it: three equal vCPUs that spin on two
CPUs cannot stand in two equal queues. At any moment one of them has a CPU to itself and two have half of one,
and who is which changes only when the warden comes by. Over many walks turns even out among equals (looked at on
up to 8 CPUs), since among queues of one length each CPU takes from the next in the row after itself. That is so in
Linux too (kernel/sched/fair.c, `sched_balance_rq`, once `load_balance`), where each CPU balances for itself and
looks at the others from itself onwards. Where the model departs from it:

- An idle CPU takes a waiting vCPU at once in every case. Linux does when the CPU has just become idle
  (`sched_balance_newidle`); a vCPU that starts to wait later may wait until the idle CPU's next tick or two.
- Two queues are compared with each other, not with the average of the whole host, so that machines pinned to
  a few CPUs do not upset the sums. On two CPUs that is the same.
- All CPUs are compared at one moment, at intervals drawn from the seed between Linux's shortest and longest;
  in Linux each CPU has its own, which shrinks and grows between the two.
- Of those waiting, the one due last moves; in Linux the one that has not run for longest.
- A vCPU that runs is never moved (active balancing), except where pinning drives it away. There are no caches,
  cores, sockets or NUMA nodes: all CPUs are equally near.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from random import Random
from typing import TYPE_CHECKING

from simpy.events import Timeout

if TYPE_CHECKING:
    from simpy import Environment
    from simpy.events import Event

    from labkit.model.cpu import Cpu
    from labkit.model.rules import Rules
    from labkit.model.vcpu import Group, VCpu

__all__ = ["Scheduler"]


class Scheduler:
    """Puts vCPUs on CPUs, and keeps the queues in balance.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    rules : Rules
        By which numbers it schedules.
    cpus : int
        How many CPUs there are.
    seed : int
        Decides the lengths of the balancing intervals, and when the periods of caps begin.

    Attributes
    ----------
    cpus : tuple of Cpu
        The CPUs.
    idle : set of int
        Those that run nothing.
    caps : Bandwidth or Parking
        Who keeps the caps, as the rules say.
    """

    def __init__(self, env: Environment, rules: Rules, cpus: int, seed: int) -> None:
        self.env = env
        self.rules = rules
        self.seed = seed
        self.idle: set[int] = set()
        kind = rules.cpu_class()  # `labkit.model.cpu` says what is asked of it
        self.cpus = tuple(kind(index, env, rules, cpus, self) for index in range(cpus))
        self.caps = rules.cap_class()(env, self)
        self._random = Random(f"balance/{seed}")
        self._failed = [0] * cpus
        self._walking = cpus == 1  # with one CPU the warden has nowhere to go

    # -- what becomes of a vCPU -------------------------------------------------------------------

    def give(self, vcpu: VCpu, work: float, most: float) -> None:
        """Give a vCPU something to do; a vCPU that sleeps wakes up.

        Parameters
        ----------
        vcpu : VCpu
            Which one.
        work : float
            CPU seconds, added to what it still has to do.
        most : float
            What it has to do grows to no more than this.
        """
        if vcpu.limit is not None:
            self.caps.give(vcpu, work, most)
            return
        if vcpu.cpu is not None:
            vcpu.cpu.charge()
            vcpu.work = min(vcpu.work + work, most)
            return
        vcpu.work = min(work, most)
        now = self.env.now
        vcpu.slept += now - vcpu.since
        vcpu.since = now
        self.wake(vcpu)

    def wake(self, vcpu: VCpu) -> None:
        """Put a vCPU that is on no CPU, and whose books are closed up to now, in a queue."""
        vcpu.group.runnable += 1
        self._reshare(vcpu.group)
        self._place(vcpu).put(vcpu)

    def leave(self, vcpu: VCpu) -> None:
        """Take a vCPU from the CPU that runs or holds it."""
        cpu = vcpu.cpu
        cpu.take(vcpu)
        now = self.env.now
        vcpu.waited += now - vcpu.since
        vcpu.since = now
        vcpu.group.runnable -= 1
        self._reshare(vcpu.group)
        cpu.refill()

    def rest(self, vcpu: VCpu) -> None:
        """Send a vCPU to sleep, whatever it still had to do."""
        if vcpu.cpu is not None:
            self.leave(vcpu)
        if vcpu.limit is not None:
            self.caps.rest(vcpu)
        vcpu.work = 0.0

    def more(self, vcpu: VCpu) -> bool:
        """Whether a vCPU that runs, and has done what it might, goes on at once; where not, it has left its CPU."""
        limit = vcpu.limit
        if vcpu.done is not None and (limit is None or limit.held <= 0):
            vcpu.done(vcpu)
        if vcpu.work > 0:
            return True
        if limit is not None and limit.held > 0:
            self.leave(vcpu)
        else:
            self.rest(vcpu)
        return False

    def cap(self, group: Group, cap: float) -> None:
        """Cap a machine at so many CPU; infinite lifts its cap."""
        self.caps.cap(group, cap)

    def grow(self, group: Group, vcpus: int, allowed: frozenset[int]) -> tuple[VCpu, ...]:
        """Give a machine as many vCPUs as that, and return the new ones, which sleep. A cap is divided anew."""
        new = group.grow(vcpus, allowed, self.env.now)
        if group.cap < inf:
            self.caps.cap(group, group.cap)
        return new

    def allow(self, group: Group, cpus: frozenset[int]) -> None:
        """Let the vCPUs of a machine run on these CPUs only, and move those that are elsewhere."""
        for vcpu in group.vcpus:
            vcpu.allowed = cpus
        for vcpu in group.vcpus:
            if vcpu.cpu is not None and vcpu.cpu.index not in cpus:
                self._move(vcpu, self._place(vcpu))
        for index in sorted(self.idle):
            self.cpus[index].refill()

    def share(self, group: Group, shares: int) -> None:
        """Change the shares of a machine."""
        group.shares = shares
        self._reshare(group)

    def _reshare(self, group: Group) -> None:
        weight = group.weight
        for vcpu in group.vcpus:
            if vcpu.weight == weight:
                continue
            if vcpu.cpu is not None:
                vcpu.cpu.reweigh(vcpu, weight)
            else:
                vcpu.weight = weight
                vcpu.inverse = 1.0 / weight

    # -- where it goes ----------------------------------------------------------------------------

    def _place(self, vcpu: VCpu) -> Cpu:
        """The CPU for a vCPU that has none, or must leave its own: a free one, else the last, else the least loaded."""
        free = self.idle & vcpu.allowed
        if free:
            # The last one first, then round the row from there.
            last, count = max(vcpu.last, 0), len(self.cpus)
            return self.cpus[min(free, key=lambda index: (index - last) % count)]
        if vcpu.last in vcpu.allowed:
            return self.cpus[vcpu.last]
        return self.cpus[min(vcpu.allowed, key=lambda index: (self.cpus[index].weight, index))]

    def _move(self, vcpu: VCpu, target: Cpu) -> None:
        source = vcpu.cpu
        source.take(vcpu)
        target.put(vcpu)
        source.refill()

    def push(self, vcpu: VCpu) -> None:
        """Take a waiting vCPU to an idle CPU that it may run on, where there is one."""
        if self.idle & vcpu.allowed:
            self._move(vcpu, self._place(vcpu))

    def pull(self, cpu: Cpu) -> bool:
        """Bring to an idle CPU a waiting vCPU from the longest queue that has one for it; whether there was one."""
        for source in self._longest_first(cpu):
            for vcpu in _movable(source, cpu):
                self._move(vcpu, cpu)
                return True
        return False

    def _longest_first(self, cpu: Cpu) -> list[Cpu]:
        # Among equals the next in the row: if all turned to the same one, those beyond it would never have their turn.
        count = len(self.cpus)
        others = [other for other in self.cpus if other.waiting and other is not cpu]
        return sorted(others, key=lambda other: (-other.weight, (other.index - cpu.index) % count))

    # -- the warden's walk ------------------------------------------------------------------------

    def crowded(self) -> None:
        """Note that somewhere a vCPU waits: from now on the queues are compared at intervals."""
        if not self._walking:
            self._walking = True
            shortest, longest = self.rules.balance_interval
            seconds = self._random.uniform(shortest, longest) * len(self.cpus)
            Timeout(self.env, seconds).callbacks.append(self._balance)

    def _balance(self, _event: Event) -> None:
        """Let each CPU take waiting vCPUs from the longest queue, up to half of the difference.

        A vCPU that is too heavy for that stays; but each time in a row that a CPU gets nothing
        it counts for half as much as before (`shr_bound` in Linux's `detach_tasks`). So an odd one out goes round.
        """
        self._walking = False
        for cpu in self.cpus:
            source = next((other for other in self._longest_first(cpu) if any(_movable(other, cpu))), None)
            if source is None or source.weight <= self.rules.imbalance * cpu.weight:
                self._failed[cpu.index] = 0
                continue
            room = (source.weight - cpu.weight) / 2
            moved = False
            for vcpu in list(_movable(source, cpu)):
                if vcpu.weight / 2 ** self._failed[cpu.index] <= room:
                    room -= vcpu.weight
                    self._move(vcpu, cpu)
                    moved = True
                if room <= 0:
                    break
            self._failed[cpu.index] = 0 if moved else self._failed[cpu.index] + 1
        if any(cpu.waiting for cpu in self.cpus):
            self.crowded()


def _movable(source: Cpu, target: Cpu) -> Iterable[VCpu]:
    """Those who wait at `source` and may run on `target`, last due first."""
    return (vcpu for vcpu in source.queued() if target.index in vcpu.allowed)
