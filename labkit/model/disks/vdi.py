"""VirtualBox's format: one map, one number for each block of 1 MiB.

After "All about VDIs" in VirtualBox's forum, and VirtualBox's source (src/VBox/Storage/VDICore.h): a header in the
first sector, the map of four bytes a block in whole sectors, then the blocks in the order in which they were first
written. VirtualBox itself aligns the map and the blocks to 1 MiB; QEMU (7.2.22) lets each follow at the next sector.
"""

from __future__ import annotations

from labkit.model.disks.appending import Appending
from labkit.model.disks.rounding import ceiling

__all__ = ["vdi"]

SECTOR = 512
BLOCK = 1 << 20


def vdi(size: int) -> Appending:
    """A VDI file for a disk of `size` bytes, a multiple of 512."""
    return Appending(size, BLOCK, SECTOR + ceiling(ceiling(size, BLOCK) * 4, SECTOR) * SECTOR)
