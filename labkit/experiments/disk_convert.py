"""What changes when a disk is converted into another format, and what does not?

A disk is made, written to here and there, and converted. What a guest reads is the same afterwards; how long the file
is, in which units it grows, how large the guest sees the disk, and whether it needs another file below it may all
differ.

Settings
--------
source : the format before: qcow2, vmdk, vhd, vhdx, vdi, parallels or raw
target : the format after: one of the same, perhaps the same
size : how large the guest is to see the disk
writes : what is written before, as in `disk-thin`
backing : ``yes`` lays the source over another disk of the same format, and only every second write, from the second
    on, goes to the upper one; for qcow2 and VMDK alone, as the others know no backing file in QEMU
snapshots : how many snapshots are kept inside the source's file after the writes; for qcow2 alone

Quantities
----------
file_bytes : the length of the disk's own file, in B, of `source` and `target`
guest_bytes : what the map calls data in that file, in B; see `disk-thin` for VHDX and raw
disk_bytes : how large the guest sees the disk, in B. Into VHD it may grow: its size must fit a geometry
snapshots : how many are inside the file. ``qemu-img convert`` reads what the disk shows now, and leaves them behind
needs_backing : 1 where the disk cannot be opened without another file, else 0
identical : of `target`: 1 where a guest reads the same bytes from both, with zeros behind the shorter one, else 0; live
    by ``qemu-img compare`` and by SHA-256 of both as raw streams, simulated by comparing which bytes were written where

Theory is a formula over the set of touched units (`labkit.experiments.disk_sizes`). Of the target those count that hold
anything but zeros once the writes are widened to multiples of 4 KiB, as ``qemu-img convert`` copies them. Two rows of
data that are less than 4 KiB of zeros apart are copied as one; that fills no further unit, as all units are multiples
of 4 KiB. Simulated is every request of the conversion, in order, given to the target's allocator
(`labkit.model.disks.converting`). Live is ``qemu-img convert`` with its defaults.

Bound between live and simulated
--------------------------------
0 of each: they are equal, for every pair of formats and any writes. Written before the experiment first ran live. Held
against QEMU 7.2.22 (Debian 12).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from labkit.experiments import disk_sizes, writes
from labkit.experiments.disk_thin import VHDX
from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, choice, integer, size, words
from labkit.host import Host, Machine, Observation, Row
from labkit.host.disks import FORMATS, Disk

__all__ = [
    "ACTS",
    "BOUNDS",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "ROWS",
    "UNDISTURBED",
    "Settings",
    "adjust",
    "bounds",
    "machines",
    "notes",
    "prepare",
    "run",
    "theory",
]

NAME = "disk-convert"
QUESTION = "What changes when a disk is converted into another format, and what does not?"
LESSON = "04"
NEEDS = ("disks",)
ROWS = "disk"
UNDISTURBED = "the same writes make the same file, however long they take"
QUANTITIES = {
    "file_bytes": "B",
    "guest_bytes": "B",
    "disk_bytes": "B",
    "snapshots": "1",
    "needs_backing": "1",
    "identical": "1",
}
LABELS = {
    "file_bytes": ("Length of the file", "Look at which of the two files is longer, and by how many units."),
    "guest_bytes": ("Data by the map", "Look at how much of the disk has room of its own, before and after."),
    "disk_bytes": (
        "Size as the guest sees it",
        "Read the numbers: is it to the byte what it was? A small difference shows in no bar.",
    ),
    "snapshots": ("Snapshots inside the file", "Look at how many snapshots the copy still has.", "snapshots"),
    "needs_backing": ("Needs another file", "Yes where the disk still leans on another file.", "1 or 0"),
    "identical": (
        "Same content for the guest",
        "Yes where all that was on the disk is there unchanged; its size is another matter.",
        "1 or 0",
    ),
}
BOUNDS = {quantity: 0.0 for quantity in QUANTITIES}

KIBI, MEBI = 1 << 10, 1 << 20
COPIED = 4096  # bytes: qemu-img convert copies multiples of this (its option -S)
WITH_BACKING = ("qcow2", "vmdk")
ACTS = {"backing": ("source", *WITH_BACKING), "snapshots": ("source", "qcow2")}  # the other formats have none


@dataclass(frozen=True)
class Settings:
    """Which disk, what is written to it, and what it is to become."""

    source: str = choice("qcow2", FORMATS, about="the format before")
    target: str = choice("vmdk", FORMATS, about="the format after")
    size: float = size(1024.0, minimum=1.0, maximum=16384.0, about="how large the guest is to see the disk")
    writes: tuple[str, ...] = words(
        ("0+4096", "1048576+65536"),
        read=writes.read,
        longest=writes.MOST_WRITES,
        unit="",
        about="offset+length of each write, in B, or a pattern: random:seed=1,count=100,length=4096",
    )
    backing: str = choice("no", ("no", "yes"), about="whether the disk lies over another before")
    snapshots: int = integer(0, minimum=0, maximum=8, unit="1", about="kept inside the file before, for qcow2 only")

    @property
    def asked(self) -> int:
        """The size in bytes."""
        return round(self.size * MEBI)

    def check(self) -> None:
        """Make sure that the settings fit each other.

        Raises
        ------
        SettingError
            Where they do not.
        """
        if self.backing == "yes" and self.source not in WITH_BACKING:
            raise SettingError(f"backing=yes is for {' and '.join(WITH_BACKING)} only: QEMU knows no other here.")
        if self.snapshots and self.source != "qcow2":
            raise SettingError("snapshots is for qcow2 only: no other format here keeps any inside its file.")
        self.places()

    def places(self) -> list[tuple[int, int]]:
        """Every write as offset and length, in bytes."""
        return writes.places(self.writes, self.asked)

    def layers(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The writes to the disk below, if there is one, and those to the source itself."""
        places = self.places()
        return (places[::2], places[1::2]) if self.backing == "yes" else ([], places)


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity: not at all."""
    return dict(BOUNDS)


def machines(settings: Settings) -> int:
    """How many guests there will be: none."""
    return 0


def notes(settings: Settings) -> list[str]:
    """What is to be known of the numbers with just these settings."""
    return [VHDX] if "vhdx" in (settings.source, settings.target) else []


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float]:
    """Both files' lengths and data, from which units were written to and from nothing else.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used; there are no CPU shares here.

    Returns
    -------
    dict of (machine, quantity) to float
        By role. A file that names a backing has room for the name in its header, and is as long as one without;
        `file_bytes` is missing where it depends on the order of the writes.

    References
    ----------
    Named in the file of each format in `labkit.model.disks`; the formulas are in `labkit.experiments.disk_sizes`.
    qemu-img(1), ``convert -S``, for the 4 KiB.
    """
    before = disk_sizes.seen_size(settings.source, settings.asked)
    after = disk_sizes.seen_size(settings.target, before)
    _below, own = settings.layers()
    copied = [
        (offset // COPIED * COPIED, min(_up(offset + length), before) - offset // COPIED * COPIED)
        for offset, length in settings.places()
    ]
    found: dict[tuple[str, str], float] = {
        ("source", "disk_bytes"): before,
        ("target", "disk_bytes"): after,
        ("source", "snapshots"): float(settings.snapshots),
        ("target", "snapshots"): 0.0,
        ("source", "needs_backing"): float(settings.backing == "yes"),
        ("target", "needs_backing"): 0.0,
        ("target", "identical"): 1.0,
        ("source", "guest_bytes"): disk_sizes.data_bytes(settings.source, settings.asked, own),
        ("target", "guest_bytes"): disk_sizes.data_bytes(settings.target, before, copied),
    }
    for role, format, asked, places in (
        ("source", settings.source, settings.asked, own),
        ("target", settings.target, before, copied),
    ):
        length = disk_sizes.file_bytes(format, asked, places)
        if length is not None:
            kept = settings.snapshots if role == "source" else 0
            found[role, "file_bytes"] = _with_snapshots(length, kept) if kept else length
    return found


def _with_snapshots(length: int, count: int) -> int:
    """The length of a qcow2 file of `length` bytes after so many snapshots, with clusters of 64 KiB.

    Each copies the L1 table, one cluster for all sizes that this experiment has, and writes the list of snapshots
    anew. The old list is in use until the new one is written, so the second snapshot lies behind it; from the third on
    a copy fits where an old list was, and only the list moves on. A snapshot takes 64 bytes of the list, its number and
    its name, and begins at a multiple of 8.
    """
    cluster = 65536
    before = (length + cluster - 1) // cluster + (1 if count == 1 else count + 1)
    each = 64 + len("1") + len("s1")
    return before * cluster + (count - 1) * ((each + 7) // 8 * 8) + each


def _up(amount: int) -> int:
    return -(-amount // COPIED) * COPIED


def prepare(host: Host, settings: Settings) -> list[Machine]:
    """Make sure that the host has disks; there are no machines to make."""
    ask(host, *NEEDS)
    return []


def adjust(machines: list[Machine], settings: Settings) -> None:
    """There is no machine that could be given other settings: another disk is another run."""


def run(host: Host, settings: Settings) -> Observation:
    """Make the disk, write, convert, and look at both, on either host."""
    prepare(host, settings)
    below, own = settings.layers()
    made: list[Disk] = []
    try:
        if settings.backing == "yes":
            made.append(host.disk("below", f"{settings.asked} B", format=settings.source))
            _write(made[0], below)
            source = host.disk("source", format=settings.source, backing=made[0])
        else:
            source = host.disk("source", f"{settings.asked} B", format=settings.source)
        made.append(source)
        _write(source, own)
        for number in range(settings.snapshots):
            source.keep(f"s{number + 1}")
        target = source.convert("target", settings.target)
        made.append(target)
        seen = source.observe()
        rows = [*seen.rows, *target.observe().rows]
        for disk in (source, target):
            rows.append(Row(machine=disk.name, quantity="disk_bytes", unit="B", value=disk.size))
            rows.append(Row(machine=disk.name, quantity="snapshots", unit="1", value=float(len(disk.snapshots))))
            rows.append(Row(machine=disk.name, quantity="needs_backing", unit="1", value=float(disk.needs_backing)))
        alike = float(target.same_as(source))
        rows.append(Row(machine="target", quantity="identical", unit="1", value=alike))
        return dataclasses.replace(seen, rows=tuple(rows))
    finally:
        for disk in reversed(made):
            disk.remove()


def _write(disk: Disk, places: list[tuple[int, int]]) -> None:
    for offset, length in places:
        disk.write(offset, length)
