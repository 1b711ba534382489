"""Virtual disks in the model: what each format allocates for each write, by arithmetic alone.

Each format is a file of its own that says from which published description it follows. Nothing is written anywhere;
what is kept is which parts of the disk have room in the file and at which byte.

Held against QEMU 7.2.22 (qemu-img and qemu-io of Debian 12), byte for byte: `tests/live/test_disk_formats.py`.
"""

from __future__ import annotations

from labkit.model.disks.chain import SimulatedOverlay
from labkit.model.disks.disk import MAKERS, Allocator, SimulatedDisk
from labkit.model.disks.making import checked_disks, make_disk

__all__ = ["MAKERS", "Allocator", "SimulatedDisk", "SimulatedOverlay", "checked_disks", "make_disk"]
