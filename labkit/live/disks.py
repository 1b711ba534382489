"""Real virtual disks: files made by qemu-img, written by qemu-io, and looked at by both.

They lie below the live host's own directory, whose mark and guardian they share: however this process ends, they go
with it, and ``labkit clean`` finds what even the guardian left. No guest and no hypervisor takes part.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.host import Ability, HostError, Observation, Provenance, Row, mebibytes
from labkit.host.disks import FORMATS, Extent
from labkit.live import appliance, budget, conversion, ownership, reading
from labkit.live.budget import AHEAD, BLOCK, LEFT_FREE
from labkit.live.disk_tools import INSTALL, driver_of, run_tool, version_of
from labkit.live.journal import Journal, more_such

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine

__all__ = ["LEFT_FREE", "LiveDisk", "Shelf", "driver_of"]

MEBI = 1 << 20
MOST_WRITES = 10_000
MOST_WRITTEN = 256 * MEBI
# What a first write to a unit may take of the store: a whole unit where QEMU fills it up with zeros, else blocks of the
# file system, two more than were written for the format's own tables. Seen with du(1) after scattered small writes.
FILLED = {"qcow2": 65536, "vmdk": 65536, "vdi": MEBI, "parallels": MEBI}

_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}", re.ASCII | re.IGNORECASE)


class LiveDisk:
    """A virtual disk that is a file; see `labkit.host.Disk`.

    Parameters
    ----------
    name, format : str
        As in `labkit.host.Host.disk`.
    asked : int
        How large the guest is to see it, in bytes.
    cluster : int or None
        Bytes of a cluster, where one was named.
    shelf : Shelf
        Where it lies, and who is told what was done.
    backing : LiveDisk, optional
        What it lies over; the size is then that one's.
    """

    def __init__(
        self, name: str, asked: int, format: str, cluster: int | None, shelf: Shelf, backing: LiveDisk | None = None
    ) -> None:
        self.name, self.format = name, format
        self.path = shelf.directory / f"{name}.{format}"
        self._shelf = shelf
        self._pending: list[tuple[int, int]] = []
        self._seen: tuple[int, tuple[Extent, ...]] | None = None  # the file's length and map, until the next write
        self._written = self._writes = 0
        self._filled = cluster or FILLED.get(format)
        self._touched: set[int] = set()  # units that writes wait for
        self._stored: set[int] = set()  # units that the file has for certain
        self._removed = False
        self.machine: LiveMachine | None = None  # that has it now
        self.backing = backing
        self.overlays: list[LiveDisk] = []  # that lie over it
        self.writes: list[tuple[int, int]] = []
        option = ["-o", f"cluster_size={cluster}"] if cluster else []
        # By its bare name, which QEMU looks for beside the new file: the files may move together.
        over = ["-b", backing.path.name, "-F", driver_of(backing.format)] if backing else []
        size = [] if backing else [str(asked)]
        try:
            self._make([*option, *over, str(self.path), *size])
            information = json.loads(
                run_tool("qemu-img", "info", "-f", driver_of(format), "--output=json", str(self.path))
            )
        except BaseException:
            self.remove()
            raise
        self.size: int = information["virtual-size"]

    def __repr__(self) -> str:
        return f"disk {self.name}, {self.format}, {self.size:,} bytes, in {self.path}"

    def _make(self, words: list[str]) -> None:
        self._do("qemu-img", "create", "-q", "-f", driver_of(self.format), *words)

    def _do(self, *words: str) -> str:
        self.note([self.path.name if word == str(self.path) else word for word in words])
        return run_tool(*words)

    def note(self, words: list[str]) -> None:
        """Write a plain command into the host's journal."""
        self._shelf.journal.command(words)

    def write(self, offset: int, length: int) -> None:
        """Write something other than zeros; see `labkit.host.Disk.write`. It is done at the next look."""
        self._there()
        if self.machine is not None:
            raise HostError(f"{self.machine.name} has the disk {self.name}.", "Write to it from inside that machine.")
        if length < 1 or not 0 <= offset <= self.size - length:
            raise HostError(
                f"{length} bytes at {offset} do not lie on {self.name}, which has {self.size} bytes.",
                "Write less, or nearer to the beginning.",
            )
        if self._writes >= MOST_WRITES or self._written + length > MOST_WRITTEN:
            raise HostError(
                f"A real disk here takes {MOST_WRITES} writes and {MOST_WRITTEN} bytes at the most; "
                f"this would be write {self._writes + 1}, and {self._written + length} bytes.",
                "Write less, or use the simulated host.",
            )
        if self.overlays:
            raise HostError(f"{self.overlays[0].name} lies over {self.name} and would change.", "Write to that one.")
        unit = self._filled or BLOCK
        self._touched.update(range(offset // unit, (offset + length - 1) // unit + 1))
        self._writes += 1
        self._written += length
        self._pending.append((offset, length))
        self.writes.append((offset, length))
        self._seen = None

    def waiting_bytes(self) -> int:
        """What its file may grow by for the writes that are still to be carried out, in bytes."""
        spare = AHEAD if self._pending and self.format == "parallels" else 0
        return len(self._touched - self._stored) * (self._filled or 3 * BLOCK) + spare

    def settle(self) -> None:
        """Carry out what is to be written, before a machine gets the disk.

        Raises
        ------
        HostError
            Where the store has no room for all that a machine could write to it.
        """
        self._there()
        self._carry_out()
        self._stored.clear()  # its guest may give any of it back, and snapshots lay other files over this one
        self._shelf.require_room(self, self.size - self.path.stat().st_blocks * 512, f"A machine with {self.name}")

    def _look(self) -> tuple[int, tuple[Extent, ...]]:
        """Carry out what is to be written, and see how long the file is and what its map says."""
        self._there()
        shared = []
        if self.machine is not None:  # its QEMU keeps tables to itself until the guest says that it wants them written
            self._seen, shared = None, ["-U"]
            if self.machine.state == "running":
                self.machine.agent.run(["/bin/sh", "-c", 'sync; sync "$1"', "sh", self.machine.device(self.name)])
        if self._seen is None:
            try:
                self._carry_out()
                told = json.loads(
                    run_tool("qemu-img", "map", *shared, "-f", driver_of(self.format), "--output=json", str(self.path))
                )
            except BaseException:  # half of the writes may be there: nobody could say what such a disk holds
                if self.machine is None:
                    self.remove()
                raise
            self._seen = self.path.stat().st_size, reading.extents_of(told)
        return self._seen

    def _carry_out(self) -> None:
        if not self._pending:
            return
        self._shelf.require_room(self, self.waiting_bytes(), "These writes")
        # "unsafe" writes the very same bytes, and only does not wait for the store after every change of a table: the
        # file does not have to outlive a power cut, and 10,000 writes take seconds, not minutes.
        words = ["qemu-io", "-t", "unsafe", "-f", driver_of(self.format)]
        for offset, length in self._pending:
            words += ["-c", f"write -q -P {reading.PATTERN} {offset} {length}"]
        shown = words[: 5 + 2 * 8]
        self._shelf.journal.command([*shown, self.path.name])
        if len(words) > len(shown):
            self._shelf.journal.note(f"{more_such(len(self._pending) - 8, 'write')} in the same qemu-io")
        times = f", {len(self._pending):,} times" if len(self._pending) > 1 else ""
        self._shelf.tell(f"Writing to the disk “{self.name}”{times}", 0.0)
        complaint = run_tool(*words, str(self.path)).strip()
        if complaint:
            raise HostError(f"qemu-io could not write: {complaint.splitlines()[0]}.", "'labkit doctor' may know why.")
        self._pending.clear()
        self._stored |= self._touched
        self._touched = set()

    @property
    def file_bytes(self) -> int:
        """The length of the file, in bytes."""
        return self._look()[0]

    @property
    def store_bytes(self) -> int:
        """How much the store gives the file in whole blocks, in bytes; less than its length where it has holes."""
        self._look()
        return self.path.stat().st_blocks * 512

    @property
    def guest_bytes(self) -> int:
        """How much of the disk the map calls data that lies in this disk's own file, in bytes."""
        return sum(extent.length for extent in self._look()[1] if extent.data and not extent.depth)

    def map(self) -> tuple[Extent, ...]:
        """The disk from its beginning to its end, data and not."""
        return self._look()[1]

    read, intact = reading.read, reading.intact
    convert, same_as, export = conversion.convert, conversion.same, appliance.export
    keep, snapshots = conversion.keep, property(conversion.snapshots)
    needs_backing = property(conversion.needs_backing)

    def observe(self) -> Observation:
        """`file_bytes` and `guest_bytes` as rows."""
        length, extents = self._look()
        data = sum(extent.length for extent in extents if extent.data and not extent.depth)
        self._shelf.journal.command(["qemu-img", "map", "-f", driver_of(self.format), "--output=json", self.path.name])
        self._shelf.journal.command(["stat", "--format=%s", self.path.name])
        rows = tuple(
            Row(machine=self.name, quantity=quantity, unit="B", value=value)
            for quantity, value in (("file_bytes", length), ("guest_bytes", data))
        )
        return Observation(0.0, rows, (), (), self._shelf.provenance())

    def remove(self) -> None:
        """Delete the file and forget the disk. Removing it twice is no error.

        Raises
        ------
        HostError
            Where a machine has it.
        """
        if self.machine is not None and not self._shelf.closed:
            raise HostError(f"{self.machine.name} has the disk {self.name}.", "Stop that machine first.")
        if self.overlays:
            self.note(["rm", self.path.name])
        self._removed = True
        self.path.unlink(missing_ok=True)
        self._shelf.forget(self)

    def _there(self) -> None:
        if self._removed:
            raise HostError(f"The disk {self.name} has been removed.", "Make another one.")


class Shelf:
    """The disks of one live host, in a directory of their own.

    Parameters
    ----------
    root : pathlib.Path or None
        The host's directory; None where it is somebody's daemon, that keeps its disks itself.
    id : str
        The host's own part of names.
    journal : Journal
        Told the plain commands.
    origin : callable
        Gives the host's provenance.
    tell : callable
        Told what is going on, and how much of it is done, from 0 to 1.
    """

    def __init__(
        self,
        root: Path | None,
        id: str,
        journal: Journal,
        origin: Callable[[], Provenance],
        tell: Callable[[str, float], None] = lambda _text, _done: None,
    ) -> None:
        self.journal, self.tell = journal, tell
        self._root, self._id, self._origin = root, id, origin
        self._disks: dict[str, LiveDisk] = {}
        self.closed = False
        self.overbooks = False  # whether its disks may be promised more than there is
        self.also_clear: list[Callable[[], None]] = []  # what else goes when it is cleared
        self.directory = None if root is None else root / f"disks-{id}"  # where the files lie

    def annex(self, name: str, reached: Callable[[Path], Path]) -> Shelf:
        """A shelf of the same host in a place of its own, for disks that may be promised more than there is."""
        assert self._root is not None
        other = copy.copy(self)  # with the same disks: their names are the host's
        place = self._root / f"{name}-{self._id}"
        other.overbooks, other.directory = True, reached(place)
        return other

    @property
    def ability(self) -> Ability:
        """Whether there can be disks here."""
        if self._root is None:
            return Ability(
                False,
                reason="labkit makes disks on the computer it runs on, not through a libvirt daemon.",
                remedy="Use labkit.live() without an address.",
            )
        missing = [program for program in ("qemu-img", "qemu-io") if shutil.which(program) is None]
        if missing:
            return Ability(False, reason=f"The program {missing[0]} is not installed here.", remedy=INSTALL)
        return Ability(True, "qemu-img and qemu-io")

    def make(
        self,
        name: str,
        size: str | float | None,
        format: str = "qcow2",
        cluster: int | None = None,
        backing: LiveDisk | None = None,
        source: LiveDisk | Path | None = None,
    ) -> LiveDisk:
        """Make a disk; see `labkit.host.Host.disk`, and `labkit.host.Disk.convert` for one with a source."""
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("a name is a letter, then letters, digits and hyphens, 20 characters at most")
        if (size is None) == (backing is None):
            raise ValueError("a disk has a size of its own, or a backing that has one, and not both")
        asked = backing.size if size is None else round(mebibytes(size) * MEBI)
        if self.closed:
            raise HostError("This host is closed.", "Open another with labkit.live().")
        able = self.ability
        if not able:
            raise HostError(able.reason, able.remedy)
        if format not in FORMATS:
            raise HostError(f"There is no disk format {format!r:.40}.", f"Take one of {', '.join(FORMATS)}.")
        if cluster is not None and format not in ("qcow2", "parallels"):
            raise HostError(f"A {format} disk cannot have clusters of {cluster!r:.40} bytes.", "Leave cluster out.")
        if name in self._disks:
            raise HostError(f"There is a disk {name} already.", "Remove it first, or take another name.")
        if backing is not None:
            if backing._shelf._disks is not self._disks:
                raise HostError(f"The disk {backing.name} is not one of this host's.", "Make it with host.disk.")
            if backing._shelf.directory != self.directory:  # a file knows the one below it by its bare name
                return backing._shelf.make(name, None, format, cluster, backing)
        ownership.renew(str(self._root))
        self.make_directory()
        if source is not None:
            disk = conversion.converted(source, name, asked, format, self)
        elif backing is None:
            disk = LiveDisk(name, asked, format, cluster, self)
        else:
            from labkit.live.chains import LiveOverlay  # late: an overlay is a disk, and that file needs this one

            disk = LiveOverlay(name, backing, format, cluster, self)
        self._disks[name] = disk
        return disk

    def make_directory(self) -> Path:
        """Where the files lie; made where it is not there yet."""
        assert self.directory is not None
        self.directory.mkdir(mode=0o700, exist_ok=True)
        return self.directory

    def require_room(self, disk: LiveDisk, more: int, doing: str) -> None:
        """Refuse what could make the disks take too much of the store; see `labkit.live.budget.require`."""
        if not self.overbooks:
            budget.require(self.directory, self.here(), disk, max(0, more), doing)

    def here(self) -> list[LiveDisk]:
        """The disks whose files lie in this directory, and not in another of the host's."""
        return [disk for disk in self._disks.values() if disk._shelf.directory == self.directory]

    def require_free(self, disk: LiveDisk) -> None:
        """Make sure that a disk is one of these, and that no machine has it.

        Raises
        ------
        HostError
            Where it is not so.
        """
        if self._disks.get(disk.name) is not disk:
            raise HostError(f"The disk {disk.name} is not one of this host's.", "Make it with host.disk.")
        if disk.machine is not None:
            raise HostError(
                f"{disk.machine.name} has the disk {disk.name}.", "Stop that machine, or take another disk."
            )
        if disk.overlays:
            raise HostError(f"{disk.overlays[0].name} lies over {disk.name} and would change.", "Take that one.")

    def forget(self, disk: LiveDisk) -> None:
        """Take a disk that was removed from the list."""
        if self._disks.get(disk.name) is disk:
            del self._disks[disk.name]

    def provenance(self) -> Provenance:
        """Where what is seen of a disk comes from."""
        origin = self._origin()
        versions = {**origin.versions, "qemu-img": version_of("qemu-img"), "qemu-io": version_of("qemu-io")}
        return dataclasses.replace(origin, mechanisms={"disks": self.ability.mechanism}, weights={}, versions=versions)

    def clear(self) -> None:
        """Remove all disks and their directory. Clearing twice is no error."""
        self.closed = True
        for disk in list(self._disks.values()):
            disk.remove()
        for clear in self.also_clear:
            clear()
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
