"""A snapshot inside a qcow2 file that nobody has open: a copy of the L1 table, and a new list of snapshots.

Follows "The qcow2 file format" (QEMU's docs/interop/qcow2.txt, snapshots), and QEMU 7.2.22 where that leaves a choice:
the copy of the table comes first, then the whole list anew, and only then is the old list's room free again.
"""

from __future__ import annotations

from labkit.model.disks.branched import Branched
from labkit.model.disks.qcow2 import ENTRY, Qcow2
from labkit.model.disks.rounding import ceiling

__all__ = ["keep"]

HEADER = 40  # bytes of a snapshot in the list
EXTRA = 24  # bytes more: the memory's size, the disk's, and how many instructions the guest had done


def keep(file: Qcow2, names: list[str], old: range) -> tuple[Branched, range]:
    """Take a snapshot of the disk alone.

    Parameters
    ----------
    file : Qcow2
        The file, which the answer continues.
    names : list of str
        Of all snapshots, the new one last; each has the number of its place in the list as its mark, from 1 on.
    old : range
        The clusters of the list so far.

    Returns
    -------
    tuple of Branched and range
        The file with the snapshot in it, and the clusters of its list.
    """
    kept = Branched(file)
    kept.reopen()
    table = ceiling(kept.size, kept.unit * kept._entries) * ENTRY
    copy = kept._allocate(ceiling(table, kept.unit))
    kept._wrote(copy * kept.unit + table)
    length = 0
    for number, name in enumerate(names, 1):
        length = ceiling(length, 8) * 8 + HEADER + EXTRA + len(str(number)) + len(name)
    count = ceiling(length, kept.unit)
    first = kept._allocate(count)
    kept._wrote(first * kept.unit + length)
    kept._used.difference_update(old)
    kept._shared, kept._shared_tables = set(kept.places), set(kept._l2)
    kept._kept = set(kept._used)
    kept.reopen()
    return kept, range(first, first + count)
