"""Converting a real disk with ``qemu-img convert``, and finding out whether two disks show a guest the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.host import HostError
from labkit.live.budget import AHEAD, BLOCK
from labkit.live.disk_tools import driver_of, run_tool

if TYPE_CHECKING:
    from labkit.live.disks import LiveDisk, Shelf

__all__ = ["convert", "converted", "keep", "needs_backing", "same", "snapshots"]


def convert(disk: LiveDisk, name: str, format: str) -> LiveDisk:
    """Make another disk that holds what this one shows; see `labkit.host.Disk.convert`."""
    _settle(disk)
    return disk._shelf.make(name, f"{disk.size} B", format, source=disk)


def _information(disk: LiveDisk) -> dict[str, Any]:
    """What ``qemu-img info`` reads in the file, also while a machine has it."""
    if disk.machine is None:
        _settle(disk)
    words = ["qemu-img", "info", "-U", "-f", driver_of(disk.format), "--output=json"]
    disk.note([*words, disk.path.name])
    return json.loads(run_tool(*words, str(disk.path)))


def needs_backing(disk: LiveDisk) -> bool:
    """Whether the file names another that it needs; see `labkit.host.Disk.needs_backing`."""
    return "backing-filename" in _information(disk)


def snapshots(disk: LiveDisk) -> tuple[str, ...]:
    """The snapshots inside the file; see `labkit.host.Disk.snapshots`."""
    return tuple(one["name"] for one in _information(disk).get("snapshots", ()))


def keep(disk: LiveDisk, name: str) -> None:
    """Keep what the disk shows now as a snapshot inside its file; see `labkit.host.Disk.keep`."""
    from labkit.live.disks import _NAME  # late: that file needs this one

    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("a name is a letter, then letters, digits and hyphens, 20 characters at most")
    if disk.format != "qcow2":
        raise HostError(f"A {disk.format} file has no snapshots inside.", "Take a qcow2 disk.")
    _settle(disk)
    if name in snapshots(disk):
        raise HostError(f"{disk.name} has a snapshot {name} already.", "Take another name.")
    disk.note(["qemu-img", "snapshot", "-c", name, disk.path.name])
    run_tool("qemu-img", "snapshot", "-c", name, str(disk.path))
    disk._seen = None
    disk._stored.clear()  # what is written from now on is kept beside what the snapshot has


def _settle(disk: LiveDisk) -> None:
    """Have all that was written in the file."""
    if disk.machine is not None:
        raise HostError(f"{disk.machine.name} has the disk {disk.name}.", "Stop that machine first.")
    disk.map()


def converted(source: LiveDisk | Path, name: str, asked: int, format: str, shelf: Shelf) -> LiveDisk:
    """Make the file of a disk from that of another, or from a raw file of labkit's own, whose size is `asked`.

    `labkit.live.disks.Shelf.make` puts the disk on the shelf.
    """
    from labkit.live.disks import LiveDisk  # late: that file needs this one

    class Converted(LiveDisk):
        """A disk whose file ``qemu-img convert`` made."""

        def _make(self, words: list[str]) -> None:
            path, driver = (source, "raw") if isinstance(source, Path) else (source.path, driver_of(source.format))
            if not isinstance(source, Path):
                _require_room(source, self)
            command = ["qemu-img", "convert", "-q", "-f", driver, "-O", driver_of(format)]
            self.note([*command, path.name, self.path.name])
            run_tool(*command, str(path), str(self.path))

    disk = Converted(name, asked, format, None, shelf)
    layer: LiveDisk | None = None if isinstance(source, Path) else source
    while layer is not None:
        disk.writes = [*layer.writes, *disk.writes]
        layer = layer.backing
    return disk


def _require_room(source: LiveDisk, target: LiveDisk) -> None:
    """Refuse a copy that may take too much of the store, with the numbers."""
    unit = target._filled or BLOCK
    touched: set[int] = set()
    for extent in source.map():
        if extent.data:
            touched.update(range(extent.start // unit, (extent.start + extent.length - 1) // unit + 1))
    needed = len(touched) * unit
    if source.format == "vhdx":  # whose map says nothing; but what it holds lies in blocks as large as any here
        needed = min(needed, source.file_bytes)
    needed += AHEAD if target.format == "parallels" else 0
    target._shelf.require_room(target, needed, f"A copy of {source.name} as {target.format}")


def same(disk: LiveDisk, other: LiveDisk) -> bool:
    """Whether two disks show the same bytes: by QEMU's comparison, and by a checksum of both as raw streams."""
    for one in (disk, other):
        _settle(one)
    formats = "-f", driver_of(disk.format), "-F", driver_of(other.format)
    disk.note(["qemu-img", "compare", *formats, disk.path.name, other.path.name])
    try:
        run_tool("qemu-img", "compare", "-q", *formats, str(disk.path), str(other.path))
        alike = True
    except HostError as error:
        # Exit code 1, and with -q nothing said: they differ. Anything else is a fault.
        if "exit code 1." not in str(error):
            raise
        alike = False
    if (_checksum(disk) == _checksum(other)) != alike:
        raise HostError(
            f"qemu-img compare and the checksums of {disk.name} and {other.name} do not agree.",
            "Look at both with 'qemu-img check'.",
        )
    return alike


def _checksum(disk: LiveDisk) -> str:
    """SHA-256 of the disk's bytes as a raw stream: of each block that is not all zeros, and where it begins."""
    raw = Path(f"{disk.path}.stream")
    try:
        run_tool("qemu-img", "convert", "-q", "-f", driver_of(disk.format), "-O", "raw", str(disk.path), str(raw))
        found, zeros = hashlib.sha256(), bytes(BLOCK)
        with raw.open("rb") as file:
            end = raw.stat().st_size
            at = 0
            while at < end:  # of the blocks it takes only those that are not all zeros, with their places
                try:
                    at = os.lseek(file.fileno(), at, os.SEEK_DATA) // BLOCK * BLOCK
                except OSError:  # ENXIO: nothing but a hole to the end
                    break
                file.seek(at)
                block = file.read(BLOCK).ljust(BLOCK, b"\0")
                if block != zeros:
                    found.update(at.to_bytes(8, "little") + block)
                at += BLOCK
        return found.hexdigest()
    finally:
        raw.unlink(missing_ok=True)
