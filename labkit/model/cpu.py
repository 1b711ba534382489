"""One CPU of the host and the queue in front of it.

Picture one treadmill, and runners who all want it. Each carries a clock that runs only while its
owner is on the treadmill, and slower the more the owner weighs. The fair thing is that all clocks
show the same. So: a runner whose clock is ahead of the average has had more than its part, and
must not be let on; among the others the one whose present slice is due first gets on, for one slice.

That is EEVDF, "earliest eligible virtual deadline first" (I. Stoica and H. Abdel-Wahab, Old Dominion
University, technical report 95-22, 1995), which Linux's fair scheduler follows since 6.6. With vCPUs
that stay runnable it keeps each of them within one slice of its exact part, at every moment. Where
some come and go it can be more: who leaves takes along what it owes or is owed, and the others make up for it.

Departures from Linux: a slice ends exactly when it is used up, not at the next tick of a clock that runs by
itself; and that is also when it is due, where Linux sets the deadline sooner (`labkit.model.rules` has the
numbers); a vCPU that goes to sleep leaves the queue at once (Linux may keep one that owes time in the queue
until it owes nothing, DELAY_DEQUEUE); nothing but vCPUs runs on a CPU.

Another hypervisor may have another order of turns. It is then another class, which its rules name
(``Rules.cpu_class``), built with the same arguments, and this is all that the rest of the model asks of one:

- `mechanism`, a few words for what it does;
- the methods `put`, `take`, `refill`, `reweigh`, `charge`, `rearm`, `queued` and `books`;
- the attributes `index`, `current`, `waiting` (true where somebody waits), `weight`, `since`, `started` and `spans`;
- of each vCPU that it holds, it keeps `cpu`, `last`, `ran`, `waited`, `work`, `weight` and `inverse` up to date;
  `vruntime`, `deadline` and `lag` are its own, and mean what it likes;
- it keeps `scheduler.idle`, tells the scheduler when somebody begins to wait (`crowded`) or is taken off the CPU
  (`push`), asks it for somebody to run before it goes idle (`pull`), and, when the work of the vCPU that runs is
  used up, what now (`more`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from math import inf
from typing import TYPE_CHECKING

from simpy.events import NORMAL, Timeout

if TYPE_CHECKING:
    from simpy import Environment
    from simpy.events import Event

    from labkit.model.rules import Rules
    from labkit.model.scheduler import Scheduler
    from labkit.model.vcpu import VCpu

__all__ = ["Cpu", "Span"]

Span = tuple[float, float, "VCpu", int]
"""A stretch of running: from, to, which vCPU, on which CPU. Times are the simulation's, in seconds."""

# Seconds below which a slice or a piece of work counts as used up; far above what floats lose, far below any slice.
TINY = 1e-10


class Cpu:
    """A host CPU: the vCPU it runs, those that wait for it, and its books.

    Parameters
    ----------
    index : int
        Its number on the host, from 0.
    env : simpy.Environment
        The clock.
    rules : Rules
        By which numbers it schedules.
    cpus : int
        How many CPUs the host has; the slice depends on it.
    scheduler : Scheduler
        Whom it asks for what concerns other CPUs and machines too.

    Attributes
    ----------
    current : VCpu or None
        The vCPU that runs.
    waiting : list
        Those that wait, as ``(deadline, rank, vCPU)``, soonest deadline first.
    weight : float
        The sum of the weights of all of them; its load, for balancing.
    virtual : float
        The virtual time: the average of all clocks, by weight.
    since : float
        Up to when `current` has been charged; later than now while the CPU is still switching.
    idle : set of int
        The scheduler's: the CPUs of the host that run nothing.
    busy, switching, idled : float
        Three books in seconds, each kept by itself: running vCPUs, changing over, nothing to do.
    spans : list of Span or None
        Where it writes down what it ran, while somebody observes.
    """

    mechanism = "virtual-time fair sharing"

    __slots__ = (
        "busy",
        "cost",
        "current",
        "env",
        "idle",
        "idled",
        "index",
        "most_lag",
        "ringing",
        "rules",
        "scheduler",
        "since",
        "slice",
        "spans",
        "started",
        "switching",
        "timer",
        "virtual",
        "waiting",
        "weight",
    )

    def __init__(self, index: int, env: Environment, rules: Rules, cpus: int, scheduler: Scheduler) -> None:
        self.index = index
        self.env = env
        self.rules = rules
        self.slice = rules.slice(cpus)
        self.most_lag = rules.most_lag(cpus)
        self.cost = rules.switch_cost
        self.scheduler = scheduler
        self.current: VCpu | None = None
        self.waiting: list[tuple[float, tuple[str, int], VCpu]] = []
        self.weight = 0.0
        self.virtual = 0.0
        self.since = env.now
        self.started = env.now
        self.timer: Timeout | None = None
        self.ringing = [self._expired]
        self.busy = 0.0
        self.switching = 0.0
        self.idled = 0.0
        self.spans: list[Span] | None = None
        self.idle = scheduler.idle
        self.idle.add(index)

    def books(self, now: float) -> tuple[float, float, float]:
        """Seconds spent running vCPUs, switching, and idle, up to `now`; changes nothing."""
        passed = now - self.since
        if self.current is None:
            return self.busy, self.switching, self.idled + passed
        if passed < 0:
            return self.busy, self.switching + passed, self.idled
        return self.busy + passed, self.switching, self.idled

    def queued(self) -> list[VCpu]:
        """The vCPUs that wait here, last due first."""
        return [vcpu for _, _, vcpu in reversed(self.waiting)]

    # -- joining and leaving the queue ------------------------------------------------------------

    def put(self, vcpu: VCpu) -> None:
        """Let a runnable vCPU that is in no queue join this one, and run it where it is due.

        It comes back owed, or owing, what it was when it left, up to the limit of the rules: so a
        sleeper neither loses its part nor hoards credit (PLACE_LAG in kernel/sched/features.h).
        """
        self.charge()
        vcpu.cpu = self
        vcpu.last = self.index
        current = self.current
        if current is None:
            self.virtual = vcpu.vruntime = 0.0
            self.weight = vcpu.weight
            vcpu.deadline = self.slice * vcpu.inverse
            self.idle.discard(self.index)
            self.idled += self.env.now - self.since
            self._start(vcpu)
            return
        alone = not self.waiting
        if alone:
            # Nobody counted its slices while it had the CPU to itself; it is somewhere in its present one. Its clock
            # is the average, and starts anew, so that the numbers stay small and exact.
            span = self.slice * current.inverse
            over = current.vruntime - current.deadline
            current.deadline = -over if over < 0 else span - over % span
            current.vruntime = self.virtual = 0.0
            self.weight = current.weight
        lag = min(max(vcpu.lag, -self.most_lag), self.most_lag)
        # The newcomer moves the average. It is put so far from it that its lag is `lag` after the move.
        total = self.weight + vcpu.weight
        vcpu.vruntime = self.virtual - lag * vcpu.inverse * total / self.weight
        self.virtual -= lag / self.weight
        self.weight = total
        vcpu.deadline = vcpu.vruntime + self.slice * vcpu.inverse
        insort(self.waiting, (vcpu.deadline, vcpu.rank, vcpu))
        self.scheduler.crowded()
        if alone:
            self._arm()
        if self._preempts(vcpu):
            self._switch(bisect_left(self.waiting, (vcpu.deadline, vcpu.rank)))

    def take(self, vcpu: VCpu) -> None:
        """Let a vCPU leave the queue, or the CPU; then `refill` must follow."""
        self.charge()
        vcpu.lag = (self.virtual - vcpu.vruntime) * vcpu.weight
        if vcpu is self.current:
            self._stop()
            self.current = self.timer = None
            self.since = self.env.now
        else:
            del self.waiting[bisect_left(self.waiting, (vcpu.deadline, vcpu.rank))]
        vcpu.cpu = None
        if self.waiting or self.current:
            self.weight -= vcpu.weight
            self.virtual += vcpu.lag / self.weight
        else:
            self.weight = 0.0

    def refill(self) -> None:
        """Run the next one where nobody runs: from its own queue, else from another CPU's, else nobody."""
        if self.current is not None:
            return
        if self.waiting:
            # Where nobody runs, somebody who waits is at or below the average; 0 is for rounding alone.
            self._start(self.waiting.pop(self._due() or 0)[2])
        elif not self.scheduler.pull(self):
            self.idle.add(self.index)

    def reweigh(self, vcpu: VCpu, weight: float) -> None:
        """Change the weight of a vCPU that runs or waits here; what it is owed stays, in CPU seconds."""
        self.charge()
        scale = vcpu.weight / weight
        if vcpu is not self.current:
            del self.waiting[bisect_left(self.waiting, (vcpu.deadline, vcpu.rank))]
        ahead = vcpu.deadline - vcpu.vruntime
        vcpu.vruntime = self.virtual - (self.virtual - vcpu.vruntime) * scale
        vcpu.deadline = vcpu.vruntime + ahead * scale
        self.weight += weight - vcpu.weight
        vcpu.weight = weight
        vcpu.inverse = 1.0 / weight
        if vcpu is not self.current:
            insort(self.waiting, (vcpu.deadline, vcpu.rank, vcpu))

    # -- the turn ---------------------------------------------------------------------------------

    def rearm(self, vcpu: VCpu) -> None:
        """Take note that the work of a vCPU that runs or waits here has changed by other means than running."""
        if vcpu is self.current:
            self._arm()

    def charge(self) -> None:
        """Bring the books of the vCPU that runs, and the virtual time, up to now."""
        current = self.current
        if current is None:
            return
        now = self.env.now
        ran = now - self.since
        if ran <= 0:  # still switching
            return
        self.since = now
        self.busy += ran
        self.virtual += ran / self.weight
        current.ran += ran
        current.work -= ran
        current.vruntime += ran * current.inverse

    def _expired(self, event: Event) -> None:
        """Somebody's slice or work is over: the one thing that happens often, so it is written flat."""
        if event is not self.timer:  # set before something came between
            return
        env = self.env
        now = env.now
        current = self.current
        ran = now - self.since
        self.since = now
        self.busy += ran
        self.virtual = virtual = self.virtual + ran / self.weight
        current.ran += ran
        current.work -= ran
        current.vruntime = vruntime = current.vruntime + ran * current.inverse
        if current.work <= TINY:
            current.work = 0.0
            if not self.scheduler.more(current):
                return
        waiting = self.waiting
        if not waiting or (current.deadline - vruntime) * current.weight > TINY:
            self._arm()
            return
        current.deadline = deadline = vruntime + self.slice * current.inverse
        place = 0 if waiting[0][2].vruntime <= virtual + 1e-9 / self.weight else self._due()
        if place is None or (vruntime <= virtual and (deadline, current.rank) < waiting[place]):
            self._arm()
            return
        # From here on `_switch`, `_stop`, `_start` and `_arm` in one, for the case that the switch here was over.
        due = waiting.pop(place)[2]
        if self.spans is not None and now > self.started:
            self.spans.append((self.started, now, current, self.index))
        current.since = now
        insort(waiting, (deadline, current.rank, current))
        self.switching += self.cost
        self.since = self.started = start = now + self.cost
        due.waited += start - due.since
        self.current = due
        run = (due.deadline - due.vruntime) * due.weight
        delay = start + (run if run < due.work else due.work) - now
        # A timer that has rung can be wound again: no need for a new one.
        self.timer = event
        event.callbacks = self.ringing
        env.schedule(event, NORMAL, delay if delay > 0.0 else 0.0)
        if self.idle:
            self.scheduler.push(current)

    def _due(self) -> int | None:
        """The place of the soonest deadline among those waiting who have not had too much, if there is any."""
        limit = self.virtual + 1e-9 / self.weight  # forgives a nanosecond of rounding
        for place, entry in enumerate(self.waiting):
            if entry[2].vruntime <= limit:
                return place
        return None

    def _preempts(self, woken: VCpu) -> bool:
        """Whether a vCPU that has just joined takes the CPU from the one that runs."""
        current = self.current
        entitled = current.vruntime <= self.virtual + 1e-9 / self.weight
        if entitled and (self.rules.run_to_parity or current.deadline <= woken.deadline):
            return False
        due = self._due()
        return due is not None and self.waiting[due][2] is woken

    def _switch(self, place: int) -> None:
        """Change over from the vCPU that runs to the one at `place` of the queue."""
        current = self.current
        due = self.waiting.pop(place)[2]
        self._stop()
        insort(self.waiting, (current.deadline, current.rank, current))
        self._start(due)
        if self.idle:
            self.scheduler.push(current)

    def _stop(self) -> None:
        """Close the books of the vCPU that runs; from now on it waits."""
        current = self.current
        now = self.env.now
        short = self.since - now
        if short > 0:  # taken off before the switch to it was over
            current.waited -= short
            self.switching -= short
        elif self.spans is not None and now > self.started:
            self.spans.append((self.started, now, current, self.index))
        current.since = now

    def _start(self, vcpu: VCpu) -> None:
        """Change over to a vCPU that is not in the queue any more. Until that is done it still waits."""
        cost = self.cost
        self.switching += cost
        self.since = self.started = start = self.env.now + cost
        vcpu.waited += start - vcpu.since
        self.current = vcpu
        self._arm()

    def _arm(self) -> None:
        """Set the timer to the end of the slice or of the work; a lone vCPU that spins needs no events at all."""
        current = self.current
        run = current.work
        if self.waiting:
            rest = (current.deadline - current.vruntime) * current.weight
            run = rest if rest < run else run
        if run == inf:
            self.timer = None
            return
        delay = self.since + run - self.env.now
        self.timer = timer = Timeout(self.env, delay if delay > 0.0 else 0.0)
        timer.callbacks.append(self._expired)
