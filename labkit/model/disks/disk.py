"""A disk of the simulated host: a file that is not there, and of which everything is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from labkit.host import HostError, Observation, Provenance, Row, mebibytes
from labkit.host.chains import Reading
from labkit.host.disks import FORMATS, Extent
from labkit.model.arguments import checked_name
from labkit.model.disks import parallels, vhd
from labkit.model.disks.branched import Branched
from labkit.model.disks.qcow2 import Qcow2
from labkit.model.disks.raw import Raw
from labkit.model.disks.reading import read_through
from labkit.model.disks.rounding import ceiling
from labkit.model.disks.vdi import vdi
from labkit.model.disks.vhdx import vhdx
from labkit.model.disks.vmdk import vmdk

if TYPE_CHECKING:
    from labkit.model.pool import SimulatedPool

__all__ = ["LARGEST", "MAKERS", "Allocator", "SimulatedDisk"]

LARGEST = 4 << 40  # bytes
LIMITS = {"vhd": vhd.LARGEST}  # bytes; where a format ends earlier; some depend on the cluster
CLUSTERS = {"qcow2": Qcow2.CLUSTERS, "parallels": parallels.CLUSTERS}  # bytes; the formats where one may choose


class Allocator(Protocol):
    """What each format's file gives: where everything is, and what the next write changes.

    `places` says for each unit of the disk that has room in the file at which byte of it; `told` whether a map shows
    that.
    """

    size: int
    unit: int
    told: bool
    places: dict[int, int]

    @property
    def file_bytes(self) -> int:
        """The length of the file, in bytes."""

    def write(self, offset: int, length: int) -> None:
        """Find room for what is written where it has none yet."""

    def reopen(self) -> None:
        """Forget what only a program that keeps the file open remembers."""


MAKERS: dict[str, Callable[..., Allocator]] = {
    "raw": Raw,
    "qcow2": Qcow2,
    "vmdk": vmdk,
    "vhd": vhd.vhd,
    "vhdx": vhdx,
    "vdi": vdi,
    "parallels": parallels.parallels,
}
"""The formats: each makes an empty file for a disk of so many bytes, and of such clusters where one may choose."""


class SimulatedDisk:
    """A virtual disk in the model; see `labkit.host.Disk`.

    Parameters
    ----------
    name : str
        What it is called.
    size : str or float
        How large the guest is to see it; a number is in MiB. It is rounded up to whole sectors of 512 bytes.
    format : str
        One of `labkit.host.FORMATS`.
    cluster : int, optional
        Bytes of a cluster, for qcow2 and Parallels: a power of two from 512 to 2 MiB.
    host : str
        The host's name, for where an observation comes from.

    Raises
    ------
    HostError
        Where there is no such format, or it cannot have that size or cluster.

    Examples
    --------
    >>> disk = SimulatedDisk("data", "1 GiB")
    >>> disk.file_bytes
    196624
    >>> disk.write(0, 4096)
    >>> disk.file_bytes, disk.guest_bytes
    (393216, 65536)
    """

    def __init__(
        self,
        name: str,
        size: str | float,
        format: str = "qcow2",
        *,
        cluster: int | None = None,
        host: str = "simulated host",
    ) -> None:
        asked = ceiling(round(mebibytes(size) * 1048576), 512) * 512
        if format not in FORMATS:
            raise HostError(f"There is no disk format {format!r:.40}.", f"Take one of {', '.join(FORMATS)}.")
        if cluster is not None and cluster not in CLUSTERS.get(format, ()):
            remedy = "It is a power of two from 512 to 2097152 bytes." if format in CLUSTERS else "Leave cluster out."
            raise HostError(f"A {format} disk cannot have clusters of {cluster!r:.40} bytes.", remedy)
        largest = min(LARGEST, LIMITS.get(format, LARGEST))
        if format == "parallels":
            largest = parallels.largest(cluster or parallels.DEFAULT_CLUSTER)
        if format == "qcow2":
            largest = min(largest, Qcow2.largest(cluster or Qcow2.DEFAULT_CLUSTER))
        if not 512 <= asked <= largest:
            raise HostError(f"Such a {format} disk has 512 to {largest} bytes, not {asked}.", "Choose another size.")
        self.name, self.format = name, format
        self._file = MAKERS[format](asked) if cluster is None else MAKERS[format](asked, cluster)
        self.size = self._file.size
        self._host = host
        self._open = False
        self.removed = False
        self.machine = ""  # the name of the one that has it
        self.backing: SimulatedDisk | None = None
        self.overlays: list[SimulatedDisk] = []  # that lie over it
        self.writes: list[tuple[int, int]] = []
        self.snapshots: tuple[str, ...] = ()
        self.pool: SimulatedPool | None = None  # in which its file lies
        self.layers: list[Allocator] = []  # the files that external snapshots have left below the one it has now
        self.make_beside: Callable[..., SimulatedDisk] = SimulatedDisk  # a host puts its own way of making disks here

    def __repr__(self) -> str:
        return f"disk {self.name}, {self.format}, {self.size:,} bytes, its file {self._file.file_bytes:,} bytes long"

    def write(self, offset: int, length: int) -> None:
        """Write something other than zeros; see `labkit.host.Disk.write`."""
        self._there()
        if self.machine:
            raise HostError(f"{self.machine} has the disk {self.name}.", "Write to it from inside that machine.")
        if length < 1 or not 0 <= offset <= self.size - length:
            raise HostError(
                f"{length} bytes at {offset} do not lie on {self.name}, which has {self.size} bytes.",
                "Write less, or nearer to the beginning.",
            )
        if self.overlays:
            raise HostError(f"{self.overlays[0].name} lies over {self.name} and would change.", "Write to that one.")
        if not self._open:
            self._file.reopen()
            self._open = True
        self._file.write(offset, length)
        self.writes.append((offset, length))

    def written_inside(self, offset: int, length: int) -> None:
        """Take what the guest that has the disk writes: its hypervisor keeps the file open all the time."""
        self._file.write(offset, length)
        self.writes.append((offset, length))

    @property
    def unit(self) -> int:
        """Bytes of the disk that get and lose their room in the file together."""
        return self._file.unit

    def discarded_inside(self, offset: int, length: int) -> None:
        """Give back what the guest that has the disk does not need any more."""
        self._booked.discard(offset, length)

    def growth(self, offset: int, length: int) -> int:
        """How much more the store would have to give after such a write, in bytes."""
        return self._booked.growth(offset, length)

    @property
    def store_bytes(self) -> int | None:
        """How much the store gives the file in whole blocks, in bytes; None for formats that are not modelled."""
        self._there()
        return getattr(self._file, "store_bytes", None)

    @property
    def _booked(self) -> Qcow2 | Raw:
        """The file, where the model keeps books of the store's blocks."""
        if isinstance(self._file, Qcow2 | Raw):
            return self._file
        raise HostError(f"What the store gives a {self.format} file is not modelled.", "Take qcow2 or raw.")

    @property
    def file_bytes(self) -> int:
        """The length of the file, in bytes."""
        self._look()
        return self._file.file_bytes

    @property
    def guest_bytes(self) -> int:
        """How much of the disk the map calls data that lies in this disk's own file, in bytes."""
        self._look()
        if not self._file.told:
            return self.size
        # Every unit counts in full, but for the last one of the disk, which may reach beyond its end.
        unit, last = self._file.unit, ceiling(self.size, self._file.unit) - 1
        return len(self._file.places) * unit - (last in self._file.places) * ((last + 1) * unit - self.size)

    def map(self) -> tuple[Extent, ...]:
        """The disk from its beginning to its end, data and not, neighbours in one."""
        self._look()
        return tuple(self._extents())

    def _extents(self) -> Iterator[Extent]:
        file = self._file
        if not file.told:
            yield Extent(0, self.size, True)
            return
        start = end = 0
        offset: int | None = None  # of the stretch of data from `start` to `end`
        for index in sorted(file.places):
            begins, place = index * file.unit, file.places[index]
            if offset is None or begins != end or place != offset + end - start:
                if offset is not None:
                    yield Extent(start, end - start, True, offset)
                if begins > end:
                    yield Extent(end, begins - end, False)
                start, offset = begins, place
            end = min(begins + file.unit, self.size)
        if offset is not None:
            yield Extent(start, end - start, True, offset)
        if end < self.size:
            yield Extent(end, self.size - end, False)

    def read(self) -> Reading:
        """What reads all over the disk come to; see `labkit.host.Disk.read`."""
        return read_through(self.map(), self.size)

    def intact(self) -> bool:
        """Whether all that was written can be read: always, as long as no layer is gone."""
        self._look()
        return True

    def keep(self, name: str) -> None:
        """Keep what the disk shows now as a snapshot inside its file; see `labkit.host.Disk.keep`."""
        self._look()
        if self.machine:
            raise HostError(f"{self.machine} has the disk {self.name}.", "Stop that machine first.")
        if not isinstance(self._file, Qcow2):
            raise HostError(f"A {self.format} file has no snapshots inside.", "Take a qcow2 disk.")
        if checked_name(name) in self.snapshots:
            raise HostError(f"{self.name} has a snapshot {name} already.", "Take another name.")
        self.snapshots = (*self.snapshots, name)
        file = self._file if isinstance(self._file, Branched) else Branched(self._file)
        file.reopen()
        file.keep(name)
        file.reopen()
        self._file = file

    @property
    def needs_backing(self) -> bool:
        """Whether it lies over another."""
        self._look()
        return self.backing is not None

    def convert(self, name: str, format: str) -> SimulatedDisk:
        """Make another disk that holds what this one shows; see `labkit.host.Disk.convert`."""
        from labkit.model.disks.converting import convert  # late: that file needs this one

        self._look()
        if self.machine:
            raise HostError(f"{self.machine} has the disk {self.name}.", "Stop that machine first.")
        target = self.make_beside(name, f"{self.size} B", format)
        convert(self, target)
        return target

    def same_as(self, other: SimulatedDisk) -> bool:
        """Whether the two show a guest the same bytes; see `labkit.host.Disk.same_as`."""
        from labkit.model.disks.converting import contents

        self._look()
        other._look()
        return contents(self) == contents(other)

    def observe(self) -> Observation:
        """`file_bytes` and `guest_bytes` as rows."""
        rows = tuple(
            Row(machine=self.name, quantity=quantity, unit="B", value=value)
            for quantity, value in (("file_bytes", self.file_bytes), ("guest_bytes", self.guest_bytes))
        )
        mechanism = {"disks": f"arithmetic of the {self.format} format"}
        return Observation(0.0, rows, (), (), Provenance("simulated", self._host, mechanisms=mechanism))

    def remove(self) -> None:
        """Forget the disk; see `labkit.host.Disk.remove`."""
        if self.machine:
            raise HostError(f"{self.machine} has the disk {self.name}.", "Stop that machine first.")
        self.removed = True

    def _there(self) -> None:
        if self.removed:
            raise HostError(f"The disk {self.name} has been removed.", "Make another one.")

    def _look(self) -> None:
        self._there()
        self._open = False
