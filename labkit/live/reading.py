"""Reading a real disk file through all layers below it: how long that takes, and whether it is what was written.

``qemu-img bench`` opens the chain once, sends one request after the other, and tells how long they took together. The
data was just written or read before, so that it is in the page cache: what is seen is the work that QEMU has with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from labkit.host import HostError
from labkit.host.chains import BLOCK, Reading, chain_of
from labkit.host.disks import Extent
from labkit.live.disk_tools import driver_of, run_tool

if TYPE_CHECKING:
    from labkit.live.disks import LiveDisk

__all__ = ["PATTERN", "extents_of", "intact", "read"]

PATTERN = 165  # the byte that is written; any but 0 would do, as QEMU may leave zeros out
MOST_READS = 16384


def extents_of(told: list[dict[str, Any]]) -> tuple[Extent, ...]:
    """What ``qemu-img map --output=json`` told."""
    return tuple(
        Extent(one["start"], one["length"], one["data"], one.get("offset") if one["data"] else None, one["depth"])
        for one in told
    )


def read(disk: LiveDisk) -> Reading:
    """Read blocks all over a disk; see `labkit.host.Disk.read`."""
    extents = disk.map()
    block = min(BLOCK, disk.size)
    count = max(1, min(MOST_READS, disk.size // block))
    step = disk.size // count // block * block
    words = ["qemu-img", "bench", "-f", driver_of(disk.format), "-c", str(count), "-d", "1", "-s", str(block)]
    disk._shelf.tell(f"reading the disk {disk.name}", 0.0)
    said = run_tool(*words, "-S", str(step), str(disk.path))
    disk.note([*words, "-S", str(step), disk.path.name])
    took = re.search(r"completed in ([0-9.]+) seconds", said)
    if took is None:
        raise HostError("qemu-img bench did not tell how long it took.", "'labkit doctor' shows what works here.")
    lookups = sum(extent.length * (extent.depth + 1) for extent in extents) / disk.size
    return Reading(lookups, float(took[1]) / count, count)


def intact(disk: LiveDisk) -> bool:
    """Whether all that was written can be read, and is what was written; see `labkit.host.Disk.intact`."""
    disk.map()  # carries out what is still to be written, and fails where a layer is gone
    written = [write for layer in chain_of(disk) for write in layer.writes]
    for number in range(0, len(written), 5000):  # the kernel takes no longer a command line than some 2 MB
        words = ["qemu-io", "-r", "-f", driver_of(disk.format)]
        for offset, length in written[number : number + 5000]:
            words += ["-c", f"read -q -P {PATTERN} {offset} {length}"]
        if number == 0:
            disk.note([*words[:6], disk.path.name])
        try:
            said = run_tool(*words, str(disk.path))
        except HostError as error:
            if "verification failed" in str(error):
                return False
            raise
        if said.strip():
            return False
    return True
