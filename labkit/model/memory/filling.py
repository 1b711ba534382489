"""A program that fills memory: a tenant who carries in one box after another, and stays.

What it costs the machine's vCPU is left out: a guest that fills its memory does so for seconds only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from simpy import Environment
from simpy.events import Event, Timeout

from labkit.host import MemoryLoad
from labkit.host.memory import PAGES_PER_MIB
from labkit.model.memory.guest import GuestMemory
from labkit.model.memory.rules import MemoryRules
from labkit.model.memory.sharing import Pages
from labkit.model.vcpu import VCpu

__all__ = ["Filling"]

_STEP = PAGES_PER_MIB  # pages carried in at a time


class Filling:
    """A `MemoryLoad` that a machine runs.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    guest : GuestMemory
        The guest.
    pages : Pages
        Where the content of its pages is written down.
    load : MemoryLoad
        The load.
    rules : MemoryRules
        How fast it is, and what it needs itself.
    filled : callable
        Called without arguments when all of it is there.
    """

    def __init__(
        self,
        env: Environment,
        guest: GuestMemory,
        pages: Pages,
        load: MemoryLoad,
        rules: MemoryRules,
        filled: Callable[[], None],
    ) -> None:
        self._env = env
        self._guest = guest
        self._pages = pages
        self._load = load
        self._rules = rules
        self._filled = filled
        self._total = sum(load.pages)
        self._written = 0
        self._on = True
        guest.read()
        guest.take(rules.filler)
        self._next()

    @property
    def progress(self) -> float:
        """How much is filled, from 0 to 1."""
        return self._written / self._total if self._total else 1.0

    def grow(self, vcpus: Iterable[VCpu]) -> None:
        """One vCPU is enough for it."""

    def end(self) -> None:
        """Leave the memory to the guest. What was written stays in it until somebody writes there."""
        if self._on:
            self._on = False
            unfinished = self._rules.filler if self._written < self._total else 0.0
            self._guest.leave(self._written / PAGES_PER_MIB + unfinished)

    def _next(self) -> None:
        count = min(_STEP, self._total - self._written)
        Timeout(self._env, count / PAGES_PER_MIB / self._rules.fill_speed, count).callbacks.append(self._carried)

    def _carried(self, event: Event) -> None:
        if not self._on:
            return
        count: int = event.value
        self._guest.take(count / PAGES_PER_MIB)
        self._pages.fill(self._written, self._written + count, self._load.pages[0], self._load.seed)
        self._written += count
        if self._written < self._total:
            self._next()
        else:
            self._guest.leave(self._rules.filler)
            self._filled()
