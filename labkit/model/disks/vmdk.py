"""VMware's sparse disk in one file ("monolithicSparse"): grains of 64 KiB, each found through two levels of tables.

After "Virtual Disk Format 5.0" (VMware technical note, 2011), "Hosted sparse extents": a header of one sector, the
descriptor, the redundant grain directory with its grain tables, the grain directory with its own, and then the grains.
All tables are there from the beginning. A grain table has 512 entries of four bytes, so it tells of 32 MiB.
Room for the descriptor (20 sectors) and grains that begin at a multiple of 64 KiB are QEMU's choice (7.2.22).
"""

from __future__ import annotations

from labkit.model.disks.appending import Appending
from labkit.model.disks.rounding import ceiling

__all__ = ["vmdk"]

SECTOR = 512
GRAIN = 65536
ENTRIES = 512
DESCRIPTOR = 20  # sectors


def vmdk(size: int) -> Appending:
    """A VMDK file for a disk of `size` bytes, a multiple of 512."""
    tables = ceiling(size, GRAIN * ENTRIES)
    directory = ceiling(tables * 4, SECTOR)
    one_copy = directory + tables * ENTRIES * 4 // SECTOR
    start = (1 + DESCRIPTOR + 2 * one_copy) * SECTOR
    return Appending(size, GRAIN, ceiling(start, GRAIN) * GRAIN)
