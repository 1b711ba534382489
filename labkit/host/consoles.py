"""A machine's console: the serial port on which it prints, and on which it can be typed at.

Picture the cable that used to run from the back of every server to a terminal. Whoever holds its end sees what the
machine prints and can type; there is one end, so one person at a time holds it. What passes is bytes, nothing else.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["HasConsole", "Terminal"]


@runtime_checkable
class Terminal(Protocol):
    """The end of a machine's console cable, held until it is closed or the machine ends."""

    ended: str
    """Why it has ended, in words; empty while it is held."""

    passed_over: int
    """How many of the bytes printed nobody fetched in time, so that they are not kept here any more."""

    def read(self, timeout: float | None = None) -> bytes:
        """What the machine has printed since it was last asked; waits until there is something.

        Empty where nothing came within `timeout`, in s, or where it has ended.
        """

    def write(self, typed: bytes) -> int:
        """Type at the machine; returns how many of the bytes were taken."""

    def resize(self, rows: int, columns: int) -> None:
        """Tell the machine how large the screen is that its words are shown on, in characters."""

    def close(self) -> None:
        """Let go of it. Doing so twice is no error."""


@runtime_checkable
class HasConsole(Protocol):
    """A machine with a console."""

    name: str

    def console(self) -> str:
        """Everything that the machine has printed on its console."""

    def terminal(self, *, force: bool = False) -> Terminal:
        """Take the end of its console cable; whoever held it in this very program loses it.

        Parameters
        ----------
        force : bool
            Whether to take it also from somebody in another program.

        Raises
        ------
        HostError
            Where somebody in another program holds it, or the machine has ended.
        """
