"""What is kept of a learner's work, and how two versions of it become one.

Picture two notebooks open at once, each with its own carbon copy of one exercise book. Laying the copies on
each other gives the book, whichever lies on top, however often it is done: `merge` is commutative,
associative and idempotent. A first answer stays the first; attempts add up; a hint once seen stays seen. A
reset starts a new book (a higher *epoch*), and pages of an older book do not come back.

The document
------------
``version``, ``epoch``, ``learner`` (a number that makes the exercises' values this learner's own) and
``lessons``: for each lesson its own ``epoch``, and

- ``predictions``: id to ``{at, value, sure, why, unit, low, high, within, peeked}``; the earliest is kept;
- ``outcomes``: id to ``{at, values}``, what it turned out to be; the latest is kept;
- ``quiz``: question to a list of ``{at, choice, right}``;
- ``exercises``: id to ``{attempts: [{at, done, said}], hints, solution, done, hints_before}``, the last how many hints
  had been seen when it was done;
- ``reached``: id of a cell to when it was first reached.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

__all__ = ["VERSION", "NewerRecordError", "checked", "empty", "empty_lesson", "latest", "merge"]

VERSION = 1
_ATTEMPTS_KEPT = 100

Json = dict[str, Any]


class NewerRecordError(ValueError):
    """The record was written by a newer labkit, and this one must not touch it."""


def empty(learner: int | None = None) -> Json:
    """The record of somebody who has answered nothing yet."""
    return {"version": VERSION, "epoch": 0, "learner": learner, "lessons": {}}


def empty_lesson(epoch: int = 0) -> Json:
    """The record of a lesson in which nothing has been answered yet."""
    return {"epoch": epoch, "predictions": {}, "outcomes": {}, "quiz": {}, "exercises": {}, "reached": {}}


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(f"not a record of a learner's progress: {what}")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _stamped(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("at"), str)


def _checked_lesson(lesson: Any) -> Json:
    _expect(isinstance(lesson, dict), "a lesson is not an object")
    lesson = {**empty_lesson(), **lesson}
    _expect(_whole(lesson["epoch"]), "a lesson's epoch")
    for part in ("predictions", "outcomes", "quiz", "exercises", "reached"):
        _expect(isinstance(lesson[part], dict), part)
    for answer in lesson["predictions"].values():
        number = _stamped(answer) and answer.get("value")
        _expect(isinstance(number, (int, float)) and not isinstance(number, bool), "a prediction")
    for outcome in lesson["outcomes"].values():
        _expect(_stamped(outcome) and isinstance(outcome.get("values"), dict), "an outcome")
    for attempts in lesson["quiz"].values():
        _expect(isinstance(attempts, list) and all(map(_stamped, attempts)), "a question's answers")
    for task in lesson["exercises"].values():
        seen = isinstance(task, dict) and (task.get("hints", 0), task.get("hints_before", 0))
        _expect(seen and all(map(_whole, seen)), "an exercise")
        attempts = task.get("attempts", [])
        _expect(isinstance(attempts, list) and all(map(_stamped, attempts)), "an exercise's attempts")
        _expect(isinstance(task.get("done", ""), str), "an exercise's date")
        _expect(isinstance(task.get("solution", False), bool), "an exercise's solution")
    _expect(all(isinstance(at, str) for at in lesson["reached"].values()), "the cells reached")
    quiz = {name: _together(attempts, []) for name, attempts in lesson["quiz"].items()}
    exercises = {
        name: {**task, "attempts": _together(task["attempts"], [])} if "attempts" in task else task
        for name, task in lesson["exercises"].items()
    }
    return {**lesson, "quiz": quiz, "exercises": exercises}


def checked(document: Any) -> Json:
    """The document with every part in its shape and every missing part filled in.

    Raises
    ------
    NewerRecordError
        Where a newer labkit wrote it.
    ValueError
        Where it is not a record at all.
    """
    _expect(isinstance(document, dict), "not an object")
    version = document.get("version")
    _expect(_whole(version) and version > 0, "no version")
    if version > VERSION:
        raise NewerRecordError(f"this progress file has version {version}, and this labkit knows up to {VERSION}")
    document = {**empty(), **document}
    _expect(_whole(document["epoch"]), "the epoch")
    _expect(document["learner"] is None or _whole(document["learner"]), "the learner's number")
    _expect(isinstance(document["lessons"], dict), "the lessons")
    return {**document, "lessons": {name: _checked_lesson(lesson) for name, lesson in document["lessons"].items()}}


def latest(record: Json) -> str:
    """The latest moment that a record knows, as it is written there; an empty string where it knows none."""
    moments = [""]
    for lesson in record["lessons"].values():
        answers = [*lesson["predictions"].values(), *lesson["outcomes"].values()]
        for attempts in (
            *lesson["quiz"].values(),
            *(task.get("attempts", ()) for task in lesson["exercises"].values()),
        ):
            answers += attempts
        moments += [answer["at"] for answer in answers]
        moments += lesson["reached"].values()
    return max(moments)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _when(entry: Json) -> tuple[str, str]:
    return entry["at"], _canonical(entry)


def _earliest(one: Json, other: Json) -> Json:
    return min(one, other, key=_when)


def _latest(one: Json, other: Json) -> Json:
    return max(one, other, key=_when)


def _together(one: list[Json], other: list[Json]) -> list[Json]:
    """Attempts of both, each once, in order of time, the last hundred."""
    attempts = {_canonical(entry): entry for entry in [*one, *other]}
    return sorted(attempts.values(), key=_when)[-_ATTEMPTS_KEPT:]


def _larger(one: Any, other: Any) -> Any:
    """Any rule would do for what we do not know, as long as it is the same from both sides."""
    return max(one, other, key=_canonical)


def _exercise(one: Json, other: Json) -> Json:
    rules: dict[str, Callable[[Any, Any], Any]] = {"attempts": _together, "hints": max, "solution": max, "done": min}
    rules["hints_before"] = min
    return _each(one, other, rules)


def _each(one: Json, other: Json, rules: Any) -> Json:
    """Merge two objects key by key; `rules` is one rule for all keys, or a rule a key."""
    rule = rules if callable(rules) else None
    merged = {}
    for key in sorted({*one, *other}):
        if key not in one or key not in other:
            merged[key] = (one if key in one else other)[key]
        else:
            merged[key] = (rule or rules.get(key, _larger))(one[key], other[key])
    return merged


def _parts(rule: Callable[[Any, Any], Any]) -> Callable[[Json, Json], Json]:
    return lambda one, other: _each(one, other, rule)


_LESSON_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "predictions": _parts(_earliest),
    "outcomes": _parts(_latest),
    "quiz": _parts(_together),
    "exercises": _parts(_exercise),
    "reached": _parts(min),
}


def _lesson(one: Json, other: Json) -> Json:
    if one["epoch"] != other["epoch"]:
        return max(one, other, key=lambda lesson: lesson["epoch"])
    return _each(one, other, _LESSON_RULES)


def _learner(one: int | None, other: int | None) -> int | None:
    known = [number for number in (one, other) if number is not None]
    return min(known, default=None)


def merge(one: Json, other: Json) -> Json:
    """Both records in one; neither is changed.

    Parameters
    ----------
    one, other : dict
        Two records as `checked` returns them.

    Returns
    -------
    dict
        The same whichever comes first. Where their epochs differ, the later book alone.
    """
    if one["epoch"] != other["epoch"]:
        return copy.deepcopy(max(one, other, key=lambda record: record["epoch"]))
    rules = {"lessons": _parts(_lesson), "learner": _learner}
    return copy.deepcopy(_each(one, other, rules))
