"""The consoles of real machines, to look at and to type at: xterm.js, and between it and the serial port only bytes.

A thread for each console waits for what its machine prints and hands it to the browser in portions, some twenty a
second at most. What comes faster than a browser can show is passed over, and the console says so: its log file has it.
The JavaScript is in `js/src/console.js`.
"""

from __future__ import annotations

import contextvars
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets

from labkit.host import HostError
from labkit.host.consoles import HasConsole, Terminal

__all__ = ["Console", "Consoles", "consoles"]

_STATIC = Path(__file__).parent / "static"
EVERY = 0.04
"""s between two portions; a person does not see that, and a flood stays bearable."""
PORTION = 8192
"""B of one portion: at most 200 KB a second."""
BEHIND = 1 << 16
"""B that may wait to be shown, and as many that a page opened later is shown of what was."""
_LAST = 8  # lines in the text twin
_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])|[\x00-\x08\x0b-\x1f\x7f]")
_ENTER = "Connected. Press Enter to see the prompt of {}."
_NONE = (
    "{} is a simulated machine and has no console: nothing runs in it that could print a word. A machine of "
    "labkit.live() has one."
)
_OTHERS = "{0} is not labkit's own machine, and its console stays with its owner: virsh console {0}"


def plain(printed: str) -> str:
    """What was printed on a console without what only a terminal understands."""
    lines = _CONTROL.sub(lambda found: "\r" if found[0] == "\r" else "", printed).split("\n")
    return "\n".join(line.rstrip("\r ").rpartition("\r")[2].rstrip() for line in lines)


class Console(anywidget.AnyWidget):
    """The console of one machine.

    Keys go to the machine's serial port, and what it prints appears. Control and ``]`` together leaves the terminal,
    as in ``virsh console``; so does the Escape key pressed twice. Whoever looks at a console of the same machine that
    was opened before in this notebook sees that this one has taken over.

    Parameters
    ----------
    machine : Machine
        A running machine of a live host; of a simulated one it says that there is nothing to see.
    rows : int
        How high it is, in lines of text.
    screen_reader : bool
        Whether what is printed is also kept as text that a screen reader reads and says; can be changed on the page.
    force : bool
        Whether to take the console from somebody in another program.

    Attributes
    ----------
    state : str
        How it is with the console, in words.
    held : bool
        Whether what is typed reaches the machine.
    over : bool
        Whether the machine is gone for good, so that there is nothing to connect to again.
    """

    _esm = (_STATIC / "console.js").read_text(encoding="utf-8")
    _css = (_STATIC / "console.css").read_text(encoding="utf-8")

    name = traitlets.Unicode().tag(sync=True)
    rows = traitlets.Int(16, min=4, max=60).tag(sync=True)
    screen_reader = traitlets.Bool(False).tag(sync=True)
    state = traitlets.Unicode().tag(sync=True)
    held = traitlets.Bool(False).tag(sync=True)
    possible = traitlets.Bool(True).tag(sync=True)
    over = traitlets.Bool(False).tag(sync=True)

    def __init__(self, machine: Any, *, rows: int = 16, screen_reader: bool = False, force: bool = False) -> None:
        super().__init__(name=machine.name, rows=rows, screen_reader=screen_reader)
        self._machine = machine
        self._terminal: Terminal | None = None
        self._shown = bytearray()
        self._size: tuple[int, int] | None = None
        self._sizing = False
        self._lock = threading.RLock()
        self._page: contextvars.Context | None = None  # that of the page's last message
        if isinstance(machine, HasConsole):
            self.on_msg(self._asked)
            self.connect(force=force)
        else:
            live = getattr(getattr(machine, "host", None), "kind", "simulated") == "live"
            self.possible, self.state = False, (_OTHERS if live else _NONE).format(machine.name)

    def connect(self, *, force: bool = False) -> None:
        """Take the console, also again after it ended; where that is not possible, `state` says why."""
        try:
            terminal = self._machine.terminal(force=force)
        except HostError as error:
            self.held, self.state = False, str(error)
            return
        with self._lock:
            self._terminal = terminal
        self.held, self.state = True, _ENTER.format(self.name)
        threading.Thread(target=self._stream, args=(terminal,), name="labkit-console", daemon=True).start()

    def _stream(self, terminal: Terminal) -> None:
        """Hand on what is printed until the console ends."""
        waiting, counted = bytearray(), terminal.passed_over
        while not terminal.ended or waiting:
            waiting += terminal.read(EVERY if waiting else 1.0)
            over = max(0, len(waiting) - BEHIND)
            del waiting[:over]
            over += terminal.passed_over - counted
            counted = terminal.passed_over
            if over:
                waiting[:0] = _missing(over)
            if waiting:
                self._show(bytes(waiting[:PORTION]))
                del waiting[:PORTION]
                time.sleep(EVERY)
        terminal.close()
        with self._lock:
            if self._terminal is terminal:
                self._answer(self._say_ended, terminal.ended)

    def _answer(self, say: Callable[..., None], *words: Any) -> None:
        """Tell the page something from a thread, as an answer to its last message.

        ipykernel takes what a page sends to where it was last spoken to from. From the cell that made the console,
        keys would wait for as long as any cell runs.
        """
        (self._page or contextvars.copy_context()).copy().run(say, *words)

    def _say_ended(self, why: str) -> None:
        self.held, self.state = False, why

    def _say(self, words: str) -> None:
        self.state = words

    def _print(self, portion: bytes) -> None:
        self.send({"do": "print"}, buffers=[portion])

    def _show(self, portion: bytes) -> None:
        with self._lock:
            self._shown += portion
            del self._shown[:-BEHIND]
            self._answer(self._print, portion)

    def _asked(self, _widget: Any, asked: Any, _buffers: Any) -> None:
        """What a page asks for: all that was shown, keys for the machine, another size, or to connect anew."""
        self._page = contextvars.copy_context()
        what = asked.get("do") if isinstance(asked, dict) else None
        if what == "begin":
            with self._lock:
                self.send({"do": "begin"}, buffers=[bytes(self._shown)])
        elif what == "type" and isinstance(asked.get("text"), str):
            self.type(asked["text"])
        elif what == "size" and all(isinstance(asked.get(way), int) for way in ("rows", "columns")):
            self._resize(asked["rows"], asked["columns"])
        elif what == "connect" and not self.held and not self.over:
            self.connect()

    def type(self, text: str) -> None:
        """Type at the machine.

        Parameters
        ----------
        text : str
            As UTF-8 it goes to the serial port; a line ends with ``"\\n"``.
        """
        typed = text.encode("utf-8", "replace")
        terminal = self._terminal
        if not self.held or terminal is None:
            return
        taken = terminal.write(typed)
        if self.state == _ENTER.format(self.name):
            self.state = "Connected."
        if taken < len(typed) and not terminal.ended:
            self.state = f"{self.name} does not take what is typed: {len(typed) - taken} characters did not reach it."

    def _resize(self, rows: int, columns: int) -> None:
        """Tell the guest, in a thread aside, as its agent may take its time; of many sizes the last counts."""
        with self._lock:
            if not self.held or (rows, columns) == self._size:
                return
            self._size = rows, columns
            if self._sizing:
                return
            self._sizing = True
        threading.Thread(target=self._tell_size, name="labkit-console-size", daemon=True).start()

    def _tell_size(self) -> None:
        told: tuple[int, int] | None = None
        while True:
            with self._lock:
                if told == self._size or self._size is None or self._terminal is None:
                    self._sizing = False
                    return
                told, terminal = self._size, self._terminal
            try:
                terminal.resize(*told)
            except HostError as error:
                if self.held:
                    self._answer(self._say, f"Connected; lines may break in the wrong place. {error}")

    def end(self, why: str) -> None:
        """Let go of the console for good, as its machine is about to be switched off; what was printed stays.

        Parameters
        ----------
        why : str
            What it says from then on.
        """
        with self._lock:
            terminal, self._terminal = self._terminal, None
        if self.possible:
            self.over, self.held, self.state = True, False, why
        if terminal:
            terminal.close()

    def close(self) -> None:
        """Let go of the console, and take it off the page."""
        if sys.is_finalizing():  # Python is on its way out, and takes the stream with it
            return
        if self._terminal:
            self._terminal.close()
        super().close()

    def __repr__(self) -> str:
        lines = [f"Console of {self.name}. {self.state}"]
        if self.possible:
            printed = [line for line in plain(self._machine.console()).splitlines() if line.strip()][-_LAST:]
            lines += ["The last lines on it:", *(f"  {line}" for line in printed)] if printed else []
        return "\n".join(lines)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            data["text/plain"] = repr(self)
        return bundle


def _missing(count: int) -> bytes:
    """What stands where something was passed over: it ends a torn escape sequence and all colours first."""
    return f"\x18\x1b[0m\r\n[{count:,} bytes came too fast to be shown; machine.console() has them]\r\n".encode()


class Consoles(widgets.Box):
    """Consoles side by side; where the page is narrow, one below the other. See `consoles`."""

    def __init__(self, several: list[Console]) -> None:
        super().__init__(several)
        look = {"display": "flex", "flex_flow": "row wrap", "align_items": "flex-start", "overflow": "visible"}
        self.layout = widgets.Layout(**look, grid_gap="8px")
        for console in several:
            console.layout = widgets.Layout(flex="1 1 340px", min_width="0", margin="0")

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.children))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            data["text/plain"] = repr(self)
        return bundle


def consoles(*machines: Any, rows: int = 16, screen_reader: bool = False, force: bool = False) -> Consoles:
    """The consoles of several machines side by side: type ``ping`` in one and watch it in the other.

    Parameters
    ----------
    *machines : Machine
        Whose consoles; further parameters are those of `Console`.
    """
    return Consoles([Console(machine, rows=rows, screen_reader=screen_reader, force=force) for machine in machines])
