"""Microsoft's older format, as Virtual PC had it: blocks of 2 MiB, and a size that must fit a disk's geometry.

After "Virtual Hard Disk Image Format Specification" (Microsoft, 2006): a copy of the footer (512 bytes), the dynamic
disk header (1024), the block allocation table of four bytes a block in whole sectors, then the blocks, each behind a
bitmap of its sectors (512 bytes for 4096 of them), and last the footer again. The size is cylinders x heads x sectors
per track by the algorithm of that document's appendix. QEMU (7.2.22) takes the smallest such product that holds what
was asked for; beyond 65535 x 16 x 255 sectors, 127.5 GiB, it keeps the size that was asked for.
"""

from __future__ import annotations

from labkit.model.disks.appending import Appending
from labkit.model.disks.rounding import ceiling

__all__ = ["LARGEST", "fixed_bytes", "seen_size", "vhd"]

SECTOR = 512
BLOCK = 2 << 20
MOST_BY_GEOMETRY = 65535 * 16 * 255  # sectors
LARGEST = 0xFF000000 * SECTOR  # bytes: 2040 GiB, as QEMU and Virtual Server have it


def geometry(sectors: int) -> tuple[int, int, int]:
    """Cylinders, heads, and sectors per track for so many sectors: the appendix "CHS Calculation"."""
    sectors = min(sectors, MOST_BY_GEOMETRY)
    if sectors >= 65535 * 16 * 63:
        heads, track = 16, 255
    else:
        track = 17
        heads = max(4, ceiling(sectors // track, 1024))
        if sectors // track >= heads * 1024 or heads > 16:
            heads, track = 16, 31
        if sectors // track >= heads * 1024:
            heads, track = 16, 63
    return sectors // track // heads, heads, track


def seen_size(size: int) -> int:
    """How large the guest sees a disk of `size` bytes, a multiple of 512."""
    wanted = asked = size // SECTOR
    while True:
        cylinders, heads, track = geometry(asked)
        sectors = cylinders * heads * track
        if sectors >= min(wanted, MOST_BY_GEOMETRY):
            return (wanted if sectors == MOST_BY_GEOMETRY else sectors) * SECTOR
        asked += 1


def fixed_bytes(size: int) -> int:
    """Length of a fixed VHD file, which has the whole disk and then the footer, for a disk of `size` bytes."""
    return seen_size(size) + 512


def vhd(size: int) -> Appending:
    """A dynamic VHD file for a disk of at least `size` bytes, a multiple of 512."""
    size = seen_size(size)
    table = ceiling(ceiling(size, BLOCK) * 4, SECTOR) * SECTOR
    return Appending(size, BLOCK, 512 + 1024 + table, before=512, footer=512)
