"""The plain commands behind what labkit does, so that what is learnt here works at work."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

__all__ = ["Journal", "more_such"]


class Journal:
    """A list of equivalent ``virsh`` commands, in the order in which they were carried out."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def virsh(self, *words: str | int | float) -> None:
        """Note a ``virsh`` command, unless it only repeats the last one; its words are quoted for a shell."""
        line = "virsh " + shlex.join(str(word) for word in words)
        if self._lines[-1:] != [line]:
            self._lines.append(line)

    def command(self, words: Sequence[str]) -> None:
        """Note any other command."""
        self._lines.append(shlex.join(words))

    def note(self, text: str) -> None:
        """Note something that has no command of its own, as a shell comment."""
        self._lines.append(f"# {text}")

    def lines(self) -> list[str]:
        """All that was noted; a list of the caller's own."""
        return list(self._lines)


def more_such(count: int, what: str) -> str:
    """What is said in the place of so many more commands like the last one: "and 2 more such writes"."""
    return f"and {count} more such {what}{'s'[: count != 1]}"
