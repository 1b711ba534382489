"""Converting a disk: what ``qemu-img convert`` reads of one file and writes into the next, request by request.

Picture somebody who copies a book by hand into another binding. They ask the old table of contents which stretches are
written on at all, read each in pieces of 2 MiB at the most, and copy only what is not blank: rows of blank lines
shorter than 4 KiB are copied too, and every copied stretch begins and ends at a multiple of 4 KiB of the disk, where
the piece does not begin or end in between. The new binding then finds room for it as for any other write.

The rule is that of QEMU 7.2.22 with its defaults, as its documentation tells it (qemu-img(1), ``-S`` for the 4 KiB) and
as it was observed: how far one answer of the old table of contents reaches differs by format, and decides where the
pieces are cut.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from labkit.model.disks.disk import Allocator, SimulatedDisk

__all__ = ["contents", "convert", "requests"]

SECTOR = 512
PIECE = 4096  # sectors that are read together at the most: 2 MiB
GRAIN = 8  # sectors: the least row of zeros that is left out, 4 KiB
SLICE = 4096  # bytes of a qcow2 L2 table that QEMU keeps together: an answer goes no further

Stretch = tuple[int, int]  # from where, and up to where


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Stretches in the order of the disk, those that meet in one."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def met(some: list[Stretch], others: list[Stretch]) -> Iterator[Stretch]:
    """What lies in one of each; both are in order and without overlaps, and every end is an end of the result."""
    at = 0
    for start, end in others:
        while at < len(some) and some[at][1] <= start:
            at += 1
        index = at
        while index < len(some) and some[index][0] < end:
            yield max(some[index][0], start), min(some[index][1], end)
            index += 1


def contents(disk: SimulatedDisk) -> list[Stretch]:
    """Which bytes of a disk are not zero, through all its layers."""
    found: list[Stretch] = []
    layer: SimulatedDisk | None = disk
    while layer is not None:
        written = joined((offset, offset + length) for offset, length in layer.writes)
        found += met(written, joined(_held(layer._file, layer.format)))  # what was discarded since is zeros again
        layer = layer.backing
    return joined(found)


def _held(file: Allocator, format: str) -> Iterator[Stretch]:
    """What a file has room for, in bytes of the disk, cut as QEMU's answers are cut."""
    if not file.told:
        yield 0, file.size
        return
    unit, table = file.unit, _answer(file, format) // file.unit
    start = end = place = -1  # of the stretch so far, in units; and where the file goes on with it
    for index in sorted(file.places):
        # One answer is one grain or block; for qcow2 and Parallels as far as the file goes on without a gap.
        together = format == "raw" or (format in ("qcow2", "parallels") and file.places[index] == place)
        if index != end or not together or (table and index % table == 0):
            if end >= 0:
                yield start * unit, min(end * unit, file.size)
            start = index
        end, place = index + 1, file.places[index] + unit
    if end >= 0:
        yield start * unit, min(end * unit, file.size)


def _answer(file: Allocator, format: str) -> int:
    """How many bytes of the disk one answer covers at the most, from a multiple of it on; 0 where that is no matter."""
    if format == "qcow2":
        return file.unit * min(file.unit, SLICE) // 8
    return file.unit if format == "vmdk" else 0


def _read(disk: SimulatedDisk) -> list[Stretch]:
    """The stretches of the disk that are read, in bytes: the file's own, and what shows through from below."""
    own = list(_held(disk._file, disk.format))
    if disk.backing is None:
        return own
    step = _answer(disk._file, disk.format)
    gaps: list[Stretch] = []
    at = 0
    for start, end in [*joined(own), (disk.size, disk.size)]:
        while at < start:  # an answer "not here" of the upper layer goes no further than any other of its answers
            stop = min(start, at - at % step + step)
            gaps.append((at, stop))
            at = stop
        at = end
    return sorted([*own, *met(_read(disk.backing), gaps)])


class _Sectors:
    """Which sectors of a disk hold anything but zeros."""

    def __init__(self, stretches: list[Stretch]) -> None:
        rows = joined((start // SECTOR, -(-end // SECTOR)) for start, end in stretches)
        self._edges = [edge for row in rows for edge in row]

    def row(self, sector: int, end: int) -> tuple[int, bool]:
        """How many sectors from this one on are like it, up to `end`, and whether they hold anything."""
        at = bisect_right(self._edges, sector)
        stop = min(self._edges[at], end) if at < len(self._edges) else end
        return stop - sector, at % 2 == 1

    def aligned(self, sector: int, end: int) -> tuple[int, bool]:
        """The same, with the change moved to a multiple of 4 KiB in favour of what holds something."""
        count, full = self.row(sector, end)
        tail = (sector + count) % GRAIN
        if sector + count == end or not tail:
            return count, full
        if not full and count <= tail:
            full = True
        return min(count + GRAIN - tail if full else count - tail, end - sector), full

    def to_copy(self, sector: int, end: int) -> tuple[int, bool]:
        """The same, with rows of zeros shorter than 4 KiB taken along by what lies before them."""
        least = min(GRAIN, end - sector)
        count, full = self.aligned(sector, end)
        if not full:
            return count, False
        used = checked = count
        while sector + checked < end:
            count, full = self.aligned(sector + checked, end)
            checked += count
            if full:
                used = checked
            elif count >= least:
                break
        return used, True


def requests(disk: SimulatedDisk) -> Iterator[Stretch]:
    """What is written to the new file, in order: from where, and up to where, in bytes."""
    sectors = _Sectors(contents(disk))
    for start, end in _read(disk):
        last = -(-end // SECTOR)
        for first in range(start // SECTOR, last, PIECE):
            sector, stop = first, min(first + PIECE, last)
            while sector < stop:
                count, full = sectors.to_copy(sector, stop)
                if full:
                    yield sector * SECTOR, (sector + count) * SECTOR
                sector += count


def convert(source: SimulatedDisk, target: SimulatedDisk) -> None:
    """Fill a new, empty disk with what another holds, as ``qemu-img convert`` does.

    Parameters
    ----------
    source : SimulatedDisk
        The one to copy; it may lie over others.
    target : SimulatedDisk
        The new one, at least as large.
    """
    written = list(requests(source))
    target._file.reopen()
    for start, end in written:
        target._file.write(start, end - start)
    target.writes = [(start, end - start) for start, end in met(contents(source), joined(written))]
