"""What passes a cable's end: the kernel's counters, and the frames themselves as tcpdump sees them.

The host's end of a machine's cable is a tap. What the machine sends the tap receives, and the other way round; here
all is said as the machine would say it.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from labkit.host import HostError
from labkit.live.errors import explained
from labkit.live.private import programs
from labkit.live.private.room import Room, end

__all__ = ["Capture", "Counted", "Frame", "counted"]

READY = 10.0  # seconds for tcpdump to listen
_LINE = re.compile(
    r"(?P<time>[0-9.]+) (?P<source>[0-9a-f:]{17}) > (?P<destination>[0-9a-f:]{17}|Broadcast), "
    r"ethertype (?P<kind>[^ ]+) \(0x[0-9a-f]+\), length (?P<length>[0-9]+): (?P<told>.*)",
    re.ASCII,
)


@dataclass(frozen=True)
class Counted:
    """What a machine has sent and received through one card, in frames and bytes (B), and what was dropped for it."""

    sent: int
    received: int
    bytes_sent: int
    bytes_received: int
    dropped: int


def counted(room: Room, device: str) -> Counted:
    """Read the counters of a machine's cable, by the name of its tap (proc(5), /proc/PID/net/dev).

    Raises
    ------
    HostError
        Where there is no such device, or the private host has gone.
    """
    with explained("read a cable's counters"):
        for line in Path(f"/proc/{room.first}/net/dev").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name.strip() == device:
                numbers = [int(number) for number in rest.split()]
                return Counted(numbers[1], numbers[9], numbers[0], numbers[8], numbers[11])
    raise HostError(f"There is no cable {device} in the private host.", "Look whether its machine still runs.")


@dataclass(frozen=True)
class Frame:
    """One frame that passed.

    Parameters
    ----------
    time : float
        When, in seconds since 1970, by the computer's clock.
    source, destination : str
        The cards' addresses; a broadcast's destination is ``ff:ff:ff:ff:ff:ff``.
    kind : str
        ``"ARP"``, ``"IPv4"``, ``"IPv6"``, ``"802.1Q"`` for one with a VLAN tag, ….
    length : int
        B.
    told : str
        What tcpdump says about its contents.
    """

    time: float
    source: str
    destination: str
    kind: str
    length: int
    told: str


class Capture:
    """All frames that pass the end of a cable during a ``with`` block, in either direction.

    Parameters
    ----------
    room : Room
        The private host.
    device : str
        The tap, or a bridge.
    choose : str
        What to look at, in tcpdump's own words (pcap-filter(7)), such as ``"arp or icmp"``; everything where empty.
    """

    def __init__(self, room: Room, device: str, choose: str = "") -> None:
        self._room = room
        self._command = ["tcpdump", "-i", device, "-n", "-e", "-tt", "-l", "--immediate-mode", *choose.split()]
        self._lines: list[str] = []
        self._errors: list[str] = []
        self._program: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Those seen up to now."""
        found = filter(None, map(_LINE.match, list(self._lines)))
        return tuple(
            Frame(
                float(part["time"]),
                part["source"],
                part["destination"].replace("Broadcast", "ff:ff:ff:ff:ff:ff"),
                part["kind"].rstrip(","),
                int(part["length"]),
                part["told"],
            )
            for part in found
        )

    def __enter__(self) -> Self:
        programs.require(programs.LOOKING, "To look at frames")
        self._program = self._room.start(self._command)
        for pipe, lines in ((self._program.stdout, self._lines), (self._program.stderr, self._errors)):
            assert pipe is not None
            reader = threading.Thread(target=lines.extend, args=(pipe,), name="labkit-capture", daemon=True)
            reader.start()
            self._readers.append(reader)
        ends = time.monotonic() + READY
        while not any("listening on" in line for line in list(self._errors)):
            if self._program.poll() is not None or time.monotonic() > ends:
                self.__exit__(None, None, None)
                said = self._errors[-1].strip() if self._errors else "nothing"
                raise HostError(f"tcpdump did not begin; it says: {said}.", "Look whether the device is there.")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._program is not None
        if self._program.poll() is None:
            time.sleep(0.05)  # what has just passed is still on its way to us
        end(self._program)
        for reader in self._readers:
            reader.join(5)
        for pipe in (self._program.stdout, self._program.stderr):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()
