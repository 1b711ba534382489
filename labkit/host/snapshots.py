"""What both hosts promise of a snapshot: a moment of a machine that it can be brought back to.

Picture a photograph of a desk, sharp enough to put every pencil back. It takes a moment to make, it takes room in a
drawer, and the longer one works on after it, the more differs from it: each thing that is moved has to be kept twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

__all__ = ["KINDS", "SYNCED", "HoldsContents", "KeepsRecords", "Kind", "Snapshot", "asked_for"]

Kind = Literal["internal", "external", "disk-only"]

KINDS = ("internal", "external")
"""``internal``: all of it in the file of the machine's disk, for qcow2. ``external``: the disk's file stays as it is, a
new one is laid over it, and the memory goes to a file of its own. ``disk-only`` is an external one without memory."""

_DISK_ONLY = "disk-only"

SYNCED = ("log", "both", "none")
"""Which of its two files a program that keeps records tells its kernel to write down (*fsync*) after each record."""


def asked_for(kind: str, memory: bool) -> tuple[Kind, bool]:
    """Which of `KINDS` is asked for, and whether with the memory: ``"disk-only"`` is external, and without.

    Raises
    ------
    ValueError
        Where there is no such kind.
    """
    if kind == _DISK_ONLY:
        return "external", False
    if kind not in KINDS:
        raise ValueError(f"kind is one of {', '.join((*KINDS, _DISK_ONLY))}, not {kind!r:.40}")
    return ("internal" if kind == "internal" else "external"), memory


@dataclass(frozen=True)
class Snapshot:
    """A moment that a machine can be brought back to, made with `labkit.host.Machine.snapshot`.

    Parameters
    ----------
    name, machine : str
        Its own, and the machine's.
    kind : {"internal", "external"}
        One of `KINDS`.
    memory : bool
        Whether the machine's memory is in it, or its disks only.
    frozen : bool
        Whether the guest had written down all its files before, and held still.
    state_bytes : int
        The room that the memory takes in the store, in bytes.
    seconds : float
        How long it took to make, in s.
    stopped : float
        How long of that the machine stood still, in s.
    """

    name: str
    machine: str
    kind: Kind
    memory: bool
    frozen: bool
    state_bytes: int
    seconds: float
    stopped: float

    def __repr__(self) -> str:
        what = f"memory ({self.state_bytes / 1048576:.1f} MiB) and disks" if self.memory else "disks only"
        frozen = ", its files written down before" if self.frozen else ""
        return (
            f"snapshot {self.name} of {self.machine}: {self.kind}, {what}{frozen}; "
            f"made in {self.seconds:.2f} s, of which the machine stood still for {self.stopped:.2f} s"
        )


@runtime_checkable
class HoldsContents(Protocol):
    """A machine that can be given something to hold, be ruined, and be looked through; for ``"contents"``."""

    def hold(self, held: float) -> None:
        """Keep `held` MiB of random bytes in memory, and start a program that waits for nothing."""

    def overwrite(self, disk: str, places: Sequence[tuple[int, int]]) -> None:
        """Write random bytes to a disk, at each place one write that reaches the disk before the next begins.

        Parameters
        ----------
        disk : str
            The disk's name.
        places : sequence of (int, int)
            Offset and length in bytes, in order; multiples of 4096.
        """

    def ruin(self) -> None:
        """Delete its own programs, and all that it held in memory."""

    def contents(self, disk: str) -> Mapping[str, str]:
        """What can be found in it at this moment: marks of its ``memory`` and its ``disk``.

        Two marks are equal where what is there is equal. The mark of the memory is over what it was given to hold,
        the program that was started by then, and the programs of its system.
        """


@runtime_checkable
class KeepsRecords(Protocol):
    """A machine in which a program can keep records in order, as a database does; for ``"records"``."""

    def keep_records(self, disk: str, count: int, synced: str) -> None:
        """Make a file system on a disk, and start a program that writes numbered records; it goes on to write.

        Each record goes to the end of the file *log*, and then to the end of the file *table*. Returns as soon as
        `count` of them have been written.

        Parameters
        ----------
        disk : str
            The disk's name.
        count : int
            How many.
        synced : str
            One of `SYNCED`.
        """

    def records_in(self, snapshot: Snapshot, disk: str, count: int) -> Mapping[str, int]:
        """What another machine finds on a copy of the disk as the snapshot has it.

        Returns
        -------
        mapping
            `recovery`: 1 where the file system says that its journal is still to be replayed, else 0. `damaged`: 1
            where the check of the file system finds anything wrong once that is done, else 0. `log` and `table`: how
            many of the first `count` records are in each.
        """
