"""The learner's own copy of the lessons.

Picture a workbook that is handed out: what somebody has written in stays theirs. A new printing of a page
does not replace a page with writing on it; it is laid beside it.

The copy is a folder, ``~/labkit-course`` or where ``LABKIT_COURSE_DIR`` says. A lesson in which nothing
was changed since it was handed out is renewed in place. One that the learner has changed is left as it is,
and the new one is put under ``updates/<version>/``. The file ``labkit-course.json`` marks the folder and
remembers what was handed out; the learner's progress lies beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit.course.progress import MARKER, path_named
from labkit.course.safe_file import locked, write_atomically

__all__ = ["Delivery", "INSTRUCTOR_TAG", "course_folder", "learner_copy", "lessons_folder"]

INSTRUCTOR_TAG = "instructor"
_EDITIONS = ("learner", "instructor")


@dataclass
class Delivery:
    """What was handed out.

    Parameters
    ----------
    folder : Path
        The copy.
    new, renewed, kept : list of str
        Lessons that were not there; that were there unchanged, and have a new text; that stay as they are.
    beside : list of Path
        New texts of lessons that the learner has changed, put beside them.
    """

    folder: Path
    new: list[str] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    beside: list[Path] = field(default_factory=list)

    def __str__(self) -> str:
        lines = []
        if self.new:
            lines.append(f"{len(self.new)} lesson{'s'[: len(self.new) != 1]} copied to {self.folder}.")
        if self.renewed:
            lines.append(f"Renewed, as you had not changed them: {', '.join(self.renewed)}.")
        lines += [
            f"{path.name} has a new version. Yours is as you left it; the new one is {path}." for path in self.beside
        ]
        return "\n".join(lines) or f"Your lessons in {self.folder} are up to date."


def lessons_folder() -> Path:
    """Where this checkout keeps the lessons."""
    import labkit

    return Path(labkit.__file__).resolve().parents[1] / "notebooks"


def course_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where the learner's copy lies: ``LABKIT_COURSE_DIR``, or ``~/labkit-course``."""
    named = (os.environ if environ is None else environ).get("LABKIT_COURSE_DIR", "")
    return path_named(named, "LABKIT_COURSE_DIR").absolute() if named else Path.home() / "labkit-course"


def edited(path: Path, edition: str) -> bytes:
    """A lesson as it is handed out: outputs cleared, and for learners without the instructor's cells."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    cells = []
    for cell in notebook.cells:
        if edition == "learner" and INSTRUCTOR_TAG in cell.metadata.get("tags", ()):
            continue
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cells.append(cell)
    notebook.cells = cells
    return nbformat.writes(notebook).encode() + b"\n"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _marker(path: Path) -> dict[str, Any]:
    """What was handed out so far; nothing where the marker is missing or cannot be read."""
    try:
        marker = json.loads(path.read_bytes())
        lessons = marker["lessons"] if isinstance(marker["lessons"], dict) else {}
    except (OSError, ValueError, KeyError, TypeError):
        lessons = {}
    return {name: entry for name, entry in lessons.items() if isinstance(entry, dict)}


def _beside(folder: Path, version: str, name: str, content: bytes) -> Path:
    """A place for an update at which nothing of the learner's is lost."""
    for count in range(1, 10_000):
        place = folder / "updates" / (version if count == 1 else f"{version}-{count}") / name
        if not place.exists() or place.read_bytes() == content:
            return place
    raise FileExistsError(f"no room for an update under {folder / 'updates'}")


def learner_copy(source: Path | None = None, target: Path | None = None, edition: str = "learner") -> Delivery:
    """Hand out the lessons; nothing that the learner has changed is overwritten.

    Parameters
    ----------
    source : Path, optional
        Where the lessons are; this checkout's where not given.
    target : Path, optional
        The copy; `course_folder` where not given.
    edition : {"learner", "instructor"}
        With ``"instructor"`` the cells with the tag ``instructor`` stay in.

    Returns
    -------
    Delivery
        What was done; as text, in sentences. A second call does nothing.

    Raises
    ------
    FileNotFoundError
        Where the source holds no lesson.
    ValueError
        Where there is no such edition, or the source would be its own copy.
    OSError
        Where the copy cannot be written.
    """
    import labkit

    if edition not in _EDITIONS:
        raise ValueError(f"there is no edition {edition!r:.40}; there are {', '.join(_EDITIONS)}.")
    source, target = (source or lessons_folder()).resolve(), (target or course_folder()).absolute()
    if target.resolve() == source:
        raise ValueError(f"{target} holds the lessons themselves; the copy needs a folder of its own.")
    lessons = sorted(source.glob("[0-9][0-9]-*.ipynb"))
    if not lessons:
        raise FileNotFoundError(f"there are no lessons in {source}.")
    delivery = Delivery(target)
    with locked(target / MARKER):
        handed_out = _marker(target / MARKER)
        for lesson in lessons:
            content = edited(lesson, edition)
            handed_out[lesson.name] = _hand_out(
                delivery, lesson.name, content, handed_out.get(lesson.name, {}), labkit.__version__
            )
        marker = {"version": 1, "labkit": labkit.__version__, "edition": edition, "lessons": handed_out}
        content = json.dumps(marker, indent=1, sort_keys=True).encode() + b"\n"
        if not (target / MARKER).is_file() or (target / MARKER).read_bytes() != content:
            write_atomically(target / MARKER, content)
    return delivery


def _hand_out(delivery: Delivery, name: str, content: bytes, before: dict[str, Any], version: str) -> dict[str, Any]:
    """Hand out one lesson; returns what to remember of it."""
    place, digest = delivery.folder / name, _digest(content)
    if not place.exists():
        write_atomically(place, content)
        delivery.new.append(name)
        return {"given": digest}
    theirs = _digest(place.read_bytes())
    if theirs == digest or digest in (before.get("given"), before.get("offered")):
        delivery.kept.append(name)
        return {**before, "given": digest} if theirs == digest else before
    if theirs == before.get("given"):
        write_atomically(place, content)
        delivery.renewed.append(name)
        return {"given": digest}
    beside = _beside(delivery.folder, version, name, content)
    if not beside.exists():
        write_atomically(beside, content)
    delivery.kept.append(name)
    delivery.beside.append(beside)
    return {**before, "offered": digest}
