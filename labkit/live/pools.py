"""A real pool: a small file system in memory, in a room of its own, that fills up without harm to anybody.

The file system is tmpfs with a size, in the mount namespace of a program that does nothing else
(`labkit.live.poolroom`). libvirt and QEMU reach it through that program's entry in ``/proc``. It is in nobody else's
list of mounts, takes memory only for what is written to it, and goes when that program ends: when its owner does.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.host import Ability, HostError, mebibytes
from labkit.host.pools import BLOCK, FORMATS
from labkit.live import capacity, guardian, poolroom
from labkit.live.poolfilling import LiveFilling

if TYPE_CHECKING:
    from labkit.live.disks import LiveDisk
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["LivePool", "ability", "make_pool"]

MEBI = 1 << 20
MOST = 1024 * MEBI  # bytes; it lies in memory
PATIENCE = 20.0  # seconds for the room's program to answer


class Room:
    """The program that keeps a store of `size` bytes at `place`, seen by nobody but those who look through it.

    Raises
    ------
    OSError
        Where it cannot be made, with what was not allowed.
    """

    def __init__(self, place: Path, size: int) -> None:
        words = [str(place), str(size), str(os.getpid()), guardian.start_time(os.getpid()) or ""]
        self._program = subprocess.Popen(
            [sys.executable, "-I", "-S", poolroom.__file__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        self.place = Path(f"/proc/{self._program.pid}/root{place}")
        try:
            self._hear()
        except BaseException:
            self.close()
            raise

    def _hear(self) -> None:
        assert self._program.stdout is not None
        ready, _, _ = select.select([self._program.stdout], [], [], PATIENCE)
        said = os.read(self._program.stdout.fileno(), 4096).decode().strip() if ready else "no answer"
        if said != "ok":
            raise OSError(None, said or "the program that keeps it ended")

    def resize(self, size: int) -> None:
        """Give the store another size, in bytes."""
        assert self._program.stdin is not None
        self._program.stdin.write(b"%d\n" % size)
        self._program.stdin.flush()
        self._hear()

    def blocks(self) -> tuple[int, int]:
        """How many bytes it has to give, and has given."""
        if self._program.poll() is not None:
            raise HostError("The pool is gone: the program that kept it has ended.", "Make another one.")
        seen = os.statvfs(self.place)
        return seen.f_blocks * seen.f_frsize, (seen.f_blocks - seen.f_bfree) * seen.f_frsize

    def close(self) -> None:
        """End the program; the store goes with it, as soon as no QEMU has a file of it open."""
        for pipe in (self._program.stdin, self._program.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            self._program.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()


@functools.cache
def _refused(place: Path) -> str:
    """Why there can be no such room here; empty where there can."""
    try:
        Room(place, BLOCK).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def ability(host: LiveHost) -> Ability:
    """Whether there can be pools here; the first time it is asked, one is tried."""
    if host.root is None or not host.shelf.ability:
        return host.shelf.ability
    if why := _refused(host.root):
        remedy = (
            "A container needs the capability CAP_SYS_ADMIN for that. The simulated host has pools everywhere."
            if os.geteuid() == 0
            else "Ask who runs this computer to allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, or "
            "on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0), or use the simulated host."
        )
        return Ability(False, reason=f"This computer does not let labkit make a small store ({why}).", remedy=remedy)
    return Ability(True, "tmpfs in a mount namespace of its own")


class LivePool:
    """A pool of real disks; see `labkit.host.pools.Pool`. Made by `LiveHost.pool`.

    Parameters
    ----------
    host : LiveHost
        Whose it is.
    size : str or float
        How much it has to give; a number is in MiB.

    Raises
    ------
    HostError
        Where the host cannot have it, or it would take too much of the computer's memory.
    """

    def __init__(self, host: LiveHost, size: str | float) -> None:
        able = ability(host)
        if not able:
            raise HostError(able.reason, able.remedy)
        if host.shelf.closed:
            raise HostError("This host is closed.", "Open another with labkit.live().")
        self._host = host
        self.mechanisms = {"disks": host.shelf.ability.mechanism, "pool": able.mechanism}
        asked = _whole_blocks(size)
        _require_memory(host, asked)
        rooms: list[Room] = []

        def reached(place: Path) -> Path:
            place.mkdir(mode=0o700)
            try:
                rooms.append(Room(place, asked))
            except OSError as error:
                raise HostError(f"The pool could not be made: {error.strerror}.", able.remedy) from error
            return rooms[0].place

        self._shelf = host.shelf.annex(f"pool{len(host.shelf.also_clear)}", reached)
        self._room = rooms[0]
        self._removed = False
        capacity.stores.add(self._left)
        host.shelf.also_clear.append(self._close)
        host.shelf.journal.command(["unshare", "--mount"])
        host.shelf.journal.command(["mount", "-t", "tmpfs", "-o", f"size={asked}", "pool", "pool"])

    def __repr__(self) -> str:
        return f"pool of {self.size:,} bytes, {self.used:,} of them given to {len(self.disks)} disks"

    @property
    def size(self) -> int:
        """How many bytes it has to give."""
        return self._blocks()[0]

    @property
    def used(self) -> int:
        """How many of them it has given."""
        return self._blocks()[1]

    @property
    def disks(self) -> dict[str, LiveDisk]:
        """The disks that lie in it, by name."""
        return {disk.name: disk for disk in self._shelf.here() if disk.path.exists()}

    def disk(self, name: str, size: str | float, *, format: str = "qcow2") -> LiveDisk:
        """Make a disk whose file lies in this pool; see `labkit.host.pools.Pool.disk`."""
        self._blocks()
        if format not in FORMATS:
            raise HostError(f"A pool has no {format!r:.40} disks.", f"Take one of {', '.join(FORMATS)}.")
        return self._shelf.make(name, size, format)

    def fill(self, machines: Sequence[LiveMachine], *, rate: str | float, amount: str | float) -> LiveFilling:
        """Let machines write to their first disks; see `labkit.host.pools.Pool.fill`."""
        self._blocks()
        return LiveFilling(self, machines, mebibytes(rate) * MEBI, mebibytes(amount) * MEBI)

    def grow(self, size: str | float) -> None:
        """Make it as large as that; a number is in MiB."""
        asked, now = _whole_blocks(size), self.size
        if asked < now:
            raise HostError(
                f"The pool has {now / MEBI:,.10g} MiB, and {asked / MEBI:,.10g} MiB would be less.",
                "A pool can become larger, and not smaller.",
            )
        _require_memory(self._host, asked - now)
        try:
            self._room.resize(asked)
        except OSError as error:
            raise HostError(f"The pool could not grow: {error.strerror}.", "Make another one.") from error
        self._host.shelf.journal.command(["mount", "-o", f"remount,size={asked}", "pool"])

    def remove(self) -> None:
        """Remove its disks, and the pool. Removing it twice is no error."""
        if self._removed:
            return
        disks = self._shelf.here()
        for disk in disks:
            if disk.machine is not None:  # before any is gone
                raise HostError(f"{disk.machine.name} has the disk {disk.name}.", "Stop that machine first.")
        for disk in reversed(disks):  # what lies over another was made after it
            disk.remove()
        self._close()

    def _blocks(self) -> tuple[int, int]:
        if self._removed:
            raise HostError("The pool has been removed.", "Make another one.")
        return self._room.blocks()

    def _left(self) -> float:
        """How much more memory it may come to take, in MiB."""
        with contextlib.suppress(HostError, OSError):
            size, used = self._room.blocks()
            return (size - used) / MEBI
        return 0.0

    def _close(self) -> None:
        capacity.stores.discard(self._left)
        if not self._removed:
            self._removed = self._shelf.closed = True
            self._room.close()


def make_pool(host: LiveHost, size: str | float) -> LivePool:
    """Make a small store that disks can fill; see `labkit.host.pools.HasPools`."""
    return LivePool(host, size)


def _whole_blocks(size: str | float) -> int:
    asked = math.ceil(mebibytes(size) * MEBI / BLOCK) * BLOCK
    if not BLOCK <= asked <= MOST:
        raise HostError(
            f"A pool here has from {BLOCK} bytes to {MOST // MEBI:,} MiB, not {asked / MEBI:,.10g} MiB.",
            "Choose another size.",
        )
    return asked


def _require_memory(host: LiveHost, more: int) -> None:
    """Refuse a pool that could take this computer's last memory, once machines and pools have all of theirs."""
    free = capacity.free_memory()
    promised = capacity.promised_to_stores() + sum(machine.owed for machine in host.machines.values())
    if free - promised - more / MEBI < capacity.RESERVE:
        raise HostError(
            f"A pool lies in memory: this one could take {more // MEBI} MiB more, and of the {free:.0f} MiB that are "
            f"free {capacity.RESERVE} MiB are kept for your own programs and {promised:.0f} MiB are promised to "
            "machines and to pools.",
            "Remove a pool, stop machines or other programs, or make a smaller pool.",
        )
