"""A host with somebody looking over its shoulder: it tells what it is about to do, and can be told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from labkit.host import Host, Machine, Observation

__all__ = ["Stopped", "WatchedHost"]


class Stopped(Exception):  # noqa: N818 - not an error: somebody pressed Stop
    """The person asked to stop."""


class WatchedHost:
    """A host that reports each step before it takes it.

    Parameters
    ----------
    host : Host
        The host that does the work.
    tell : callable
        Called before each step with the step in words and the number of machines that are up.
    stop : threading.Event, optional
        Once it is set, the next step raises `Stopped` instead.
    """

    def __init__(self, host: Host, tell: Callable[[str, int], None], stop: threading.Event | None = None) -> None:
        self._host = host
        self._tell = tell
        self._stop = stop
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def __enter__(self) -> WatchedHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _step(self, words: str) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Stopped
        self._tell(words, len(self._host.machines))

    def create(self, name: str, **how: Any) -> Machine:
        """As `Host.create`, told beforehand."""
        self._step(f"starting {name}")
        return self._host.create(name, **how)

    def observe(self, seconds: float, every: float = 0.2) -> Observation:
        """As `Host.observe`, told beforehand."""
        self._step(f"watching for {seconds:g} s")
        return self._host.observe(seconds, every)

    def journal(self) -> list[str]:
        """The host's journal, also after it was closed."""
        self.asked = list(self._host.journal()) or self.asked
        return self.asked

    def close(self) -> None:
        """As `Host.close`; keeps the journal."""
        self.journal()
        try:
            self._host.close()
        finally:
            self.journal()
