"""The learner's own small file: what was predicted, answered, tried, and which hints were seen.

It lies in the learner's copy of the lessons (the folder that holds ``labkit-course.json``), or where
``LABKIT_PROGRESS`` names it. In a checkout of the repository there is neither: then everything is
kept in memory only, and a lesson looks as it does to somebody who has answered nothing yet.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from labkit.course.record import NewerRecordError, checked, empty, empty_lesson, latest, merge
from labkit.course.safe_file import locked, write_atomically
from labkit.host import HostError

__all__ = ["MARKER", "Progress", "now", "path_named"]

MARKER = "labkit-course.json"
_IN_MEMORY = "memory"
_KEEPS_GOING = "Your answers are kept only until this notebook stops."


def path_named(text: str, by: str) -> Path:
    """The path that somebody wrote, where ``~`` is their home.

    Parameters
    ----------
    text : str
        As in ``~/course``.
    by : str
        Where it was written, such as an environment variable, for the message.

    Raises
    ------
    HostError
        Where it begins with the home of somebody whom the computer does not know.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise HostError(
            f"{by} names a home directory that there is not: {text:.80}.", "Write the whole path."
        ) from error


def now() -> str:
    """This moment in UTC, as it is written into the file."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Progress:
    """What one learner has done so far.

    Parameters
    ----------
    path : Path or None
        The file; None keeps everything in memory, with the fixed learner number 0.

    Attributes
    ----------
    path : Path or None
        The file, or None.
    notices : list of str
        What the learner should know about the file, in sentences: that a broken one was set aside, or that
        it cannot be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.notices: list[str] = []
        self._may_write = path is not None
        self._unread = False  # the file is there and could not be read just now
        self._unsaved = ""
        self._memory = empty(learner=0 if path is None else None)
        self._mutex = threading.RLock()  # widgets call back from other threads

    @classmethod
    def find(cls, folder: Path | None = None, environ: Mapping[str, str] | None = None) -> Progress:
        """The progress that belongs to a folder, by default to the current one.

        Parameters
        ----------
        folder : Path, optional
            Where the notebook runs.
        environ : mapping, optional
            The environment; ``LABKIT_PROGRESS`` names the file, or is ``memory`` to keep none.
        """
        named = (os.environ if environ is None else environ).get("LABKIT_PROGRESS", "")
        if named:
            return cls(None if named == _IN_MEMORY else path_named(named, "LABKIT_PROGRESS"))
        folder = (folder or Path.cwd()).resolve()
        for place in (folder, *folder.parents):
            if (place / MARKER).is_file():
                return cls(place / "progress.json")
        return cls(None)

    def _say(self, notice: str) -> None:
        if notice not in self.notices:
            self.notices.append(notice)

    def _read(self, holding: bool) -> dict[str, Any] | None:
        """Take in what the file holds, and return it; a broken one is set aside by whoever holds the key."""
        if self.path is None:
            return None
        self._unread = False
        try:
            document = checked(json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return None
        except NewerRecordError as error:
            self._may_write = False
            self._say(f"{str(error).capitalize()}; it is left alone. {_KEEPS_GOING}")
        except OSError as error:
            self._unread = True  # what is in it would be lost if it were written now
            self._say(f"{self.path} cannot be read ({error.strerror}). {_KEEPS_GOING}")
        except (ValueError, RecursionError):
            if holding:
                self._set_aside()
            else:  # look again with the key in hand: somebody may just have repaired it
                with self._open():
                    pass
        else:
            self._memory = merge(document, self._memory)
            return document
        return None

    def _set_aside(self) -> None:
        assert self.path is not None
        aside = self._beside("broken")
        try:
            self.path.replace(aside)
        except OSError:
            self._may_write = False
            self._say(f"{self.path} is broken and cannot be moved away. {_KEEPS_GOING}")
            return
        self._say(f"Your progress file was broken. It is kept as {aside.name}, and a new one was begun.")

    def _beside(self, word: str) -> Path:
        """A name beside the file that nothing has yet, such as progress.broken-20261123T103603.json."""
        assert self.path is not None
        stem = f"{self.path.stem}.{word}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        names = (f"{stem}{'' if count == 0 else f'-{count}'}{self.path.suffix}" for count in range(10_000))
        return next(place for place in map(self.path.with_name, names) if not place.exists())

    def _write(self) -> None:
        if self.path is None or not self._may_write or self._unread:
            return
        text = json.dumps(self._memory, indent=1, sort_keys=True, ensure_ascii=False)
        if self._unsaved in self.notices:
            self.notices.remove(self._unsaved)
        try:
            # Half a character, which a browser can send and UTF-8 cannot hold, becomes JSON's own way to write it.
            write_atomically(self.path, text.encode(errors="backslashreplace") + b"\n")
            self._unsaved = ""
        except OSError as error:
            why = f"{self.path} cannot be written ({error.strerror})"
            self._unsaved = f"{why}. {_KEEPS_GOING} Make room for it; they are then written at the next one."
            self._say(self._unsaved)

    @contextlib.contextmanager
    def _open(self) -> Iterator[dict[str, Any]]:
        """The record as it is now in file and memory; what is done to it inside is written."""
        with self._mutex, locked(self.path) if self.path else contextlib.nullcontext():
            written = self._read(holding=True)
            if self._memory["learner"] is None:
                self._memory["learner"] = secrets.randbits(32)
            yield self._memory
            if self._memory != written:
                self._write()

    @property
    def unsaved(self) -> str:
        """Why the last answers are not in the file, in a sentence with what to do; empty where they are."""
        return self._unsaved

    def moment(self) -> str:
        """This moment, and always after all that the record knows: a clock set back turns no order of answers round."""
        last, this = latest(self.record()), now()
        with contextlib.suppress(ValueError, OverflowError):
            if last >= this:
                return (datetime.fromisoformat(last) + timedelta(microseconds=1)).isoformat(timespec="microseconds")
        return this

    @property
    def seed(self) -> int:
        """The number that makes this learner's exercises theirs; 0 where nothing is kept."""
        with self._mutex:
            if self._memory["learner"] is None:
                with self._open():
                    pass
            return self._memory["learner"]

    def record(self) -> dict[str, Any]:
        """A copy of the whole record, with what other notebooks have written."""
        with self._mutex:
            if self._unsaved:  # there may be room by now
                with self._open():
                    pass
            else:
                self._read(holding=False)
            return copy.deepcopy(self._memory)

    def lesson(self, number: str) -> dict[str, Any]:
        """A copy of one lesson's record; an empty one where nothing has been answered."""
        return {**empty_lesson(), **self.record()["lessons"].get(number, {})}

    def change(self, number: str, edit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Change a lesson's record, in the file and here, and return a copy of it.

        Parameters
        ----------
        number : str
            The lesson, such as ``"02"``.
        edit : callable
            Given the lesson's record with everything that any notebook has written; changes it in place.
        """
        with self._open() as record:
            lesson = record["lessons"].setdefault(number, empty_lesson())
            edit(lesson)
            return copy.deepcopy(lesson)

    def reset(self, number: str | None = None) -> Path | None:
        """Begin again, with everything or with one lesson. The old file is kept beside the new one.

        Parameters
        ----------
        number : str, optional
            The lesson; all where not given.

        Returns
        -------
        Path or None
            The backup; None where there was no file.
        """
        backup = None
        with self._open() as record:
            if self.path is not None and self.path.exists():
                backup = self._beside("before-reset")
                write_atomically(backup, self.path.read_bytes())
            if number is None:
                learner = 0 if self.path is None else secrets.randbits(32)
                fresh = {**empty(learner), "epoch": record["epoch"] + 1}
                record.clear()
                record.update(fresh)
            else:
                epoch = record["lessons"].get(number, empty_lesson())["epoch"]
                record["lessons"][number] = empty_lesson(epoch + 1)
        return backup
