"""Commit to a number before you see it.

Picture a sealed envelope: you write down what you expect, how sure you are and why, and seal it. Only then
is the experiment shown. An envelope that can be opened and changed teaches nothing, so the first answer
that is locked is kept.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkit.course.progress import Progress
from labkit.course.showing import STYLE, Shown, card, escaped, html_widget, marked
from labkit.views.words import significant

if TYPE_CHECKING:
    from ipywidgets import Widget

__all__ = ["SURENESS", "Asked", "Prediction", "amount", "read_number", "said"]

SURENESS = {
    25: "only a guess (25%)",
    50: "half sure (50%)",
    75: "fairly sure (75%)",
    90: "very sure (90%)",
    99: "certain (99%)",
}


def amount(value: float, unit: str = "") -> str:
    """A number as a person reads it, with its unit: at most three significant digits, of whole thousands all."""
    if abs(value) < 1000:
        return f"{significant(value)} {unit}".strip()
    return f"{value:{',' if abs(value) >= 10_000 else ''}.0f} {unit}".strip()


def read_number(text: str) -> float:
    """The number a person typed; a comma may stand for the decimal point.

    Raises
    ------
    ValueError
        Where it is not a finite number.
    """
    text = text.strip()
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _one_line(text: str) -> str:
    """The text in one line of at most 200 characters, without what is no character to read (NUL, half a pair)."""
    read = "".join(" " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in str(text)[:10_000])
    return " ".join(read.split())[:200]


@dataclass(frozen=True)
class Asked:
    """What a prediction asks for.

    Parameters
    ----------
    question : str
        In words, ending in a question mark.
    unit : str
        The number's unit.
    low, high : float
        The range it can lie in.
    within : float, optional
        How near counts as right; a tenth of the range where not given. *How sure* is about this.
    """

    question: str
    unit: str
    low: float
    high: float
    within: float | None = None

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"the range must go up, not from {self.low} to {self.high}")

    @property
    def margin(self) -> float:
        """How near counts as right."""
        return (self.high - self.low) / 10 if self.within is None else self.within

    @property
    def range(self) -> str:
        """The range in words."""
        return f"from {amount(self.low)} to {amount(self.high, self.unit)}"

    def read(self, text: str | float) -> float:
        """The number in an answer.

        Raises
        ------
        ValueError
            With a sentence for the learner, where it is not a number within the range.
        """
        try:
            value = read_number(text[:400] if isinstance(text, str) else str(text))
        except (ValueError, OverflowError):
            raise ValueError(f"Please give a number {self.range}.") from None
        if not self.low <= value <= self.high:
            raise ValueError(f"{amount(value)} is outside the range: please give a number {self.range}.")
        return value


def said(answer: dict[str, Any]) -> str:
    """A locked answer in one sentence, as plain text."""
    sure = SURENESS.get(answer.get("sure"), f"{answer.get('sure')}% sure")
    why = f", because: {answer['why']}" if answer.get("why") else ""
    return f"You said {amount(answer['value'], str(answer.get('unit', '')))}, {sure}{why}"


class Prediction(Shown):
    """A question that is answered once, before the result is seen.

    Parameters
    ----------
    progress : Progress
        Where the answer is kept.
    lesson, name : str
        Which lesson, and which of its predictions.
    asked : Asked
        The question, with its unit and range.
    when_locked : callable
        Called with no argument once the answer is locked.
    """

    def __init__(
        self, progress: Progress, lesson: str, name: str, asked: Asked, when_locked: Callable[[], None] = lambda: None
    ) -> None:
        self._progress = progress
        self._lesson = lesson
        self.name = name
        self.asked = asked
        self._when_locked = when_locked

    @property
    def answer(self) -> dict[str, Any] | None:
        """The locked answer; None before."""
        return self._progress.lesson(self._lesson)["predictions"].get(self.name)

    def lock(self, value: str | float, sure: int = 50, why: str = "") -> Prediction:
        """Lock an answer. Once one is locked, later ones change nothing.

        Parameters
        ----------
        value : float or str
            The number.
        sure : int
            How sure, in percent, that it is right within the stated margin: 25, 50, 75, 90 or 99.
        why : str
            One line.

        Raises
        ------
        ValueError
            Where the number is not one within the range, or `sure` not one of the steps.
        """
        if isinstance(sure, bool) or not isinstance(sure, (int, float)) or sure not in SURENESS:
            raise ValueError(f"How sure is one of {', '.join(map(str, SURENESS))}, in percent.")
        answer = {
            "at": self._progress.moment(),
            "value": self.asked.read(value),
            "sure": int(sure),
            "why": _one_line(why),
            "unit": self.asked.unit,
            "low": self.asked.low,
            "high": self.asked.high,
            "within": self.asked.margin,
        }

        def keep(lesson: dict[str, Any]) -> None:
            peeked = f"peeked:{self.name}" in lesson["reached"]
            lesson["predictions"].setdefault(self.name, {**answer, "peeked": peeked})

        self._progress.change(self._lesson, keep)
        self._refresh()
        self._when_locked()
        return self

    def _details(self) -> str:
        if not self.asked.margin:
            return f"A number {self.asked.range}. It counts as right if it is exact."
        return f"A number {self.asked.range}. It counts as right within {amount(self.asked.margin, self.asked.unit)}."

    def _state(self) -> str:
        answer = self.answer
        return f"{said(answer)}. Locked. {self._progress.unsaved}".rstrip() if answer else "Not answered yet."

    def text(self) -> str:
        """The question, its unit and range, and the answer where there is one."""
        return f"Predict: {self.asked.question}\n{self._details()}\n{self._state()}"

    def _heading(self) -> str:
        return f"<strong>Predict.</strong> {marked(self.asked.question)}<br>{escaped(self._details())}"

    def html(self) -> str:
        """The same as a card on a static page."""
        return card("predict", f"<p>{self._heading()}</p><p>{escaped(self._state())}</p>")

    def build(self) -> Widget:
        """The form, in which the locked answer later stands."""
        import ipywidgets as w

        from labkit.course.forms import PredictionForm

        self._form = PredictionForm(
            self.lock,
            unit=self.asked.unit,
            range=self.asked.range,
            low=self.asked.low,
            high=self.asked.high,
            steps=[[percent, words] for percent, words in SURENESS.items()],
        )
        box = w.VBox([html_widget(f"{STYLE}<div>{self._heading()}</div>"), self._form])
        for name in ("labkit-card", "labkit-predict"):
            box.add_class(name)
        self._refresh()
        return box

    def _refresh(self) -> None:
        if self.answer and hasattr(self, "_form"):
            self._form.locked = self._state()
