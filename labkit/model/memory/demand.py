"""A program that works through its memory, page after page, and waits where one is not there.

Picture somebody who works at a desk from a cabinet of cards: draws one at random, looks at it, puts it back, draws the
next. A card that was carried to the cellar has to be fetched first, and for a card fetched another one goes down.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from random import Random
from typing import Any

from simpy import Environment

__all__ = ["Working"]


class Working:
    """The programs of one guest, at work.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    working : int
        How many pages they work through; the first ones of the guest.
    touches : float
        How many pages they come to in a second of undisturbed work.
    writes : float
        Which part of these they write to.
    fetch : callable
        Told a page and whether it is written to; returns the seconds that the program has to wait for it.
    random : random.Random
        Which page comes next.
    """

    def __init__(
        self,
        env: Environment,
        working: int,
        touches: float,
        writes: float,
        fetch: Callable[[int, bool], float],
        random: Random,
    ) -> None:
        self._env = env
        self._working = working
        self._pause = 1 / touches
        self._writes = writes
        self._fetch = fetch
        self._random = random
        self._begun = self._latest = env.now
        self.done = 0
        self._on = True
        env.process(self._run())

    @property
    def slowdown(self) -> float:
        """How many times longer what it has done has taken than it would have undisturbed; 1 before anything is."""
        return (self._latest - self._begun) / (self.done * self._pause) if self.done else 1.0

    def end(self) -> None:
        """Work no more."""
        self._on = False

    def _run(self) -> Generator[Any, Any, None]:
        draw = self._random.random
        while self._working and self._on:
            page = int(draw() * self._working)
            wait = self._fetch(page, self._writes > 0 and draw() < self._writes)
            yield self._env.timeout(self._pause + wait)
            if self._on:
                self.done += 1
                self._latest = self._env.now
