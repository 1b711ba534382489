"""A qcow2 file with snapshots inside: clusters that belong to two, and are copied before one of them changes them.

Picture a shared notebook of which two people have a copy of the table of contents. A page that both tables name is not
written over: whoever wants to change it gets a new page, and a new leaf of its table that says so. That is why a file
grows after a snapshot although the disk seems to hold no more than before.

Follows "The qcow2 file format" (QEMU's docs/interop/qcow2.txt, snapshots): a snapshot has a copy of the L1 table, all
that this names counts one user more, and nothing with more than one user is written to in place.
"""

from __future__ import annotations

from dataclasses import dataclass

from labkit.model.disks.qcow2 import BLOCK, ENTRY, Qcow2
from labkit.model.disks.rounding import ceiling

__all__ = ["Branched", "Leaf"]


@dataclass(frozen=True)
class Leaf:
    """What a snapshot knows of the file: where each cluster of the disk lay, which tables there were, what was used."""

    places: dict[int, int]
    tables: frozenset[int]
    used: frozenset[int]


class Branched(Qcow2):
    """A qcow2 file that can keep snapshots inside; begins as another.

    Parameters
    ----------
    file : Qcow2
        Which it continues.
    """

    def __init__(self, file: Qcow2) -> None:
        super().__init__(file.size, file.unit)
        for name, value in vars(file).items():
            setattr(self, name, value.copy() if isinstance(value, dict | set) else value)
        self._shared: set[int] = set()
        self._shared_tables: set[int] = set()
        self._kept: set[int] = set()  # clusters of the file that some snapshot holds

    def keep(self, state: int) -> Leaf:
        """Take a snapshot, with `state` bytes of memory in it.

        The memory lies in the file as if it were written behind the disk's end, in clusters with L2 tables of its own;
        then come the copy of the L1 table and the list of snapshots.
        """
        clusters = ceiling(state, self.unit)
        tables = ceiling(clusters, self._entries)
        l1 = ceiling(ceiling(self.size, self.unit * self._entries) * 8, self.unit)
        for count in (clusters, tables, l1, 1):
            if count:
                self._wrote((self._allocate(count) + count) * self.unit)
        leaf = Leaf(dict(self.places), frozenset(self._l2), frozenset(self._used))
        self._shared, self._shared_tables = set(self.places), set(self._l2)
        self._kept |= self._used
        return leaf

    def go_back(self, leaf: Leaf) -> None:
        """Let the disk be what it was; what only the time since then used becomes free, and the file stays as long."""
        self.places, self._l2 = dict(leaf.places), set(leaf.tables)
        self._shared, self._shared_tables = set(self.places), set(self._l2)
        self._used = self._kept | leaf.used
        self.reopen()

    @property
    def store_bytes(self) -> int:
        """What the store gives the file: what snapshots have counts, too, whether the disk still has it or not."""
        table = ceiling(self.size, self.unit * self._entries) * ENTRY
        others = len(self._used) - ceiling(table, self.unit)
        return others * self.unit + ceiling(table, BLOCK) * BLOCK

    def write(self, offset: int, length: int) -> None:
        """Find room for what is written, a new cluster and a new L2 table also where a snapshot has the old one."""
        self._part(offset // self.unit, ceiling(offset + length, self.unit))
        super().write(offset, length)

    def discard(self, offset: int, length: int) -> None:
        """Free the clusters that lie in a stretch as a whole, but those that a snapshot has."""
        reaches_end = offset + length >= self.size
        end = ceiling(self.size, self.unit) if reaches_end else (offset + length) // self.unit
        self._part(ceiling(offset, self.unit), end)
        super().discard(offset, length)

    def _part(self, first: int, end: int) -> None:
        """Leave to the snapshots what they have of some clusters of the disk, and of their tables."""
        for cluster in range(first, end):
            if cluster in self._shared:
                self._shared.discard(cluster)
                self.places.pop(cluster, None)
            table = cluster // self._entries
            if table in self._shared_tables:
                self._shared_tables.discard(table)
                self._l2.discard(table)
