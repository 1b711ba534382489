"""A pool: one store for many disks, which together may be promised more than it has.

Picture a hotel that has taken more bookings than it has rooms. Most nights that is well, as not all guests come. On the
night on which they do, somebody stands in the hall. A *thin pool* lets disks be larger together than it is itself, as
each takes room only for what was written to it. When the last block is given out, the machine that wants the next one
is *paused*, with all that it has: its state is ``"paused"``. Once the pool has grown, or something was given back, its
``resume()`` lets it go on where it was, and its guest has noticed nothing but a clock that is late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from labkit.host.disks import Disk
from labkit.host.observations import Observation
from labkit.host.protocol import Machine

__all__ = ["ALARMS", "BLOCK", "FORMATS", "PIECE", "Filling", "HasPools", "PausingMachine", "Pool"]

ALARMS = (0.7, 0.8, 0.9)
"""At which parts of its size a pool's owner is told: the course's choice; each product has its own, and can be set."""

BLOCK = 4096
"""Bytes of a block, the unit in which a pool gives out its room."""

PIECE = 256 << 10
"""Bytes that a `Filling` writes at once, one request of the guest's."""

FORMATS = ("qcow2", "raw")
"""The formats that a disk of a pool can have."""


@runtime_checkable
class PausingMachine(Machine, Protocol):
    """A machine of a host that has pools: also its state may be ``"paused"``."""

    def resume(self) -> None:
        """Let a paused machine go on where it was. One that runs just goes on.

        What it could not write it writes again; where there is still no room it is paused again.
        """


@runtime_checkable
class Filling(Protocol):
    """Machines that write to their disks, each from the beginning of its first one on, at the same rate.

    Every piece has content of its own, known beforehand, so that it can be told later whether all is there. While a
    machine is paused its clock stands still too: it goes on at the same rate and does not hurry to make up for it.
    """

    def watch(self, seconds: float, at_least: float = 0.0) -> Observation:
        """Let them write, and watch the pool: until all have done, or each that has not is paused, or time is up.

        Parameters
        ----------
        seconds : float
            How long at the most.
        at_least : float
            How long also where nobody writes any more, as while all stand still before a full pool.

        Returns
        -------
        Observation
            Rows: of each machine `written`, in B since it began, and `paused`, 1 or 0; of ``pool`` `used`, in B; and,
            the first time it became so full since they began, `time_to_70`, `time_to_80`, `time_to_90` and
            `time_to_full`, in s since they began. The series `used`; events of kind ``"alarm"`` and ``"paused"``.
        """

    def intact(self) -> Mapping[str, bool]:
        """For each machine, whether all it was to write lies on its disk as it was written; none may be paused."""


@runtime_checkable
class Pool(Protocol):
    """A store for disks."""

    @property
    def size(self) -> int:
        """How many bytes it has to give."""

    @property
    def used(self) -> int:
        """How many of them it has given."""

    @property
    def disks(self) -> Mapping[str, Disk]:
        """The disks that lie in it, by name."""

    def disk(self, name: str, size: str | float, *, format: str = "qcow2") -> Disk:
        """Make a disk whose file lies in this pool; parameters as those of `labkit.host.Host.disk`.

        Its size is a promise: the pool does not have to have so much. Formats are those of `FORMATS`.
        """

    def fill(self, machines: Sequence[PausingMachine], *, rate: str | float, amount: str | float) -> Filling:
        """Let machines write to their first disks, once they are watched.

        Parameters
        ----------
        machines : sequence of PausingMachine
            Each has a disk in this pool.
        rate : str or float
            How much each writes in a second, as in ``"4 MiB"``; a number is in MiB.
        amount : str or float
            How much each is going to write; a number is in MiB. It is rounded up to whole pieces of `PIECE` bytes.
        """

    def grow(self, size: str | float) -> None:
        """Make it as large as that; a number is in MiB. Paused machines stay so until they are resumed."""

    def remove(self) -> None:
        """Remove its disks, and the pool. Removing it twice is no error.

        Raises
        ------
        HostError
            Where a machine has one of the disks.
        """


@runtime_checkable
class HasPools(Protocol):
    """A host that can have pools; see `Host.can` with ``"pool"``."""

    def pool(self, size: str | float) -> Pool:
        """Make a pool; a number is in MiB, a fraction of a block is rounded up.

        Raises
        ------
        HostError
            Where the host cannot have it, with the reason and the remedy.
        """
