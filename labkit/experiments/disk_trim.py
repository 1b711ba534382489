"""What does deleting in a guest give back to the store?

A guest fills a part of its thin disk with files, one behind the other, and deletes some of them. To delete is to strike
out of the guest's own books; nobody outside hears of it. Where the guest discards what it has deleted, the file on the
host gets holes. At last the guest writes the deleted files again.

Settings
--------
format : qcow2 or raw
written : how much the guest writes
file : how large each of its files is; the last ones are left out where they do not fit
deleted : how much of that it deletes, in whole files
order : which files: ``together``, the first ones, or ``scattered``, evenly over all
discard : whether the guest says so to its disk: yes or no

Quantities
----------
Of ``before`` and ``after`` the deletion, and ``again``, when the deleted files have been written anew, all in B:

file_bytes : the length of the disk's file. It never becomes less: a hole has length and takes no room.
guest_bytes : what the disk's map calls data
store_bytes : what the store gives the file in blocks of 4096 bytes, as du(1) counts them. This is what shrinks.

A file here is a stretch of the guest's device, without a file system around it: what a file system writes besides is
its own affair, and would hide what happens. As a file system's trim does, neighbours are discarded in one. A qcow2 file
gives back whole clusters of 64 KiB only, a raw file whole blocks.

Theory counts the clusters that lie within what is discarded; simulated is the allocator; live is a guest that sends
BLKDISCARD to its virtual disk, which QEMU hands on to the host's file system as a hole (fallocate(2)). The file lies in
a pool (tmpfs), whose blocks are all the file's own, where the host can have one; else where the host keeps its disks.

Bound between live and simulated
--------------------------------
0 B for all; for `store_bytes` where the host can have a pool, as other file systems may count blocks of their own to a
file. Written before this experiment first ran live.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, choice
from labkit.experiments.settings import size as mebibytes_of
from labkit.host import Disk, Host, Observation, Row
from labkit.host.pools import HasPools
from labkit.host.trimming import MOST_PLACES, TrimmingMachine

__all__ = [
    "BOUNDS",
    "CALLED",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "OFFERED",
    "QUANTITIES",
    "QUESTION",
    "ROWS",
    "SHOWN",
    "UNDISTURBED",
    "Settings",
    "bounds",
    "machines",
    "run",
    "steps",
    "theory",
]

NAME = "disk-trim"
QUESTION = "What does deleting in a guest give back to the store?"
LESSON = "04"
NEEDS = ("disks", "trim")
ROWS = "moment"
UNDISTURBED = "the same writes make the same file, however long they take"
QUANTITIES = {"file_bytes": "B", "guest_bytes": "B", "store_bytes": "B"}
LABELS = {
    "file_bytes": ("Length of the file", "Look at whether it ever becomes less."),
    "guest_bytes": ("Data by the map", "Look at what the disk itself believes to hold."),
    "store_bytes": ("Room taken of the store", "Look at what comes back after the deletion."),
}
HEADLINE = "store_bytes"
SHOWN = {"written": (4, 64), "deleted": (1, 64)}
CALLED = {"file": "size of a file"}
OFFERED = {"file": (1 / 64, 1 / 16, 1 / 4, 1.0)}  # MiB; on the command line any multiple of 4096 bytes
BOUNDS = dict.fromkeys(QUANTITIES, 0.0)
_MOMENTS = ("before", "after", "again")

MEBI = 1 << 20
DISK = 128 * MEBI
_UNITS = {"qcow2": 65536, "raw": 4096}
_BLOCK = 4096


@dataclass(frozen=True)
class Settings:
    """What the guest writes and deletes, and whether it says so."""

    format: str = choice("qcow2", ("qcow2", "raw"), about="the disk's format")
    written: float = mebibytes_of(32.0, minimum=1.0, maximum=96.0, about="how much the guest writes")
    file: float = mebibytes_of(1.0, minimum=1 / 64, maximum=32.0, about="how large each of its files is")
    deleted: float = mebibytes_of(24.0, minimum=1 / 64, maximum=96.0, about="how much of that it deletes")
    order: str = choice("together", ("together", "scattered"), about="which files it deletes")
    discard: str = choice("yes", ("yes", "no"), about="whether it tells its disk")

    @property
    def each(self) -> int:
        """The length of a file in bytes."""
        return round(self.file * MEBI)

    @property
    def files(self) -> list[tuple[int, int]]:
        """Every file: where it begins on the disk, and its length, in bytes."""
        return [(number * self.each, self.each) for number in range(int(self.written * MEBI) // self.each)]

    @property
    def gone(self) -> list[tuple[int, int]]:
        """The files that are deleted."""
        count, files = int(self.deleted * MEBI) // self.each, self.files
        if self.order == "together":
            return files[:count]
        total = len(files)
        return [place for number, place in enumerate(files) if (number + 1) * count // total > number * count // total]

    @property
    def runs(self) -> list[tuple[int, int]]:
        """What is discarded: deleted files, neighbours in one."""
        found: list[tuple[int, int]] = []
        for offset, length in self.gone:
            if found and sum(found[-1]) == offset:
                found[-1] = found[-1][0], found[-1][1] + length
            else:
                found.append((offset, length))
        return found

    def check(self) -> None:
        """Make sure that the settings fit each other.

        Raises
        ------
        SettingError
            Where they do not, with the numbers.
        """
        if self.each % _BLOCK:
            raise SettingError(f"file must be a multiple of {_BLOCK} bytes, such as 16 KiB, not {self.each} bytes.")
        if self.deleted > self.written:
            raise SettingError(f"deleted must be no more than written, {self.written:g} MiB, not {self.deleted:g}.")
        if not 1 <= len(self.files) <= MOST_PLACES:
            raise SettingError(f"written must be 1 to {MOST_PLACES} files, not {len(self.files)}.")


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity: not at all."""
    return dict(BOUNDS)


def machines(settings: Settings) -> int:
    """How many machines there are."""
    return 1


def steps(settings: Settings) -> int:
    """How many steps a live run tells, besides starting the machine."""
    return 3 if settings.discard == "yes" else 2


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float]:
    """All sizes, from which clusters hold something and which lie within what is discarded, and nothing else.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used: there are no CPU shares here.

    Returns
    -------
    dict of (machine, quantity) to float
        In B.

    References
    ----------
    "The qcow2 file format" (QEMU, docs/interop/qcow2.txt): header, refcount table, refcount block, L1 and L2 tables, of
    a cluster each, and that a cluster whose refcount is 0 is free for anything. fallocate(2): a hole is deallocated in
    whole blocks, and with FALLOC_FL_KEEP_SIZE, which it needs, the file's length stays.
    """
    unit = _UNITS[settings.format]
    held = {cluster for offset, length in settings.files for cluster in _touched(offset, length, unit)}
    if settings.format == "raw":
        held.add(0)  # which QEMU writes when it makes the file
    given = {
        cluster
        for offset, length in (settings.runs if settings.discard == "yes" else ())
        for cluster in range(-(-offset // unit), (offset + length) // unit)
    }
    # Header, refcount table and block, and one L2 table; of the L1 table's cluster one block is written, but the file
    # reaches beyond it as soon as anything lies behind.
    tables, sparse = (5 * unit, unit - _BLOCK) if settings.format == "qcow2" else (0, 0)
    length = tables + len(held) * unit if settings.format == "qcow2" else DISK
    found: dict[tuple[str, str], float] = {}
    for moment in _MOMENTS:
        data = (len(held) - (len(given) if moment == "after" else 0)) * unit
        found[moment, "file_bytes"] = length
        found[moment, "guest_bytes"] = data
        found[moment, "store_bytes"] = tables - sparse + data
    return found


def _touched(offset: int, length: int, unit: int) -> range:
    return range(offset // unit, -(-(offset + length) // unit))


def _looked(disk: Disk, moment: str) -> tuple[list[Row], Observation]:
    seen = disk.observe()
    rows = [
        Row(machine=moment, quantity=row["quantity"], unit="B", value=row["value"])
        for row in seen.rows
        if row["quantity"] != "store_bytes"
    ]
    return [*rows, Row(machine=moment, quantity="store_bytes", unit="B", value=disk.store_bytes)], seen


def run(host: Host, settings: Settings) -> Observation:
    """Write, delete, look, and write again, on either host."""
    ask(host, *NEEDS)
    pool = host.pool(2 * DISK / MEBI) if host.can("pool") and isinstance(host, HasPools) else None
    disk = (pool or host).disk("disk", DISK / MEBI, format=settings.format)
    machine: TrimmingMachine | None = None
    try:
        machine = host.create("m1", disks=[disk])
        machine.write("disk", settings.files)
        rows, _ = _looked(disk, "before")
        if settings.discard == "yes":
            machine.discard("disk", settings.runs)
        rows += _looked(disk, "after")[0]
        machine.write("disk", settings.gone)
        more, seen = _looked(disk, "again")
        told = ("disks", "trim", *(("pool",) if pool is not None else ()))
        origin = dataclasses.replace(
            seen.provenance, mechanisms={ability: host.can(ability).mechanism for ability in told}
        )
        return dataclasses.replace(seen, rows=(*rows, *more), provenance=origin)
    finally:
        if machine is not None:
            machine.stop()
        disk.remove()
        if pool is not None:
            pool.remove()
