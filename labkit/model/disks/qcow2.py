"""QEMU's own format: a table of tables, and a count of users for every cluster of the file.

Picture a library whose catalogue has two levels. The L1 table says which L2 table knows about a stretch of the disk,
the L2 table says in which cluster of the file that part lies, and a second catalogue, the refcount blocks behind the
refcount table, counts who uses each cluster. New clusters are taken from the front: the first that nobody counts.

Where things come to lie follows "The qcow2 file format" (QEMU's docs/interop/qcow2.txt: header, refcounts of 16 bits,
tables of 8-byte entries). Which cluster is taken next the format leaves to the program; here it is QEMU's rule, as it
was observed with version 7.2.22: a request takes a contiguous stretch, and a refcount block that is missing for it is
put behind the stretch before the stretch is looked for again.
"""

from __future__ import annotations

from labkit.model.disks.rounding import ceiling

__all__ = ["Qcow2"]

ENTRY = 8  # bytes of an entry in the L1, L2 and refcount tables
COUNT = 2  # bytes of a refcount
BLOCK = 4096  # bytes that a store gives out at once
LONGEST_L1 = 32 << 20  # bytes; QEMU opens no image with a longer L1 table


class Qcow2:
    """A qcow2 file and its allocator.

    Parameters
    ----------
    size : int
        Of the disk as the guest sees it, in bytes.
    cluster : int
        Bytes of a cluster: a power of two from 512 to 2 MiB.
    """

    DEFAULT_CLUSTER = 65536
    CLUSTERS = tuple(1 << bits for bits in range(9, 22))

    def __init__(self, size: int, cluster: int = DEFAULT_CLUSTER) -> None:
        self.size = ceiling(size, 512) * 512
        self.unit = cluster
        self.told = True
        self.places: dict[int, int] = {}
        self.file_bytes = 0
        self._entries = cluster // ENTRY  # of an L2 table, and of one cluster of the refcount table
        self._per_block = cluster // COUNT
        self._used: set[int] = set()
        self._free = 0  # where the search for a free cluster goes on
        self._l2: set[int] = set()
        # A new file begins with the header, one cluster of refcount table, and the first refcount block.
        self._table = range(1, 2)
        self._blocks = {0: 2}
        self._allocate(3)
        self._wrote(3 * cluster)
        # The L1 table is written to its last entry, not to the end of its cluster.
        l1 = ceiling(self.size, cluster * self._entries) * ENTRY
        self._wrote(self._allocate(ceiling(l1, cluster)) * cluster + l1)
        self.reopen()

    @staticmethod
    def largest(cluster: int) -> int:
        """The largest disk in bytes with clusters of that size: its L1 table has 32 MiB."""
        return LONGEST_L1 // ENTRY * (cluster // ENTRY) * cluster

    def reopen(self) -> None:
        """Begin anew to look for free clusters, as a program does that has just opened the file."""
        self._free = 0

    def emptied(self) -> Qcow2:
        """The file without its data, as QEMU leaves it once that is copied elsewhere.

        It is as a new one, with its last cluster filled up; where the first refcount block does not count so many
        clusters, the data's clusters become free and the file stays as long as it is.
        """
        l1 = ceiling(ceiling(self.size, self.unit * self._entries) * ENTRY, self.unit)
        if 3 + l1 <= self._per_block:
            fresh = Qcow2(self.size, self.unit)
            fresh.file_bytes = (3 + l1) * self.unit
            return fresh
        self._used.difference_update(place // self.unit for place in self.places.values())
        self.places.clear()
        return self

    def write(self, offset: int, length: int) -> None:
        """Find room for what is written where it has none yet, in the order in which QEMU does."""
        cluster, last = offset // self.unit, (offset + length - 1) // self.unit
        while cluster <= last:
            cluster += self._stretch(cluster, last)

    @property
    def store_bytes(self) -> int:
        """What the store gives the file, in blocks of 4096 bytes: all but the rest of the L1 table's last cluster.

        For clusters of no less than a block, and while one refcount block is enough. A cluster that is free again is a
        hole in the file, as QEMU hands on what it was told to discard.
        """
        l1 = ceiling(ceiling(self.size, self.unit * self._entries) * ENTRY, BLOCK) * BLOCK
        return 3 * self.unit + l1 + (len(self._l2) + len(self.places)) * self.unit

    def growth(self, offset: int, length: int) -> int:
        """How much more the store would have to give after such a write, in bytes."""
        touched = range(offset // self.unit, (offset + length - 1) // self.unit + 1)
        tables = {cluster // self._entries for cluster in touched} - self._l2
        return self.unit * (sum(cluster not in self.places for cluster in touched) + len(tables))

    def discard(self, offset: int, length: int) -> None:
        """Free the clusters that lie in a stretch as a whole; each is then marked in its table as reading zeros.

        Parts of a cluster cannot be freed: they stay as they are. The last cluster of the disk may be a short one.
        """
        end = self.size if offset + length >= self.size else offset + length
        last = ceiling(end, self.unit) if end == self.size else end // self.unit
        for cluster in range(ceiling(offset, self.unit), last):
            self._know(cluster)
            if (place := self.places.pop(cluster, None)) is not None:
                self._used.discard(place // self.unit)
                self._free = min(self._free, place // self.unit)

    def _stretch(self, first: int, last: int) -> int:
        """Handle the clusters from `first` on that lie side by side in the file; return how many they are."""
        begins: int | None = None
        done = 0
        while first + done <= last:
            at = first + done
            wanted = None if begins is None else begins + done * self.unit
            self._know(at)
            stop = min(last, at - at % self._entries + self._entries - 1)  # no further than this L2 table
            there = self.places.get(at)
            if there is not None:
                if wanted is not None and there != wanted:
                    break
                begins = there if begins is None else begins
                done += 1
                continue
            count = 1
            while at + count <= stop and at + count not in self.places:
                count += 1
            if wanted is None:
                begins = wanted = self._allocate(count) * self.unit
            else:
                count = self._allocate_at(wanted // self.unit, count)
                if count == 0:
                    break
            for index in range(count):
                self.places[at + index] = wanted + index * self.unit
            self._wrote(wanted + count * self.unit)
            done += count
        return done

    def _know(self, cluster: int) -> None:
        """Make the L2 table of a cluster of the disk, where there is none."""
        table = cluster // self._entries
        if table not in self._l2:
            self._wrote((self._allocate(1) + 1) * self.unit)
            self._l2.add(table)

    def _wrote(self, end: int) -> None:
        self.file_bytes = max(self.file_bytes, end)

    def _allocate(self, count: int) -> int:
        """Take `count` free clusters side by side; return the first."""
        while True:
            first = self._find(count)
            if self._claim(first, count):
                return first

    def _allocate_at(self, first: int, count: int) -> int:
        """Take as many free clusters as there are from `first` on, `count` at the most; return how many."""
        while True:
            free = 0
            while free < count and first + free not in self._used:
                free += 1
            if self._claim(first, free):
                return free

    def _find(self, count: int) -> int:
        """Look for `count` free clusters side by side, from where the last search ended; they stay free."""
        run = 0
        while run < count:
            run = 0 if self._free in self._used else run + 1
            self._free += 1
        return self._free - count

    def _claim(self, first: int, count: int) -> bool:
        """Count a stretch as used; where a refcount block had to be made for it, undo that and say no."""
        for cluster in range(first, first + count):
            if cluster // self._per_block not in self._blocks:
                self._make_block(cluster)
                self._used.difference_update(range(first, cluster))
                self._free = min(self._free, first)
                return False
            self._used.add(cluster)
        return True

    def _make_block(self, cluster: int) -> None:
        """Make the refcount block that counts the users of a cluster, or one that it needs itself."""
        index = cluster // self._per_block
        block = self._find(1)
        if block // self._per_block == index:
            self._used.add(block)  # it counts itself
        elif not self._claim(block, 1):
            return
        self._wrote((block + 1) * self.unit)
        self._blocks[index] = block
        if index >= len(self._table) * self._entries:
            self._grow_table(ceiling(max(cluster, block) + 1, self._per_block) * self._per_block)

    def _grow_table(self, start: int) -> None:
        """Put a longer refcount table behind everything, with the blocks that count its clusters; free the old one."""
        blocks = self._blocks_for(start)
        clusters = ceiling(blocks + ceiling(blocks, 2), self._entries)
        end = start
        for index in range(start // self._per_block, blocks):
            if index not in self._blocks:
                self._blocks[index] = end
                end += 1
        old, self._table = self._table, range(end, end + clusters)
        self._used.update(range(start, end + clusters))
        self._wrote((end + clusters) * self.unit)
        self._used.difference_update(old)
        self._free = min(self._free, old.start)

    def _blocks_for(self, clusters: int) -> int:
        """How many refcount blocks count so many clusters, the blocks and their table, which is half as long again."""
        blocks = table = 0
        for spare in (False, True):
            clusters += ceiling(table, 2) if spare else 0
            settled = -1
            while settled != clusters + blocks + table:
                settled = clusters + blocks + table
                blocks = ceiling(settled, self._per_block)
                table = ceiling(blocks, self._entries)
        return blocks
