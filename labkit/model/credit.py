"""One CPU of a host that shares by credit, and the queue in front of it: Xen's rules.

Picture a treadmill again, and runners who carry an allowance of credit (`labkit.model.ledger` hands it out and takes
it off). In the queue those with credit left, *under* their allowance, stand before those who are *over* it; within each
part it goes round in turns of 30 ms. A runner who has slept and still has credit gets a *boost* when waking up: to the
very front, and onto the treadmill at once, unless the one there got on less than a millisecond ago. The boost ends
at the next tick at which its owner is seen running; so it is for those who come often and stay briefly.

A treadmill that is free, or would let somebody over his allowance on, first asks the other queues for one that is
more urgent than that, and takes him. Nobody ever compares the lengths of queues.

That is Xen's credit scheduler (E. Ackaouy; xen/common/sched/credit.c: `csched_schedule`, `csched_unit_wake`,
`__runq_insert`, `__runq_tickle`, `csched_load_balance`, `csched_runq_steal`, `csched_tick`; Xen's wiki, "Credit
Scheduler"; L. Cherkasova, D. Gupta and A. Vahdat, "Comparison of the three CPU schedulers in Xen", ACM SIGMETRICS
Performance Evaluation Review 35(2), 2007). What is different from Linux's rules, to be seen side by side:

- Turns last 30 ms, not 4 ms: an eighth of the switches, and as many times the wait among those who spin.
- A light sleeper that is under does not wait for the end of a turn: it is there within 1 ms. Under Linux's rules it may
  have to wait until the one that runs has had its part. But where it has come to be over, it waits for whole turns.
- A machine's shares count once for each vCPU at work, not once for the machine.
- Fair is the average over many periods of 30 ms, and only to the whole credit: of 300 that a CPU gives out each time.
- On several CPUs the lengths of the queues are not evened out at intervals. Credit is reckoned over the whole host, and
  who has some left is taken wherever he stands before somebody who has none.

Where the model departs from Xen: an idle CPU takes a waiting vCPU at once in every case, and one that is driven off its
CPU by another goes to an idle CPU that it may use at once; in Xen it does at the next tick. CPUs are all alike,
without threads, cores, sockets or nodes, and none has an affinity that it merely prefers. Nobody yields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpy.events import Timeout

from labkit.model.cpu import TINY, Cpu
from labkit.model.ledger import Account, Ledger, Priority

if TYPE_CHECKING:
    from simpy import Environment
    from simpy.events import Event

    from labkit.model.rules import CreditRules
    from labkit.model.scheduler import Scheduler
    from labkit.model.vcpu import VCpu

__all__ = ["CreditCpu"]


class CreditCpu(Cpu):
    """A host CPU that shares its time by credit; parameters and books are those of `Cpu`.

    Attributes
    ----------
    waiting : list of Account
        Those that wait, first to run first.
    entered, until : float
        When the one that runs got on, and when its present turn is over.
    ledger : Ledger
        The host's ledger; the first CPU keeps it, as in Xen.
    """

    mechanism = "credit handed out by weight"

    __slots__ = ("_ledger", "entered", "until")

    def __init__(self, index: int, env: Environment, rules: CreditRules, cpus: int, scheduler: Scheduler) -> None:
        super().__init__(index, env, rules, cpus, scheduler)
        self.waiting: list[Account] = []
        self.entered = self.until = env.now
        self._ledger = Ledger(env, rules, scheduler) if index == 0 else None

    @property
    def ledger(self) -> Ledger:
        """The host's ledger; the first CPU keeps it, as in Xen."""
        return self.scheduler.cpus[0]._ledger

    def queued(self) -> list[VCpu]:
        """The vCPUs that wait here, last to run first."""
        return [account.vcpu for account in reversed(self.waiting)]

    # -- joining and leaving the queue ------------------------------------------------------------

    def put(self, vcpu: VCpu) -> None:
        """Let a runnable vCPU that is in no queue join this one, and run it where it goes first.

        Who has slept and is under gets a boost; who only comes from another CPU does not.
        """
        self.charge()
        account = self.ledger.account(vcpu)
        if account.priority is Priority.UNDER and vcpu.slept > account.slept:
            account.priority = Priority.BOOST
        vcpu.cpu = self
        vcpu.last = self.index
        self.weight += vcpu.weight
        self.ledger.wind()
        if self.current is None:
            self._start(vcpu)
            return
        self._insert(account)
        if account.priority > self.ledger.account(self.current).priority:
            self._schedule()

    def take(self, vcpu: VCpu) -> None:
        """Let a vCPU leave the queue, or the CPU; then `refill` must follow."""
        self.charge()
        account = self.ledger.account(vcpu)
        account.slept = vcpu.slept
        if vcpu is self.current:
            self._stop()
            self.current = self.timer = None
            self.since = self.env.now
        else:
            self.waiting.remove(account)
        vcpu.cpu = None
        self.weight = self.weight - vcpu.weight if self.waiting or self.current else 0.0

    def refill(self) -> None:
        """Run the next one where nobody runs: the first of its own queue, or one more urgent from another."""
        if self.current is not None:
            return
        own = self.waiting[0] if self.waiting else None
        if own is not None and own.priority > Priority.OVER:
            self._start(self.waiting.pop(0).vcpu)
            return
        stolen = self._steal(Priority.IDLE if own is None else Priority.OVER)
        if stolen is not None:
            self._start(stolen)
        elif own is not None:
            self._start(self.waiting.pop(0).vcpu)
        else:
            self.idle.add(self.index)

    def reweigh(self, vcpu: VCpu, weight: float) -> None:
        """Change the weight of a vCPU that runs or waits here. Only the CPU's load changes: credit goes by shares."""
        self.weight += weight - vcpu.weight
        vcpu.weight = weight
        vcpu.inverse = 1.0 / weight

    def _insert(self, account: Account) -> None:
        """Let a vCPU queue behind all that are as urgent as it."""
        place = len(self.waiting)
        while place and self.waiting[place - 1].priority < account.priority:
            place -= 1
        self.waiting.insert(place, account)

    # -- the turn ---------------------------------------------------------------------------------

    def charge(self) -> None:
        """Bring the books of the vCPU that runs, and its credit, up to now."""
        current = self.current
        if current is None:
            return
        ran = self.env.now - self.since
        if ran <= 0:  # still switching
            return
        self.since += ran
        self.busy += ran
        current.ran += ran
        current.work -= ran
        self.ledger.account(current).credit -= ran * self.rules.credits_per_second

    def tick(self) -> None:
        """Look at the vCPU that runs: its credit is brought up to now, its boost ends, and it earns from now on."""
        current = self.current
        if current is None:
            return
        self.charge()
        account = self.ledger.account(current)
        if account.priority is Priority.BOOST:
            account.priority = Priority.UNDER
        if not account.earning:
            self.ledger.earn(account)
        elif self.waiting and self.idle:
            self.scheduler.push(current)

    def sort(self) -> None:
        """Bring those who have credit left to the front, each part in its order; who runs finishes his turn."""
        self.waiting.sort(key=lambda account: account.priority is Priority.OVER)

    def _expired(self, event: Event) -> None:
        if event is not self.timer:  # set before something came between
            return
        self.charge()
        current = self.current
        if current.work <= TINY:
            current.work = 0.0
            if not self.scheduler.more(current):
                return
        if self.until - self.env.now <= TINY:
            self._schedule()
        else:
            self._arm()

    def _schedule(self) -> None:
        """Decide who runs next: the one that runs queues behind its equals, and the first goes on."""
        now = self.env.now
        current = self.current
        protected = self.entered + self.rules.rate_limit
        if now < protected - TINY:
            self.until = protected
            self._arm()
            return
        self.charge()
        account = self.ledger.account(current)
        first = self.waiting[0] if self.waiting else None
        stays = first is None or first.priority < account.priority
        best = account if stays else first
        following = self._steal(Priority.OVER) if best.priority is Priority.OVER else None
        if following is None:
            if stays:
                self.until = now + self.slice
                self._arm()
                return
            following = self.waiting.pop(0).vcpu
        self._stop()
        self._insert(account)
        self._start(following)
        if self.idle:
            self.scheduler.push(current)

    def _steal(self, priority: Priority) -> VCpu | None:
        """Take from another CPU's queue somebody more urgent than that, who may run here."""
        cpus = self.scheduler.cpus
        count = len(cpus)
        after = self.ledger.bias + 1
        for index in range(after, after + count):
            peer = cpus[index % count]
            if peer is self or peer.current is None:  # it is just about to take from its queue itself
                continue
            for account in peer.waiting:
                if account.priority <= priority:
                    break
                if self.index in account.vcpu.allowed:
                    self.ledger.bias = peer.index
                    vcpu = account.vcpu
                    peer.take(vcpu)
                    vcpu.cpu = self
                    vcpu.last = self.index
                    self.weight += vcpu.weight
                    return vcpu
        return None

    def _start(self, vcpu: VCpu) -> None:
        if self.index in self.idle:
            self.idle.discard(self.index)
            self.idled += self.env.now - self.since
        self.entered = self.env.now + self.cost
        self.until = self.entered + self.slice
        super()._start(vcpu)

    def _arm(self) -> None:
        """Set the timer to the end of the turn or of the work."""
        delay = min(self.until, self.since + self.current.work) - self.env.now
        self.timer = timer = Timeout(self.env, delay if delay > 0.0 else 0.0)
        timer.callbacks.append(self._expired)
