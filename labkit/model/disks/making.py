"""Putting a new disk on a simulated host's shelf, under its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from labkit.host import HostError
from labkit.model.arguments import checked_name
from labkit.model.disks.chain import SimulatedOverlay
from labkit.model.disks.disk import SimulatedDisk

__all__ = ["checked_disks", "make_disk"]


class Keeper(Protocol):
    """A host that keeps a journal."""

    name: str

    def note(self, action: str) -> None:
        """Write an action into the journal."""


def make_disk(
    host: Keeper,
    disks: dict[str, SimulatedDisk],
    name: str,
    size: str | float | None,
    format: str,
    cluster: int | None,
    backing: SimulatedDisk | None = None,
) -> SimulatedDisk:
    """Make a disk, and put it among the host's others; see `labkit.host.Host.disk`."""
    name = checked_name(name)
    if name in disks and not disks[name].removed:
        raise HostError(f"There is a disk {name} already.", "Remove it first, or take another name.")
    if backing is None:
        if size is None:
            raise ValueError("a disk needs a size, or a backing that has one")
        disk = SimulatedDisk(name, size, format, cluster=cluster, host=host.name)
    elif size is not None:
        raise ValueError("a disk over a backing has the size of that: leave size out")
    elif disks.get(getattr(backing, "name", "")) is not backing:
        raise HostError(f"{backing!r:.60} is not one of this host's disks.", "Make it with host.disk.")
    else:
        disk = SimulatedOverlay(name, backing, format, cluster=cluster, host=host.name)
    disks[name] = disk
    disk.make_beside = lambda name, size, format: make_disk(host, disks, name, size, format, None)
    over = "" if backing is None else f" backing={backing.name}"
    host.note(f"disk {name} size={disk.size}B format={format}{over}" + (f" cluster={cluster}B" if cluster else ""))
    return disk


def checked_disks(disks: Sequence[SimulatedDisk], shelf: Mapping[str, SimulatedDisk]) -> tuple[SimulatedDisk, ...]:
    """The disks to give to a machine.

    Raises
    ------
    HostError
        Where one is another host's or another machine's, or is named twice.
    """
    disks = tuple(disks)
    for disk in disks:
        if not isinstance(disk, SimulatedDisk) or shelf.get(disk.name) is not disk or disk.removed:
            raise HostError(f"{disk!r:.60} is not one of this host's disks.", "Make it with host.disk.")
        if disk.machine:
            raise HostError(f"{disk.machine} has the disk {disk.name}.", "Stop that machine, or take another disk.")
        if disk.overlays:
            raise HostError(f"{disk.overlays[0].name} lies over {disk.name} and would change.", "Take that one.")
    if len(set(map(id, disks))) < len(disks):
        raise HostError("A machine has each of its disks once.", "Name each disk once.")
    return disks
