"""Check yourself: questions about what people commonly get wrong, whose every answer explains itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from labkit.course.content import Option, Question
from labkit.course.progress import Progress
from labkit.course.showing import STYLE, Shown, card, escaped, html_widget, marked

if TYPE_CHECKING:
    from ipywidgets import Widget

__all__ = ["Quiz"]

_LETTERS = "abcdefgh"


def _verdict(option: Option) -> str:
    return "Yes." if option.right else "Not quite."


class Quiz(Shown):
    """The questions at a lesson's end.

    Parameters
    ----------
    progress : Progress
        Where the answers are kept.
    lesson : str
        Which lesson.
    questions : sequence of Question
        What is asked.
    """

    def __init__(self, progress: Progress, lesson: str, questions: Sequence[Question]) -> None:
        self._progress = progress
        self._lesson = lesson
        self.questions = tuple(questions)

    def _attempts(self, question: Question) -> list[dict[str, Any]]:
        return self._progress.lesson(self._lesson)["quiz"].get(question.id, [])

    def _keep(self, question: Question, option: Option) -> str:
        attempt = {"at": self._progress.moment(), "choice": option.text, "right": option.right}
        self._progress.change(self._lesson, lambda lesson: lesson["quiz"].setdefault(question.id, []).append(attempt))
        return self._explained(option)

    def _explained(self, option: Option) -> str:
        return f"{_verdict(option)} {option.why} {self._progress.unsaved}".rstrip()

    def _explained_html(self, option: Option) -> str:
        return f"<strong>{_verdict(option)}</strong> {marked(self._explained(option).removeprefix(_verdict(option)))}"

    def answer(self, number: int, letter: str) -> str:
        """Answer without the widget: question 1 and up, option ``"a"`` and up; returns the explanation."""
        question = self.questions[number - 1]
        return self._keep(question, question.shuffled[_LETTERS.index(letter.lower())])

    def summary(self) -> str:
        """How many are answered, and how many were right at the first try."""
        tries = [self._attempts(question) for question in self.questions]
        answered = [attempts for attempts in tries if attempts]
        if not answered:
            return "Not answered yet."
        right = sum(any(attempt.get("right") for attempt in attempts) for attempts in answered)
        first = sum(bool(attempts[0].get("right")) for attempts in answered)
        return f"{right} of {len(tries)} answered right, {first} of them at the first try."

    def text(self) -> str:
        """The questions and their options; not the answers."""
        lines = [f"Check yourself: {len(self.questions)} questions. {self.summary()}"]
        for number, question in enumerate(self.questions, start=1):
            lines += ["", f"{number}. {question.ask.strip()}"]
            lines += [f"   {letter}) {o.text}" for letter, o in zip(_LETTERS, question.shuffled, strict=False)]
        return "\n".join(lines)

    def html(self) -> str:
        """On a static page every option opens to its explanation."""
        items = "".join(
            f"<li><p>{marked(question.ask)}</p>"
            + "".join(
                f"<details><summary>{marked(option.text)}</summary><p>{self._explained_html(option)}</p></details>"
                for option in question.shuffled
            )
            + "</li>"
            for question in self.questions
        )
        return card("quiz", f"<p>{escaped(self.summary())}</p><ol>{items}</ol>")

    def build(self) -> Widget:
        """A question under the other, each with its options, a button and room for the explanation."""
        import ipywidgets as w

        self._summary = html_widget("")
        asked = [self._build_question(number, question) for number, question in enumerate(self.questions, start=1)]
        box = w.VBox([html_widget(STYLE), *asked, self._summary])
        for name in ("labkit-card", "labkit-quiz"):
            box.add_class(name)
        self._summary.value = escaped(self.summary())
        return box

    def _build_question(self, number: int, question: Question) -> Widget:
        from labkit.course.forms import QuestionForm

        options = question.shuffled
        attempts = self._attempts(question)
        last = attempts[-1].get("choice") if attempts else None
        answered = next(
            (
                {"chosen": place, "said": self._explained_html(option)}
                for place, option in enumerate(options)
                if option.text == last
            ),
            {},
        )

        def check(place: int) -> str:
            self._keep(question, options[place])
            self._summary.value = escaped(self.summary())
            return self._explained_html(options[place])

        part = QuestionForm(
            check,
            number=number,
            ask=f"<strong>{number}.</strong> {marked(question.ask)}",
            choices=[marked(option.text) for option in options],
            answered=answered,
        )
        part.add_class("labkit-question")
        return part
