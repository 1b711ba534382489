"""Snapshots of simulated machines: what a machine holds, kept as it was, and brought back.

Picture a machine's memory and disk as labels that say which version of a thing lies where. A write puts a new label
there; a snapshot is a copy of the labels; to go back is to hang the copy up again. Which bytes the disk's file takes
for that, the allocator says (`labkit.model.disks`). How long it takes no formula gives: it was measured once, on one
computer, in runs that are compared with nothing.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.host.snapshots import SYNCED, Kind, Snapshot, asked_for
from labkit.model.arguments import checked_name
from labkit.model.booting import MEASURED as BOOTING
from labkit.model.disks.branched import Branched, Leaf
from labkit.model.disks.disk import Allocator
from labkit.model.disks.qcow2 import Qcow2
from labkit.model.records import Found, RecordKeeper
from labkit.model.written import Written

if TYPE_CHECKING:
    from labkit.model.disks import SimulatedDisk
    from labkit.model.machine import SimulatedMachine
    from labkit.model.pool import SimulatedPool

__all__ = ["MEASURED", "Measured", "Past"]

MEBI = 1 << 20
BLOCK = 4096
MOST_HELD = 20  # MiB, as in a live guest of the course


@dataclass(frozen=True)
class Measured:
    """What snapshots took on one computer.

    Parameters
    ----------
    state : float
        MiB of memory of the course's guest that holds nothing.
    take, back : mapping of str to (float, float)
        By the kind of snapshot: seconds for a machine without memory, and MiB of memory that go to the store, or come
        from there, in a second.
    still : mapping of str to float
        By the kind, the part of the time of taking one in which the machine stands still.
    disks_only : float
        Seconds for a snapshot without memory.
    where : str
        On which computer, and how.
    """

    state: float
    take: Mapping[str, tuple[float, float]]
    still: Mapping[str, float]
    back: Mapping[str, tuple[float, float]]
    disks_only: float
    where: str


MEASURED = Measured(
    state=61.0,
    take={"internal": (0.06, 330.0), "external": (0.05, 500.0)},
    still={"internal": 1.0, "external": 0.45},
    back={"internal": (1.0, 250.0), "external": (1.2, 250.0)},
    disks_only=0.02,
    where="as on two CPUs of a Xeon, QEMU 7.2.22 with TCG, a guest of 128 MiB, November 2026: the least of several "
    "runs beside other work",
)


@dataclass
class Kept:
    """What lies behind a snapshot, by disk: the labels, the guest's books, and the disk's files as they were."""

    snapshot: Snapshot
    memory: tuple[float, int]
    blocks: dict[str, dict[int, int]]
    found: dict[str, Found]
    books: dict[str, tuple[list[str | None], dict[str, str]]]
    writes: dict[str, list[tuple[int, int]]]
    leaves: dict[str, Leaf] = field(default_factory=dict)
    below: dict[str, Allocator] = field(default_factory=dict)


class Past:
    """What a machine holds, and the moments that it can be brought back to.

    Parameters
    ----------
    machine : SimulatedMachine
        Whose.
    written : Written
        What lies on its disks.
    """

    def __init__(self, machine: SimulatedMachine, written: Written) -> None:
        self._machine, self._written = machine, written
        self._held = 0.0
        self._memory = 0  # the version of what lies in memory; 0 where it has just booted
        self._keepers: dict[str, RecordKeeper] = {}
        self._kept: dict[str, Kept] = {}

    @property
    def snapshots(self) -> dict[str, Snapshot]:
        """The snapshots, by name."""
        return {name: kept.snapshot for name, kept in self._kept.items()}

    # -- what it holds ----------------------------------------------------------------------------

    def hold(self, held: float) -> None:
        """Keep `held` MiB of random bytes in memory."""
        if not 0 <= held <= MOST_HELD:
            raise HostError(f"A guest holds {MOST_HELD} MiB of its memory at the most.", "Give it less.")
        self._held, self._memory = held, next(self._written.versions)

    def overwrite(self, disk: str, places: Sequence[tuple[int, int]]) -> None:
        """Write random bytes to a disk."""
        own = self._disk(disk)
        for offset, length in places:
            if offset % BLOCK or length % BLOCK or length < BLOCK or not 0 <= offset <= own.size - length:
                raise HostError(
                    f"A guest writes in blocks of {BLOCK} bytes, on the disk.", "Take multiples of that, on the disk."
                )
        self._written.write(disk, places)

    def ruin(self) -> None:
        """Delete all programs and all that was held in memory."""
        self.hold(0.0)

    def contents(self, disk: str) -> dict[str, str]:
        """Marks of what is there."""
        self._disk(disk)
        there = repr(sorted(self._written.labels.get(disk, {}).items()))
        return {"memory": f"version {self._memory}", "disk": hashlib.sha256(there.encode()).hexdigest()}

    def keep_records(self, disk: str, count: int, synced: str) -> None:
        """Start a program that keeps records, and return when there are `count`."""
        if synced not in SYNCED:
            raise ValueError(f"synced is one of {', '.join(SYNCED)}, not {synced!r:.40}")
        self._disk(disk)
        host = self._machine.host
        keeper = self._keepers[disk] = RecordKeeper(host.env, count, synced)
        host.pass_time_until(keeper.enough, None)

    def records_in(self, snapshot: Snapshot, disk: str, count: int) -> dict[str, int]:
        """What another machine finds on the disk as the snapshot has it.

        The records are worked out from the page cache and the clock. `recovery` and `damaged` are not: they are stated.
        The first is what ext4's INCOMPAT_RECOVER means, the second what a journal is there for, and no block of a file
        system is modelled from which either could come out otherwise. Only a live host can find damage.
        """
        found = self._of(snapshot).found.get(disk)
        if found is None:
            raise HostError(f"Nobody kept records on the disk {disk}.", "Begin with keep_records.")
        self._machine.host.create("judge").stop()  # whoever looks is another machine
        asked = set(range(1, count + 1))
        numbers = {file: len(asked & there) for file, there in found.records.items()}
        return {"recovery": found.recovery, "damaged": 0, **numbers}

    def end(self) -> None:
        """The machine has ended."""
        for keeper in self._keepers.values():
            keeper.stop()
        self._keepers.clear()

    # -- taking, and going back -------------------------------------------------------------------

    def take(self, name: str, kind: Kind, freeze: bool, memory: bool) -> Snapshot:
        """Take a snapshot; see `labkit.host.Machine.snapshot`."""
        name, machine = checked_name(name), self._machine
        kind, memory = asked_for(kind, memory)
        self._check(name, kind, memory)
        state = MEASURED.state + self._held if memory else 0.0
        fixed, rate = MEASURED.take[kind]
        took = fixed + state / rate if memory else MEASURED.disks_only
        room = round(state * MEBI)
        stopped = took * MEASURED.still[kind] if memory else 0.0
        snapshot = Snapshot(name, machine.name, kind, memory, freeze, room, took, stopped)
        kept = Kept(
            snapshot,
            (self._held, self._memory),
            {disk: dict(blocks) for disk, blocks in self._written.labels.items()},
            {disk: keeper.on_disk(freeze=freeze) for disk, keeper in self._keepers.items()},
            {disk: volume.books for disk, volume in machine.volumes.items()},
            {disk: list(own.writes) for disk, own in machine.disks.items()},
        )
        files: dict[str, Qcow2] = {}
        wanted: dict[SimulatedPool, int] = {}
        for number, (disk, own) in enumerate(machine.disks.items()):
            own._look()
            if kind == "internal":
                assert isinstance(own._file, Qcow2)
                # A copy, so that nothing has changed where the pool has no room for it.
                file = copy.deepcopy(own._file) if isinstance(own._file, Branched) else Branched(own._file)
                kept.leaves[disk] = file.keep(name, 0 if number else room)  # the memory goes into the first one's file
                needed = file.store_bytes - own._file.store_bytes
            else:
                kept.below[disk] = own._file
                file = Qcow2(own.size)
                needed = file.store_bytes
            files[disk] = file
            if own.pool is not None:
                wanted[own.pool] = wanted.get(own.pool, 0) + needed
                own.pool.require(own, wanted[own.pool])
        for disk, file in files.items():
            own = machine.disks[disk]
            if kind == "external":
                own.layers.append(own._file)
            own._file, own.format = file, "qcow2"
        self._kept[name] = kept
        machine.host.note(
            f"snapshot {name} of {machine.name} kind={kind}{' freeze' * freeze}{'' if memory else ' disks only'}"
        )
        machine.host.advance(machine.host.now + took)
        return snapshot

    def _check(self, name: str, kind: Kind, memory: bool) -> None:
        machine = self._machine
        if name in self._kept:
            raise HostError(f"{machine.name} has a snapshot {name} already.", "Take another name.")
        if not machine.disks:
            raise HostError(f"{machine.name} has no disk to take a snapshot of.", "Create it with disks=[...].")
        if any(kept.snapshot.kind != kind for kept in self._kept.values()):
            raise HostError(f"{machine.name} has snapshots of the other kind.", "Keep to one kind for each machine.")
        if kind == "internal" and not memory:
            raise HostError(
                "An internal snapshot of a running machine has its memory in it.",
                'Take kind="disk-only".',
            )
        for disk in machine.disks.values():
            if kind == "internal" and disk.format != "qcow2":
                raise HostError(
                    f"The disk {disk.name} is {disk.format}, and only qcow2 has room for snapshots in its file.",
                    'Take kind="external".',
                )
        if memory and machine.busy:
            raise HostError(
                f"{machine.name} has a load, and nobody could end that after going back.",
                "End it with job.cancel() first, or take memory=False.",
            )

    def _of(self, snapshot: Snapshot) -> Kept:
        kept = self._kept.get(getattr(snapshot, "name", ""))
        if kept is None or kept.snapshot != snapshot:
            raise HostError(
                f"{snapshot!r:.60} is no snapshot of {self._machine.name}.", "Take one of machine.snapshots."
            )
        return kept

    def go_back(self, snapshot: Snapshot) -> float:
        """Bring the machine back; see `labkit.host.Machine.revert`."""
        kept, machine = self._of(snapshot), self._machine
        if machine.job is not None:
            machine.job.cancel()
        self.end()  # programs of another time are not there any more
        self._held, self._memory = kept.memory if snapshot.memory else (0.0, 0)
        self._written.forget_waiting()
        self._written.labels = {disk: dict(blocks) for disk, blocks in kept.blocks.items()}
        for disk, volume in machine.volumes.items():
            volume.books = kept.books.get(disk)  # none where there was no file system yet
        for disk, own in machine.disks.items():
            own.writes = list(kept.writes.get(disk, ()))
            if own.pool is not None:
                own.pool.forget(own)
        machine.go_on()
        for disk, leaf in kept.leaves.items():
            file = self._disk(disk)._file
            assert isinstance(file, Branched)
            file.go_back(leaf)
        for disk in kept.below:
            own = self._disk(disk)
            own._file, own.format = Qcow2(own.size), "qcow2"
        if snapshot.memory:
            fixed, rate = MEASURED.back[snapshot.kind]
            took = fixed + snapshot.state_bytes / MEBI / rate
        else:  # nothing of its memory is left to go on with: it boots from power-on
            took = sum(BOOTING.seconds["cold"].values())
        machine.host.note(f"revert {machine.name} to {snapshot.name}")
        machine.host.advance(machine.host.now + took)
        return took

    def _disk(self, name: str) -> SimulatedDisk:
        disk = self._machine.disks.get(name)
        if disk is None:
            raise HostError(f"{self._machine.name} has no disk {name!r:.40}.", "Look at its disks.")
        return disk
