"""The result, folded until you have committed yourself, and then your answer beside it.

*Run All* runs it, unopened. Locking the prediction opens it; a button shows it anyway, and the answer given
after that does not count when it comes to how well you know what you know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from labkit.course.predict import amount, said
from labkit.course.progress import Progress, now
from labkit.course.showing import STYLE, Shown, as_html_and_text, card, escaped, html_widget
from labkit.host import HostError

if TYPE_CHECKING:
    from ipywidgets import Widget

__all__ = ["Reveal", "columns", "miss", "truth"]

_SHOWN = 0.001  # the last digit that is shown of a number below 1
_NOTHING = 1e-9  # what is left by rounding where two numbers are the same
_COLUMNS = ("theory", "simulated", "live")
_SOURCES = {"theory": " from theory", "simulated": " from the simulation", "live": " from the live run"}
_AS = {"theory": "as theory has it", "simulated": "as the simulation has it", "live": "as your live run had it"}
_SAY = {"theory": "theory says", "simulated": "the simulation", "live": "your live run"}


def columns(source: Any, machine: str, quantity: str) -> dict[str, float]:
    """What each column of an outcome says about one quantity of one machine; empty columns left out.

    Parameters
    ----------
    source : Outcome or Observation
        Where the rows are.
    machine, quantity : str
        Which row.

    Raises
    ------
    KeyError
        Where there is no such row.
    """
    for row in source.rows:
        if row["machine"] == machine and row["quantity"] == quantity:
            if "value" in row:
                return {source.provenance.host: row["value"]}
            return {name: row[name] for name in _COLUMNS if row.get(name) is not None}
    raise KeyError(f"no {quantity!r} of {machine!r}")


def truth(values: Mapping[str, float]) -> float:
    """The number that an answer is held against: theory where there is one, then simulated, then live.

    What was asked for is the rule. What else went on while a live run measured must not decide who was right.
    """
    return next((values[name] for name in _COLUMNS if name in values), next(iter(values.values()), 0.0))


def miss(answer: Mapping[str, Any], values: Mapping[str, float]) -> float:
    """How far off an answer was, in its unit."""
    return abs(float(answer["value"]) - truth(values))


def _beside(values: Iterable[float], unit: str) -> list[str]:
    """Numbers to be compared: where one has a fraction, all that are below 1000 have three digits, "0.250"."""
    numbers = list(values)
    if all(number == round(number) for number in numbers):
        return [amount(number, unit) for number in numbers]
    return [
        amount(number, unit) if abs(number) >= 1000 else f"{Decimal(f'{number:#.3g}'):f} {unit}".strip()
        for number in numbers
    ]


def _off(by: float, unit: str) -> str:
    """How far off, as it is said: below what the numbers show, only that."""
    return f"less than {amount(_SHOWN, unit)}" if _NOTHING < by < _SHOWN / 2 else amount(round(by, 9), unit)


def _misses(answer: Mapping[str, Any], values: Mapping[str, float]) -> str:
    unit = str(answer.get("unit", ""))
    column = next((name for name in _COLUMNS if name in values), "")
    if _exact(answer, values):
        return f"Exactly right, {_AS[column]}." if column else "Exactly right."
    off = f"You were off by {_off(miss(answer, values), unit)}{_SOURCES.get(column, '')}"
    if _near(answer, values):
        return f"{off}: near enough."
    return f"{off}; {amount(answer.get('within', 0.0), unit)} was near enough."


def _exact(answer: Mapping[str, Any], values: Mapping[str, float]) -> bool:
    return miss(answer, values) <= _NOTHING


def _near(answer: Mapping[str, Any], values: Mapping[str, float]) -> bool:
    return miss(answer, values) <= answer.get("within", 0.0)


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two answers are numbers of one unit in one range, so that being off by so much means as much in both."""
    return all(one.get(what) == other.get(what) for what in ("unit", "low", "high"))


class Reveal(Shown):
    """A result that opens once its prediction is locked.

    Parameters
    ----------
    progress : Progress
        Where the predictions are kept.
    lesson, name : str
        Which lesson, and which of its predictions.
    shown : object or callable
        What is shown; a callable is called at once, so that Run All runs it.
    value : float, mapping or tuple, optional
        What the prediction asked for: a number; numbers by ``"theory"``, ``"simulated"``, ``"live"``; or
        ``(machine, quantity)`` of the outcome shown, or ``(outcome, machine, quantity)`` of another.
    after : str, optional
        An earlier prediction, to be shown beside this one.
    """

    def __init__(
        self,
        progress: Progress,
        lesson: str,
        name: str,
        shown: Any | Callable[[], Any],
        value: float | Mapping[str, float | None] | tuple[Any, ...] | None = None,
        after: str | None = None,
    ) -> None:
        self._progress = progress
        self._lesson = lesson
        self.name = name
        self._after = after
        self.trouble = ""
        try:
            self.shown = shown() if callable(shown) and not hasattr(shown, "_repr_mimebundle_") else shown
        except HostError as error:
            self.trouble, self.shown, value = str(error), str(error), None
        self.values = self._read(value)
        self._html, self._text = as_html_and_text(self.shown)
        self._keep()

    def _read(self, value: Any) -> dict[str, float]:
        if value is None:
            return {}
        if isinstance(value, tuple):
            return columns(*(value if len(value) == 3 else (self.shown, *value)))
        if isinstance(value, Mapping):
            return {str(name): float(number) for name, number in value.items() if number is not None}
        return {"result": float(value)}

    @property
    def answer(self) -> dict[str, Any] | None:
        """The locked answer; None before."""
        return self._progress.lesson(self._lesson)["predictions"].get(self.name)

    def _keep(self) -> None:
        """Write what it turned out to be beside the answer, once there is one."""
        if not self.answer or not self.values:
            return
        known = self._progress.lesson(self._lesson)["outcomes"].get(self.name, {})
        if known.get("values") != self.values:
            outcome = {"at": self._progress.moment(), "values": self.values}
            self._progress.change(self._lesson, lambda lesson: lesson["outcomes"].update({self.name: outcome}))

    def verdict(self) -> str:
        """Your answer beside what it turned out to be, in sentences; empty before the answer is locked."""
        answer = self.answer
        if not answer:
            return ""
        lines = [f"{said(answer)}."]
        if self.values:
            unit = str(answer.get("unit", ""))
            shown = zip(self.values, _beside(self.values.values(), unit), strict=True)
            numbers = ", ".join(f"{_SAY.get(name, name)} {number}" for name, number in shown)
            lines += [f"It turned out: {numbers}.", _misses(answer, self.values)]
            lines += self._improvement(answer)
        return "\n".join(lines)

    def _earlier(self) -> tuple[dict[str, Any], dict[str, float]] | None:
        lesson = self._progress.lesson(self._lesson)
        answer = lesson["predictions"].get(self._after)
        values = lesson["outcomes"].get(self._after, {}).get("values")
        return (answer, values) if answer and values else None

    def _improvement(self, answer: dict[str, Any]) -> list[str]:
        earlier = self._earlier()
        if not earlier:
            return []
        was_near, is_near = _near(*earlier), _near(answer, self.values)
        if was_near and is_near:
            return ["Near enough both times."]
        unit = str(earlier[0].get("unit", ""))
        before, this = (_off(off, unit) for off in (miss(*earlier), miss(answer, self.values)))
        if was_near:
            how = "exactly right" if _exact(*earlier) else f"near enough: off by {before}"
            return [f"The first time you were {how}."]
        if not is_near and (this == before or not _alike(earlier[0], answer)):
            return []  # which of the two was the better answer nobody can say
        change = "Nearer" if is_near or miss(answer, self.values) < miss(*earlier) else "Further off"
        return [f"{change} than the first time, when you were off by {before}."]

    def _table(self) -> str:
        """Both answers side by side, in HTML; empty where there is only one."""
        answer, earlier = self.answer, self._earlier()
        if not answer or not earlier or not self.values:
            return ""
        rows = "".join(
            f'<tr><th scope="row">{title}</th><td>{escaped(amount(a["value"], str(a.get("unit", ""))))}</td>'
            f"<td>{escaped(a.get('sure', ''))}%</td><td>{escaped(amount(truth(v), str(a.get('unit', ''))))}</td>"
            f"<td>{escaped(_off(miss(a, v), str(a.get('unit', ''))))}</td></tr>"
            for title, (a, v) in (("First", earlier), ("Second", (answer, self.values)))
        )
        from_theory = "theory" in earlier[1] and "theory" in self.values
        held_against = "Theory says" if from_theory else "It was"
        head = "".join(f'<th scope="col">{word}</th>' for word in ("", "You said", "Sure", held_against, "Off by"))
        return f"<table><tr>{head}</tr>{rows}</table>"

    def _verdict_html(self) -> str:
        return "<br>".join(escaped(line) for line in self.verdict().splitlines()) + self._table()

    def text(self) -> str:
        """The twin of what is shown, under your answer or under the reminder to predict first."""
        return f"{self.verdict() or 'Predict first, or read on.'}\n\n{self._text}"

    def html(self) -> str:
        """Folded on a static page too, until there is an answer."""
        if self.answer:
            return card("reveal", f"<div>{self._verdict_html()}</div>{self._html}")
        return card("reveal", f"<details><summary>Predict first, or show anyway</summary>{self._html}</details>")

    def build(self) -> Widget:
        """The fold, its button, and the result inside."""
        import ipywidgets as w

        from labkit.course.announcement import Announcement

        inside = self.shown if isinstance(self.shown, w.Widget) else html_widget(self._html)
        self._says = Announcement()
        self._inside = w.VBox([inside], layout={"display": "none"}, tabbable=False)
        self._inside.add_class("labkit-reveal-inside")
        self._button = w.Button(description="Predict first, or show anyway", layout={"width": "20em"})
        self._button.on_click(self._on_show)
        box = w.VBox([html_widget(STYLE), self._says, self._button, self._inside])
        for name in ("labkit-card", "labkit-reveal"):
            box.add_class(name)
        self.refresh()
        return box

    def _on_show(self, _button: Any) -> None:
        self._progress.change(self._lesson, lambda lesson: lesson["reached"].setdefault(f"peeked:{self.name}", now()))
        self._open()
        self._inside.focus()  # the button is gone, and the focus must not go with it

    def _open(self) -> None:
        self._button.layout.display = "none"
        self._inside.layout.display = ""

    def refresh(self) -> None:
        """Open where the prediction has been locked, and put the answer beside the result."""
        self._keep()
        if self.answer and hasattr(self, "_inside"):
            self._says.value = self._verdict_html()
            self._open()
