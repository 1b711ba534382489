"""What went wrong in a learner's own lines, in a sentence.

Python says it in words for people who write Python: ``LivePool.remove() takes 1 positional argument but 2 were given``.
Somebody who tries what could be called wants to hear what was wrong with this call, and needs no class names for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["MISTAKES", "in_words", "unreadable"]

MISTAKES = (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError)
"""What is raised by lines that are not right yet, in an exercise."""


def _too_many(found: re.Match[str]) -> str:
    takes, given = int(found["takes"]) - 1, int(found["given"]) - 1  # the first is the object itself
    if "." not in found["call"].rpartition("<locals>.")[2]:  # no object's: a function of its own
        takes, given = takes + 1, given + 1
    return f"{_bare(found['call'])} takes {_counted(takes)}, and was given {_counted(given)}."


def _counted(number: int) -> str:
    return "nothing" if number == 0 else "1 value" if number == 1 else f"{number} values"


def _bare(call: str) -> str:
    """The name that was called, without its class."""
    return f"{call.rpartition('.')[2]}()"


_SAID: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(
            r"(?P<call>[\w.<>]+)\(\) takes (?P<takes>\d+) positional arguments? but (?P<given>\d+) (?:was|were)"
        ),
        _too_many,
    ),
    (
        re.compile(
            r"(?P<call>[\w.<>]+)\(\) missing \d+ required (?:positional|keyword-only) arguments?: (?P<lacks>.+)"
        ),
        lambda found: f"{_bare(found['call'])} needs {found['lacks'].replace(chr(39), '')}, which was not given.",
    ),
    (
        re.compile(r"(?P<call>[\w.<>]+)\(\) got an unexpected keyword argument '(?P<name>\w+)'"),
        lambda found: f"{_bare(found['call'])} does not take {found['name']}=.",
    ),
    (
        re.compile(r"'(?P<kind>\w+)' object has no attribute '(?P<name>\w+)'"),
        lambda found: f"There is no {found['name']} here: nothing of that name can be called or read on this object.",
    ),
    (
        re.compile(r"'(?P<kind>\w+)' object is not callable"),
        lambda _found: "Round brackets () stand behind something that is only to be read, and cannot be called.",
    ),
    (
        re.compile(r"name '(?P<name>\w+)' is not defined"),
        lambda found: f"Nothing is called {found['name']} here.",
    ),
)


def in_words(error: Exception) -> str:
    """A mistake as a sentence.

    Parameters
    ----------
    error : Exception
        One of `MISTAKES`.
    """
    said = str(error)
    for pattern, sentence in _SAID:
        if found := pattern.search(said):
            return sentence(found)
    if isinstance(error, KeyError) and error.args:
        return f"There is nothing of the name {error.args[0]!r:.60} here."
    return unreadable(error)


def unreadable(error: Exception) -> str:
    """The same in Python's own words, for a mistake that has no better ones."""
    return f"What was given could not be looked at ({type(error).__name__}: {error!s:.200})."
