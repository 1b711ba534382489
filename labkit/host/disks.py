"""What both hosts promise of a virtual disk: a file on the host that a guest sees as a disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from labkit.host.observations import Observation

__all__ = ["FORMATS", "Disk", "Extent"]

FORMATS = ("raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "parallels")
"""The formats a disk can have, by the names that their files end in; ``vhd`` is what QEMU calls ``vpc``."""


@dataclass(frozen=True)
class Extent:
    """A stretch of a disk that is data, or is not, from end to end.

    Parameters
    ----------
    start, length : int
        Where it begins on the disk as the guest sees it, and how long it is, in bytes.
    data : bool
        Whether the file has room for it; where not, it reads as zeros.
    offset : int or None
        Where it lies in the file, side by side, in bytes; None where that is not known.
    """

    start: int
    length: int
    data: bool
    offset: int | None = None


@runtime_checkable
class Disk(Protocol):
    """A virtual disk."""

    name: str
    format: str
    size: int  # bytes, as the guest sees it; more than was asked for where the format can only do so

    def write(self, offset: int, length: int) -> None:
        """Write something other than zeros.

        What is written between two looks (`file_bytes`, `guest_bytes`, `map`, `observe`) is written by one program
        that opens the file once; a look needs the file closed.

        Parameters
        ----------
        offset, length : int
            Where on the disk and how much, in bytes; neither has to be a multiple of anything.

        Raises
        ------
        HostError
            Where that does not lie on the disk, or would take more of this computer than labkit allows itself.
        """

    @property
    def file_bytes(self) -> int:
        """The length of the file, in bytes."""

    @property
    def guest_bytes(self) -> int:
        """How much of the disk the map calls data, in bytes."""

    def map(self) -> tuple[Extent, ...]:
        """The disk from its beginning to its end, data and not."""

    def observe(self) -> Observation:
        """`file_bytes` and `guest_bytes` as rows, both in B, the machine being the disk's name."""

    def remove(self) -> None:
        """Delete the file and forget the disk. Removing it twice is no error."""
