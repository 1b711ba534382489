"""Caps: a purse for each vCPU, filled anew at the beginning of every period.

Picture a swimming hall that sells each guest so many minutes of every hour. Whoever has used up the minutes
sits on the bench until the own hour is over, however empty the pool is; what was not used by then is lost. On the
bench nobody queues: who sits there is *throttled*, which is neither waiting (there may be a free lane) nor
resting (there is work to do).

That is what Linux's CFS bandwidth control does (P. Turner, B. Rao, N. Rao, "CPU bandwidth control for CFS", Linux
Symposium 2010; Documentation/scheduler/sched-bwc.rst), and libvirt asks for it with `vcpu_quota` and
`vcpu_period`, for each vCPU by itself: a machine's cap is divided equally among its vCPUs, and a part that one of
them leaves is no other's.

All periods are equally long, and each vCPU's begin at a moment of their own, which the seed decides and which stays.
So it is in Linux since version 6.4, where `init_cfs_bandwidth` (kernel/sched/fair.c) gives the timer of each group a
random start within a period (S. Hegde, "sched: Interleave cfs bandwidth timers for improved single thread performance
at low utilization", 2023), and libvirt makes a group for each vCPU. Before that all timers had the same start, and
all periods of a host began together; there a machine of several capped vCPUs spins on all of them at once, and
stands still at once. Departures from Linux:

- Linux hands a quota out to each CPU in slices of 5 ms (sched_cfs_bandwidth_slice_us), and sees that they are used
  up at a tick. So a vCPU may run on for up to a tick, which the next period pays for, and a little may be carried
  over from one period to the next on each CPU it was on. In the model a quota is never exceeded, not by anything.
- A cap that changes counts what the present period has seen already; Linux fills the purse at once.
- There is no burst (cpu.cfs_burst_us), as Linux has none where nobody asks for one.

Another hypervisor may keep caps in another way. It is then another class, which its rules name (``Rules.cap_class``),
with `mechanism`, `spans`, `cap`, `give`, `rest` and `throttled` as here, and its own card in `VCpu.limit`, of which the
rest of the model reads `held` alone.
"""

from __future__ import annotations

from math import floor, inf
from random import Random
from typing import TYPE_CHECKING

from simpy.events import Timeout

from labkit.model.cpu import TINY

if TYPE_CHECKING:
    from simpy import Environment
    from simpy.events import Event

    from labkit.model.scheduler import Scheduler
    from labkit.model.vcpu import Group, VCpu

__all__ = ["PERIOD", "Bandwidth", "Held", "Limit"]

PERIOD = 0.1
"""Seconds from one filling of a quota to the next: libvirt's and Linux's 100,000 µs (cpu.cfs_period_us)."""

Held = tuple[float, float, "VCpu"]
"""A stretch of being throttled: from, to, which vCPU."""


class Limit:
    """What a cap leaves one vCPU.

    Its `VCpu.work` never exceeds what it may use in the present period. What it wants beyond that, or may use
    beyond what it wants, is written down here. So a slice ends with the quota as it ends with the work, and a
    vCPU without a cap costs nothing.

    Parameters
    ----------
    quota : float
        CPU seconds that it may use in every period.
    phase : float
        When its first whole period begins, in seconds from when the host was opened; less than a period.

    Attributes
    ----------
    period : int
        The number of the period for which the two below hold: 0 begins at `phase`.
    granted : float
        CPU seconds that it was allowed in this period.
    spare : float
        What of these is left beyond `VCpu.work`.
    held : float
        CPU seconds of work that the cap holds back, above 0 only where `spare` is 0.
    """

    __slots__ = ("granted", "held", "period", "phase", "quota", "spare")

    def __init__(self, quota: float, phase: float) -> None:
        self.quota = self.granted = self.spare = quota
        self.phase = phase
        self.held = 0.0
        self.period = -1


class Bandwidth:
    """Keeps the purses of all capped vCPUs of a host.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    scheduler : Scheduler
        Who puts a vCPU that may run again on a CPU.

    Attributes
    ----------
    spans : list of Held or None
        Where it writes down who was throttled when, while somebody observes.
    """

    mechanism = f"a quota for each vCPU in every period of {PERIOD * 1000:g} ms"

    def __init__(self, env: Environment, scheduler: Scheduler) -> None:
        self.env = env
        self.scheduler = scheduler
        self.spans: list[Held] | None = None
        self._active: set[VCpu] = set()
        self._ticking: set[VCpu] = set()

    # -- what a person changes --------------------------------------------------------------------

    def cap(self, group: Group, cap: float) -> None:
        """Cap a machine at so many CPU, or lift its cap where that is infinite; also after it got another vCPU."""
        for vcpu in group.vcpus:
            if vcpu.cpu is not None:
                vcpu.cpu.charge()
        if cap >= len(group.vcpus):  # each of them may run all the time
            group.cap = cap
            for vcpu in group.vcpus:
                self._lift(vcpu)
            return
        quota = cap * PERIOD / len(group.vcpus)
        spent = [self._used(vcpu) for vcpu in group.vcpus]
        group.cap = cap
        for vcpu, used in zip(group.vcpus, spent, strict=True):
            limit, before = Limit(quota, self._phase(vcpu)), vcpu.limit
            allowed = max(quota - used, 0.0)
            limit.period = self._period(limit.phase)
            limit.granted = used + allowed
            wanted = vcpu.work + (before.held if before is not None else 0.0)
            # A vCPU whose state changes does so below, from the state it is in now.
            resting = vcpu.cpu is None and not vcpu.held
            if before is not None and vcpu.held:
                self._book(vcpu)
            vcpu.limit = limit
            self._allow(vcpu, wanted, allowed)
            if not resting:
                self._settle(vcpu)

    def _lift(self, vcpu: VCpu) -> None:
        limit = vcpu.limit
        if limit is None:
            return
        throttled = vcpu.held
        if throttled:
            self._book(vcpu)
        vcpu.work += limit.held
        vcpu.limit = None
        self._active.discard(vcpu)
        if vcpu.cpu is not None:
            vcpu.cpu.rearm(vcpu)
        elif throttled:
            self.scheduler.wake(vcpu)

    def _used(self, vcpu: VCpu) -> float:
        """CPU seconds that a vCPU has used of the present period, as far as its machine had a cap."""
        limit = vcpu.limit
        if limit is None:  # nobody counted; where a cap allowed it to run all the time, it may have
            if vcpu.group.cap == inf:
                return 0.0
            phase = self._phase(vcpu)
            return max(self.env.now - max(phase + self._period(phase) * PERIOD, vcpu.born), 0.0)
        if limit.period != self._period(limit.phase):
            return 0.0
        return limit.granted - limit.spare - vcpu.work

    # -- what the scheduler asks ------------------------------------------------------------------

    def give(self, vcpu: VCpu, work: float, most: float) -> None:
        """Give a capped vCPU something to do, as `Scheduler.give` does."""
        if vcpu.cpu is not None:
            vcpu.cpu.charge()
        limit = vcpu.limit
        throttled = vcpu.held
        self._renew(vcpu)
        allowed = vcpu.work + limit.spare
        self._allow(vcpu, min(vcpu.work + limit.held + work, most), allowed)
        if vcpu.cpu is None and not throttled:
            now = self.env.now
            vcpu.slept += now - vcpu.since
            vcpu.since = now
            self._watch(vcpu)
            if vcpu.work > 0:
                self.scheduler.wake(vcpu)

    def rest(self, vcpu: VCpu) -> None:
        """Take from a capped vCPU, which is on no CPU, whatever it still had to do."""
        if vcpu.held:
            self._book(vcpu)
        limit = vcpu.limit
        limit.held = 0.0
        limit.spare += vcpu.work
        self._active.discard(vcpu)

    def throttled(self) -> list[VCpu]:
        """The vCPUs that their caps keep from running just now."""
        return [vcpu for vcpu in self._active if vcpu.held]

    # -- the purse --------------------------------------------------------------------------------

    def _allow(self, vcpu: VCpu, wanted: float, allowed: float) -> None:
        """Divide the work that a vCPU wants into what it may do now and what is held back."""
        limit = vcpu.limit
        if wanted <= allowed:
            vcpu.work, limit.spare, limit.held = wanted, allowed - wanted, 0.0
        elif wanted <= allowed + TINY < 2 * allowed:  # what rounding has made too much is forgiven
            vcpu.work, limit.spare, limit.held = allowed, 0.0, 0.0
        elif allowed > TINY:
            vcpu.work, limit.spare, limit.held = allowed, 0.0, wanted - allowed
        else:  # less than counts for anything
            vcpu.work, limit.spare, limit.held = 0.0, 0.0, wanted

    def _renew(self, vcpu: VCpu) -> None:
        """Fill the purse of a vCPU where a new period has begun."""
        limit = vcpu.limit
        period = self._period(limit.phase)
        if limit.period != period:
            limit.period = period
            limit.granted = limit.quota
            self._allow(vcpu, vcpu.work + limit.held, limit.quota)

    def _settle(self, vcpu: VCpu) -> None:
        """Let a vCPU that has work, and has been given another quota, be where it now belongs."""
        self._watch(vcpu)
        if vcpu.cpu is None:
            if vcpu.work > 0:
                self.scheduler.wake(vcpu)
        elif vcpu.work > 0:
            vcpu.cpu.rearm(vcpu)
        else:
            self.scheduler.leave(vcpu)

    def _book(self, vcpu: VCpu) -> None:
        """Close the book of a vCPU that was throttled until now."""
        now = self.env.now
        vcpu.throttled += now - vcpu.since
        if self.spans is not None and now > vcpu.since:
            self.spans.append((vcpu.since, now, vcpu))
        vcpu.since = now

    # -- the period -------------------------------------------------------------------------------

    def _phase(self, vcpu: VCpu) -> float:
        """When the first whole period of a vCPU begins; by name, so that nothing depends on who else is there."""
        return Random(f"period/{self.scheduler.seed}/{vcpu.group.name}/{vcpu.index}").random() * PERIOD

    def _period(self, phase: float) -> int:
        """The number of the present period of a vCPU whose first whole one begins at `phase`."""
        return floor((self.env.now - phase) / PERIOD + 1e-8)  # forgives a nanosecond of rounding

    def _watch(self, vcpu: VCpu) -> None:
        """Fill the purse of a vCPU from now on; while it sleeps, its clock does not strike."""
        self._active.add(vcpu)
        if vcpu not in self._ticking:
            self._ticking.add(vcpu)
            self._wind(vcpu)

    def _wind(self, vcpu: VCpu) -> None:
        phase = vcpu.limit.phase
        delay = phase + (self._period(phase) + 1) * PERIOD - self.env.now
        Timeout(self.env, delay, vcpu).callbacks.append(self._strike)

    def _strike(self, event: Event) -> None:
        """Begin a period of a vCPU: where it is throttled, it may run again."""
        vcpu = event.value
        if vcpu in self._active:
            if vcpu.cpu is not None:
                vcpu.cpu.charge()
                self._renew(vcpu)  # its CPU's timer may now ring too soon, and is then wound again
            elif vcpu.held:
                self._book(vcpu)
                self._renew(vcpu)
                self.scheduler.wake(vcpu)
            else:
                self._active.discard(vcpu)
        if vcpu in self._active:
            self._wind(vcpu)
        else:
            self._ticking.discard(vcpu)
