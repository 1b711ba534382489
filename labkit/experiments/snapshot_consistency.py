"""What of a database does a snapshot have that is taken while it writes?

A program in a machine keeps records, one after the other: each goes to the end of its *log*, and then to the end of its
*table*. A snapshot of the disk alone is taken while it writes. Another machine gets a copy of the disk as the snapshot
has it, and looks what is there.

Settings
--------
freeze : ``no``: the disk as it is at that moment, as a power cut would leave it (*crash-consistent*); ``yes``: the
    guest's agent first lets its kernel write down all files and hold still (*file-system-consistent*)
records : how many records there are when the snapshot is asked for; the program goes on, but only these are counted
synced : which files the program tells its kernel to write down (*fsync*) after each record: ``log``, as databases do,
    ``both`` or ``none``

Quantities
----------
lost : how many of the records are missing, of the files `log` and `table`.
recovery : of the `disk`: 1 where its file system says that its journal is still to be replayed (ext4's
    ``needs_recovery``), else 0.
damaged : of the `disk`: 1 where ``e2fsck`` finds anything wrong once the journal has been replayed, else 0.

Theory is about sets. What was synced is on the disk, with or without a freeze. What was not is in the guest's memory
alone, until its kernel writes it down after half a minute, and the snapshot has it just if the guest was frozen. A file
system with a journal is sound after a power cut, once its journal is replayed; after a freeze there is nothing to
replay. So a crash-consistent snapshot is not a broken one: what is gone from it is what nobody had yet written down.

Simulated is a page cache from which records go to the disk when they are synced, when they are old, or when the guest
is frozen (`labkit.model.records`). Live is an ext4 file system on a qcow2 disk.

Bound between live and simulated
--------------------------------
0 for all: they are counts. Written before the experiment first ran live. They presume that the snapshot is taken within
half a minute of the first record (on Linux: vm.dirty_expire_centisecs), which takes a second or two.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from labkit.experiments.needs import ask
from labkit.experiments.settings import choice, integer
from labkit.host import Event, Host, HostError, Observation, Row
from labkit.host.snapshots import SYNCED, KeepsRecords

__all__ = [
    "BOUNDS",
    "BY_WHAT",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "ROWS",
    "UNDISTURBED",
    "Settings",
    "bounds",
    "machines",
    "run",
    "steps",
    "theory",
]

NAME = "snapshot-consistency"
QUESTION = "What of a database does a snapshot have that is taken while it writes?"
LESSON = "05"
NEEDS = ("disks", "snapshots", "records")
UNDISTURBED = "they are counts"
QUANTITIES = {"lost": "1", "recovery": "1", "damaged": "1"}
LABELS = {
    "lost": ("Records lost", "What is missing was in the guest's memory only, and not yet on the disk.", "records"),
    "recovery": (
        "Journal to be replayed",
        "Yes (1) where the file system was in the middle of something, and has to finish it.",
        "1 or 0",
    ),
    "damaged": ("Damage found", "Yes (1) where the file system's own check finds anything wrong.", "1 or 0"),
}
HEADLINE = "lost"
ROWS = "part"
BY_WHAT = {"snapshots": "The snapshot: {}."}
BOUNDS = {"lost": 0.0, "recovery": 0.0, "damaged": 0.0}
SIZE = "32 MiB"
FILES = ("log", "table")


@dataclass(frozen=True)
class Settings:
    """How the snapshot is taken, and what of."""

    freeze: str = choice("no", ("no", "yes"), about="whether the guest writes all files down before")
    records: int = integer(50, minimum=1, maximum=200, unit="", about="records that are there by then")
    synced: str = choice("log", SYNCED, about="which files are written down after each record")


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity: not at all."""
    return dict(BOUNDS)


def machines(_settings: Settings) -> int:
    """How many machines there are: the one that writes, and the one that looks."""
    return 2


def steps(_settings: Settings) -> int:
    """How many steps a live run tells, besides starting the machines; starting the second is two of them."""
    return 8


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float]:
    """What is on the disk, from what was synced and what was frozen.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used.

    Returns
    -------
    dict of (machine, quantity) to float
        In 1: `lost` of `log` and `table`, `recovery` and `damaged` of `disk`.

    References
    ----------
    fsync(2), "so that all changed information can be retrieved even if the system crashes"; FIFREEZE in ioctl_fs(2)
    and Linux's Documentation/filesystems/ext4 (journal, delayed allocation); T. S. Pillai et al., "All file systems are
    not created equal", OSDI 2014, on what is on a disk after a crash.
    """
    written = set(range(1, settings.records + 1))
    synced = {"log": ("log",), "both": FILES, "none": ()}[settings.synced]
    frozen = settings.freeze == "yes"
    lost = {file: written - (written if frozen or file in synced else set()) for file in FILES}
    return {
        **{(file, "lost"): float(len(lost[file])) for file in FILES},
        ("disk", "recovery"): float(not frozen),
        ("disk", "damaged"): 0.0,
    }


def run(host: Host, settings: Settings) -> Observation:
    """Take a snapshot of a machine that writes, and look what is in it, on either host."""
    ask(host, *NEEDS)
    disk = host.disk("data", SIZE)
    writer = host.create("writer", disks=[disk])
    try:
        if not isinstance(writer, KeepsRecords):
            raise HostError("This host's machines keep no records.", "Use labkit.simulated() or labkit.live().")
        writer.keep_records("data", settings.records, settings.synced)
        snapshot = writer.snapshot("moment", kind="disk-only", freeze=settings.freeze == "yes")
        found = writer.records_in(snapshot, "data", settings.records)
        seen = host.observe(seconds=0.2)
    finally:
        writer.stop()
        disk.remove()
    rows = [Row(machine=file, quantity="lost", unit="1", value=float(settings.records - found[file])) for file in FILES]
    rows += [
        Row(machine="disk", quantity=quantity, unit="1", value=float(found[quantity]))
        for quantity in ("recovery", "damaged")
    ]
    told = Event(time=0.0, kind="snapshot", machine="writer", detail=repr(snapshot))
    mechanisms = {**seen.provenance.mechanisms, "snapshots": host.can("snapshots").mechanism}
    provenance = dataclasses.replace(seen.provenance, mechanisms=mechanisms)
    took = snapshot.seconds + seen.seconds
    return dataclasses.replace(seen, seconds=took, rows=tuple(rows), series=(), events=(told,), provenance=provenance)
