"""Caps by credit: a vCPU that has overspent is parked until its debt is paid.

Picture a car park beside the track. A machine with a cap is handed no more credit than the cap allows, whatever its
weight. Its vCPUs still run on when their credit is gone, so they come into debt; and at the accounting each whose debt
is more than one handing-out of its own is sent into the car park. There it earns, but does not run, and comes back when
it owes nothing. It is *throttled* meanwhile: neither waiting nor resting.

That is how Xen's credit scheduler caps (xen/common/sched/credit.c, `csched_acct`: "Park running UNITs of capped-out
domains"). Two things differ from Linux's quota (`labkit.model.bandwidth`), and can be seen: the cap is held over many
periods, not in each, as nobody looks for 30 ms; and it is the machine's, its vCPUs share what is left of it at work.

Where the model departs: lifting a cap frees a machine at once, in Xen at the next accounting at which it owes nothing.
Xen's caps are whole hundredths of a CPU, the model's any number; both hand out whole credits, rounded up.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simpy import Environment

    from labkit.model.bandwidth import Held
    from labkit.model.scheduler import Scheduler
    from labkit.model.vcpu import Group, VCpu

__all__ = ["Bay", "Parking"]

# CPU seconds: what a vCPU that is parked in the very moment in which its work ends has left to do.
CRUMB = 1e-12


class Bay:
    """The place in the car park that belongs to a capped vCPU.

    Attributes
    ----------
    parked : bool
        Whether the vCPU must not run, even if it sleeps just now.
    held : float
        CPU seconds of work that wait for it to come back; above 0 only while it is parked.
    """

    __slots__ = ("held", "parked")

    def __init__(self) -> None:
        self.parked = False
        self.held = 0.0


class Parking:
    """Keeps capped vCPUs from running while they owe credit; does for Xen what `Bandwidth` does for Linux.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    scheduler : Scheduler
        Who puts a vCPU that may run again on a CPU; its first CPU keeps the ledger.

    Attributes
    ----------
    spans : list of Held or None
        Where it writes down who was throttled when, while somebody observes.
    """

    mechanism = "parking who owes credit until the debt is paid"

    def __init__(self, env: Environment, scheduler: Scheduler) -> None:
        self.env = env
        self.scheduler = scheduler
        self.spans: list[Held] | None = None
        self._capped: set[Group] = set()
        scheduler.cpus[0].ledger.parking = self

    def cap(self, group: Group, cap: float) -> None:
        """Cap a machine at so many CPU, or lift its cap where that is infinite; also after it got another vCPU."""
        group.cap = cap
        if cap < inf:
            self._capped.add(group)
            for vcpu in group.vcpus:
                vcpu.limit = vcpu.limit or Bay()
            return
        self._capped.discard(group)
        for vcpu in group.vcpus:
            if vcpu.limit is not None:
                self.unpark(vcpu)
                vcpu.limit = None

    def give(self, vcpu: VCpu, work: float, most: float) -> None:
        """Give a capped vCPU something to do, as `Scheduler.give` does."""
        bay = vcpu.limit
        if vcpu.cpu is not None:
            vcpu.cpu.charge()
            vcpu.work = min(vcpu.work + work, most)
        elif vcpu.held:
            bay.held = min(bay.held + work, most)
        else:
            now = self.env.now
            vcpu.slept += now - vcpu.since
            vcpu.since = now
            if bay.parked:
                bay.held = min(work, most)
            else:
                vcpu.work = min(work, most)
                self.scheduler.wake(vcpu)

    def rest(self, vcpu: VCpu) -> None:
        """Take from a capped vCPU, which is on no CPU, whatever it still had to do."""
        if vcpu.held:
            self._book(vcpu)
        vcpu.limit.held = 0.0

    def throttled(self) -> list[VCpu]:
        """The vCPUs that their caps keep from running just now."""
        return [vcpu for group in self._capped for vcpu in group.vcpus if vcpu.held]

    def park(self, vcpu: VCpu) -> None:
        """Take a vCPU that has overspent off its CPU or out of its queue; one asleep stays parked when it wakes."""
        bay = vcpu.limit
        if bay.parked:
            return
        bay.parked = True
        if vcpu.cpu is not None:
            vcpu.cpu.charge()
            held, vcpu.work = max(vcpu.work, CRUMB), 0.0
            self.scheduler.leave(vcpu)
            bay.held = held

    def unpark(self, vcpu: VCpu) -> None:
        """Let a vCPU that owes nothing any more run again."""
        bay = vcpu.limit
        bay.parked = False
        if vcpu.held:
            self._book(vcpu)
            vcpu.work, bay.held = bay.held, 0.0
            self.scheduler.wake(vcpu)

    def _book(self, vcpu: VCpu) -> None:
        """Close the book of a vCPU that was throttled until now."""
        now = self.env.now
        vcpu.throttled += now - vcpu.since
        if self.spans is not None and now > vcpu.since:
            self.spans.append((vcpu.since, now, vcpu))
        vcpu.since = now
