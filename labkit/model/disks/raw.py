"""No format at all: byte for byte the disk. What is thin about it is the file system's doing.

The file is as long as the disk from the beginning. The file system keeps what was written in blocks, and knows which
blocks never were: lseek(2) with SEEK_DATA tells, and ``qemu-img map`` asks it. A block is a page, 4096 bytes, on ext4,
XFS, Btrfs and tmpfs as they are made by default on x86. QEMU (7.2.22) writes the first block when it makes the file.
"""

from __future__ import annotations

__all__ = ["Raw"]

BLOCK = 4096


class Raw:
    """A raw file.

    Parameters
    ----------
    size : int
        Of the disk, and of the file, in bytes, a multiple of 512.
    """

    told = True

    def __init__(self, size: int) -> None:
        self.size = self.file_bytes = size
        self.unit = BLOCK
        self.places = {0: 0}

    def reopen(self) -> None:
        """Nothing is kept from one write to the next."""

    def write(self, offset: int, length: int) -> None:
        """Note the blocks that the file system now keeps."""
        for index in range(offset // BLOCK, (offset + length - 1) // BLOCK + 1):
            self.places[index] = index * BLOCK

    @property
    def store_bytes(self) -> int:
        """The blocks that the file system keeps, in bytes."""
        return len(self.places) * BLOCK

    def growth(self, offset: int, length: int) -> int:
        """How much more it would have to keep after such a write, in bytes."""
        touched = range(offset // BLOCK, (offset + length - 1) // BLOCK + 1)
        return BLOCK * sum(index not in self.places for index in touched)

    def discard(self, offset: int, length: int) -> None:
        """Punch a hole: the file system gives up the blocks that lie in it as a whole (fallocate(2))."""
        for index in range(-(-offset // BLOCK), (offset + length) // BLOCK):
            self.places.pop(index, None)
