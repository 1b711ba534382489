"""Files on a machine's disk, as its guest keeps them.

Picture the guest's own cupboard on the rented shelf: it puts files in and takes them out, and the landlord sees only
which boards were ever touched. A `Volume` is such a cupboard: a file system that fills one disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from labkit.host.protocol import Machine

__all__ = ["KeepingMachine", "Volume"]


@runtime_checkable
class Volume(Protocol):
    """A file system on one disk of one machine."""

    @property
    def files(self) -> Mapping[str, str]:
        """The files by name, each with a checksum of what it holds."""

    def save(self, name: str, size: str | float) -> None:
        """Write a file of content that nobody has had before; a number is in MiB.

        Raises
        ------
        HostError
            Where there is such a file, or no room for it.
        """

    def delete(self, name: str) -> None:
        """Delete a file, as ``rm`` does: the guest strikes it out of its books.

        Raises
        ------
        HostError
            Where there is none of that name.
        """

    def trim(self) -> None:
        """Tell the disk about everything that is free, as ``fstrim`` does."""


@runtime_checkable
class KeepingMachine(Machine, Protocol):
    """A machine that keeps files; see `Host.can` with ``"files"``."""

    def volume(self, disk: str) -> Volume:
        """The file system on one of its disks; the first time it is asked for, an empty one is made there.

        Parameters
        ----------
        disk : str
            The disk's name.
        """
