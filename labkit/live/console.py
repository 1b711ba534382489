"""A machine's serial port as a stream: what ``virsh console`` holds, held by this process.

libvirt calls from its own thread whenever bytes have come. They are fetched at once and always: a port that nobody
empties would make QEMU throw away what the guest prints, also from the console's log file. What is not read here in
time is passed over instead, the oldest first, and counted; the log file has it all.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.live.errors import translated

if TYPE_CHECKING:
    import libvirt

    from labkit.live.machine import LiveMachine

__all__ = ["LiveTerminal", "attach"]

KEPT = 1 << 18
"""B printed that wait to be read, at most."""
PENDING = 1 << 16
"""B typed that wait for the guest to take them, at most."""
_AT_ONCE = 1 << 16
_TAKEN = "Another console of this notebook has taken over."
_OVER = "The console ended: the machine was switched off, or somebody else took its console."


class LiveTerminal:
    """The held end of a machine's console; made by `attach`, a `labkit.host.consoles.Terminal`.

    Parameters
    ----------
    machine : LiveMachine
        Whose console it is.
    stream : libvirt.virStream
        An open stream that does not block.
    """

    def __init__(self, machine: LiveMachine, stream: libvirt.virStream) -> None:
        self.ended = ""
        self.passed_over = 0
        self._machine = machine
        self._stream = stream
        self._came = bytearray()
        self._typed = bytearray()
        self._changed = threading.Condition()
        # Also where a terminal is forgotten instead of closed: libvirt itself would hold the console on for ever.
        self._release = weakref.finalize(self, _release, stream)
        self._release.atexit = False
        self._watch(first=True)

    def __repr__(self) -> str:
        return f"console of {self._machine.name}: {self.ended or 'held'}"

    def _watch(self, *, first: bool = False) -> None:
        """Tell libvirt what to call for: what is printed always, room to type only where something waits for it."""
        import libvirt

        events = libvirt.VIR_STREAM_EVENT_READABLE | libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP
        if self._typed:
            events |= libvirt.VIR_STREAM_EVENT_WRITABLE
        if first:
            # libvirt would keep a terminal alive that nobody has any more, had it the method itself.
            me = weakref.ref(self)
            self._stream.eventAddCallback(events, _called, me)
        else:
            self._stream.eventUpdateCallback(events)

    def happened(self, events: int) -> None:
        """Take note of what libvirt's thread says about the stream; for `_called` alone."""
        import libvirt

        with self._changed:
            if self.ended:
                return
            try:
                if events & libvirt.VIR_STREAM_EVENT_READABLE:
                    self._fetch()
                if events & libvirt.VIR_STREAM_EVENT_WRITABLE and not self.ended:
                    self._send()
            except libvirt.libvirtError:
                self._end(_OVER)
            if events & (libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP):
                self._end(_OVER)
            self._changed.notify_all()

    def _fetch(self) -> None:
        while True:
            came = self._stream.recv(_AT_ONCE)
            if came == -2:  # nothing at the moment
                return
            if not isinstance(came, bytes) or not came:
                self._end(_OVER)
                return
            self._came += came
            if (over := len(self._came) - KEPT) > 0:
                del self._came[:over]
                self.passed_over += over

    def _send(self) -> None:
        while self._typed:
            sent = self._stream.send(bytes(self._typed))
            if sent < 0:  # the guest has not taken the last yet
                break
            del self._typed[:sent]
        self._watch()

    def _end(self, why: str) -> None:
        """No more calls; the stream itself is closed by whoever reads, not by libvirt's own thread."""
        import libvirt

        if not self.ended:
            self.ended = why
            with contextlib.suppress(libvirt.libvirtError):  # it is over anyway
                self._stream.eventUpdateCallback(0)
            self._changed.notify_all()

    def read(self, timeout: float | None = None) -> bytes:
        """What was printed since the last time; see `labkit.host.consoles.Terminal.read`."""
        with self._changed:
            self._changed.wait_for(lambda: self._came or self.ended, timeout)
            came = bytes(self._came)
            self._came.clear()
            return came

    def write(self, typed: bytes) -> int:
        """Type at the machine; of what would have to wait, `PENDING` bytes are taken at most."""
        import libvirt

        with self._changed:
            if self.ended:
                return 0
            taken = typed[: PENDING - len(self._typed)]
            self._typed += taken
            try:
                self._send()
            except libvirt.libvirtError:
                self._end(_OVER)
                return 0
            return len(taken)

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the guest's terminal, by the agent: a serial line itself has no way to say it.

        Parameters
        ----------
        rows, columns : int
            In characters, 2 to 500.

        Raises
        ------
        HostError
            Where the agent does not do it.
        """
        rows, columns = (max(2, min(500, int(size))) for size in (rows, columns))
        command = ["/bin/sh", "-c", f"stty -F /dev/console rows {rows} cols {columns}"]
        if (done := self._machine.agent.run(command, timeout=10)).status:
            raise HostError(
                f"{self._machine.name} did not change the size of its terminal: {done.errors.strip()[:80]}.",
                f"Type: stty rows {rows} cols {columns}",
            )

    def close(self) -> None:
        """Let go of the console; see `labkit.host.consoles.Terminal.close`."""
        self.let_go("It was closed.")

    def let_go(self, why: str) -> None:
        """Let go of the console, and say why."""
        with self._changed:
            self._end(why)
        self._release()


def _release(stream: libvirt.virStream) -> None:
    import libvirt

    for step in (stream.eventRemoveCallback, stream.abort):
        with contextlib.suppress(libvirt.libvirtError):  # it may have ended by itself
            step()


def _called(_stream: libvirt.virStream, events: int, me: weakref.ref[LiveTerminal]) -> None:
    """What libvirt's thread calls."""
    if terminal := me():
        terminal.happened(events)


_held: weakref.WeakKeyDictionary[LiveMachine, weakref.ref[LiveTerminal]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def attach(machine: LiveMachine, *, force: bool = False) -> LiveTerminal:
    """Take a machine's console, from this process's earlier holder too; see `labkit.host.consoles.HasConsole.terminal`.

    Parameters
    ----------
    machine : LiveMachine
        Whose.
    force : bool
        Whether to take it from a holder in another program.

    Raises
    ------
    HostError
        Where somebody in another program holds it, or the machine has ended.
    """
    import libvirt

    with _lock:
        if (held := _held.pop(machine, None)) and (earlier := held()):
            earlier.let_go(_TAKEN)
        if machine.state == "stopped":
            raise HostError(f"{machine.name} is switched off, so nothing is at its console.", "Create it again.")
        flags = libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else 0
        with translated(f"open the console of {machine.name}"):
            stream = machine.host.connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
            try:
                machine.domain.openConsole(None, stream, flags)
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_OPERATION_FAILED or "Active console" not in str(error):
                    raise
                raise HostError(
                    f"Somebody in another program holds the console of {machine.name}.",
                    "Close it there, or take it: views.Console(machine, force=True).",
                ) from error
            terminal = LiveTerminal(machine, stream)
        machine.host.note("console", machine.name, *(["--force"] if force else []))
        _held[machine] = weakref.ref(terminal)
        return terminal
