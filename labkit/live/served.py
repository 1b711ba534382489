"""What the host says to the program ``serve.py`` in a guest: the work, the word "go", and what became of it.

How the two talk is told in ``images/serve.py``. Everything goes through files in the guest that the agent keeps open,
so that the go costs one call, and how far it is costs one too.
"""

from __future__ import annotations

import base64
import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.live.image import SERVER

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine

__all__ = ["PYTHON", "Program", "lines_of"]

PYTHON = ["/tools/bin/python3", "-I", "-S", SERVER]
CHUNK = 48 * 1024  # bytes of one call of the agent, before base64
BOOK_LINE = 41  # bytes of a line of the book
PATIENCE = 60.0  # seconds for the program to be ready; a guest of small shares on a busy CPU is slow


def lines_of(arrivals: Sequence[float], rounds: Sequence[int]) -> bytes:
    """The schedule, as ``serve.py`` reads it: lines of 41 bytes."""
    pairs = enumerate(zip(arrivals, rounds, strict=True))
    return b"".join(b"%8d %15.6f %15d\n" % (number, comes, work) for number, (comes, work) in pairs)


class Program:
    """One running ``serve.py`` in a guest.

    Parameters
    ----------
    machine : LiveMachine
        The guest.
    schedule : bytes
        What it is to do, from `lines_of`.
    portion : iterable of int
        In place of a schedule: the rounds that every worker gets in each period, and how many may wait.
    """

    def __init__(self, machine: LiveMachine, schedule: bytes = b"", portion: Iterable[int] = ()) -> None:
        self._agent = machine.agent
        self._name = machine.name
        self._place = f"/run/serve-{os.urandom(4).hex()}"
        self._control: int | None = None
        self._book: int | None = None
        self._agent.run(["/bin/mkdir", self._place])
        if schedule:
            self._place_file("schedule", schedule)
        command = [*PYTHON, self._place, str(machine.vcpus), *map(str, portion)]
        machine.host.note_agent(machine, "guest-exec", command)
        self._process = self._agent.start(command, capture=True)

    def _place_file(self, name: str, content: bytes) -> None:
        handle = self._agent.call("guest-file-open", path=f"{self._place}/{name}", mode="w")
        for start in range(0, len(content), CHUNK):
            self._write(handle, content[start : start + CHUNK])
        self._agent.call("guest-file-close", handle=handle)

    def _write(self, handle: int, content: bytes) -> None:
        self._agent.call("guest-file-write", handle=handle, **{"buf-b64": base64.b64encode(content).decode()})

    def make_ready(self) -> None:
        """Return when its workers wait for the go.

        Raises
        ------
        HostError
            Where they do not come to that.
        """
        ends = time.monotonic() + PATIENCE
        while self._control is None:
            if ended := self._agent.finished(self._process):
                raise HostError(f"The server in {self._name} did not start: {ended!r:.300}", "Create the machine anew.")
            if time.monotonic() > ends:
                raise HostError(f"The server in {self._name} was not ready after {PATIENCE:.0f} s.", "Try again.")
            if self._book is None:
                with contextlib.suppress(HostError):  # not there yet
                    self._book = self._agent.call("guest-file-open", path=f"{self._place}/book", mode="r")
            if self._book is not None and self.lines():
                self._control = self._agent.call("guest-file-open", path=f"{self._place}/control", mode="w")
            else:
                time.sleep(0.05)

    def say(self, word: str) -> None:
        """Let it hear a word."""
        self._write(self._control or 0, f"{word}\n".encode())
        self._agent.call("guest-file-flush", handle=self._control)

    def lines(self) -> int:
        """How many lines its book has."""
        return self._agent.call("guest-file-seek", handle=self._book, offset=0, whence="end")["position"] // BOOK_LINE

    def book(self) -> list[tuple[int, float, float]]:
        """Its book: numbers, and when each began and ended."""
        self._agent.call("guest-file-seek", handle=self._book, offset=0, whence="set")
        parts, over = [], False
        while not over:
            answer = self._agent.call("guest-file-read", handle=self._book, count=CHUNK)
            parts.append(base64.b64decode(answer["buf-b64"]))
            over = answer["eof"]
        entries = (line.split() for line in b"".join(parts).splitlines())
        return [(int(number), float(began), float(ended)) for number, began, ended in entries]

    def clear_away(self) -> None:
        """End it, should it run, and remove its files from the guest."""
        for handle in (self._book, self._control):
            if handle is not None:
                self._agent.call("guest-file-close", handle=handle)
        self._book = self._control = None
        self._agent.start(["/bin/sh", "-c", 'kill -9 "$0" 2>/dev/null; rm -r "$1"', str(self._process), self._place])
