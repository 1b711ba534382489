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
        problem: BaseException | None = None
        while wishes := self._next():
            try:
                self._work(wishes[0])
            except BaseException as error:  # noqa: BLE001 - raised below; what was asked for meanwhile comes first
                problem = error
        if problem is not None:
            raise problem

    def _next(self) -> list[Any]:
        """The wish to do now, alone in a list; an empty one where there is none."""
        with self._guard:
            wishes, self._wishes = self._wishes, []
            self._busy = bool(wishes)
            return wishes
