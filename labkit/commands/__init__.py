"""What each command of the `labkit` command line does.

A command is a function that takes the parsed arguments and returns an `Answer`. It prints nothing on
standard output itself; what it tells on the way goes to standard error, and only to a person's terminal.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "UsageError", "as_document", "columns", "one_line", "stages", "tell"]

_LONGEST_LINE = 400


class UsageError(Exception):
    """The command line asks for something that cannot be; the remedy says how it is used."""

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message} {remedy}".strip())


@dataclass(frozen=True)
class Answer:
    """What a command found out.

    Parameters
    ----------
    document : object
        What ``--json`` prints.
    text : callable
        Gives what is printed otherwise; called only then.
    status : int
        The exit code.
    complaint : str
        One line for standard error, where not all that was asked could be given.
    then : callable, optional
        What goes on after the answer was printed, for a command that serves until it is stopped.
    """

    document: Any
    text: Callable[[], str]
    status: int = 0
    complaint: str = ""
    then: Callable[[], None] | None = None


def _plain(value: Any) -> Any:
    """The same value as JSON knows it: no NaN, no infinity, no tuples, keys that are text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value)


def as_document(value: Any) -> str:
    """One JSON document, in ASCII so that no terminal or locale can spoil it."""
    return json.dumps(_plain(value), allow_nan=False, indent=2)


def one_line(text: str) -> str:
    """The text without line breaks and control characters, and not longer than a person would read."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= _LONGEST_LINE else f"{words[: _LONGEST_LINE // 2]} … {words[-_LONGEST_LINE // 2 :]}"


def columns(rows: list[list[str]]) -> str:
    """Rows of words, each column as wide as its longest; the last may run on."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def tell(sentence: str) -> None:
    """Tell the person at the terminal what is going on; silent where nobody is there."""
    if sys.stderr.isatty():
        print(sentence, file=sys.stderr, flush=True)


def stages() -> Callable[[str, float], None]:
    """Something that can be told of progress again and again, and tells each stage once."""
    told: list[str] = []

    def progress(sentence: str, _done: float) -> None:
        if told[-1:] != [sentence]:
            told.append(sentence)
            tell(f"  {sentence} ...")

    return progress
