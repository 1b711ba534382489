"""Limits before harm: what this computer can carry, asked before a machine is made."""

from __future__ import annotations

import shutil

import psutil

from labkit.host import HostError

__all__ = ["MACHINES_AT_MOST", "OVERHEAD", "carries", "require"]

MACHINES_AT_MOST = 64
OVERHEAD = 160  # MiB; resident size of a QEMU 7.2 of a 128 MiB guest under TCG, less the guest's memory, rounded up
RESERVE = 768  # MiB left for the person's own programs
DISK = 64  # MiB; a saved guest may be written beside its memory, with the domain's description and its devices


def carries(memory: int = 128) -> int:
    """How many more machines of `memory` MiB this computer can carry."""
    free = psutil.virtual_memory().available / 1048576 - RESERVE
    return max(0, min(MACHINES_AT_MOST, int(free // (memory + OVERHEAD))))


def require(memory: int, promised: float, running: int) -> None:
    """Refuse a machine that would take this computer's last memory.

    Parameters
    ----------
    memory : int
        The machine's, in MiB.
    promised : float
        What running machines may still come to take, in MiB.
    running : int
        How many there are.

    Raises
    ------
    HostError
        With the numbers.
    """
    if running >= MACHINES_AT_MOST:
        raise HostError(f"This host has {running} machines, and {MACHINES_AT_MOST} is the most.", "Stop some first.")
    free = psutil.virtual_memory().available / 1048576
    if free - promised < memory + OVERHEAD + RESERVE:
        owed = f", {promised:.0f} MiB are promised to machines that run" if promised >= 1 else ""
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
