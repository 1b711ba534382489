"""Limits before harm: what this computer can carry, asked before a machine is made."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from labkit.host import HostError

__all__ = [
    "MACHINES_AT_MOST",
    "OVERHEAD",
    "carries",
    "free_memory",
    "promised_to_stores",
    "require",
    "require_disk",
    "require_place",
    "stores",
]

MACHINES_AT_MOST = 64
OVERHEAD = 160  # MiB; resident size of a QEMU 7.2 of a 128 MiB guest under TCG, less the guest's memory, rounded up
RESERVE = 768  # MiB left for the person's own programs
PLACE = 8  # MiB; a machine's console, sockets and what libvirt writes for it; a boot prints 20 KiB
DISK = 64  # MiB; a saved guest may be written beside its memory, with the domain's description and its devices

stores: set[Callable[[], float]] = set()
"""For each store of this process that lies in memory, what tells how much more it may come to take, in MiB."""


def promised_to_stores() -> float:
    """How much more of the memory stores such as pools may come to take than they have now, in MiB."""
    return sum(left() for left in list(stores))


def _groups(own: Path, top: Path) -> Iterator[tuple[Path, str, str, str]]:
    """The control groups for memory that a process is in, innermost first, with what tells of their limit and use.

    What a container or a person's session may use is a limit of one of them (cgroups(7); Documentation/admin-guide/
    cgroup-v2.rst: memory.max; cgroup-v1/memory.rst: memory.limit_in_bytes). In a container its own is the topmost.
    """
    for line in own.read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            base, files = top / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        elif not controllers:
            base, files = top, ("memory.max", "memory.current", "inactive_file")
        else:
            continue
        place = base / path.lstrip("/")
        for group in (place, *place.parents):
            yield group, *files
            if group == base:
                break


def _left_by_groups(own: Path = Path("/proc/self/cgroup"), top: Path = Path("/sys/fs/cgroup")) -> float:
    """What control groups leave a process, in MiB; infinity where none limits it.

    Pages of files that have not been used lately are given up at once, so they count as free, as in
    ``psutil.virtual_memory().available``.
    """
    left = math.inf
    with contextlib.suppress(OSError, ValueError):
        for group, limit, usage, inactive in _groups(own, top):
            with contextlib.suppress(OSError, ValueError, StopIteration):
                most = int((group / limit).read_text())  # "max" is no number: no limit
                stat = (group / "memory.stat").read_text().splitlines()
                unused = int(next(line.split()[1] for line in stat if line.startswith(f"{inactive} ")))
                left = min(left, (most - int((group / usage).read_text()) + unused) / 1048576)
    return left


def free_memory() -> float:
    """The memory that this process and its machines can still take, in MiB: the computer's, or its container's."""
    return max(0.0, min(psutil.virtual_memory().available / 1048576, _left_by_groups()))


def carries(memory: int = 128) -> int:
    """How many more machines of `memory` MiB this computer can carry."""
    free = free_memory() - promised_to_stores() - RESERVE
    return max(0, min(MACHINES_AT_MOST, int(free // (memory + OVERHEAD))))


def require(memory: int, promised: float, running: int) -> None:
    """Refuse a machine that would take this computer's last memory.

    Parameters
    ----------
    memory : int
        The machine's, in MiB.
    promised : float
        What running machines may still come to take, in MiB; what stores in memory may comes to that.
    running : int
        How many there are.

    Raises
    ------
    HostError
        With the numbers.
    """
    if running >= MACHINES_AT_MOST:
        raise HostError(f"This host has {running} machines, and {MACHINES_AT_MOST} is the most.", "Stop some first.")
    free, promised = free_memory(), promised + promised_to_stores()
    if free - promised < memory + OVERHEAD + RESERVE:
        owed = f", {promised:.0f} MiB are promised to machines that run and to pools" if promised >= 1 else ""
        raise HostError(
            f"A machine of {memory} MiB needs {memory + OVERHEAD} MiB here, and of the {free:.0f} MiB that are free "
            f"{RESERVE} MiB are kept for your own programs{owed}.",
            "Stop other machines or programs, or ask for less memory.",
        )


def require_disk(memory: int, directory: str) -> None:
    """Refuse to save a machine of `memory` MiB where the disk would be full then.

    Raises
    ------
    HostError
        With the numbers.
    """
    disk = shutil.disk_usage(directory).free / 1048576
    if disk < memory + DISK:
        raise HostError(
            f"saving a booted machine of {memory} MiB needs {memory + DISK} MiB of disk below {directory}, "
            f"and {disk:.0f} MiB are free",
            "Free some space there.",
        )


def require_place(directory: str) -> None:
    """Refuse a machine where there is no room for the little that it writes while it runs.

    Raises
    ------
    HostError
        With the numbers.
    """
    disk = shutil.disk_usage(directory).free / 1048576
    if disk < PLACE:
        raise HostError(
            f"A machine needs {PLACE} MiB below {directory} for its console and its sockets, and {disk:.1f} MiB are "
            "free.",
            "Free some space there.",
        )
