"""What both hosts ask of a limit on a disk."""

from __future__ import annotations

import math

from labkit.host.protocol import Machine
from labkit.host.words import HostError

__all__ = ["LEAST", "MOST", "require_disk", "require_limit"]

LEAST, MOST = 1.0, 1e6
"""The range of a limit, in requests a second."""


def require_disk(machine: Machine, disk: str) -> None:
    """Make sure that a machine has a disk of that name.

    Raises
    ------
    HostError
        Where it has not.
    """
    if disk not in machine.disks:
        has = (
            f"It has {', '.join(machine.disks)}." if machine.disks else "Give it one: host.create(name, disks=[disk])."
        )
        raise HostError(f"{machine.name} has no disk {disk!r:.40}.", has)


def require_limit(machine: Machine, disk: str, iops: float) -> None:
    """Make sure that a limit can be set on a disk.

    Raises
    ------
    HostError
        Where the machine does not have the disk.
    ValueError
        Where the limit is outside its range.
    """
    require_disk(machine, disk)
    number = isinstance(iops, (int, float)) and not isinstance(iops, bool)
    if not number or not (LEAST <= iops <= MOST or math.isinf(iops) and iops > 0):
        raise ValueError(f"iops must be from {LEAST:g} to {MOST:g} requests a second, or infinite, not {iops!r:.40}")
