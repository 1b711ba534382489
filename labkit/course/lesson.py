"""What a notebook says at its top, and uses from there on.

::

    from labkit.course import lesson

    here = lesson("02")

`here.predict` asks for a number, `here.reveal` folds a result behind it, `here.exercise` sets a goal,
`here.quiz` checks, and `here.progress` says how far you have come. Each shows itself as a widget, as HTML on
a static page, and as plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labkit.course.content import Task, content
from labkit.course.exercise import Exercise, Verdict
from labkit.course.predict import Asked, Prediction
from labkit.course.progress import Progress, now
from labkit.course.quiz import Quiz
from labkit.course.reveal import Reveal
from labkit.course.summary import Summary

__all__ = ["Lesson", "lesson"]


class Lesson:
    """One lesson, for one learner.

    Parameters
    ----------
    number : str
        Which, such as ``"02"``.
    progress : Progress
        Where the learner's answers are kept.
    """

    def __init__(self, number: str, progress: Progress) -> None:
        self.number = number
        self.kept = progress
        self._content = content(number)
        self._reveals: dict[str, list[Reveal]] = {}
        self._asked: list[str] = []
        self._tasks: list[str] = []

    def _reach(self, what: str) -> None:
        if what not in self.kept.lesson(self.number)["reached"]:
            self.kept.change(self.number, lambda lesson: lesson["reached"].setdefault(what, now()))

    def _locked(self, name: str) -> None:
        for reveal in [*self._reveals.get(name, ())]:
            reveal.refresh()

    def predict(
        self,
        name: str,
        question: str,
        *,
        unit: str = "",
        low: float = 0.0,
        high: float = 1.0,
        within: float | None = None,
    ) -> Prediction:
        """Ask for a number before its result is seen.

        Parameters
        ----------
        name : str
            A name for it in this lesson, such as ``"first"``; `reveal` refers to it.
        question : str
            What is asked.
        unit : str
            The number's unit.
        low, high : float
            The range it can lie in.
        within : float, optional
            How near counts as right; a tenth of the range where not given.
        """
        self._reach(f"predict:{name}")
        if name not in self._asked:
            self._asked.append(name)
        asked = Asked(question, unit, low, high, within)
        return Prediction(self.kept, self.number, name, asked, when_locked=lambda: self._locked(name))

    def reveal(
        self,
        name: str,
        shown: Any | Callable[[], Any],
        *,
        value: float | Mapping[str, float | None] | tuple[Any, ...] | None = None,
        after: str | None = None,
    ) -> Reveal:
        """Show a result, folded until the prediction of that name is locked; see `labkit.course.reveal.Reveal`.

        Parameters
        ----------
        name : str
            The prediction.
        shown : object or callable
            The result: a view, an outcome, a widget, or a call that makes one.
        value : float, mapping or tuple, optional
            What the prediction asked for: a number, ``{"theory": …, "simulated": …, "live": …}``,
            ``(machine, quantity)`` or ``(outcome, machine, quantity)``.
        after : str, optional
            An earlier prediction to compare with.
        """
        self._reach(f"reveal:{name}")
        reveal = Reveal(self.kept, self.number, name, shown, value, after)
        self._reveals.setdefault(name, []).append(reveal)
        return reveal

    def exercise(
        self,
        name: str,
        *,
        goal: str = "",
        check: Callable[..., Verdict] | None = None,
        hints: Sequence[str] = (),
        values: Sequence[Mapping[str, Any]] = (),
        solution: str = "",
    ) -> Exercise:
        """Set a goal; what is not given here is read from the lesson's file; see `labkit.course.exercise.Exercise`.

        Parameters
        ----------
        name : str
            A name for it in this lesson.
        goal : str
            What is to be reached; ``$name`` stands for one of the values.
        check : callable
            Called with the learner's values and what they gave; returns a `Verdict`.
        hints : sequence of str
            In steps.
        values : sequence of mapping
            The variants of which a learner gets one.
        solution : str
            One way to do it.

        Raises
        ------
        ValueError
            Where neither the call nor the lesson's file has a goal and a check.
        """
        written = self._content.exercises.get(name, Task())
        task = Task(
            goal or written.goal,
            hints or written.hints,
            values or written.values,
            solution or written.solution,
            written.check,
        )
        if not task.goal or not (check or task.check):
            raise ValueError(f"the exercise {name!r} of lesson {self.number} has no goal or no check")
        self._reach(f"exercise:{name}")
        if name not in self._tasks:
            self._tasks.append(name)
        return Exercise(self.kept, self.number, name, task, check)

    def quiz(self) -> Quiz:
        """The lesson's questions."""
        self._reach("quiz")
        return Quiz(self.kept, self.number, self._content.questions)

    def progress(self) -> Summary:
        """How far you have come in this lesson, and how well you knew what you knew."""
        questions = [question.id for question in self._content.questions]
        return Summary(self.kept, self.number, self._asked, self._tasks, questions)

    def __repr__(self) -> str:
        return self.progress().text()


def lesson(number: str) -> Lesson:
    """The lesson of that number, with what this learner has done in it so far.

    Parameters
    ----------
    number : str
        Two digits, such as ``"02"``.
    """
    return Lesson(number, Progress.find())
