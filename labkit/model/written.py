"""What lies on a simulated machine's disks, as labels, and what waits to be written until there is room.

Picture a shelf with a label on each box that says which version of a thing is in it. Every way of writing comes
through here: it puts up new labels, and asks the pool first, where the disk lies in one. Where the pool has nothing
left the machine stands still, and what it was writing is written when it goes on.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.host.pools import PIECE
from labkit.host.trimming import BLOCK

if TYPE_CHECKING:
    from labkit.model.machine import SimulatedMachine

__all__ = ["Written", "require_going"]


def require_going(machine: SimulatedMachine) -> None:
    """Make sure that a machine does not stand still.

    Raises
    ------
    HostError
        Where it is paused.
    """
    if machine.state == "paused":
        raise HostError(f"{machine.name} is paused: its pool has no room.", "Let it grow, then machine.resume().")


class Written:
    """The labels of one machine's disks.

    Parameters
    ----------
    machine : SimulatedMachine
        Whose.
    """

    def __init__(self, machine: SimulatedMachine) -> None:
        self._machine = machine
        self.versions = itertools.count(1)
        self.labels: dict[str, dict[int, int]] = {}  # by disk: the block, and the version of what is in it
        self._waiting: deque[tuple[str, int, int, int]] = deque()  # disk, offset, length, version

    def write(self, disk: str, places: Sequence[tuple[int, int]]) -> None:
        """Write something new to each place, in bytes and whole blocks.

        Raises
        ------
        HostError
            Where the machine is paused, or is now, for want of room. What is missing is written when it goes on.
        """
        require_going(self._machine)
        self._waiting.extend((disk, offset, length, next(self.versions)) for offset, length in places)
        self.go_on()
        require_going(self._machine)

    def go_on(self) -> None:
        """Write what waits, until there is no room; then the machine is paused."""
        while self._waiting:
            name, offset, length, version = self._waiting[0]
            disk = self._machine.disks[name]
            if disk.pool is None:
                disk.written_inside(offset, length)
            elif not disk.pool.take(disk, offset, length):
                if length <= PIECE:
                    self._machine.pause()
                    return
                self._waiting.popleft()  # as much as there is room for, request by request
                starts = range(offset, offset + length, PIECE)
                pieces = [(name, at, min(PIECE, offset + length - at), version) for at in starts]
                self._waiting.extendleft(reversed(pieces))
                continue
            self._waiting.popleft()
            blocks = range(offset // BLOCK, (offset + length) // BLOCK)
            self.labels.setdefault(name, {}).update(dict.fromkeys(blocks, version))

    def discard(self, disk: str, places: Sequence[tuple[int, int]]) -> None:
        """Give back what lies there: units of the file that lie in it as a whole read as zeros from then on."""
        require_going(self._machine)
        own, labels = self._machine.disks[disk], self.labels.get(disk, {})
        for offset, length in places:
            own.discarded_inside(offset, length)
            unit, end = own.unit, offset + length
            first, last = -(-offset // unit) * unit, own.size if end == own.size else end // unit * unit
            for block in range(first // BLOCK, -(-last // BLOCK)):
                labels.pop(block, None)

    def forget_waiting(self) -> None:
        """Write none of it any more: the machine is one of another time now."""
        self._waiting.clear()
