"""A simulated machine, and the work it is given.

Picture a computer in a box with a label on it: its name, how many vCPUs it has, what it weighs when
CPUs are short. You can put a load into the box, change what the label says, and switch it off. You
cannot look inside; there is nothing there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

from simpy.events import Event

from labkit.host import CpuLoad, DiskLoad, HostError, Load, MemoryLoad, RequestLoad, mebibytes
from labkit.host.snapshots import Kind, Snapshot
from labkit.host.throttling import require_disk, require_limit
from labkit.host.trimming import checked_places
from labkit.model.arguments import checked_cap, checked_pin, checked_whole
from labkit.model.disks import SimulatedDisk
from labkit.model.jobs import SimulatedJob
from labkit.model.memory import MEMORY_RULES, Holding
from labkit.model.snapshots import Past
from labkit.model.storage import Bucket, Reader
from labkit.model.vcpu import Group
from labkit.model.volume import SimulatedVolume
from labkit.model.written import Written, require_going

if TYPE_CHECKING:
    from labkit.model.simulated import SimulatedHost

__all__ = ["SHARES", "SimulatedMachine"]

SHARES = (2, 262144)
"""The least and the most shares, as in Linux's cpu.shares."""


class SimulatedMachine:
    """A virtual machine on the simulated host; made with `SimulatedHost.create`.

    Parameters
    ----------
    host : SimulatedHost
        The host it runs on.
    name : str
        Its name.
    vcpus : int
        How many vCPUs it has.
    memory : float
        Its memory in MiB.
    shares : int
        Its weight when CPUs are short.
    pin : frozenset of int
        The host CPUs its vCPUs may run on.
    maximum_vcpus : int
        How many vCPUs it may come to have.
    """

    def __init__(
        self,
        host: SimulatedHost,
        name: str,
        vcpus: int,
        memory: float,
        shares: int,
        pin: frozenset[int],
        maximum_vcpus: int,
    ) -> None:
        self.host = host
        self.name = name
        self.maximum_vcpus = maximum_vcpus
        self.memory = memory
        self.pin = pin
        self.group = Group(name, shares, vcpus, pin, host.now)
        self.job: SimulatedJob | None = None
        self.disks: dict[str, SimulatedDisk] = {}
        self._buckets: dict[str, Bucket] = {}
        self._meters: list | None = None
        self._holding: Holding | None = None
        self.volumes: dict[str, SimulatedVolume] = {}
        self._goes_on: Event | None = None  # comes when it is not paused any more
        self._stopped = False
        self._written = Written(self)
        self._past = Past(self, self._written)

    @property
    def vcpus(self) -> int:
        """How many vCPUs it has."""
        return len(self.group.vcpus)

    @property
    def shares(self) -> int:
        """Its weight when CPUs are short."""
        return self.group.shares

    @property
    def cap(self) -> float:
        """The most CPU time it may use, in CPU; infinite where it has no cap."""
        return self.group.cap

    @property
    def state(self) -> str:
        """``"running"``, ``"paused"`` or ``"stopped"``."""
        return "stopped" if self._stopped else "running" if self._goes_on is None else "paused"

    def pause(self) -> Event:
        """Stand still for want of a block; the event comes when it goes on, or is switched off."""
        self._goes_on = self._goes_on or Event(self.host.env)
        return self._goes_on

    def resume(self) -> None:
        """Let it go on where it was paused; see `labkit.host.pools.PausingMachine`."""
        self._check_on()
        if self._goes_on is not None:
            self.host.note(f"resume {self.name}")
            self.go_on()
            self._written.go_on()

    def go_on(self) -> None:
        """Stand still no more, where it does."""
        if self._goes_on is not None:
            self._goes_on.succeed()
            self._goes_on = None

    @property
    def busy(self) -> bool:
        """Whether a load runs in it."""
        return self.job is not None and not self.job.over

    @property
    def holding(self) -> Holding:
        """What it has of memory, worked out from when it is first asked for.

        Raises
        ------
        HostError
            Where its guest would not start with so little, or there are no such rules.
        """
        if self._holding is None:
            if not (able := self.host.can("balloon")):
                raise HostError(able.reason, able.remedy)
            rules = MEMORY_RULES[self.host.rules.name]
            self._holding = Holding(self.host.env, self.name, self.memory, rules)
        return self._holding

    @property
    def gauged(self) -> bool:
        """Whether an observation tells of its memory."""
        return self._holding is not None and self._holding.watched

    def memory_seen(self) -> dict[str, float]:
        """The machine's memory at this moment, in MiB; see `labkit.host.Machine.memory_seen`."""
        self._check_on()
        return self.holding.seen()

    @property
    def tallied(self) -> bool:
        """Whether an observation tells of its disks: it has a load on one, or had."""
        return self._meters is not None

    def disk_meters(self) -> tuple[int, float]:
        """Requests that its disks have answered, and the seconds that these took together."""
        return tuple(self._meters or (0, 0.0))

    def throttle(self, disk: str, iops: float) -> None:
        """Let at most `iops` requests a second through to a disk; see `labkit.host.Machine.throttle`."""
        self._check_on()
        require_limit(self, disk, iops)
        self._bucket(disk).limit(iops)
        self.host.note(f"throttle {self.name}'s disk {disk} iops={iops:g}")

    def _bucket(self, disk: str) -> Bucket:
        return self._buckets.setdefault(disk, Bucket(self.host.env))

    def reader(self, load: DiskLoad) -> Reader:
        """Let a load begin to read or write; the host calls this."""
        assert self._meters is not None
        return Reader(self.host.env, self._bucket(load.disk), load, self._meters)

    def set(
        self,
        *,
        shares: int | None = None,
        pin: Iterable[int] | None = None,
        cap: float | None = None,
        vcpus: int | None = None,
        memory: str | float | None = None,
    ) -> None:
        """Change the machine while it runs.

        Parameters
        ----------
        shares : int, optional
            Its new weight, 2 to 262144; as it was where not given.
        pin : iterable of int, optional
            The host CPUs its vCPUs may run on from now on; as they were where not given. To lift
            a pinning, give all the CPUs of the host: ``range(host.cpus)``.
        cap : float, optional
            The most CPU time it may use from now on, in CPU, from 0.01; ``math.inf`` lifts a cap.
        vcpus : int, optional
            How many vCPUs it has from now on, up to its `maximum_vcpus`: they are added, never removed. A load that
            runs uses them too, and a cap is divided anew.
        memory : str or float, optional
            How much of its memory its balloon leaves it, up to what it was made with; a number is in MiB.

        Raises
        ------
        HostError
            Where the machine or the host has been switched off, or its guest could not go on with so little memory.
        ValueError
            Where an argument is outside its range.
        """
        self._check_on()
        weight = None if shares is None else checked_whole("shares", shares, *SHARES)
        cpus = None if pin is None else checked_pin(pin, self.host.cpus)
        most = None if cap is None else checked_cap(cap)
        count = None if vcpus is None else checked_whole("vcpus", vcpus, self.vcpus, self.maximum_vcpus)
        size = None if memory is None else self.holding.checked(mebibytes(memory))
        if weight is not None:
            self.host.scheduler.share(self.group, weight)
            self.host.note(f"set {self.name} shares={weight}")
        if cpus is not None:
            self.pin = cpus
            self.host.scheduler.allow(self.group, cpus)
            self.host.note(f"set {self.name} pin={','.join(map(str, sorted(cpus)))}")
        if most is not None:
            self.host.scheduler.cap(self.group, most)
            self.host.note(f"set {self.name} cap={most:g}")
        if count is not None:
            new = self.host.scheduler.grow(self.group, count, self.pin)
            if self.job is not None:
                self.job.grow(new)
            self.host.note(f"set {self.name} vcpus={count}")
        if size is not None:
            self.holding.go(size)
            self.host.note(f"set {self.name} memory={size:g}MiB")

    def write(self, disk: str, places: Sequence[tuple[int, int]]) -> None:
        """Let the guest write to a disk; see `labkit.host.trimming.TrimmingMachine`."""
        self._check_on()
        require_disk(self, disk)
        self._written.write(disk, checked_places(places, self.disks[disk].size))

    def discard(self, disk: str, places: Sequence[tuple[int, int]]) -> None:
        """Let the guest give back what lies there; see `labkit.host.trimming.TrimmingMachine`."""
        self._check_on()
        require_disk(self, disk)
        self._written.discard(disk, checked_places(places, self.disks[disk].size))

    def volume(self, disk: str) -> SimulatedVolume:
        """The files on one of its disks; see `labkit.host.volumes.KeepingMachine`."""
        self._check_on()
        require_disk(self, disk)
        if disk not in self.volumes:
            self.volumes[disk] = SimulatedVolume(self, disk, self._written)
        return self.volumes[disk]

    def run(self, load: Load) -> SimulatedJob:
        """Start a load on every vCPU of the machine, also on those that it gets later; or one that fills memory.

        It begins when time next passes; loads started at one moment begin together, so their order does not matter.

        Raises
        ------
        HostError
            Where the machine has a load already, or it or the host has been switched off; where requests are
            to share the vCPUs, for which time slices of vCPUs say nothing; or where memory is to be filled that the
            guest has not.
        ValueError
            Where `load` is not a load.
        """
        self._check_on()
        if not isinstance(load, Load):
            raise ValueError(
                "a load is a CpuLoad, such as CpuLoad(1.0), a RequestLoad, a MemoryLoad or a DiskLoad, "
                f"not a {type(load).__name__}"
            )
        if isinstance(load, RequestLoad) and load.discipline != "queue":
            raise HostError(
                "This host slices the time of vCPUs; how a guest shares a vCPU among its requests is not modelled.",
                'Take discipline="queue", or labkit.simulated(mode="fluid").',
            )
        if self.busy:
            raise HostError(f"{self.name} has a load already.", "End that with job.cancel() first.")
        if isinstance(load, MemoryLoad):
            self.holding.require(load)
        if isinstance(load, DiskLoad):
            require_disk(self, load.disk)
            self._meters = self._meters or [0, 0.0]
        self.job = SimulatedJob(self, load)
        self.host.begin(self.job)
        if isinstance(load, CpuLoad):
            what = f"a load with duty={load.duty:g} on each of {self.vcpus} vCPUs"
        elif isinstance(load, DiskLoad):
            what = f"a program that keeps the disk {load.disk} busy: {load.operation} block={load.block}B"
            what += f" depth={load.depth}"
        elif isinstance(load, MemoryLoad):
            what = f"a program that fills {load.size:g} MiB, {load.identical:.0%} of it as others do, seed={load.seed}"
        else:
            what = f"a server of {len(load.arrivals)} requests with a worker on each of {self.vcpus} vCPUs"
        self.host.note(f"run in {self.name} {what}")
        return self.job

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """The snapshots that it has, by name."""
        return self._past.snapshots

    def snapshot(self, name: str, *, kind: Kind = "internal", freeze: bool = False, memory: bool = True) -> Snapshot:
        """Take a snapshot; see `labkit.host.Machine.snapshot` and `labkit.model.snapshots`."""
        self._check_on()
        require_going(self)
        return self._past.take(name, kind, freeze, memory)

    def revert(self, snapshot: Snapshot) -> float:
        """Bring the machine back to a snapshot; see `labkit.host.Machine.revert`."""
        self._check_on()
        return self._past.go_back(snapshot)

    def hold(self, held: float) -> None:
        """Keep something in its memory; see `labkit.host.snapshots.HoldsContents`."""
        self._check_on()
        self._past.hold(held)

    def overwrite(self, disk: str, places: Sequence[tuple[int, int]]) -> None:
        """Write to a disk from inside; see `labkit.host.snapshots.HoldsContents`."""
        self._check_on()
        self._past.overwrite(disk, places)

    def ruin(self) -> None:
        """Let it destroy what it has; see `labkit.host.snapshots.HoldsContents`."""
        self._check_on()
        self._past.ruin()

    def contents(self, disk: str) -> Mapping[str, str]:
        """Marks of what is in it; see `labkit.host.snapshots.HoldsContents`."""
        self._check_on()
        return self._past.contents(disk)

    def keep_records(self, disk: str, count: int, synced: str) -> None:
        """Start a program that keeps records; see `labkit.host.snapshots.KeepsRecords`."""
        self._check_on()
        self._past.keep_records(disk, count, synced)

    def records_in(self, snapshot: Snapshot, disk: str, count: int) -> Mapping[str, int]:
        """What another machine finds in a snapshot; see `labkit.host.snapshots.KeepsRecords`."""
        self._check_on()
        return self._past.records_in(snapshot, disk, count)

    def stop(self) -> None:
        """Switch the machine off and forget it. Switching it off twice is no error."""
        if self._stopped:
            return
        if self.job is not None:
            self.job.cancel()
        if self._goes_on is not None:
            self._goes_on.succeed()
        self._stopped = True
        self._past.end()
        self.host.forget(self)
        self.host.note(f"stop {self.name}")

    def abandon(self) -> None:
        """Take the machine for switched off, without a word to the scheduler; the host calls this when it breaks."""
        self._stopped = True
        if self.job is not None:
            self.job.abandon()

    def _check_on(self) -> None:
        self.host.check_open()
        if self._stopped:
            raise HostError(f"{self.name} has been switched off.", "Create a new machine.")

    def __repr__(self) -> str:
        pinned = "" if len(self.pin) == self.host.cpus else f", on CPU {','.join(map(str, sorted(self.pin)))}"
        capped = "" if self.cap == inf else f", cap {self.cap:g} CPU"
        return (
            f"<{self.name}: {self.vcpus} vCPU{'s' * (self.vcpus > 1)}, {self.memory:g} MiB, "
            f"{self.shares} shares{pinned}{capped}, {self.state}>"
        )
