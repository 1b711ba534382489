"""How far you have come in a lesson, and how well you knew what you knew.

Somebody who is 75% sure of each answer should be right three times of four. Being often right and seldom
sure, or seldom right and often sure, are both worth knowing about oneself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from labkit.course.predict import amount
from labkit.course.progress import Progress
from labkit.course.reveal import miss, truth
from labkit.course.showing import card, escaped

__all__ = ["Summary", "calibration"]


def calibration(lessons: Iterable[Mapping[str, Any]]) -> str:
    """How sure the learner was beside how often they were right, in a sentence; empty before there is anything.

    Answers given after a look at the result are left out.
    """
    sure, right = [], []
    for lesson in lessons:
        for name, answer in lesson["predictions"].items():
            values = lesson["outcomes"].get(name, {}).get("values")
            if values and not answer.get("peeked"):
                sure.append(float(answer.get("sure", 50)))
                right.append(miss(answer, values) <= answer.get("within", 0.0))
    if not sure:
        return ""
    mean, hits = sum(sure) / len(sure), sum(right)
    line = f"Over all lessons you were {mean:.0f}% sure on average and right in {hits} of {len(sure)} predictions"
    if len(sure) < 4:
        return f"{line}."
    gap = mean - 100 * hits / len(sure)
    words = "you know well what you know" if abs(gap) <= 15 else "more sure than right" if gap > 0 else "too modest"
    return f"{line}: {words}."


class Summary:
    """A lesson's progress.

    Parameters
    ----------
    progress : Progress
        Where the answers are kept.
    lesson : str
        Which lesson.
    predictions, exercises, questions : sequence of str
        What the lesson holds.
    """

    def __init__(
        self, progress: Progress, lesson: str, predictions: list[str], exercises: list[str], questions: list[str]
    ) -> None:
        self._progress = progress
        self._number = lesson
        self._predictions, self._exercises, self._questions = [*predictions], [*exercises], [*questions]

    def _prediction(self, lesson: Mapping[str, Any], name: str) -> str:
        answer = lesson["predictions"].get(name)
        if not answer:
            return f"Prediction {name}: not answered yet."
        unit = str(answer.get("unit", ""))
        values = lesson["outcomes"].get(name, {}).get("values")
        outcome = f", it was {amount(truth(values), unit)}" if values else ""
        return f"Prediction {name}: you said {amount(answer['value'], unit)}, {answer.get('sure')}% sure{outcome}."

    def _exercise(self, lesson: Mapping[str, Any], name: str) -> str:
        kept = lesson["exercises"].get(name, {})
        tries = len(kept.get("attempts", []))
        state = "done" if kept.get("done") else "not yet" if tries else "not tried yet"
        # What somebody reads out of curiosity when it is done was no help; an older record does not know when it was.
        hints = kept.get("hints_before", kept.get("hints", 0)) if kept.get("done") else kept.get("hints", 0)
        used = f", {hints} hint{'s'[: hints != 1]} seen" if hints else ""
        return f"Exercise {name}: {state}{used}."

    def lines(self) -> list[str]:
        """The summary, a sentence a line."""
        record = self._progress.record()
        lesson = self._progress.lesson(self._number)
        lines = [f"Lesson {self._number}, your progress"]
        lines += [self._prediction(lesson, name) for name in self._predictions]
        lines += [self._exercise(lesson, name) for name in self._exercises]
        if self._questions:
            tries = [lesson["quiz"].get(name, []) for name in self._questions]
            right = sum(any(attempt.get("right") for attempt in attempts) for attempts in tries)
            lines.append(f"Check yourself: {right} of {len(tries)} questions answered right.")
        sure = calibration(record["lessons"].values())
        lines += [sure] if sure else []
        where = f"Kept in {self._progress.path}." if self._progress.path else "Kept only until this notebook stops."
        return [*lines, where, *self._progress.notices]

    def text(self) -> str:
        """The plain text twin."""
        return "\n".join(self.lines())

    __repr__ = text

    def _repr_html_(self) -> str:
        title, *rest = map(escaped, self.lines())
        items = "".join(f"<li>{line}</li>" for line in rest)
        return card("progress", f"<strong>{title}</strong><ul>{items}</ul>")
