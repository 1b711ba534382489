"""A goal on a host's state: try, be told what was seen, take a hint, try again.

Picture a colleague who looks at your host and says what they see. They do not say what to type; asked, they
give one hint at a time, and only after the last one do they show how they would do it.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Any

from labkit.course.content import Task
from labkit.course.mistakes import MISTAKES, in_words, unreadable
from labkit.course.progress import Progress
from labkit.course.showing import STYLE, Shown, card, escaped, html_widget, marked, spoken, unfolded
from labkit.host import HostError

if TYPE_CHECKING:
    from ipywidgets import Widget

__all__ = ["Exercise", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """What a check saw.

    Parameters
    ----------
    done : bool
        Whether the goal is reached.
    said : str
        What was observed, in a sentence or two; never the answer.
    """

    done: bool
    said: str

    def __repr__(self) -> str:
        return f"{'Done.' if self.done else 'Not yet.'} {self.said}".strip()

    def _repr_html_(self) -> str:
        word = "Done." if self.done else "Not yet."
        return spoken(card("verdict", f"<strong>{word}</strong> {marked(self.said)}"))


class Exercise(Shown):
    """A goal, hints in steps, and a check.

    Parameters
    ----------
    progress : Progress
        Where attempts and hints are kept.
    lesson, name : str
        Which lesson, and which of its exercises.
    task : Task
        Goal, hints, values and solution.
    check : callable, optional
        Called with the learner's values and then what `Exercise.check` is given; returns a `Verdict`. The
        task's own where not given.
    """

    def __init__(
        self, progress: Progress, lesson: str, name: str, task: Task, check: Callable[..., Verdict] | None = None
    ) -> None:
        self._progress = progress
        self._lesson = lesson
        self.name = name
        variants = list(task.values) or [{}]
        self.values = dict(random.Random(f"{progress.seed}/{lesson}/{name}").choice(variants))
        self.goal = unfolded(self._filled(task.goal))
        self.hints = [unfolded(self._filled(hint)) for hint in task.hints]
        self._solution = self._filled(task.solution)
        self._check = check
        self._check_place = task.check

    def _filled(self, text: str) -> str:
        return Template(text).safe_substitute(self.values).strip()

    def _kept(self) -> dict[str, Any]:
        return self._progress.lesson(self._lesson)["exercises"].get(self.name, {})

    def _keep(self, edit: Callable[[dict[str, Any]], None]) -> None:
        self._progress.change(self._lesson, lambda lesson: edit(lesson["exercises"].setdefault(self.name, {})))

    def _checker(self) -> Callable[..., Verdict]:
        if self._check:
            return self._check
        module, _, function = self._check_place.partition(":")
        return getattr(importlib.import_module(module), function)

    def check(self, *given: Any, **named: Any) -> Verdict:
        """Look whether the goal is reached.

        Parameters
        ----------
        *given, **named
            What the exercise asks for: a host, or what you would set on one.

        Returns
        -------
        Verdict
            Done, or not yet with what was observed. Nothing raises here: an exercise that is not solved yet
            does not stop the notebook.
        """
        checker = self._checker()
        try:
            verdict = checker(self.values, *given, **named)
        except HostError as error:
            verdict = Verdict(False, str(error))
        except MISTAKES as error:
            inside = error.__traceback__ is not None and error.__traceback__.tb_next is not None
            verdict = Verdict(False, in_words(error) if inside else unreadable(error))
        attempt = {"at": self._progress.moment(), "done": verdict.done, "said": verdict.said}

        def add(kept: dict[str, Any]) -> None:
            attempts = kept.setdefault("attempts", [])
            if not attempts or attempts[-1]["said"] != attempt["said"]:  # Run All repeats the last one
                attempts.append(attempt)
            if verdict.done and "done" not in kept:
                kept.update(done=attempt["at"], hints_before=kept.get("hints", 0))

        self._keep(add)
        self._refresh()
        return verdict

    @property
    def hints_seen(self) -> int:
        """How many hints have been asked for."""
        return min(self._kept().get("hints", 0), len(self.hints))

    def hint(self) -> str:
        """The next hint; after the last one, that there are no more."""
        seen = self.hints_seen
        if seen >= len(self.hints):
            return "There are no more hints. `solution()` shows one way to do it."
        self._keep(lambda kept: kept.update(hints=max(kept.get("hints", 0), seen + 1)))
        self._refresh()
        return f"Hint {seen + 1} of {len(self.hints)}: {self.hints[seen]}"

    def solution(self) -> str:
        """One way to do it, once all hints have been seen."""
        left = len(self.hints) - self.hints_seen
        if left:
            return f"There {'is one more hint' if left == 1 else f'are {left} more hints'} to look at first."
        self._keep(lambda kept: kept.update(solution=True))
        self._refresh()
        return self._solution

    def _state(self) -> str:
        kept = self._kept()
        if kept.get("done"):
            return "Done."
        attempts = kept.get("attempts", [])
        return f"Not yet, after {len(attempts)} attempt{'s'[: len(attempts) != 1]}." if attempts else "Not tried yet."

    def _shape(self) -> str:
        return f"{len(self.hints)} hints, one at a time: hint()."

    def text(self) -> str:
        """The goal, how it stands, and the hints seen so far."""
        lines = [f"Exercise: {self.goal}", f"{self._state()} {self._shape()}"]
        seen = self.hints_seen
        lines += [f"Hint {number}: {hint}" for number, hint in enumerate(self.hints[:seen], start=1)]
        return "\n".join(lines)

    def html(self) -> str:
        """On a static page hints and solution are folded, each by itself."""
        folds = [(f"Hint {number}", marked(hint)) for number, hint in enumerate(self.hints, start=1)]
        if self._solution:
            folds.append(("A solution", f"<pre>{escaped(self._solution)}</pre>"))
        folded = "".join(f"<details><summary>{title}</summary><p>{body}</p></details>" for title, body in folds)
        goal = f"<p><strong>Exercise.</strong> {marked(self.goal)}</p>"
        return card("exercise", f"{goal}<p>{escaped(self._state())}</p>{folded}")

    def build(self) -> Widget:
        """The goal, a button for the next hint, and what has been seen of them."""
        import ipywidgets as w

        from labkit.course.announcement import Announcement

        self._hint_button = w.Button(description="Give me a hint", icon="lightbulb-o", layout={"width": "12em"})
        self._hint_button.on_click(self._on_hint)
        self._solution_button = w.Button(description="Show a solution", layout={"width": "12em"})
        self._solution_button.on_click(self._on_solution)
        self._seen = Announcement()
        self._status = html_widget("")
        buttons = w.HBox([self._hint_button, self._solution_button])
        goal = html_widget(f"{STYLE}<p><strong>Exercise.</strong> {marked(self.goal)}</p>")
        box = w.VBox([goal, self._status, buttons, self._seen])
        for name in ("labkit-card", "labkit-exercise"):
            box.add_class(name)
        self._refresh()
        return box

    def _on_hint(self, _button: Any) -> None:
        self.hint()
        if self.hints_seen >= len(self.hints):  # the button is gone, and the focus must not go with it
            (self._solution_button if self._solution and not self._kept().get("solution") else self._seen).focus()

    def _on_solution(self, _button: Any) -> None:
        self.solution()
        self._seen.focus()

    def _refresh(self) -> None:
        if not hasattr(self, "_status"):
            return
        seen, kept = self.hints_seen, self._kept()
        every = seen >= len(self.hints)
        self._status.value = f"<p>{escaped(self._state())}</p>"
        self._hint_button.description = (
            "Give me a hint" if seen == 0 else f"Next hint ({seen} of {len(self.hints)} seen)"
        )
        self._hint_button.layout.width = "12em" if seen == 0 else "18em"
        self._hint_button.layout.display = "none" if every else ""
        self._solution_button.layout.display = "" if every and self._solution and not kept.get("solution") else "none"
        shown = "".join(f"<p>Hint {n}: {marked(hint)}</p>" for n, hint in enumerate(self.hints[:seen], start=1))
        solution = f"<p>One way to do it:</p><pre>{escaped(self._solution)}</pre>" if kept.get("solution") else ""
        self._seen.value = shown + solution  # a new hint comes last, so that it alone is read out
