"""What a machine does all day: work handed to its vCPUs.

A load that spins is a hamster in a wheel: it takes every second it is given. A load with a duty is a
clerk to whom the post brings the same stack of letters every tenth of a second; when the stack is done he
sleeps until the next one. If he is held up, what is left stays on the desk and the next stack comes on top.

stress-ng, which live guests run, is another kind of clerk: it works for a while, looks at the clock, and then
sleeps as long as makes its duty right (``--cpu-load``, stress-cpu.c). Alone on a CPU the two use the same. Where
CPUs are short stress-ng measures its work by the clock on the wall, so the time it was held up counts as worked, and
is not made up for: it asks for less than its duty, where the clerk here asks for all of it until he has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from random import Random
from typing import TYPE_CHECKING, Protocol

from simpy.events import Timeout

from labkit.host import RequestLoad
from labkit.model.requests import Counter

if TYPE_CHECKING:
    from simpy import Environment
    from simpy.events import Event

    from labkit.host import CpuLoad, Load, Served
    from labkit.model.scheduler import Scheduler
    from labkit.model.vcpu import Group, VCpu

__all__ = ["PERIOD", "Busy", "Running", "drive"]

PERIOD = 0.1
"""Seconds from one portion of work of a load with a duty to the next."""

BACKLOG = 2 * PERIOD
"""CPU seconds to which unfinished work can pile up. So a machine that was held up catches up soon, and not for ever."""


class Running(Protocol):
    """A load that a machine runs at present."""

    @property
    def progress(self) -> float:
        """How much is done, from 0 to 1."""

    def grow(self, vcpus: Iterable[VCpu]) -> None:
        """Use vCPUs that the machine has got meanwhile."""

    def end(self) -> Served | None:
        """End it, and say what became of it where there is anything to say."""


def drive(
    env: Environment, scheduler: Scheduler, group: Group, load: Load, seed: int, finished: Callable[[], None]
) -> Running:
    """Start a load on every vCPU of a machine.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    scheduler : Scheduler
        The host's.
    group : Group
        The machine.
    load : CpuLoad or RequestLoad
        The load.
    seed : int
        What is left to chance depends on it.
    finished : callable
        Called without arguments when the load has come to an end by itself.
    """
    if isinstance(load, RequestLoad):
        return Counter(env, scheduler, group, load, finished)
    return Busy(env, scheduler, group, load, seed)


class Busy:
    """A `CpuLoad` that a machine runs.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    scheduler : Scheduler
        The host's.
    group : Group
        The machine.
    load : CpuLoad
        A duty of 1 spins. Below 1, each vCPU gets ``duty * PERIOD`` CPU seconds of work every `PERIOD`.
    seed : int
        With the machine's name and the vCPU's number, it decides where in a period a vCPU's work comes.
        Machines made in another order, or beside other machines, keep theirs.
    """

    progress = 0.0  # it has no end of its own

    def __init__(self, env: Environment, scheduler: Scheduler, group: Group, load: CpuLoad, seed: int) -> None:
        self._env = env
        self._scheduler = scheduler
        self._group = group
        self._duty = load.duty
        self._seed = seed
        self._on = True
        self.grow(group.vcpus)

    def grow(self, vcpus: Iterable[VCpu]) -> None:
        """Keep more vCPUs busy."""
        for vcpu in vcpus:
            if self._duty >= 1.0:
                self._scheduler.give(vcpu, inf, inf)
                continue
            phase = Random(f"{self._seed}/{self._group.name}/{vcpu.index}").random() * PERIOD
            due = (vcpu, self._env.now + phase)
            Timeout(self._env, phase, due).callbacks.append(self._deliver)

    def end(self) -> None:
        """Bring no more work, and take away what is left."""
        self._on = False
        for vcpu in self._group.vcpus:
            self._scheduler.rest(vcpu)

    def _deliver(self, event: Event) -> None:
        if self._on:
            vcpu, due = event.value
            self._scheduler.give(vcpu, self._duty * PERIOD, BACKLOG)
            due += PERIOD  # from when it was due, so that the times do not drift
            Timeout(self._env, due - self._env.now, (vcpu, due)).callbacks.append(self._deliver)
