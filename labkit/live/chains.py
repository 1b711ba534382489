"""A real disk that lies over another, and what QEMU does with such a chain: commit and flatten.

The new file holds nothing but the name of the one below, until somebody writes. All of a chain's files lie in the live
host's own directory, and go with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.host.chains import OVER, chain_of
from labkit.host.disks import Extent
from labkit.live.disk_tools import driver_of, run_tool
from labkit.live.disks import LiveDisk

if TYPE_CHECKING:
    from labkit.live.disks import Shelf

__all__ = ["LiveOverlay"]


class LiveOverlay(LiveDisk):
    """A disk that is a file over another file; see `labkit.host.chains.Overlay`.

    Parameters
    ----------
    name, format : str
        As in `labkit.host.Host.disk`.
    backing : LiveDisk
        What it lies over.
    cluster : int or None
        Bytes of a cluster, where one was named.
    shelf : Shelf
        Where it lies, and who is told what was done.

    Raises
    ------
    HostError
        Where the format cannot lie over the backing's, or the backing is not one of this host's.
    """

    def __init__(self, name: str, backing: LiveDisk, format: str, cluster: int | None, shelf: Shelf) -> None:
        if backing.format not in OVER.get(format, ()):
            possible = [over for over, below in OVER.items() if backing.format in below]
            raise HostError(
                f"A {format} file cannot lie over a {backing.format} file.", f"Take format={' or '.join(possible)}."
            )
        backing.map()  # writes what is still to be written there
        super().__init__(name, backing.size, format, cluster, shelf, backing)
        backing.overlays.append(self)

    def _look(self) -> tuple[int, tuple[Extent, ...]]:
        self._there()
        if self.backing is not None:
            self._require_layers()
            self._seen = None  # what lies below may have changed its place
        return super()._look()

    def _require_layers(self) -> None:
        """Make sure that QEMU can open all layers, and say in one sentence which is gone where it cannot."""
        words = ["qemu-img", "info", "-f", driver_of(self.format), "--backing-chain", "-U"]
        try:
            run_tool(*words, str(self.path))
        except HostError as error:
            self.note([*words, self.path.name])
            said = error.message.partition(": qemu-img: ")[2].removesuffix(".") or error.message
            said = said.replace(f"{self._shelf.directory}/", "")
            raise HostError(
                f"The disk {self.name} cannot be opened, as a layer that it needs is gone: QEMU says {said!r}.",
                "Bring back a copy that was kept elsewhere; no other layer has what was in it.",
            ) from error

    def commit(self) -> None:
        """Copy what it holds into its backing; see `labkit.host.chains.Overlay.commit`."""
        backing = self._qcow2_over("commit")
        if len(backing.overlays) > 1:
            raise HostError(f"Another disk lies over {backing.name} too, and would change.", "Flatten that one first.")
        if any(disk.format == "parallels" for disk in chain_of(backing)):
            raise HostError("QEMU cannot commit where a parallels file lies below.", "Flatten the overlay.")
        self._require_space(backing, self.map())
        self._do("qemu-img", "commit", "-q", "-t", "unsafe", "-f", driver_of(self.format), str(self.path))
        backing.writes += self.writes
        self.writes = []
        self._stored.clear()
        self._seen = backing._seen = None

    def flatten(self) -> None:
        """Copy what shows through into it; see `labkit.host.chains.Overlay.flatten`."""
        backing = self._qcow2_over("flatten")
        self._require_space(self, backing.map())
        driver = driver_of(self.format)
        self._do("qemu-img", "rebase", "-q", "-t", "unsafe", "-f", driver, "-b", "", str(self.path))
        self.writes = [write for layer in chain_of(self) for write in layer.writes]
        backing.overlays.remove(self)
        self.backing = self._seen = None

    def _qcow2_over(self, action: str) -> LiveDisk:
        """The backing, where the action is possible, with all layers as they are said to be."""
        self._look()
        if self.backing is None:
            raise HostError(f"{self.name} lies over nothing: there is nothing to {action}.", "It stands by itself.")
        if self.format != "qcow2":
            raise HostError(f"QEMU cannot {action} a {self.format} file and go on with it.", "Take qcow2.")
        for disk in (self, self.backing):
            if disk.machine is not None:
                raise HostError(f"{disk.machine.name} has the disk {disk.name}.", "Stop that machine first.")
        return self.backing

    def _require_space(self, disk: LiveDisk, source: tuple[Extent, ...]) -> None:
        """Refuse to copy into a disk more than the store can take, with the numbers."""
        unit = disk._filled or 65536
        touched: set[int] = set()
        for extent in source:
            if extent.data:
                touched.update(range(extent.start // unit, (extent.start + extent.length - 1) // unit + 1))
        self._shelf.require_room(disk, len(touched) * unit, "To copy these layers")

    def remove(self) -> None:
        """Delete the file and forget the disk; see `labkit.host.Disk.remove`."""
        super().remove()
        if self.backing is not None and self in self.backing.overlays:
            self.backing.overlays.remove(self)
