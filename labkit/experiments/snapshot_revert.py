"""How much of a ruined machine does a snapshot bring back, and what does it cost?

A machine holds something in its memory and on its disk. A snapshot of it is taken. Then it writes over its disk and
deletes its own programs: nothing can be started in it any more. It is brought back, and compared with what it was.

Settings
--------
kind : ``internal``: disk and memory are kept in the disk's own file; ``external``: the disk's file stays as it is, a
    new one is laid over it, and the memory goes to a file of its own; ``disk-only``: external, and without the memory,
    so the machine that is brought back boots anew
held : how many MiB of random bytes the machine keeps in its memory
before : what it writes to its disk of 8 MiB before the snapshot: ``offset+length`` in bytes, with commas between, or a
    pattern (`labkit.experiments.writes`); in multiples of 4096
after : what it writes over it after the snapshot; likewise

Quantities
----------
same_harmed : 1 where what is found after the harm is what was there before, else 0; of `memory` and of `disk`.
same_back : likewise, after the machine was brought back.
grown : by how much the files of the `disk` have become longer between the snapshot and the machine's end, in B. An
    external snapshot's new file counts from its first byte.
state : the room that the memory takes in the store, of `web`, in MiB.
take : how long the snapshot took, in s.
stopped : how long of that `web` stood still, in s.
back : how long it took until `web` answered again after going back, in s.

Theory knows what a snapshot is: it brings back what was in it, and no more; and for `grown` it counts the touched
clusters of 64 KiB. After an internal snapshot every cluster that is written to gets a new place, and so does the table
of their places; an external one's new file is a qcow2 file with just these. For `state`, `take`, `stopped` and `back`
it has nothing, as they depend on the computer and on what its guest's kernel has in memory.

Simulated is a machine of versions and the allocator of qcow2, write by write; its times and the size of an empty
guest's memory were measured once, apart from any comparison (`labkit.model.snapshots`).

Bound between live and simulated
--------------------------------
0 for `same_harmed`, `same_back` and `grown`. Written before the experiment first ran live, after a look at how QEMU
7.2.22 lays out a file with a snapshot. For the others none: they are one computer's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from labkit.experiments import disk_sizes, named_writes
from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, choice, number, words
from labkit.host import Event, Host, HostError, Observation, Row
from labkit.host.snapshots import KINDS, HoldsContents

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
    "Settings",
    "bounds",
    "machines",
    "run",
    "steps",
    "theory",
]

NAME = "snapshot-revert"
QUESTION = "How much of a ruined machine does a snapshot bring back, and what does it cost?"
LESSON = "05"
NEEDS = ("disks", "snapshots", "contents")
QUANTITIES = {
    "same_harmed": "1",
    "same_back": "1",
    "grown": "B",
    "state": "MiB",
    "take": "s",
    "stopped": "s",
    "back": "s",
}
LABELS = {
    "same_harmed": ("As it was, after the harm", "No (0) where the harm has changed anything.", "1 or 0"),
    "same_back": ("As it was, after going back", "Yes (1) where every byte has come back.", "1 or 0"),
    "grown": ("Growth of the disk's files", "What was written since the snapshot takes room a second time."),
    "state": ("Room for the memory", "It is written down in full: what the guest holds, its kernel, its programs."),
    "take": ("Taking the snapshot", "Compare the three kinds: which of them have the memory to write down?"),
    "stopped": ("Standing still meanwhile", "Compare with the time of taking: for the rest of it the machine went on."),
    "back": ("Going back", "For so long nobody is served. Compare the three kinds."),
}
HEADLINE = "same_back"
ROWS = "part"
BY_WHAT = {"snapshots": "The snapshots: {}."}
BOUNDS = {"same_harmed": 0.0, "same_back": 0.0, "grown": 0.0}

MEBI = 1 << 20
SIZE = 8 * MEBI
CLUSTER = 65536
BLOCK = 4096
CHOICES = (*KINDS, "disk-only")
MOST_WRITES = 100  # each is a program started in the guest


@dataclass(frozen=True)
class Settings:
    """Which snapshot, of what, and what is done to it."""

    kind: str = choice("internal", CHOICES, about="in the disk's file, in files of its own, or without the memory")
    held: float = number(4.0, minimum=0.0, maximum=16.0, unit="MiB", about="random bytes that it keeps in memory")
    before: tuple[str, ...] = words(
        ("0+262144", "1048576+65536"),
        read=named_writes.reader("before"),
        longest=MOST_WRITES,
        unit="B",
        about="written before",
    )
    after: tuple[str, ...] = words(
        ("0+131072", "4194304+131072"),
        read=named_writes.reader("after"),
        longest=MOST_WRITES,
        unit="B",
        about="written after",
    )

    def check(self) -> None:
        """Refuse what no host can do.

        Raises
        ------
        SettingError
            With the reason.
        """
        for name in ("before", "after"):
            places = self.places(name)
            if len(places) > MOST_WRITES or any(offset % BLOCK or length % BLOCK for offset, length in places):
                raise SettingError(
                    f"'{name}' takes up to {MOST_WRITES} writes, each at, and as long as, a multiple of {BLOCK} bytes."
                )

    def places(self, name: str) -> list[tuple[int, int]]:
        """Every write before or after, as offset and length in bytes."""
        return named_writes.places(name, getattr(self, name), SIZE)


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity."""
    return dict(BOUNDS)


def machines(_settings: Settings) -> int:
    """How many machines there are."""
    return 1


def steps(settings: Settings) -> int:
    """How many steps a live run tells, besides starting the machine; a boot at the end is two more."""
    return 11 if settings.kind in KINDS else 13


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """What comes back, from what was kept; and the growth, from the set of touched clusters.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used.

    Returns
    -------
    dict of (machine, quantity) to float or None
        `same_harmed` and `same_back` in 1, `grown` in B; None for the others.

    References
    ----------
    QEMU, docs/interop/qcow2.txt: what a snapshot refers to has more than one user, and is copied before it is changed.
    """
    places = settings.places("after")
    touched = {unit for at, length in places for unit in range(at // CLUSTER, (at + length - 1) // CLUSTER + 1)}
    if settings.kind == "internal":
        tables = {unit // (CLUSTER // 8) for unit in touched}
        grown: int | None = (len(touched) + len(tables)) * CLUSTER
    else:
        grown = disk_sizes.file_bytes("qcow2", SIZE, places, None)
    return {
        ("memory", "same_harmed"): 0.0,
        ("disk", "same_harmed"): 0.0,
        ("memory", "same_back"): float(settings.kind in KINDS),
        ("disk", "same_back"): 1.0,
        ("disk", "grown"): grown,
        **{("web", quantity): None for quantity in ("state", "take", "stopped", "back")},
    }


def run(host: Host, settings: Settings) -> Observation:
    """Let a machine be ruined and brought back, on either host."""
    ask(host, *NEEDS)
    disk = host.disk("data", f"{SIZE} B")
    web = host.create("web", disks=[disk])
    try:
        if not isinstance(web, HoldsContents):
            raise HostError(
                "This host's machines cannot be looked through.", "Use labkit.simulated() or labkit.live()."
            )
        web.overwrite("data", settings.places("before"))
        web.hold(settings.held)
        was = web.contents("data")
        snapshot = web.snapshot("before", kind=settings.kind)
        began = disk.file_bytes if snapshot.kind == "internal" else 0
        web.overwrite("data", settings.places("after"))
        grown = disk.file_bytes - began
        web.ruin()
        harmed = web.contents("data")
        seconds = web.revert(snapshot)
        back = web.contents("data")
        seen = host.observe(seconds=0.2)
    finally:
        web.stop()
        disk.remove()
    rows = [
        Row(machine=what, quantity=quantity, unit="1", value=float(found[what] == was[what]))
        for quantity, found in (("same_harmed", harmed), ("same_back", back))
        for what in ("memory", "disk")
    ]
    rows += [
        Row(machine="disk", quantity="grown", unit="B", value=grown),
        Row(machine="web", quantity="state", unit="MiB", value=snapshot.state_bytes / MEBI),
        Row(machine="web", quantity="take", unit="s", value=snapshot.seconds),
        Row(machine="web", quantity="stopped", unit="s", value=snapshot.stopped),
        Row(machine="web", quantity="back", unit="s", value=seconds),
    ]
    told = Event(time=0.0, kind="snapshot", machine="web", detail=repr(snapshot))
    mechanisms = {**seen.provenance.mechanisms, "snapshots": host.can("snapshots").mechanism}
    provenance = dataclasses.replace(seen.provenance, mechanisms=mechanisms)
    took = snapshot.seconds + seconds + seen.seconds
    return dataclasses.replace(seen, seconds=took, rows=tuple(rows), series=(), events=(told,), provenance=provenance)
