"""How much of the store a host's disks may come to take: one sum for all of them, asked before it is taken.

What counts is what the files have in whole blocks, also those of snapshots and of memories beside the disks, and what
may come to that: the writes that are still to be carried out, and all that a machine could write to a disk it has.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.live import capacity

if TYPE_CHECKING:
    from labkit.live.disks import LiveDisk

__all__ = ["AHEAD", "BLOCK", "LEFT_FREE", "MOST_HELD", "in_memory", "require"]

MEBI = 1 << 20
MOST_HELD = 4096 * MEBI  # what all disks of a host together may come to take of the store
LEFT_FREE = 1024 * MEBI  # of the store, for everybody else
AHEAD = 128 * MEBI  # what QEMU reserves ahead of need in a Parallels file while it is open
BLOCK = 4096


def in_memory(place: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether what is written below a directory lies in memory (tmpfs), as in /tmp of a Debian 13.

    Parameters
    ----------
    place : pathlib.Path
        The directory.
    mounts : pathlib.Path
        The list of what is mounted, whose third word is the device (proc(5)).
    """
    device = place.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.read_text().splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == number:
            return after.split()[0] in ("tmpfs", "ramfs")
    return False


def require(directory: Path, disks: Iterable[LiveDisk], asking: LiveDisk, more: int, doing: str) -> None:
    """Refuse what could make a host's disks take too much of the store, with the numbers.

    Parameters
    ----------
    directory : pathlib.Path
        Where the disks lie.
    disks : iterable of LiveDisk
        All that lie there.
    asking : LiveDisk
        The one that is to take more.
    more : int
        What it may come to take beyond what its file has, in bytes.
    doing : str
        Begins the sentence, such as ``"These writes"``.

    Raises
    ------
    HostError
        Where it is more than `MOST_HELD` for all together, or than the store or the memory has to give.
    """
    taken = sum(_blocks(path) for path in directory.iterdir())
    others = sum(_promised(disk) for disk in disks if disk is not asking)
    free, left, where = shutil.disk_usage(directory).free, LEFT_FREE, str(directory)
    if in_memory(directory):
        memory, kept = round(capacity.free_memory() * MEBI), capacity.RESERVE * MEBI
        if memory - kept < free - left:
            free, left, where = memory, kept, f"the memory, in which {directory} lies"
    if taken + others + more > MOST_HELD or others + more > free - left:
        raise HostError(
            f"{doing} may take {more // MEBI} MiB more of {where}, where {free // MEBI} MiB are free and "
            f"{left // MEBI} MiB of that are left alone; this host's disks have {taken // MEBI} MiB, may come to take "
            f"{others // MEBI} MiB more, and {MOST_HELD // MEBI} MiB is the most for all together.",
            "Remove a disk, make a smaller one, write less, or use the simulated host.",
        )


def _blocks(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:  # gone since the directory was read
        return 0


def _promised(disk: LiveDisk) -> int:
    """What a disk may come to take beyond what its file has: all of it where a machine has it, else what waits."""
    if disk.machine is not None:
        return max(0, disk.size - _blocks(disk.path))
    return disk.waiting_bytes()
