"""Parallels' expanding image: one table, and clusters of 1 MiB unless one says otherwise.

After "Parallels Expandable Image File Format" (QEMU's docs/interop/parallels.txt): a header of 64 bytes, the block
allocation table of four bytes a cluster, then the clusters; all begins at a multiple of the cluster's size. While it is
open QEMU (7.2.22) reserves more than it needs, and gives it back when it closes the file.
"""

from __future__ import annotations

from labkit.model.disks.appending import Appending
from labkit.model.disks.rounding import ceiling

__all__ = ["CLUSTERS", "DEFAULT_CLUSTER", "LARGEST", "MOST_CLUSTERS", "largest", "parallels"]

HEADER = 64
DEFAULT_CLUSTER = 1 << 20
CLUSTERS = tuple(1 << bits for bits in range(9, 22))
LARGEST = (1 << 40) - 512  # bytes; one sector more, and QEMU 7.2's map of it ends in a failed assertion
MOST_CLUSTERS = (0x7FFFFE00 - HEADER) // 4
"""Entries of the table: QEMU 7.2 reads it and the header at once, and no request has more than 2,147,483,136 bytes.

As tried: a file of 536,870,768 clusters can be opened, with one more it is "Input/output error". (At 536,870,912 the
program says itself that the "Catalog [is] too large", block/parallels.c; it never comes so far.)
"""


def largest(cluster: int) -> int:
    """The largest disk in bytes with clusters of that size."""
    return min(LARGEST, MOST_CLUSTERS * cluster)


def parallels(size: int, cluster: int = DEFAULT_CLUSTER) -> Appending:
    """A Parallels file for a disk of `size` bytes, a multiple of 512, with clusters of `cluster` bytes."""
    table = HEADER + ceiling(size, cluster) * 4
    return Appending(size, cluster, ceiling(table, cluster) * cluster)
