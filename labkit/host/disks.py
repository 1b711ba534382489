"""What both hosts promise of a virtual disk: a file on the host that a guest sees as a disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from labkit.host.observations import Observation

if TYPE_CHECKING:
    from labkit.host.chains import Reading

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
    depth : int
        In which layer's file, counted down from the disk's own, which is 0; where no layer has it, the last one that
        was asked.
    """

    start: int
    length: int
    data: bool
    offset: int | None = None
    depth: int = 0


@runtime_checkable
class Disk(Protocol):
    """A virtual disk."""

    name: str
    format: str
    size: int  # bytes, as the guest sees it; more than was asked for where the format can only do so
    backing: Disk | None  # what it lies over

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
    def store_bytes(self) -> int | None:
        """How much the store gives the file in whole blocks, in bytes: what shrinks when a guest gives back.

        The length never becomes less. On the simulated host it is known of qcow2 and raw files, and else None.
        """

    @property
    def guest_bytes(self) -> int:
        """How much of the disk the map calls data that lies in this disk's own file, in bytes."""

    def map(self) -> tuple[Extent, ...]:
        """The disk from its beginning to its end, data and not."""

    def read(self) -> Reading:
        """Read blocks of 4096 bytes all over the disk, up to 16384 of them, and tell what it came to.

        Raises
        ------
        HostError
            Where a layer that it needs is gone.
        """

    def intact(self) -> bool:
        """Whether all that `write` wrote to it and to the layers below can be read, and is what was written.

        Raises
        ------
        HostError
            Where a layer that it needs is gone.
        """

    def keep(self, name: str) -> None:
        """Keep what the disk shows now as a snapshot inside its own file, while no machine has it. For qcow2.

        Parameters
        ----------
        name : str
            The snapshot's: a letter, then letters, digits and hyphens, 20 characters at most.

        Raises
        ------
        HostError
            Where the format has no snapshots, one has that name already, or a machine has the disk.
        """

    @property
    def snapshots(self) -> tuple[str, ...]:
        """The names of the snapshots inside the file, the oldest first."""

    @property
    def needs_backing(self) -> bool:
        """Whether it cannot be opened without another file, which its own names."""

    def convert(self, name: str, format: str) -> Disk:
        """Make another disk of this host, in another format or the same, that holds what this one shows.

        The new one stands by itself: what showed through from layers below is in it. Snapshots inside this file stay
        behind. This disk stays as it is.

        Parameters
        ----------
        name : str
            The new disk's.
        format : str
            One of `FORMATS`; with the format's usual clusters.

        Raises
        ------
        HostError
            Where a machine has this disk, the format cannot have that size, or the store has no room.
        """

    def same_as(self, other: Disk) -> bool:
        """Whether the two show a guest the same bytes, with zeros behind the shorter one."""

    def observe(self) -> Observation:
        """`file_bytes` and `guest_bytes` as rows, both in B, the machine being the disk's name."""

    def remove(self) -> None:
        """Delete the file and forget the disk. Removing it twice is no error."""
