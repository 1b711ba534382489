"""How much of the store does a thin disk take?

A disk is made, written to here and there, and looked at: how long has its file become, and how much of the disk does
its map call data? Each format gives a disk its room in units of its own, with tables of its own.

Settings
--------
format : qcow2, vmdk, vhd, vhdx, vdi, parallels or raw
size : how large the guest is to see the disk
writes : what is written, in order: ``offset+length`` in bytes, with commas between, or a pattern with a seed such as
    ``random:seed=1,count=100,length=4096`` (`labkit.experiments.writes` has all). No write is of zeros: what
    a format makes of zeros is another question.
cluster : size of a cluster, for qcow2 and Parallels alone; ``usual`` is what QEMU takes by itself. In the panel it is
    hidden for the others, and not told to them; elsewhere it is an error to give it with one of them

Quantities
----------
file_bytes : the length of the file, in B. How many blocks the file system gives it is its own affair.
guest_bytes : the sum of the lengths that ``qemu-img map`` calls data, in B. For VHDX that is the whole disk: QEMU
    tells of a VHDX file only that it is data, not which of its blocks have room. For raw it is what the file system
    keeps, in blocks of 4096 bytes, as ext4, XFS and tmpfs have them. A new raw file has one block already: QEMU
    writes the first when it makes the file, to find out how the store wants to be written to. So 100 records of a
    block each, none of them the disk's first, are 101 blocks, 413,696 B.

Both are of the machine `disk`, as no guest takes part.

Theory is a formula over the set of touched units (`labkit.experiments.disk_sizes`), simulated is the allocator
write by write (`labkit.model.disks`), live is a file made by qemu-img and written by qemu-io, with their defaults.
For a qcow2 file so long that its refcount table must grow (8 MiB with clusters of 512 bytes, 64 MiB with 1 KiB,
never with larger ones within this experiment's limits) the length depends on the order of the writes, and theory has
none.

Bound between live and simulated
--------------------------------
0 B: they are equal, for every format and any writes. Written before the experiment first ran live. Held against QEMU
7.2.22 (Debian 12); another version may make other choices where a format leaves one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labkit.experiments import disk_sizes, writes
from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, choice, size, words
from labkit.host import Host, Machine, Observation, mebibytes
from labkit.host.disks import FORMATS

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

NAME = "disk-thin"
QUESTION = "How much of the store does a thin disk take?"
LESSON = "04"
NEEDS = ("disks",)
ROWS = "disk"
UNDISTURBED = "the same writes make the same file, however long they take"
QUANTITIES = {"file_bytes": "B", "guest_bytes": "B"}
LABELS = {
    "file_bytes": (
        "Length of the file",
        "Look at how much longer it is than all that was written.",
    ),
    "guest_bytes": ("Data by the map", "Look at how much of the disk has room of its own."),
}
BOUNDS = {"file_bytes": 0.0, "guest_bytes": 0.0}
VHDX = "data by the map: of a vhdx file QEMU tells only that all of the disk is data, however little the file holds"

MEBI = 1 << 20
USUAL = "usual"
WITH_CLUSTERS = ("qcow2", "parallels")
ACTS = {"cluster": ("format", *WITH_CLUSTERS)}  # the others have clusters of one size alone
CLUSTERS = {
    size: f"{size} B" if size < 1024 else f"{size >> 10} KiB" if size < MEBI else f"{size >> 20} MiB"
    for size in (1 << bits for bits in range(9, 22))
}  # bytes, and how that is written
# What a format, or QEMU 7.2's map of it, has room for at the most, in bytes; qcow2's depends on the
# cluster, and that of a Parallels file with small ones too.
LARGEST = {"vhd": 0xFF000000 * 512, "parallels": (1 << 40) - 512}
LONGEST_L1 = 32 * MEBI
MOST_CLUSTERS = 536_870_768  # of a Parallels file: QEMU 7.2 opens none with more, as tried


def read_cluster(value: Any) -> str:
    """Read the size of a cluster: a number of bytes, or with a unit as in ``64 KiB``; None for the usual one."""
    if value is None or value == USUAL:
        return USUAL
    text = str(value).strip()
    bare = text.isascii() and text.isdigit()
    try:
        size = mebibytes(f"{text} B" if bare else text) * MEBI if len(text) < 40 else 0.0
    except ValueError:
        return text
    return CLUSTERS.get(int(size), text) if size == int(size) else text


@dataclass(frozen=True)
class Settings:
    """Which disk, and what is written to it."""

    format: str = choice("qcow2", FORMATS, about="the file's format")
    size: float = size(1024.0, minimum=1.0, maximum=2097152.0, about="how large the guest is to see the disk")
    writes: tuple[str, ...] = words(
        ("0+4096", "1048576+65536"),
        read=writes.read,
        longest=writes.MOST_WRITES,
        unit="",
        about="offset+length of each write, in B, or a pattern: random:seed=1,count=100,length=4096",
    )
    cluster: str = choice(
        USUAL,
        (USUAL, *CLUSTERS.values()),
        read=read_cluster,
        about="size of a cluster, for qcow2 and parallels only; a bare number is in bytes",
    )

    @property
    def asked(self) -> int:
        """The size in bytes."""
        return round(self.size * MEBI)

    @property
    def cluster_bytes(self) -> int | None:
        """The size of a cluster in bytes; None where it is the usual one."""
        return None if self.cluster == USUAL else round(mebibytes(self.cluster) * MEBI)

    def check(self) -> None:
        """Make sure that the settings fit each other.

        Raises
        ------
        SettingError
            Where they do not.
        """
        if self.cluster != USUAL and self.format not in WITH_CLUSTERS:
            raise SettingError(f"cluster is for {' and '.join(WITH_CLUSTERS)} only: leave it out for {self.format}.")
        most = LARGEST.get(self.format)
        if self.format == "qcow2":
            unit = disk_sizes.unit("qcow2", self.asked, self.cluster_bytes)
            most = LONGEST_L1 // 8 * (unit // 8) * unit
        if self.format == "parallels" and self.cluster_bytes is not None:
            most = min(LARGEST["parallels"], MOST_CLUSTERS * self.cluster_bytes)
        if most is not None and self.asked > most:
            raise SettingError(
                f"size must be {most} bytes at the most for {self.format}"
                f"{f' with clusters of {self.cluster}' if self.cluster != USUAL else ''}, not {self.asked}."
            )
        self.places()

    def places(self) -> list[tuple[int, int]]:
        """Every write as offset and length, in bytes."""
        return writes.places(self.writes, self.asked)


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity: not at all."""
    return dict(BOUNDS)


def machines(settings: Settings) -> int:
    """How many guests there will be: none."""
    return 0


def notes(settings: Settings) -> list[str]:
    """What is to be known of the numbers with just these settings."""
    places = settings.places()
    written = sum(length for _offset, length in places)
    said = f"written: {written:,} B ({written / MEBI:,.1f} MiB) in {len(places):,} writes"
    return [said, VHDX] if settings.format == "vhdx" else [said]


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float]:
    """The length of the file and the data of the map, from which units were written to and from nothing else.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used; there are no CPU shares here.

    Returns
    -------
    dict of (machine, quantity) to float
        In B; `file_bytes` is missing where it depends on the order of the writes.

    References
    ----------
    Named in the file of each format in `labkit.model.disks`; the formulas are in `labkit.experiments.disk_sizes`.
    """
    which = settings.format, settings.asked, settings.places(), settings.cluster_bytes
    length = disk_sizes.file_bytes(*which)
    found = {} if length is None else {("disk", "file_bytes"): length}
    return {**found, ("disk", "guest_bytes"): disk_sizes.data_bytes(*which)}


def prepare(host: Host, settings: Settings) -> list[Machine]:
    """Make sure that the host has disks; there are no machines to make."""
    ask(host, *NEEDS)
    return []


def adjust(machines: list[Machine], settings: Settings) -> None:
    """There is no machine that could be given other settings: another disk is another run."""


def run(host: Host, settings: Settings) -> Observation:
    """Make the disk, write, and look, on either host."""
    prepare(host, settings)
    disk = host.disk("disk", f"{settings.asked} B", format=settings.format, cluster=settings.cluster_bytes)
    try:
        for offset, length in settings.places():
            disk.write(offset, length)
        return disk.observe()
    finally:
        disk.remove()
