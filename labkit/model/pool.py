"""A pool in the model: a shelf of blocks, disks that take them as they are written to, and a watchman.

Whoever asks for more blocks than are left gets what there is, and waits: its machine stands still, and its clock too.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from simpy import Environment
from simpy.events import Event as SimpyEvent

from labkit.host import Event, HostError, Observation, Provenance, Row, Series, mebibytes
from labkit.host.pools import ALARMS, BLOCK, FORMATS, PIECE
from labkit.model.disks import SimulatedDisk

if TYPE_CHECKING:
    from labkit.model.machine import SimulatedMachine

__all__ = ["SimulatedFilling", "SimulatedPool"]

MEBI = 1 << 20


class Keeper(Protocol):
    """What a pool needs of its host."""

    name: str
    env: Environment

    def disk(self, name: str, size: str | float, *, format: str = "qcow2") -> SimulatedDisk:
        """Make a disk among the host's others."""

    def note(self, action: str) -> None:
        """Write an action into the host's journal."""

    def pass_time_until(self, event: SimpyEvent, timeout: float | None) -> None:
        """Let time pass until an event has come, or `timeout` seconds are over."""


class SimulatedPool:
    """A store of so many blocks; see `labkit.host.pools.Pool`.

    Parameters
    ----------
    host : SimulatedHost
        Whose it is.
    size : str or float
        How much it has to give; a number is in MiB.

    Examples
    --------
    >>> from labkit.model.simulated import SimulatedHost
    >>> with SimulatedHost() as host:
    ...     pool = host.pool("1 MiB")
    ...     machine = host.create("m1", disks=[pool.disk("data", "64 MiB")])
    ...     filling = pool.fill([machine], rate="1 MiB", amount="2 MiB")
    ...     filling.watch(10).value("pool", "time_to_full"), machine.state
    (0.5, 'paused')
    """

    def __init__(self, host: Keeper, size: str | float) -> None:
        self.host = host
        self.size = _whole_blocks(size)
        self._disks: dict[str, SimulatedDisk] = {}
        self._partly: dict[str, int] = {}  # what a disk got of a write for which there was not room enough
        self._removed = False
        host.note(f"pool size={self.size}B")

    def __repr__(self) -> str:
        return f"pool of {self.size:,} bytes, {self.used:,} of them given to {len(self.disks)} disks"

    @property
    def disks(self) -> dict[str, SimulatedDisk]:
        """The disks that lie in it, by name."""
        return {name: disk for name, disk in self._disks.items() if not disk.removed}

    @property
    def used(self) -> int:
        """How many bytes it has given."""
        self._there()
        return sum(
            disk.store_bytes + self._partly.get(name, 0) + sum(layer.store_bytes for layer in disk.layers)
            for name, disk in self.disks.items()
        )

    def disk(self, name: str, size: str | float, *, format: str = "qcow2") -> SimulatedDisk:
        """Make a disk whose file lies in this pool; see `labkit.host.pools.Pool.disk`."""
        self._there()
        if format not in FORMATS:
            raise HostError(f"A pool has no {format!r:.40} disks.", f"Take one of {', '.join(FORMATS)}.")
        disk = self.host.disk(name, size, format=format)
        if self.used + disk.store_bytes > self.size:
            needed = disk.store_bytes
            disk.remove()
            raise HostError(f"The pool has no {needed} bytes left for an empty disk.", "Let it grow.")
        self._disks[disk.name] = disk
        disk.pool = self
        self._partly.pop(disk.name, None)
        return disk

    def fill(self, machines: Sequence[SimulatedMachine], *, rate: str | float, amount: str | float) -> SimulatedFilling:
        """Let machines write to their first disks; see `labkit.host.pools.Pool.fill`."""
        self._there()
        return SimulatedFilling(self, machines, mebibytes(rate) * MEBI, mebibytes(amount) * MEBI)

    def take(self, disk: SimulatedDisk, offset: int, length: int) -> bool:
        """Give a disk the blocks that a write needs, and carry it out; no, and all that is left, where that is less."""
        self._partly.pop(disk.name, None)
        left = self.size - self.used
        if disk.growth(offset, length) > left:
            self._partly[disk.name] = left
            return False
        disk.written_inside(offset, length)
        return True

    def require(self, disk: SimulatedDisk, room: int) -> None:
        """Make sure that there is room for the files of a snapshot of a disk, in bytes.

        Raises
        ------
        HostError
            Where there is not. Nothing of the machine's own has failed then, and it goes on.
        """
        left = self.size - self.used
        if room > left:
            raise HostError(
                f"The pool has {left} bytes left, and a snapshot of {disk.name} takes {room}.", "Let it grow."
            )

    def forget(self, disk: SimulatedDisk) -> None:
        """Take back what a disk got of a write that is not to be carried out any more."""
        self._partly.pop(disk.name, None)

    def grow(self, size: str | float) -> None:
        """Make it as large as that; a number is in MiB."""
        self._there()
        asked = _whole_blocks(size)
        if asked < self.size:
            raise HostError(
                f"The pool has {self.size / MEBI:,.10g} MiB, and {asked / MEBI:,.10g} MiB would be less.",
                "A pool can become larger, and not smaller.",
            )
        self.size = asked
        self.host.note(f"pool grows to size={asked}B")

    def remove(self) -> None:
        """Remove its disks, and the pool. Removing it twice is no error."""
        for disk in self.disks.values():
            disk.remove()
        self._removed = True

    def _there(self) -> None:
        if self._removed:
            raise HostError("The pool has been removed.", "Make another one.")


class SimulatedFilling:
    """Machines of the model that write; see `labkit.host.pools.Filling`."""

    def __init__(self, pool: SimulatedPool, machines: Sequence[SimulatedMachine], rate: float, amount: float) -> None:
        if not rate > 0:
            raise ValueError("rate must be above 0")
        self.amount = max(1, math.ceil(amount / PIECE)) * PIECE
        self._pool, self._every = pool, PIECE / rate
        self._machines = {machine.name: machine for machine in machines}
        self._disks = {name: next(iter(machine.disks.values()), None) for name, machine in self._machines.items()}
        for name, disk in self._disks.items():
            if disk is None or pool.disks.get(disk.name) is not disk:
                raise HostError(f"{name} has no disk of this pool.", "Give it one with pool.disk.")
            if disk.size < self.amount:
                raise HostError(f"{name}'s disk has no {self.amount} bytes.", "Let it write less.")
        self._env = pool.host.env
        self._written = dict.fromkeys(self._machines, 0)
        self._begun: float | None = None
        self._reached: dict[float, float] = {}  # parts of the pool's size, and when it was so full
        self._events: list[Event] = []  # their times by the host's clock
        self._seen: list[tuple[float, int]] = []
        self._quiet = self._env.event()
        each = f"{self.amount}B at {rate:g}B/s"
        pool.host.note(f"let {', '.join(self._machines)} write {each}")

    def _write(self, name: str) -> Generator[SimpyEvent, None, None]:
        """One machine's work: a piece whenever one is due, and a rest where there is no room for it."""
        machine, disk = self._machines[name], self._disks[name]
        begun = self._env.now
        for piece in range(self.amount // PIECE):
            due = begun + piece * self._every
            if due > self._env.now:
                yield self._env.timeout(due - self._env.now)
            while machine.state != "stopped" and (
                machine.state == "paused" or not self._pool.take(disk, piece * PIECE, PIECE)
            ):
                since = self._env.now
                goes_on = machine.pause()
                self._look()
                self._events.append(Event(since, "paused", name, detail="no space left in the pool"))
                self._settle()
                yield goes_on
                begun += self._env.now - since
            if machine.state == "stopped":
                break
            self._written[name] += PIECE
            self._look()
        self._settle()

    def _look(self) -> None:
        """Write down how full the pool is now, and tell of a part that is reached for the first time."""
        now, used = self._env.now, self._pool.used
        self._seen.append((now, used))
        for part in (*ALARMS, 1.0):
            if used >= part * self._pool.size and part not in self._reached:
                self._reached[part] = now
                self._events.append(Event(now, "alarm", detail=f"the pool is {part:.0%} full"))

    def _at_work(self) -> Iterator[str]:
        for name, machine in self._machines.items():
            if machine.state == "running" and self._written[name] < self.amount:
                yield name

    def _settle(self) -> None:
        if not self._quiet.triggered and not any(self._at_work()):
            self._quiet.succeed()

    def watch(self, seconds: float, at_least: float = 0.0) -> Observation:
        """Let them write, and watch; see `labkit.host.pools.Filling.watch`."""
        if not seconds > 0:
            raise ValueError("seconds must be above 0")
        began = self._env.now
        known = set(self._reached)
        self._quiet = self._env.event()
        self._events.clear()
        self._seen.clear()
        if self._begun is None:
            self._begun = began
            for name in sorted(self._machines):
                self._env.process(self._write(name))
        self._look()
        self._settle()
        self._pool.host.pass_time_until(self._quiet, seconds)
        if (rest := began + min(at_least, seconds) - self._env.now) > 0:
            self._pool.host.pass_time(rest)
        self._look()
        assert self._begun is not None
        rows = []
        for part, when in self._reached.items():
            if part not in known:
                name = "time_to_full" if part == 1 else f"time_to_{part * 100:.0f}"
                rows.append(Row(machine="pool", quantity=name, unit="s", value=when - self._begun))
        for name, machine in self._machines.items():
            rows.append(Row(machine=name, quantity="written", unit="B", value=self._written[name]))
            rows.append(Row(machine=name, quantity="paused", unit="1", value=float(machine.state == "paused")))
        rows.append(Row(machine="pool", quantity="used", unit="B", value=self._pool.used))
        times, values = zip(*((when - began, used) for when, used in self._seen), strict=True)
        events = [Event(event.time - began, event.kind, event.machine, detail=event.detail) for event in self._events]
        origin = Provenance("simulated", self._pool.host.name, mechanisms={"pool": "blocks counted one by one"})
        return Observation(
            self._env.now - began, tuple(rows), (Series("pool", "used", "B", times, values),), events, origin
        )

    def intact(self) -> Mapping[str, bool]:
        """Whether all that each was to write has its place on its disk."""
        found = {}
        for name, machine in self._machines.items():
            if machine.state != "running":
                raise HostError(f"{name} is {machine.state}.", "Let it go on with machine.resume().")
            data = sum(
                extent.length for extent in self._disks[name].map() if extent.data and extent.start < self.amount
            )
            found[name] = self._written[name] == self.amount <= data
        return found


def _whole_blocks(size: str | float) -> int:
    asked = math.ceil(mebibytes(size) * MEBI / BLOCK) * BLOCK
    if not BLOCK <= asked <= 1 << 40:
        raise HostError(
            f"A pool has from {BLOCK} bytes to 1 TiB, not {asked / MEBI:,.10g} MiB.", "Choose another size."
        )
    return asked
