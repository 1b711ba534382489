"""What the machines of a fluid host are busy with: who brings the grain to the mill, and when.

A load that spins is one sack for each vCPU that never gets empty. A load with a duty brings each vCPU the same portion
every tenth of a second, as on the host of slices. Requests come when they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from random import Random
from typing import TYPE_CHECKING, Protocol

from simpy.events import Timeout

from labkit.host import CpuLoad, RequestLoad, Served
from labkit.model.loads import BACKLOG, PERIOD

if TYPE_CHECKING:
    from simpy.events import Event

    from labkit.host import Load
    from labkit.model.fluid.guest import Guest
    from labkit.model.fluid.sharing import Sharing

__all__ = ["Driver", "drive"]


class Driver(Protocol):
    """A load that has begun."""

    @property
    def progress(self) -> float:
        """How much of it is done, from 0 to 1."""

    def grow(self, vcpus: Iterable[int]) -> None:
        """Use these vCPUs too, which the machine has got meanwhile."""

    def end(self) -> Served | None:
        """End it, and say what became of it where there is anything to say."""


def drive(sharing: Sharing, guest: Guest, load: Load, seed: int, finished: Callable[[], None]) -> Driver:
    """Start a load in a guest.

    Parameters
    ----------
    sharing : Sharing
        The host's.
    guest : Guest
        Where it runs.
    load : Load
        What it is.
    seed : int
        With the machine's name and the vCPU's number, it decides where in a period a vCPU's portion comes.
    finished : callable
        Called, without arguments, when the load has come to its end by itself.
    """
    if isinstance(load, RequestLoad):
        return Requests(sharing, guest, load, finished)
    if load.duty >= 1.0:
        return Spin(sharing, guest)
    return Portions(sharing, guest, load, seed)


class Spin:
    """Every vCPU takes whatever it is given."""

    progress = 0.0

    def __init__(self, sharing: Sharing, guest: Guest) -> None:
        self._sharing = sharing
        self._guest = guest
        self.grow(range(guest.vcpus))

    def grow(self, vcpus: Iterable[int]) -> None:
        """Let these vCPUs spin too."""
        for vcpu in vcpus:
            self._sharing.add(self._guest, vcpu, inf)

    def end(self) -> None:
        """End it."""
        self._sharing.empty(self._guest)


class Portions:
    """Each vCPU gets ``duty * PERIOD`` CPU seconds of work every `PERIOD`; `labkit.model.loads` says more."""

    progress = 0.0

    def __init__(self, sharing: Sharing, guest: Guest, load: CpuLoad, seed: int) -> None:
        self._sharing = sharing
        self._guest = guest
        self._portion = load.duty * PERIOD
        self._seed = seed
        self._running = True
        self.grow(range(guest.vcpus))

    def grow(self, vcpus: Iterable[int]) -> None:
        """Begin to bring portions to these vCPUs too."""
        env = self._sharing.env
        for vcpu in vcpus:
            phase = Random(f"{self._seed}/{self._guest.name}/{vcpu}").random() * PERIOD
            Timeout(env, phase, (vcpu, env.now + phase, 0)).callbacks.append(self._deliver)

    def _deliver(self, event: Event) -> None:
        if not self._running:
            return
        vcpu, first, count = event.value
        self._sharing.extend(self._guest, vcpu, self._portion, BACKLOG)
        env = self._sharing.env
        delay = first + (count + 1) * PERIOD - env.now  # counted from the first, so that the times do not drift
        Timeout(env, delay, (vcpu, first, count + 1)).callbacks.append(self._deliver)

    def end(self) -> None:
        """Bring no more, and drop what is still to be done."""
        self._running = False
        self._sharing.empty(self._guest)


class Requests:
    """Requests that come at given times, and a record of when each was done."""

    def __init__(self, sharing: Sharing, guest: Guest, load: RequestLoad, finished: Callable[[], None]) -> None:
        self._sharing = sharing
        self._guest = guest
        self._load = load
        self._finished = finished
        self._began = sharing.env.now
        self._next = 0
        self._left = len(load.arrivals)
        self._finishes = [inf] * self._left
        self._running = True
        guest.finished = self._note
        self.grow(())
        self._await()

    @property
    def progress(self) -> float:
        """The fraction of the requests that is done."""
        return 1.0 - self._left / len(self._finishes)

    def grow(self, _vcpus: Iterable[int]) -> None:
        """One worker for each vCPU; with the discipline ``"sharing"``, one for each request."""
        self._sharing.widen(self._guest, self._guest.vcpus if self._load.discipline == "queue" else inf)

    def _await(self) -> None:
        env = self._sharing.env
        delay = self._began + self._load.arrivals[self._next] - env._now
        Timeout(env, delay if delay > 0.0 else 0.0).callbacks.append(self._arrive)

    def _arrive(self, _event: Event) -> None:
        if not self._running:
            return
        arrivals, work = self._load.arrivals, self._load.work
        number = self._next
        time = arrivals[number]
        while number < len(arrivals) and arrivals[number] == time:
            self._sharing.add(self._guest, number, work[number])
            number += 1
        self._next = number
        if number < len(arrivals):
            self._await()

    def _note(self, number: int) -> None:
        self._finishes[number] = self._sharing.env._now - self._began
        self._left -= 1
        if not self._left:
            self._finished()

    def end(self) -> Served:
        """Let no more requests come, drop those that are not done, and tell of all."""
        self._running = False
        self._guest.finished = None
        self._sharing.empty(self._guest)
        return Served(self._load.arrivals, tuple(self._finishes), self._sharing.env.now - self._began)
