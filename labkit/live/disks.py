"""Real virtual disks: files made by qemu-img, written by qemu-io, and looked at by both.

They lie below the live host's own directory, whose mark and guardian they share: however this process ends, they go
with it, and ``labkit clean`` finds what even the guardian left. No guest and no hypervisor takes part.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.host import Ability, HostError, Observation, Provenance, Row, mebibytes
from labkit.host.disks import FORMATS, Extent
from labkit.live import ownership
from labkit.live.journal import Journal

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine

__all__ = ["LiveDisk", "Shelf", "driver_of"]

INSTALL = "Run ./course open, which installs what is missing and says what."
MEBI = 1 << 20
PATTERN = 165  # the byte that is written; any but 0 would do, as QEMU may leave zeros out
PATIENCE = 600  # seconds; after that a program hangs, or the store does
MOST_WRITES = 10_000
MOST_WRITTEN = 256 * MEBI
MOST_HELD = 4096 * MEBI  # what one disk may come to take of the store
LEFT_FREE = 1024 * MEBI  # of the store, for everybody else
AHEAD = 128 * MEBI  # what QEMU reserves ahead of need in a Parallels file while it is open
# What a first write to a unit may take of the store: a whole unit where QEMU fills it up with zeros, else blocks of the
# file system, two more than were written for the format's own tables. Seen with du(1) after scattered small writes.
FILLED = {"qcow2": 65536, "vmdk": 65536, "vdi": MEBI, "parallels": MEBI}
BLOCK = 4096

_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}", re.ASCII | re.IGNORECASE)


def driver_of(format: str) -> str:
    """QEMU's own name for a format."""
    return {"vhd": "vpc"}.get(format, format)


def _run(*words: str) -> str:
    """Run one of QEMU's disk tools and return what it prints."""
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    except FileNotFoundError as error:
        raise HostError(f"The program {words[0]} is not installed here.", INSTALL) from error
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{words[0]} did not end within {PATIENCE} s.", "Write less, or to a faster store.") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[0]
        raise HostError(f"{words[0]} could not do it: {said.rstrip('.')}.", "'labkit doctor' shows what works here.")
    return done.stdout


@functools.cache
def _version(program: str) -> str:
    found = re.search(r"version (\S+)", _run(program, "--version"))
    return found[1] if found else "unknown"


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
    """

    def __init__(self, name: str, asked: int, format: str, cluster: int | None, shelf: Shelf) -> None:
        self.name, self.format = name, format
        self.path = shelf.directory / f"{name}.{format}"
        self._shelf = shelf
        self._pending: list[tuple[int, int]] = []
        self._seen: tuple[int, tuple[Extent, ...]] | None = None  # the file's length and map, until the next write
        self._written = self._writes = 0
        self._filled = cluster or FILLED.get(format)
        self._touched: set[int] = set()
        self._removed = False
        self.machine: LiveMachine | None = None  # that has it now
        option = ["-o", f"cluster_size={cluster}"] if cluster else []
        try:
            self._do("qemu-img", "create", "-q", "-f", driver_of(format), *option, str(self.path), str(asked))
            information = json.loads(_run("qemu-img", "info", "-f", driver_of(format), "--output=json", str(self.path)))
        except BaseException:
            self.remove()
            raise
        self.size: int = information["virtual-size"]

    def __repr__(self) -> str:
        return f"disk {self.name}, {self.format}, {self.size:,} bytes, in {self.path}"

    def _do(self, *words: str) -> str:
        self._shelf.journal.command([self.path.name if word == str(self.path) else word for word in words])
        return _run(*words)

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
        unit = self._filled or BLOCK
        self._touched.update(range(offset // unit, (offset + length - 1) // unit + 1))
        self._writes += 1
        self._written += length
        self._pending.append((offset, length))
        self._seen = None

    def _require_room(self) -> None:
        """Refuse what would take too much of the store, with the numbers."""
        spare = AHEAD if self.format == "parallels" else 0
        needed = len(self._touched) * (self._filled or 3 * BLOCK) + spare
        # What the disk has taken already counts twice here; that errs on the safe side.
        free = shutil.disk_usage(self._shelf.directory).free
        if needed > MOST_HELD or needed > free - LEFT_FREE:
            raise HostError(
                f"These writes may take {needed // MEBI} MiB of {self._shelf.directory}, where {free // MEBI} MiB are "
                f"free; {LEFT_FREE // MEBI} MiB of that are left alone, and {MOST_HELD // MEBI} MiB is the most.",
                "Write less, or use the simulated host.",
            )

    def settle(self) -> None:
        """Carry out what is to be written, before a machine gets the disk.

        Raises
        ------
        HostError
            Where the store has no room for all that a machine could write to it.
        """
        self._there()
        self._carry_out()
        free = shutil.disk_usage(self._shelf.directory).free
        if self.size > min(MOST_HELD, free - LEFT_FREE):
            raise HostError(
                f"A machine could fill {self.name} with {self.size // MEBI} MiB; {self._shelf.directory} has "
                f"{free // MEBI} MiB free, of which {LEFT_FREE // MEBI} MiB are left alone, and "
                f"{MOST_HELD // MEBI} MiB is the most.",
                "Make a smaller disk, or use the simulated host.",
            )

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
                    _run("qemu-img", "map", *shared, "-f", driver_of(self.format), "--output=json", str(self.path))
                )
            except BaseException:  # half of the writes may be there: nobody could say what such a disk holds
                if self.machine is None:
                    self.remove()
                raise
            extents = tuple(
                Extent(part["start"], part["length"], part["data"], part.get("offset") if part["data"] else None)
                for part in told
            )
            self._seen = self.path.stat().st_size, extents
        return self._seen

    def _carry_out(self) -> None:
        if not self._pending:
            return
        self._require_room()
        # "unsafe" writes the very same bytes, and only does not wait for the store after every change of a table: the
        # file does not have to outlive a power cut, and 10,000 writes take seconds, not minutes.
        words = ["qemu-io", "-t", "unsafe", "-f", driver_of(self.format)]
        for offset, length in self._pending:
            words += ["-c", f"write -q -P {PATTERN} {offset} {length}"]
        shown = words[: 5 + 2 * 8]
        self._shelf.journal.command([*shown, self.path.name])
        if len(words) > len(shown):
            self._shelf.journal.note(f"and {len(self._pending) - 8} more such writes in the same qemu-io")
        self._shelf.tell(f"Writing {len(self._pending)} times to the disk {self.name}", 0.0)
        complaint = _run(*words, str(self.path)).strip()
        if complaint:
            raise HostError(f"qemu-io could not write: {complaint.splitlines()[0]}.", "'labkit doctor' may know why.")
        self._pending.clear()

    @property
    def file_bytes(self) -> int:
        """The length of the file, in bytes."""
        return self._look()[0]

    @property
    def guest_bytes(self) -> int:
        """How much of the disk the map calls data, in bytes."""
        return sum(extent.length for extent in self._look()[1] if extent.data)

    def map(self) -> tuple[Extent, ...]:
        """The disk from its beginning to its end, data and not."""
        return self._look()[1]

    def observe(self) -> Observation:
        """`file_bytes` and `guest_bytes` as rows."""
        length, _extents = self._look()
        self._shelf.journal.command(["qemu-img", "map", "-f", driver_of(self.format), "--output=json", self.path.name])
        self._shelf.journal.command(["stat", "--format=%s", self.path.name])
        rows = tuple(
            Row(machine=self.name, quantity=quantity, unit="B", value=value)
            for quantity, value in (("file_bytes", length), ("guest_bytes", self.guest_bytes))
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

    @property
    def directory(self) -> Path:
        """Where the files lie."""
        assert self._root is not None
        return self._root / f"disks-{self._id}"

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

    def make(self, name: str, size: str | float, format: str = "qcow2", cluster: int | None = None) -> LiveDisk:
        """Make a disk; see `labkit.host.Host.disk`."""
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("a name is a letter, then letters, digits and hyphens, 20 characters at most")
        asked = round(mebibytes(size) * MEBI)
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
        ownership.renew(str(self._root))
        self.directory.mkdir(mode=0o700, exist_ok=True)
        disk = self._disks[name] = LiveDisk(name, asked, format, cluster, self)
        return disk

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

    def forget(self, disk: LiveDisk) -> None:
        """Take a disk that was removed from the list."""
        if self._disks.get(disk.name) is disk:
            del self._disks[disk.name]

    def provenance(self) -> Provenance:
        """Where what is seen of a disk comes from."""
        origin = self._origin()
        versions = {**origin.versions, "qemu-img": _version("qemu-img"), "qemu-io": _version("qemu-io")}
        return dataclasses.replace(origin, mechanisms={"disks": self.ability.mechanism}, weights={}, versions=versions)

    def clear(self) -> None:
        """Remove all disks and their directory. Clearing twice is no error."""
        self.closed = True
        for disk in list(self._disks.values()):
            disk.remove()
        if self._root is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
