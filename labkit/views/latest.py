"""Only the latest wish counts: what a slider asks for while the last wish is still being done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Latest"]


class Latest:
    """Does what it was asked last, one wish at a time; wishes overtaken in the meantime are dropped.

    It starts no thread: whoever asks first does the work, also for those who ask meanwhile from other threads. So
    it works the same in a kernel with subshells, in one without, and in Pyodide.

    Parameters
    ----------
    work : callable
        Does one wish.
    """

    def __init__(self, work: Callable[[Any], None]) -> None:
        self._work = work
        self._guard = threading.Lock()
        self._wishes: list[Any] = []
        self._busy = False

    def ask(self, wish: Any) -> None:
        """Do it, or leave it to whoever is at work."""
        with self._guard:
            self._wishes = [wish]
            if self._busy:
                return
            self._busy = True
        try:
            while (wish := self._next()) is not None:
                self._work(wish)
        except BaseException:
            with self._guard:
                self._busy = False
            raise

    def _next(self) -> Any:
        with self._guard:
            if self._wishes:
                return self._wishes.pop()
            self._busy = False
            return None
