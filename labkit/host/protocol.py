"""The calls that both hosts answer: a host, its machines, and the jobs that run in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from labkit.host.disks import Disk
from labkit.host.loads import Load
from labkit.host.networks import Port
from labkit.host.observations import HostKind, Observation
from labkit.host.snapshots import Kind, Snapshot
from labkit.host.words import Ability

__all__ = ["Host", "Job", "Machine"]


@runtime_checkable
class Job(Protocol):
    """Work that goes on while you do something else."""

    @property
    def progress(self) -> float:
        """How much is done, from 0 to 1."""

    @property
    def result(self) -> Any:
        """What the work gave, once it is done or cancelled; None before. A `RequestLoad` gives a `Served`."""

    def wait(self, timeout: float | None = None) -> Any:
        """Block until the work is done and return its result; None where `timeout`, in the host's seconds, is over."""

    def cancel(self) -> None:
        """Stop the work. Stopping it twice is no error."""


@runtime_checkable
class Machine(Protocol):
    """A virtual machine."""

    name: str
    vcpus: int
    maximum_vcpus: int
    memory: float  # MiB
    disks: Mapping[str, Disk]

    @property
    def state(self) -> str:
        """``"running"`` or ``"stopped"``; in a pool that is full also ``"paused"`` (`labkit.host.pools`)."""

    def set(
        self,
        *,
        shares: int | None = None,
        pin: Iterable[int] | None = None,
        cap: float | None = None,
        vcpus: int | None = None,
        memory: str | float | None = None,
    ) -> None:
        """Change a running machine; what is None stays as it is.

        Parameters
        ----------
        shares : int
            Its weight when CPUs are short.
        pin : iterable of int
            The host CPUs its vCPUs may run on.
        cap : float
            The most CPU time it may use, in CPU, as in `Host.create`; ``math.inf`` lifts a cap.
        vcpus : int
            How many vCPUs it has, up to its `maximum_vcpus`: they are added while it runs (*hot-add*), never removed.
        memory : str or float
            How much of its memory its balloon leaves it, up to what it was made with; a number is in MiB. The balloon
            takes its time: `memory_seen` tells how far it is. What would leave the guest too little to go on with is
            refused, with the least that does not. For a host that `can` do ``"balloon"``.
        """

    def memory_seen(self) -> Mapping[str, float]:
        """The machine's memory at this moment, in MiB, on a host that `can` do ``"balloon"``.

        `size` is what the balloon leaves it at present; `guest_total` what its guest's kernel has to deal out
        (MemTotal), `guest_free` what of that nobody uses (MemFree), `host_resident` how much of it takes room on the
        host.
        """

    def run(self, load: Load) -> Job:
        """Start a load in the machine; the returned job ends it with `Job.cancel`.

        It begins with the next `Host.observe` or `Job.wait`, together with all others that were started before it.
        """

    def throttle(self, disk: str, iops: float) -> None:
        """Let at most so many requests a second through to one of its disks, from now on.

        Parameters
        ----------
        disk : str
            The disk's name.
        iops : float
            Requests a second, from 1; ``math.inf`` lifts the limit. A tenth of a second's worth may come at once.
        """

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """The snapshots that it has, by name, in the order in which they were taken."""

    def snapshot(self, name: str, *, kind: Kind = "internal", freeze: bool = False, memory: bool = True) -> Snapshot:
        """Take a snapshot, which `revert` can bring the machine back to; for a host that `can` do ``"snapshots"``.

        Parameters
        ----------
        name : str
            As a machine's name; one of its name for each machine.
        kind : {"internal", "external"}
            Where it is kept: in the file of the machine's disk, for qcow2, or in files of its own.
        freeze : bool
            Whether the guest first writes down all its files and holds still meanwhile.
        memory : bool
            Whether the memory is in it; without, only for external ones, a machine that is brought back boots anew.

        Raises
        ------
        HostError
            Where it cannot be taken, or there would be no going back to it.
        """

    def revert(self, snapshot: Snapshot) -> float:
        """Bring the machine, its disks and, where it is in the snapshot, its memory back to that moment.

        What it did since is lost, and its loads are over. Its clock is put right. The snapshot stays: one can go back
        to it again, and to others. Returns how long it took until the guest answered again, in s.
        """

    def stop(self) -> None:
        """Switch the machine off and forget it, with its snapshots; its disks stay as they are now."""


@runtime_checkable
class Host(Protocol):
    """A computer that machines run on. Leaving its `with` block cleans up."""

    kind: HostKind
    name: str
    cpus: int

    def create(
        self,
        name: str,
        *,
        vcpus: int = 1,
        memory: str | float = "128 MiB",
        shares: int = 1024,
        pin: Iterable[int] | None = None,
        cap: float = math.inf,
        reservation: float = 0.0,
        maximum_vcpus: int | None = None,
        disks: Sequence[Disk] = (),
        nics: Sequence[Port] = (),
    ) -> Machine:
        """Make a machine and switch it on.

        Parameters
        ----------
        name : str
            A letter, then letters, digits and hyphens; 20 characters at most; one of its name on a host.
        vcpus : int
            How many virtual CPUs it has, 1 to 64.
        memory : str or float
            Its memory; a number is in MiB.
        shares : int
            Its weight when CPUs are short, 2 to 262144. With twice the shares a machine gets
            twice the CPU time of another, for as long as both want more than they get.
        pin : iterable of int, optional
            The host CPUs, counted from 0, that its vCPUs may run on; all where not given.
        cap : float
            The most CPU time it may use, in CPU: 0.25 is a quarter of one CPU. Each of its vCPUs may use an equal
            part of it. From 0.01; infinite where it has none.
        reservation : float
            The CPU time that it gets whatever the others' shares, in CPU, as long as it wants it.
        maximum_vcpus : int, optional
            How many vCPUs it may come to have by `Machine.set`; `vcpus` where not given.
        disks : sequence of Disk, optional
            Disks of this host that no other machine has: its guest sees each under the disk's name. While the machine
            is there, only its guest writes to them; when it stops they are left as they are.
        nics : sequence of Port, optional
            The ports of this host's networks that it is plugged into, a card for each; for a host that `can` do
            ``"networks"``.

        Raises
        ------
        HostError
            Where the host cannot carry it, with the numbers, or cannot do what is asked: see `can`.
        ValueError
            Where an argument is outside its range.
        """

    def disk(
        self,
        name: str,
        size: str | float | None = None,
        *,
        format: str = "qcow2",
        cluster: int | None = None,
        backing: Disk | None = None,
    ) -> Disk:
        """Make a virtual disk: a file of this host, empty as the guest sees it, or a layer over another disk.

        Parameters
        ----------
        name : str
            As a machine's name; one of its name on a host.
        size : str or float
            How large a guest is to see it; a number is in MiB. It is left out where there is a backing, which has one.
        format : str
            One of `labkit.host.disks.FORMATS`.
        cluster : int, optional
            Bytes of a cluster, a power of two from 512 to 2 MiB, for qcow2 and Parallels; the format's usual one where
            not given.
        backing : Disk, optional
            A disk of this host that the new one lies over (*copy on write*): what nobody writes to the new one is
            read from there. From then on nothing can be written to the backing itself. The new disk is then a
            `labkit.host.chains.Overlay`; `labkit.host.chains.OVER` says which formats can lie over which.

        Raises
        ------
        HostError
            Where the host cannot have it: see `can`, with ``"disks"``; or the format cannot have that size, cluster
            or backing.
        ValueError
            Where the name or the size is none.
        """

    @property
    def machines(self) -> Mapping[str, Machine]:
        """The machines on this host, by name."""

    def can(self, ability: str) -> Ability:
        """Whether the host can do something, such as ``"shares"``, and how, or why not.

        Those of CPUs are ``"shares"``, ``"pin"``, ``"cap"``, ``"reservation"``, ``"hot-add"`` and ``"requests"``.
        Those of disks are ``"disks"`` and ``"throttle"``; those of networks are ``"networks"``, ``"firewall"``,
        ``"shaping"`` and ``"routers"`` (`labkit.host.networks`).
        Those of memory are ``"balloon"``, ``"filling"`` (it takes a `MemoryLoad`) and ``"sharing"``: a host that can do
        the last has a call ``share_pages(rate)``, which takes a number of pages per second to look at and gives a
        `labkit.host.memory.PageSharing`. What more some hosts can do: ``"programs"`` and ``"boots"``
        (`labkit.host.timing`), ``"harm"`` and ``"inside"`` (`labkit.host.harm`), ``"pool"`` (`labkit.host.pools`),
        ``"trim"`` (`labkit.host.trimming`) and ``"files"`` (`labkit.host.volumes`).
        """

    def observe(self, seconds: float, every: float = 0.2) -> Observation:
        """Watch the host for a while.

        The simulated host runs its clock; the live host waits and reads libvirt's counters. Quantities of each
        machine: `cpu` in CPU; `ready`, the fraction of elapsed time × vCPUs in which a vCPU wanted to run, was
        allowed to, and had to wait; and, as soon as any machine on the host has a cap, `throttled`, the fraction in
        which a vCPU wanted to run and its cap did not let it. Of a machine that was ever given a
        `MemoryLoad`, or had its memory set, also `guest_total`, `guest_free` and `host_resident`, as in
        `Machine.memory_seen`, in MiB. Of a machine that was ever given a `DiskLoad`, also `iops`, the requests that its
        disks answered in a second, and `latency`, how long one took, in ms.

        Parameters
        ----------
        seconds : float
            How long.
        every : float
            The length in seconds of one interval of the series.
        """

    def journal(self) -> list[str]:
        """The plain commands that would have done what this host was asked to do."""

    def close(self) -> None:
        """Switch every machine off and leave nothing behind. Closing twice is no error."""
