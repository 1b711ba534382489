"""A real guest that writes to its disk and gives back: a small program there, past the guest's own cache."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from labkit.host import HostError
from labkit.host.trimming import checked_places
from labkit.live.journal import more_such

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine

__all__ = ["act", "plainly"]

PATIENCE = 120.0  # seconds
PIECE = 256 << 10  # bytes that the program below writes at once

# Past the cache only memory that begins at a multiple of 512 is written; a large array begins just behind one.
# 0x1277 is BLKDISCARD, whose argument is offset and length (linux/fs.h).
_PROGRAM = """
import fcntl, os, sys
what, place = sys.argv[1:3]
places = [tuple(map(int, part.split("+"))) for part in sys.argv[3].split(",")]
disk = os.open(place, os.O_RDWR | os.O_DIRECT)
piece = 262144
space = memoryview(bytearray(b"labkit." * ((piece + 8192) // 7)))
for begin in range(0, 4096, 16):
    try:
        os.preadv(disk, [space[begin : begin + 4096]], 0)
        break
    except OSError:
        pass
room = space[begin : begin + piece]
room[:] = b"labkit. " * (piece // 8)
for offset, length in places:
    if what == "discard":
        fcntl.ioctl(disk, 0x1277, offset.to_bytes(8, sys.byteorder) + length.to_bytes(8, sys.byteorder))
        continue
    done = 0
    while done < length:
        done += os.pwrite(disk, room[: min(piece, length - done)], offset + done)
os.fsync(disk)
"""


def plainly(what: Literal["write", "discard"], device: str, offset: int, length: int) -> list[str]:
    """The plain command in a guest that makes the same of its disk as `act` does at one place.

    Parameters
    ----------
    what : {"write", "discard"}
        What is done. What is written is any content but zeros: the file's length does not hang on it.
    device : str
        The disk's in the guest, such as ``"/dev/vdb"``.
    offset, length : int
        The place, in bytes, both multiples of 4096.
    """
    if what == "discard":
        return ["blkdiscard", "-o", str(offset), "-l", str(length), device]
    each = math.gcd(length, PIECE)  # past the cache no piece may be shorter than the others
    where = [f"bs={each}", f"count={length // each}", f"seek={offset}"]
    how = ["iflag=fullblock", "oflag=direct,seek_bytes", "conv=notrunc,fsync"]
    return ["dd", "if=/dev/urandom", f"of={device}", *where, *how]


def act(machine: LiveMachine, what: Literal["write", "discard"], disk: str, places: Sequence[tuple[int, int]]) -> None:
    """Carry out `LiveMachine.write` and `LiveMachine.discard`."""
    if disk not in machine.disks:
        raise HostError(f"{machine.name} has no disk {disk!r:.40}.", "Look at its disks.")
    found = checked_places(places, machine.disks[disk].size)
    if not found:
        return
    words = ",".join(f"{offset}+{length}" for offset, length in found)
    device = machine.device(disk)
    plain = plainly(what, device, *found[0])
    if what == "discard":
        machine.host.note_agent(machine, "guest-exec", plain)
    else:  # in a call of the agent it would be too long to be shown whole
        machine.host.comment(f"in {machine.name}: {shlex.join(plain)}")
    if len(found) > 1:
        machine.host.comment(f"{more_such(len(found) - 1, 'command')} in {machine.name}")
    doing = "writing to" if what == "write" else "discarding on"
    machine.host.progress(f"{doing} the disk “{disk}” of {machine.name}", 0.0)
    command = ["/tools/bin/python3", "-I", "-S", "-c", _PROGRAM, what, device, words]
    ended = machine.agent.run(command, PATIENCE)
    if ended.status:
        why = (ended.errors.strip().splitlines() or ["no reason given"])[-1]
        raise HostError(f"The guest in {machine.name} could not {what}: {why}.", "Look at machine.console().")
