"""What makes a notebook a lesson: predictions, folded results, exercises, questions, progress, editions."""

from __future__ import annotations

from labkit.course.exercise import Verdict
from labkit.course.lesson import Lesson, lesson
from labkit.course.progress import Progress

__all__ = ["Lesson", "Progress", "Verdict", "lesson"]
