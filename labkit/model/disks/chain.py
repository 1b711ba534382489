"""A disk that lies over another, in the model: what it holds itself, and what shows through from below.

Picture a sheet of tracing paper with squares on it. Whoever draws into a square for the first time first copies what
shows through in the rest of it (*copy on write*), so that from then on the square hides the one below entirely.

*Commit* draws a sheet's squares onto the one below; *flatten* draws all that shows through onto the sheet. Both follow
QEMU as it was observed with version 7.2.22. ``qemu-img commit`` copies in pieces of a cluster of the backing, of
4 KiB at the least and 64 KiB at the most, and it has several on their way at once: which of them comes first in the
backing's file is chance there, and the order of the disk here. ``qemu-img rebase`` goes through the disk in steps of
2 MiB, compares sector by sector, and writes each row of sectors that are not zeros.
"""

from __future__ import annotations

from collections.abc import Iterator

from labkit.host import HostError
from labkit.host.chains import OVER, chain_of
from labkit.host.disks import Extent
from labkit.model.disks.converting import Stretch, joined, met
from labkit.model.disks.disk import SimulatedDisk
from labkit.model.disks.qcow2 import Qcow2
from labkit.model.disks.rounding import ceiling

__all__ = ["SimulatedOverlay"]

SECTOR = 512
STEP = 2 << 20  # bytes of the disk that qemu-img rebase looks at together
SLICE = 4096  # bytes of an L2 table that QEMU keeps together: a request for what is where goes no further
LARGEST_REQUEST = 1 << 20  # bytes, of qemu-img commit


class SimulatedOverlay(SimulatedDisk):
    """A disk that holds what was written since it was laid over another; see `labkit.host.chains.Overlay`.

    Parameters
    ----------
    name : str
        What it is called.
    backing : SimulatedDisk
        What it lies over; its size is this disk's, too.
    format : str
        ``"qcow2"`` or ``"vmdk"``.
    cluster : int, optional
        Bytes of a cluster, for qcow2.
    host : str
        The host's name, for where an observation comes from.

    Raises
    ------
    HostError
        Where the format cannot lie over the backing's.

    Examples
    --------
    >>> base = SimulatedDisk("base", "1 GiB")
    >>> base.write(0, 131072)
    >>> top = SimulatedOverlay("top", base)
    >>> top.write(0, 1)
    >>> [(extent.length, extent.depth) for extent in top.map() if extent.data]
    [(65536, 0), (65536, 1)]
    """

    backing: SimulatedDisk | None

    def __init__(
        self,
        name: str,
        backing: SimulatedDisk,
        format: str = "qcow2",
        *,
        cluster: int | None = None,
        host: str = "simulated host",
    ) -> None:
        super().__init__(name, f"{backing.size} B", format, cluster=cluster, host=host)
        if backing.format not in OVER.get(format, ()):
            possible = [over for over, below in OVER.items() if backing.format in below]
            raise HostError(
                f"A {format} file cannot lie over a {backing.format} file.", f"Take format={' or '.join(possible)}."
            )
        backing._look()
        if backing.machine:
            raise HostError(f"{backing.machine} has the disk {backing.name}.", "Stop that machine first.")
        self.backing = backing
        backing.overlays.append(self)

    def _extents(self) -> Iterator[Extent]:
        own = super()._extents()
        if self.backing is None:
            yield from own
            return
        below = list(self.backing._extents())
        at = 0
        for extent in own:
            if extent.data:
                yield extent
                continue
            end = extent.start + extent.length
            while below[at].start + below[at].length <= extent.start:
                at += 1
            index = at
            while index < len(below) and below[index].start < end:
                yield _cut(below[index], extent.start, end)
                index += 1

    def commit(self) -> None:
        """Copy what it holds into its backing; see `labkit.host.chains.Overlay.commit`."""
        backing = self._qcow2_over("commit")
        if len(backing.overlays) > 1:
            raise HostError(f"Another disk lies over {backing.name} too, and would change.", "Flatten that one first.")
        if any(disk.format == "parallels" for disk in chain_of(backing)):
            raise HostError("QEMU cannot commit where a parallels file lies below.", "Flatten the overlay.")
        if backing.machine:
            raise HostError(f"{backing.machine} has the disk {backing.name}.", "Stop that machine first.")
        piece = min(max(4096, backing._file.unit), 65536) if backing.format == "qcow2" else 65536
        held = ((index * self._file.unit, (index + 1) * self._file.unit) for index in self._file.places)
        backing._file.reopen()
        for start, end in joined((begin // piece * piece, ceiling(end, piece) * piece) for begin, end in held):
            for offset in range(start, min(end, self.size), LARGEST_REQUEST):
                backing._file.write(offset, min(offset + LARGEST_REQUEST, end, self.size) - offset)
        backing.writes += self.writes
        self.writes = []
        assert isinstance(self._file, Qcow2)
        self._file = self._file.emptied()

    def flatten(self) -> None:
        """Copy what shows through into it; see `labkit.host.chains.Overlay.flatten`."""
        backing = self._qcow2_over("flatten")
        below = [write for layer in chain_of(backing) for write in layer.writes]
        rows = joined(
            (offset // SECTOR * SECTOR, ceiling(offset + length, SECTOR) * SECTOR) for offset, length in below
        )
        free = list(self._free())
        self._file.reopen()
        for offset, end in met(rows, free):
            self._file.write(offset, end - offset)
        self.writes = [*below, *self.writes]
        backing.overlays.remove(self)
        self.backing = None

    def _qcow2_over(self, action: str) -> SimulatedDisk:
        """The backing, where the action is possible."""
        self._look()
        if self.backing is None:
            raise HostError(f"{self.name} lies over nothing: there is nothing to {action}.", "It stands by itself.")
        if self.format != "qcow2":
            raise HostError(f"QEMU cannot {action} a {self.format} file and go on with it.", "Take qcow2.")
        if self.machine:
            raise HostError(f"{self.machine} has the disk {self.name}.", "Stop that machine first.")
        return self.backing

    def _free(self) -> Iterator[Stretch]:
        """The stretches that the file has no room for, as qemu-img rebase comes to them."""
        unit = self._file.unit
        table = unit * min(unit, SLICE) // 8
        held = joined((index * unit, (index + 1) * unit) for index in self._file.places)
        at = 0
        for start, end in [*held, (self.size, self.size)]:
            while at < min(start, self.size):
                stop = min(start, self.size, at + STEP, at - at % table + table)
                yield at, stop
                at = stop
            at = max(at, end)

    def _there(self) -> None:
        super()._there()
        for below in chain_of(self):
            if below.removed:
                raise HostError(
                    f"The disk {self.name} cannot be opened: it needs {below.name}, and the file of that is gone.",
                    "Bring back a copy that was kept elsewhere; no other layer has what was in it.",
                )

    def remove(self) -> None:
        """Forget the disk; see `labkit.host.Disk.remove`."""
        super().remove()
        if self.backing is not None and self in self.backing.overlays:
            self.backing.overlays.remove(self)


def _cut(extent: Extent, start: int, end: int) -> Extent:
    """The part of an extent of the layer below that lies in a stretch."""
    begin, stop = max(extent.start, start), min(extent.start + extent.length, end)
    offset = None if extent.offset is None else extent.offset + begin - extent.start
    return Extent(begin, stop - begin, extent.data, offset, extent.depth + 1)
