"""A host with somebody looking over its shoulder: it tells what it is about to do, and can be told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any

from labkit.host import Host, Machine, Observation

__all__ = ["Stopped", "WatchedHost", "has_guests", "machines_of", "steps_of"]


class Stopped(Exception):  # noqa: N818 - not an error: somebody pressed Stop
    """The person asked to stop."""


def machines_of(experiment: ModuleType, settings: Any) -> int:
    """How many machines an experiment is going to make, so that starting them can be told as a part of the whole.

    As its ``machines(settings)`` says; where it has none, its setting ``machines``, or one for each item of its first
    list.
    """
    counted = getattr(experiment, "machines", None)
    if callable(counted):
        return max(1, counted(settings))
    number = getattr(settings, "machines", None)
    if isinstance(number, int):
        return max(1, number)
    return max(1, next((len(value) for value in vars(settings).values() if isinstance(value, tuple)), 1))


def has_guests(experiment: ModuleType, settings: Any) -> bool:
    """Whether a live run starts any guest; an experiment with files alone says of itself that it makes no machine."""
    counted = getattr(experiment, "machines", None)
    return not callable(counted) or counted(settings) > 0


def steps_of(experiment: ModuleType, settings: Any) -> int:
    """How many steps an experiment takes besides starting its machines, as its ``steps(settings)`` says; 0 without."""
    counted = getattr(experiment, "steps", None)
    return counted(settings) if callable(counted) else 0


class WatchedHost:
    """A host that tells what it is doing, in words and as a part of the whole from 0 to 1.

    A host that reports its own progress, through an attribute ``progress`` that can be set, is asked to; of others
    each step is told before it is taken.

    Parameters
    ----------
    open_host : callable
        Opens the host that does the work; given a callable that it may tell its progress.
    tell : callable
        Whom to tell.
    machines : int
        How many machines are going to be made.
    stop : threading.Event, optional
        Once it is set, the next thing to be told raises `Stopped` instead.
    steps : int
        How many other steps are going to be told, each in words of its own. They are parts of the whole as machines
        are; with none, the whole is reached when all machines run, and a measurement is a whole of its own.
    """

    def __init__(
        self,
        open_host: Callable[[Callable[[str, float], None]], Host],
        tell: Callable[[str, float], None],
        machines: int = 1,
        stop: threading.Event | None = None,
        steps: int = 0,
    ) -> None:
        self._tell = tell
        self._machines = max(1, machines)
        self._stop = stop
        self._steps = steps
        self._up = 0  # machines that run, and steps that are over
        self._now: tuple[str, float] | None = None  # the step that is told, and how far it has come
        self._starting = True
        self._looks = 0
        self.asked: list[str] = []
        self.watching = False
        self._step("opening the live host", 0.0)
        self._host = open_host(self._step)
        if callable(getattr(self._host, "progress", None)):
            self._host.progress = self._step  # type: ignore[attr-defined]
        self._starting = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def __enter__(self) -> WatchedHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _step(self, words: str, part: float) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Stopped
        if self.watching and not self._steps:
            self._tell(words, part)
            return
        if self._steps and not self._starting:
            if self._now is not None and (words != self._now[0] or part < self._now[1]):
                self._up += 1  # something new has begun, so what was told before is over
            self._now = words, part
        self._tell(words, min(1.0, (self._up + part) / (self._machines + self._steps)))

    def create(self, name: str, **how: Any) -> Machine:
        """As `Host.create`, told as it goes."""
        self.watching = False
        self._over()
        self._starting = True
        self._step(f"starting {name}", 0.0)
        machine = self._host.create(name, **how)
        self._starting = False
        self._up += 1
        return machine

    def _over(self) -> None:
        """The step that is told is over, as a machine is started next."""
        self._up += self._now is not None
        self._now = None

    def observe(self, seconds: float, every: float = 0.2) -> Observation:
        """As `Host.observe`, told as it goes; an experiment in phases looks several times, and each is told."""
        self.watching = True
        self._looks += 1
        again = f", look {self._looks}" if self._looks > 1 else ""
        self._step(f"measuring for {seconds:.3g} s{again}", 0.0)
        return self._host.observe(seconds, every)

    def journal(self) -> list[str]:
        """The host's journal, also after it was closed."""
        self.asked = list(self._host.journal()) or self.asked
        return self.asked

    def close(self) -> None:
        """As `Host.close`; keeps the journal, and is not to be stopped half way."""
        self._stop = None
        self.journal()
        try:
            self._host.close()
        finally:
            self.journal()
