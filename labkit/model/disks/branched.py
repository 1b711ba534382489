"""A qcow2 file with snapshots inside: clusters that belong to two, and are copied before one of them changes them.

Picture a shared notebook of which two people have a copy of the table of contents. A page that both tables name is not
written over: whoever wants to change it gets a new page, and a new leaf of its table that says so. That is why a file
grows after a snapshot although the disk seems to hold no more than before.

Follows "The qcow2 file format" (QEMU's docs/interop/qcow2.txt, snapshots): a snapshot has a copy of the L1 table, all
that this names counts one user more, and nothing with more than one user is written to in place. Where that leaves a
choice it is QEMU 7.2.22's: the copy of the table comes first, then the whole list of snapshots anew, and only then is
the old list's room free again.
"""

from __future__ import annotations

from dataclasses import dataclass

from labkit.model.disks.qcow2 import BLOCK, ENTRY, Qcow2
from labkit.model.disks.rounding import ceiling

__all__ = ["Branched", "Leaf"]

HEADER = 40  # bytes of a snapshot in the list
EXTRA = 24  # bytes more: the memory's size, the disk's, and how many instructions the guest had done


@dataclass(frozen=True)
class Leaf:
    """What a snapshot knows of the file.

    Where each cluster of the disk lay, which tables there were, and how many more for a machine's memory.
    """

    places: dict[int, int]
    tables: frozenset[int]
    memory_tables: int = 0


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
        self._names: list[str] = []
        self._list = range(0)  # the clusters of the list of snapshots
        self._l1_entries = ceiling(self.size, self.unit * self._entries)
        self._l1 = range(3, 3 + ceiling(self._l1_entries * ENTRY, self.unit))  # where it lies in a new file
        self._memory_tables = 0  # L2 tables for a machine's memory, behind the disk's end
        self._own_tables = True  # whether these are no snapshot's

    def keep(self, name: str, state: int = 0) -> Leaf:
        """Take a snapshot, with `state` bytes of memory in it.

        The copy of the L1 table and the list of snapshots come behind the memory. In that list each snapshot has the
        number of its place as its mark, from 1 on. The memory is struck out of the disk's own tables then: they are
        the snapshot's as well, and so are copied first, which may take the place that the old list had.
        """
        self._put_memory(ceiling(state, self.unit))
        length = self._l1_entries * ENTRY
        self._wrote(self._allocate(ceiling(length, self.unit)) * self.unit + length)
        self._names.append(name)
        length = 0
        for number, each in enumerate(self._names, 1):
            length = ceiling(length, 8) * 8 + HEADER + EXTRA + len(str(number)) + len(each)
        first, old = self._allocate(ceiling(length, self.unit)), self._list
        self._list = range(first, first + ceiling(length, self.unit))
        self._wrote(first * self.unit + length)
        self._give_back(old)
        self._shared, self._shared_tables = set(self.places), set(self._l2)
        self._kept = set(self._used)
        leaf = Leaf(dict(self.places), frozenset(self._l2), self._memory_tables)
        for _ in range(self._memory_tables if state else 0):
            self._wrote((self._allocate(1) + 1) * self.unit)
        self._own_tables = bool(state)
        return leaf

    def _put_memory(self, clusters: int) -> None:
        """Write a machine's memory behind the disk's end, a cluster at a time, with the tables that it needs there."""
        for table in range(ceiling(clusters, self._entries)):
            needed = ceiling(self.size, self.unit * self._entries) + table + 1
            if needed > self._l1_entries:  # a longer L1 table elsewhere: half as long again, until it is enough
                while needed > self._l1_entries:
                    self._l1_entries = ceiling(self._l1_entries * 3, 2)
                old, count = self._l1, ceiling(self._l1_entries * ENTRY, self.unit)
                self._l1 = range(first := self._allocate(count), first + count)
                self._wrote(first * self.unit + self._l1_entries * ENTRY)
                self._give_back(old)
            if table >= self._memory_tables or not self._own_tables:
                self._wrote((self._allocate(1) + 1) * self.unit)
            for _ in range(min(self._entries, clusters - table * self._entries)):
                self._wrote((self._allocate(1) + 1) * self.unit)
        self._memory_tables = max(self._memory_tables, ceiling(clusters, self._entries))

    def _give_back(self, clusters: range) -> None:
        """Let clusters of the file be free."""
        self._used.difference_update(clusters)
        self._free = min([self._free, *clusters])

    def go_back(self, leaf: Leaf) -> None:
        """Let the disk be what it was; what only the time since then used becomes free, and the file stays as long.

        The file's own books stay: also a count of users that was made since then is still a count of users.
        """
        self.places, self._l2 = dict(leaf.places), set(leaf.tables)
        self._shared, self._shared_tables = set(self.places), set(self._l2)
        self._memory_tables, self._own_tables = leaf.memory_tables, False
        self._used = self._kept | set(self._blocks.values()) | set(self._table)
        self.reopen()

    @property
    def store_bytes(self) -> int:
        """What the store gives the file: what snapshots have counts, too, whether the disk still has it or not."""
        table = self._l1_entries * ENTRY
        others = len(self._used) - ceiling(table, self.unit)
        return others * self.unit + ceiling(table, BLOCK) * BLOCK

    def growth(self, offset: int, length: int) -> int:
        """How much more the store would have to give after such a write, copies of what snapshots have included."""
        touched = range(offset // self.unit, (offset + length - 1) // self.unit + 1)
        tables = {cluster // self._entries for cluster in touched}
        new = sum(cluster in self._shared or cluster not in self.places for cluster in touched)
        return self.unit * (new + len(tables - (self._l2 - self._shared_tables)))

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
