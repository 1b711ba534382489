"""`labkit progress` and `labkit edition`: what belongs to learners and to those who teach them."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from labkit.commands import Answer, UsageError
from labkit.host import HostError

if TYPE_CHECKING:
    from labkit.course.edition import Delivery

__all__ = ["edition", "handed_out", "progress_reset", "progress_show"]


def handed_out(place: str | None = None, kind: str = "learner") -> Delivery:
    """A copy of the lessons, made or brought up to date.

    Parameters
    ----------
    place : str, optional
        The folder; where `labkit.course.edition.course_folder` says where not given.
    kind : {"learner", "instructor"}
        Whose copy.

    Raises
    ------
    HostError
        Where there are no lessons to copy.
    UsageError
        Where the folder cannot be a copy.
    """
    from labkit.course.edition import learner_copy
    from labkit.course.progress import path_named

    try:
        return learner_copy(target=path_named(place, "the folder") if place else None, edition=kind)
    except FileNotFoundError as error:
        if error.strerror:
            raise
        remedy = "Clone the repository and run ./course open in it."
        raise HostError(f"The lessons are not beside this labkit: {error}", remedy) from error
    except ValueError as error:
        raise UsageError(str(error), "Name another folder.") from error


def _progress() -> Any:
    """The progress of the folder one is in, else of the learner's own copy of the course."""
    from labkit.course.edition import course_folder
    from labkit.course.progress import Progress

    here = Progress.find()
    return here if here.path else Progress.find(course_folder())


def progress_show(_args: Namespace) -> Answer:
    """Show what a learner predicted and did so far."""
    progress = _progress()
    record = progress.record()
    return Answer({"file": progress.path, **record}, lambda: "\n".join(_lines(progress, record)))


def _lines(progress: Any, record: dict[str, Any]) -> list[str]:
    from labkit.course.summary import calibration

    if progress.path is None:
        return ["There is no copy of the course yet; 'labkit open' makes one."]
    lines = list(progress.notices)
    for number, lesson in sorted(record["lessons"].items()):
        solved = sum(bool(kept.get("done")) for kept in lesson["exercises"].values())
        right = sum(any(attempt.get("right") for attempt in attempts) for attempts in lesson["quiz"].values())
        lines.append(
            f"Lesson {number}: {len(lesson['predictions'])} predictions given, {solved} exercises solved, "
            f"{right} of {len(lesson['quiz'])} questions answered right in the end."
        )
    lines.append(calibration(record["lessons"].values()) or "Nothing to say yet about how sure you are.")
    return [*lines, f"Kept in {progress.path}."]


def progress_reset(_args: Namespace) -> Answer:
    """Forget what was predicted and done; the old file is kept beside the new one."""
    progress = _progress()
    if progress.path is None:
        return Answer({"file": None, "backup": None}, lambda: "There is no copy of the course, so nothing to forget.")
    backup = progress.reset()
    kept = f" What was there is kept as {backup}." if backup else ""
    return Answer({"file": progress.path, "backup": backup}, lambda: f"You begin again.{kept}")


def edition(args: Namespace) -> Answer:
    """Make a copy of the course for learners or for instructors."""
    delivery = handed_out(args.target, args.kind)
    document = {
        "folder": delivery.folder,
        "edition": args.kind,
        "new": delivery.new,
        "renewed": delivery.renewed,
        "kept": delivery.kept,
        "beside": delivery.beside,
    }
    return Answer(document, lambda: str(delivery))
