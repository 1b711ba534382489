"""A machine of a fluid host: the same box with the same label, and inside a mill instead of runners."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from labkit.host import CpuLoad, HostError, Load, RequestLoad
from labkit.host.snapshots import Kind, Snapshot
from labkit.model.arguments import checked_cap, checked_pin, checked_whole
from labkit.model.disks import SimulatedDisk
from labkit.model.fluid.guest import Guest
from labkit.model.jobs import SimulatedJob
from labkit.model.machine import SHARES

if TYPE_CHECKING:
    from labkit.model.fluid.host import FluidHost

__all__ = ["FluidMachine"]


class FluidMachine:
    """A virtual machine on a fluid host; made with `FluidHost.create`.

    Parameters
    ----------
    host : FluidHost
        The host it runs on.
    guest : Guest
        What runs in it.
    memory : float
        Its memory in MiB. Nothing in the model depends on it yet.
    maximum_vcpus : int
        How many vCPUs it may come to have.
    """

    def __init__(self, host: FluidHost, guest: Guest, memory: float, maximum_vcpus: int) -> None:
        self.host = host
        self.guest = guest
        self.name = guest.name
        self.memory = memory
        self.maximum_vcpus = maximum_vcpus
        self.job: SimulatedJob | None = None
        self.disks: dict[str, SimulatedDisk] = {}
        self._stopped = False

    @property
    def vcpus(self) -> int:
        """How many vCPUs it has."""
        return self.guest.vcpus

    @property
    def shares(self) -> int:
        """Its weight when CPUs are short."""
        return self.guest.shares

    @property
    def pin(self) -> frozenset[int]:
        """The host CPUs its vCPUs may run on."""
        return self.guest.pin

    @property
    def cap(self) -> float:
        """The most CPU time it may use, in CPU; infinite where it has no cap."""
        return self.guest.cap

    @property
    def reservation(self) -> float:
        """The CPU time that it gets whatever the others' shares, in CPU, as long as it wants it."""
        return self.guest.reservation

    @property
    def state(self) -> str:
        """``"running"`` or ``"stopped"``."""
        return "stopped" if self._stopped else "running"

    @property
    def busy(self) -> bool:
        """Whether a load runs in it."""
        return self.job is not None and not self.job.over

    def set(
        self,
        *,
        shares: int | None = None,
        pin: Iterable[int] | None = None,
        cap: float | None = None,
        vcpus: int | None = None,
        memory: str | float | None = None,
    ) -> None:
        """Change the machine while it runs; what is not given stays as it was.

        Parameters
        ----------
        shares : int, optional
            Its new weight, 2 to 262144.
        pin : iterable of int, optional
            The host CPUs its vCPUs may run on from now on. To lift a pinning, give all the CPUs of the host:
            ``range(host.cpus)``.
        cap : float, optional
            The most CPU time it may use, in CPU, from 0.01; ``math.inf`` lifts a cap.
        vcpus : int, optional
            How many vCPUs it has, from what it has to `maximum_vcpus`.
        memory : str or float, optional
            What its balloon leaves it: a fluid host has no balloon.

        Raises
        ------
        HostError
            Where the machine or the host has been switched off, reservations could not be kept any more, or its memory
            is to be changed.
        ValueError
            Where an argument is outside its range.
        """
        self._check_on()
        if memory is not None:
            self.memory_seen()
        guest = self.guest
        weight = guest.shares if shares is None else checked_whole("shares", shares, *SHARES)
        cpus = guest.pin if pin is None else checked_pin(pin, self.host.cpus)
        limit = guest.cap if cap is None else checked_cap(cap)
        count = guest.vcpus if vcpus is None else checked_whole("vcpus", vcpus, guest.vcpus, self.maximum_vcpus)
        if limit < guest.reservation:
            raise ValueError(f"cap must be at least the reservation of {guest.reservation:g} CPU, not {limit:g}")
        if cpus != guest.pin:
            self.host.check_reservations(self.name, guest.reservation, cpus)
        new = range(guest.vcpus, count)
        self.host.sharing.change(guest, shares=weight, pin=cpus, cap=limit, vcpus=count)
        if new and self.job is not None:
            self.job.grow(new)
        changes = [
            (shares, f"shares={weight}"),
            (pin, f"pin={','.join(map(str, sorted(cpus)))}"),
            (cap, f"cap={limit:g}"),
            (vcpus, f"vcpus={count}"),
        ]
        for asked, words in changes:
            if asked is not None:
                self.host.note(f"set {self.name} {words}")

    def memory_seen(self) -> dict[str, float]:
        """What the machine has of memory: a fluid host does not know.

        Raises
        ------
        HostError
            Always, with what to do.
        """
        able = self.host.can("balloon")
        raise HostError(able.reason, able.remedy)

    def throttle(self, disk: str, iops: float) -> None:
        """Limit a disk: a fluid host has nothing that reads or writes.

        Raises
        ------
        HostError
            Always, with what to do.
        """
        able = self.host.can("throttle")
        raise HostError(able.reason, able.remedy)

    @property
    def snapshots(self) -> dict[str, Snapshot]:
        """The snapshots that it has: none."""
        return {}

    def snapshot(self, name: str, *, kind: Kind = "internal", freeze: bool = False, memory: bool = True) -> Snapshot:
        """Refuse: a fluid host's machines have nothing that a snapshot could keep.

        Raises
        ------
        HostError
            Always, with what to do.
        """
        able = self.host.can("snapshots")
        raise HostError(able.reason, able.remedy)

    def revert(self, snapshot: Snapshot) -> float:
        """Refuse, as in `snapshot`.

        Raises
        ------
        HostError
            Always, with what to do.
        """
        able = self.host.can("snapshots")
        raise HostError(able.reason, able.remedy)

    def run(self, load: Load) -> SimulatedJob:
        """Start a load in the machine.

        It begins when time next passes; loads started at one moment begin together, so their order does not matter.

        Raises
        ------
        HostError
            Where the machine has a load already, or it or the host has been switched off.
        ValueError
            Where `load` is not a load.
        """
        self._check_on()
        if not isinstance(load, CpuLoad | RequestLoad):
            raise ValueError(
                f"a load is a CpuLoad, such as CpuLoad(1.0), or a RequestLoad, not a {type(load).__name__}"
            )
        if self.busy:
            raise HostError(f"{self.name} has a load already.", "End that with job.cancel() first.")
        self.job = SimulatedJob(self, load)
        self.host.begin(self.job)
        if isinstance(load, CpuLoad):
            what = f"a load with duty={load.duty:g} on each of {self.vcpus} vCPUs"
        else:
            how = "with a worker on each of" if load.discipline == "queue" else "that share its"
            what = f"a server of {len(load.arrivals)} requests {how} {self.vcpus} vCPUs"
        self.host.note(f"run in {self.name} {what}")
        return self.job

    def stop(self) -> None:
        """Switch the machine off and forget it. Switching it off twice is no error."""
        if self._stopped:
            return
        if self.job is not None:
            self.job.cancel()
        self._stopped = True
        self.host.forget(self)
        self.host.note(f"stop {self.name}")

    def abandon(self) -> None:
        """Take the machine for switched off, and nothing else; the host calls this when it breaks."""
        self._stopped = True
        if self.job is not None:
            self.job.abandon()

    def _check_on(self) -> None:
        self.host.check_open()
        if self._stopped:
            raise HostError(f"{self.name} has been switched off.", "Create a new machine.")

    def __repr__(self) -> str:
        pinned = "" if len(self.pin) == self.host.cpus else f", on CPU {','.join(map(str, sorted(self.pin)))}"
        capped = "" if self.cap == math.inf else f", cap {self.cap:g} CPU"
        reserved = f", reservation {self.reservation:g} CPU" if self.reservation else ""
        return (
            f"<{self.name}: {self.vcpus} vCPU{'s' * (self.vcpus > 1)}, {self.memory:g} MiB, "
            f"{self.shares} shares{pinned}{capped}{reserved}, {self.state}>"
        )
