"""Microsoft's newer format, as Hyper-V has it: everything at a multiple of 1 MiB, blocks of 8 MiB and more.

After [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format": 1 MiB of headers, the log, the block allocation table of
eight bytes an entry in whole MiB (after each chunk of payload blocks, 2^23 sectors of the disk, comes an entry for
their sector bitmap; the one after the last blocks is left out), the metadata, then the payload blocks. A log of 1 MiB,
5 MiB for the metadata with room to spare, and the size of a block by the size of the disk are QEMU's choice (7.2.22).

QEMU does not say which blocks of a VHDX file have a place; ``qemu-img map`` calls the whole disk data.
"""

from __future__ import annotations

from labkit.model.disks.appending import Appending
from labkit.model.disks.rounding import ceiling

__all__ = ["block_size", "vhdx"]

MEBI = 1 << 20
GIBI = 1 << 30
CHUNK = (1 << 23) * 512  # bytes of the disk for which one sector bitmap block stands


def block_size(size: int) -> int:
    """Bytes of a payload block on a disk of `size` bytes."""
    if size <= GIBI:
        return 8 * MEBI
    if size <= 100 * GIBI:
        return 16 * MEBI
    return 32 * MEBI if size <= 32768 * GIBI else 64 * MEBI


def vhdx(size: int) -> Appending:
    """A dynamic VHDX file for a disk of `size` bytes, a multiple of 512."""
    block = block_size(size)
    payload = ceiling(size, block)
    entries = payload + (payload - 1) // (CHUNK // block)
    table = ceiling(entries * 8, MEBI) * MEBI
    return Appending(size, block, (1 + 1 + 5) * MEBI + table, told=False)
