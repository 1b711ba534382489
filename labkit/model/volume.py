"""Files of a simulated guest: each takes the first blocks that are free, and a list says who has which.

What a real file system writes besides, its own books and its journal, is left out.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from labkit.host import HostError, mebibytes
from labkit.host.trimming import BLOCK
from labkit.model.disks.rounding import ceiling
from labkit.model.written import Written, require_going

if TYPE_CHECKING:
    from labkit.model.machine import SimulatedMachine

__all__ = ["SimulatedVolume"]


class SimulatedVolume:
    """A file system of the model; see `labkit.host.volumes.Volume`.

    Examples
    --------
    >>> from labkit.model.simulated import SimulatedHost
    >>> with SimulatedHost() as host:
    ...     data = host.disk("data", "8 MiB")
    ...     volume = host.create("m1", disks=[data]).volume("data")
    ...     volume.save("letters", "2 MiB")
    ...     full = data.store_bytes
    ...     volume.delete("letters")
    ...     deleted = data.store_bytes
    ...     volume.trim()
    ...     full - deleted, full - data.store_bytes
    (0, 2097152)
    """

    def __init__(self, machine: SimulatedMachine, disk: str, written: Written) -> None:
        self._machine, self._name, self._written = machine, disk, written
        self._disk = machine.disks[disk]
        self._owner: list[str | None] = [None] * (self._disk.size // BLOCK)
        self._files: dict[str, str] = {}  # by name, what stands for their content
        self._saved = 0

    def __repr__(self) -> str:
        return f"{len(self._files)} files on {self._name} of {self._machine.name}"

    @property
    def files(self) -> dict[str, str]:
        """The files by name, each with a checksum; another, where something else lies in their blocks, or nothing."""
        require_going(self._machine)
        return {name: self._checksum(name) for name in sorted(self._files)}

    @property
    def books(self) -> tuple[list[str | None], dict[str, str]]:
        """Who has which block, and the files: a copy, to be kept."""
        return list(self._owner), dict(self._files)

    @books.setter
    def books(self, kept: tuple[list[str | None], dict[str, str]] | None) -> None:
        """Have the books that were kept; None for those of an empty file system."""
        owner, files = kept or ([None] * len(self._owner), {})
        self._owner, self._files = list(owner), dict(files)

    def _checksum(self, name: str) -> str:
        """What stands for the file, and for what lies in its blocks now: as the guest sees it, through all layers."""
        labels = self._written.labels.get(self._name, {})
        found = [labels.get(block) for block, who in enumerate(self._owner) if who == name]
        return hashlib.md5(f"{self._files[name]} {found}".encode(), usedforsecurity=False).hexdigest()

    def _runs(self, owner: str | None) -> list[tuple[int, int]]:
        """What belongs to a file, or to nobody: offset and length of each stretch, in bytes."""
        found: list[tuple[int, int]] = []
        for block, who in enumerate(self._owner):
            if who != owner:
                continue
            if found and sum(found[-1]) == block * BLOCK:
                found[-1] = found[-1][0], found[-1][1] + BLOCK
            else:
                found.append((block * BLOCK, BLOCK))
        return found

    def save(self, name: str, size: str | float) -> None:
        """Write a file into the first blocks that are free."""
        require_going(self._machine)
        if name in self._files:
            raise HostError(f"There is a file {name!r:.60} already.", "Delete it first, or take another name.")
        blocks = ceiling(round(mebibytes(size) * 1048576), BLOCK)
        free = [block for block, who in enumerate(self._owner) if who is None]
        if blocks > len(free):
            raise HostError(f"{name!r:.60} needs {blocks} blocks, and {len(free)} are free.", "Delete something first.")
        for block in free[:blocks]:
            self._owner[block] = name
        self._saved += 1
        self._files[name] = f"{self._machine.name} {self._name} {name} {blocks} {self._saved}"
        self._machine.write(self._name, self._runs(name))  # last: where it is paused now, the guest has the file begun

    def delete(self, name: str) -> None:
        """Strike a file out; its blocks are free, and nobody outside hears of it."""
        require_going(self._machine)
        if name not in self._files:
            raise HostError(f"There is no file {name!r:.60}.", "Look at volume.files.")
        del self._files[name]
        self._owner = [None if who == name else who for who in self._owner]

    def trim(self) -> None:
        """Tell the disk about everything that is free."""
        self._machine.discard(self._name, self._runs(None))
