"""Giving back: a guest that tells its disk which parts it does not need any more.

Picture somebody who strikes lines out of the index of a filing cabinet. The papers are still in the drawers, and who
rents the cabinet out sees it as full as before. Only when he says which drawers may be emptied is there room again. A
guest's file system deletes by striking out; *discard* (the disks' own words are TRIM and UNMAP) is to say which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from labkit.host.protocol import Machine

__all__ = ["BLOCK", "MOST_PLACES", "TrimmingMachine", "checked_places"]

BLOCK = 4096
"""Bytes; what is written or discarded begins at a multiple of it and is one long, as a file system does it."""

MOST_PLACES = 4096


@runtime_checkable
class TrimmingMachine(Machine, Protocol):
    """A machine whose guest writes to a disk of its, and gives back; see `Host.can` with ``"trim"``."""

    def write(self, disk: str, places: Sequence[tuple[int, int]]) -> None:
        """Let the guest write something other than zeros, past its own cache.

        Parameters
        ----------
        disk : str
            The disk's name.
        places : sequence of (offset, length)
            In bytes, in order; multiples of `BLOCK`, `MOST_PLACES` at the most.

        Raises
        ------
        HostError
            Where the machine has no such disk, the disk no such place, or the guest does not do it.
        """

    def discard(self, disk: str, places: Sequence[tuple[int, int]]) -> None:
        """Let the guest give back what lies there, as `write`; each place is a request of its own."""


def checked_places(places: Sequence[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """The places, where they lie on a disk of `size` bytes and at multiples of `BLOCK`.

    Raises
    ------
    ValueError
        Where they do not, or are too many.
    """
    found = [(offset, length) for offset, length in places]
    if len(found) > MOST_PLACES:
        raise ValueError(f"{MOST_PLACES} places at the most, not {len(found)}")
    for offset, length in found:
        if offset % BLOCK or length % BLOCK or length <= 0 or not 0 <= offset <= size - length:
            raise ValueError(f"{length} bytes at {offset} are not whole blocks of {BLOCK} bytes on a disk of {size}")
    return found
