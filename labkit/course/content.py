"""What a lesson asks: its questions and exercises, one TOML file a lesson in `labkit/course/lessons/`.

A question is about one misconception, has one right option, and every option says why it is right or
wrong. An exercise has a goal, values that vary by learner, hints in steps, and a solution that a test runs.
"""

from __future__ import annotations

import functools
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Content", "Option", "Question", "Task", "content"]

LESSONS = Path(__file__).parent / "lessons"


@dataclass(frozen=True)
class Option:
    """One possible answer, and why it is right or wrong."""

    text: str
    why: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """One question of *check yourself*.

    Parameters
    ----------
    id : str
        A name that stays when the wording changes.
    ask : str
        The question.
    options : sequence of Option
        Two or more, one of them right. They are shown in an order of their own, the same for everybody,
        so that it does not matter where the right one was written.
    misconception : str
        The belief that the question brings to light; for instructors.

    Raises
    ------
    ValueError
        Where not exactly one option is right or an option does not explain itself.
    """

    id: str
    ask: str
    options: Sequence[Option]
    misconception: str = ""

    def __post_init__(self) -> None:
        if len(self.options) < 2 or sum(option.right for option in self.options) != 1:
            raise ValueError(f"question {self.id!r} needs two options or more, and one right one")
        if not all(option.text.strip() and option.why.strip() for option in self.options):
            raise ValueError(f"question {self.id!r}: every option needs a text and a why")
        if len({option.text for option in self.options}) != len(self.options):
            raise ValueError(f"question {self.id!r}: two options are the same")

    @property
    def shuffled(self) -> list[Option]:
        """The options in the order in which they are shown."""
        return sorted(self.options, key=lambda o: hashlib.sha256(f"{self.id}/{o.text}".encode()).digest())


@dataclass(frozen=True)
class Task:
    """What an exercise consists of.

    Parameters
    ----------
    goal : str
        What is to be reached; ``$name`` stands for one of the values.
    hints : sequence of str
        In steps; none of them gives the answer away.
    values : sequence of mapping
        The variants; a learner gets one of them.
    solution : str
        Code that reaches the goal, with ``$name`` for the values. It may use `labkit` and the exercise
        itself, as `task`.
    check : str
        Where the check is, as in ``"labkit.course.checks.cpu_shares:shares_goal"``.
    """

    goal: str = ""
    hints: Sequence[str] = ()
    values: Sequence[Mapping[str, Any]] = ({},)
    solution: str = ""
    check: str = ""


@dataclass(frozen=True)
class Content:
    """All that a lesson's file holds."""

    questions: Sequence[Question] = ()
    exercises: Mapping[str, Task] = field(default_factory=dict)


@functools.cache
def content(number: str) -> Content:
    """The questions and exercises of a lesson; none where it has no file.

    Raises
    ------
    ValueError
        Where the file breaks a rule of this module.
    """
    path = LESSONS / f"{number}.toml"
    if not path.is_file():
        return Content()
    written = tomllib.loads(path.read_text(encoding="utf-8"))
    questions = tuple(
        Question(**{**entry, "options": tuple(Option(**option) for option in entry["options"])})
        for entry in written.get("questions", ())
    )
    if len({question.id for question in questions}) != len(questions):
        raise ValueError(f"{path.name}: two questions have the same id")
    return Content(questions, {name: Task(**entry) for name, entry in written.get("exercises", {}).items()})
