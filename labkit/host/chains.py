"""What both hosts promise of a disk that lies over another: a snapshot's layer, or one of many linked clones.

Picture a pile of tracing paper on a drawing. What was drawn on an upper sheet hides what lies below; where a sheet is
empty one looks through it. The drawing at the bottom is the *backing* of the first sheet, that of the second, and so
on: a *chain*. Nobody draws on a sheet that another lies on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from labkit.host.disks import Disk

__all__ = ["BLOCK", "OVER", "Overlay", "Reading", "chain_of"]

D = TypeVar("D", bound=Disk)

BLOCK = 4096
"""Bytes of one read of `Disk.read`."""

OVER: dict[str, tuple[str, ...]] = {
    "qcow2": ("raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "parallels"),
    "vmdk": ("vmdk",),
}
"""Which formats a file can lie over, by its own format; QEMU refuses all others."""


@dataclass(frozen=True)
class Reading:
    """What it came to, to read blocks from all over a disk, one after the other.

    Parameters
    ----------
    lookups : float
        How many layers were asked for a byte until one had it, or the last had been asked; the mean over the disk.
    seconds : float
        How long one read took, the opening of the files not counted.
    reads : int
        How many were made.
    """

    lookups: float
    seconds: float
    reads: int


def chain_of(disk: D) -> Iterator[D]:
    """A disk and all that it lies over, down to the base."""
    layer: D | None = disk
    while layer is not None:
        yield layer
        layer = layer.backing  # type: ignore[assignment]


@runtime_checkable
class Overlay(Disk, Protocol):
    """A disk that holds what was written since it was laid over its backing."""

    def commit(self) -> None:
        """Copy what it holds into its backing, and leave it empty, in its place.

        What the chain's top shows stays the same; what its backing alone showed is lost. For qcow2.

        Raises
        ------
        HostError
            Where it has no backing any more, its backing has another overlay, whose disk would change too, or cannot
            be written to there, or the store has no room.
        """

    def flatten(self) -> None:
        """Copy what it shows of the layers below into it, so that it needs them no more. For qcow2.

        The layers below stay as they are: it may be that others lie over them.

        Raises
        ------
        HostError
            Where it has no backing any more, or the store has no room.
        """
