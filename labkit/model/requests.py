"""Requests: a counter with as many clerks as the machine has vCPUs.

Customers draw a number and wait in one line; whichever clerk is free calls the next. A clerk who has
nothing to do goes and lies down, and has to be woken for the next customer, and then still has to get to the
counter: so where the CPUs are busy with other machines' work, a customer waits longer than the line was. Nobody
counts the line: a clerk who is done looks at the clock and calls the next number that has come by now. So
a line of a million costs no more than a line of one.

The field calls the counter a FCFS queue, G/G/c for c vCPUs; with Poisson arrivals and exponential work it is
M/M/c (Kleinrock, Queueing Systems, volume 1, 1975), as long as no other machine is in the way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING

from simpy.events import Timeout

from labkit.host import Served

if TYPE_CHECKING:
    from simpy import Environment
    from simpy.events import Event

    from labkit.host import RequestLoad
    from labkit.model.scheduler import Scheduler
    from labkit.model.vcpu import Group, VCpu

__all__ = ["Counter"]


class Counter:
    """A `RequestLoad` that a machine runs, first come, first served.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    scheduler : Scheduler
        The host's.
    group : Group
        The machine.
    load : RequestLoad
        The requests; they are counted from now.
    finished : callable
        Called without arguments when all have been served.
    """

    def __init__(
        self,
        env: Environment,
        scheduler: Scheduler,
        group: Group,
        load: RequestLoad,
        finished: Callable[[], None],
    ) -> None:
        self._env = env
        self._scheduler = scheduler
        self._group = group
        self._load = load
        self._finished = finished
        self._start = env.now
        self._next = 0  # the request whose turn it is next; those before it are served, or being served
        self._served = 0
        self._finishes = [inf] * len(load.arrivals)
        self._serving: dict[VCpu, int] = {}
        self._free: deque[VCpu] = deque()
        self._bell: Timeout | None = None
        self.grow(group.vcpus)

    @property
    def progress(self) -> float:
        """The fraction of the requests that have been served."""
        return self._served / len(self._finishes)

    def grow(self, vcpus: Iterable[VCpu]) -> None:
        """Let more vCPUs serve, a worker on each."""
        for vcpu in vcpus:
            vcpu.done = self._serve_next
            self._free.append(vcpu)
        self._call()

    def end(self) -> Served:
        """Stop serving, whatever is left, and say what became of the requests."""
        self._bell = None
        self._free.clear()
        for vcpu in self._group.vcpus:
            vcpu.done = None
            self._scheduler.rest(vcpu)
        return Served(self._load.arrivals, tuple(self._finishes), self._env.now - self._start)

    # -- at the counter ---------------------------------------------------------------------------

    def _serve_next(self, vcpu: VCpu) -> None:
        """One request has been served: the next, where one waits."""
        self._finishes[self._serving.pop(vcpu)] = self._env.now - self._start
        self._served += 1
        if self._served == len(self._finishes):
            self._finished()
        elif self._waits():
            self._take(vcpu)
        else:
            self._free.append(vcpu)
            self._ring()

    def _waits(self) -> bool:
        """Whether a request has come that nobody serves yet."""
        arrivals = self._load.arrivals
        return self._next < len(arrivals) and self._start + arrivals[self._next] <= self._env.now

    def _take(self, vcpu: VCpu) -> None:
        """Let a vCPU work on the request whose turn it is."""
        self._serving[vcpu] = number = self._next
        self._next += 1
        self._scheduler.give(vcpu, self._load.work[number], inf)

    def _call(self) -> None:
        """Wake free workers, the one first who has slept longest, for as many requests as wait."""
        while self._free and self._waits():
            self._take(self._free.popleft())
        self._ring()

    def _ring(self) -> None:
        """Set the bell to the next arrival, where somebody is free to hear it."""
        if self._bell is None and self._free and self._next < len(self._load.arrivals):
            at = self._start + self._load.arrivals[self._next]
            self._bell = bell = Timeout(self._env, max(at - self._env.now, 0.0))
            bell.callbacks.append(self._ring_out)

    def _ring_out(self, event: Event) -> None:
        if event is self._bell:
            self._bell = None
            self._call()
