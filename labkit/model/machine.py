"""A simulated machine, and the work it is given.

Picture a computer in a box with a label on it: its name, how many vCPUs it has, what it weighs when
CPUs are short. You can put a load into the box, change what the label says, and switch it off. You
cannot look inside; there is nothing there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from labkit.host import CpuLoad, HostError
from labkit.model.arguments import checked_pin, checked_seconds, checked_whole
from labkit.model.vcpu import Group

if TYPE_CHECKING:
    from labkit.model.simulated import SimulatedHost

__all__ = ["LONGEST", "SHARES", "SimulatedJob", "SimulatedMachine"]

SHARES = (2, 262144)
"""The least and the most shares, as in Linux's cpu.shares."""

LONGEST = 3600.0
"""The longest time in seconds that one call lets pass."""


class SimulatedJob:
    """A load that a simulated machine runs, until it is cancelled.

    Parameters
    ----------
    machine : SimulatedMachine
        The machine.
    load : CpuLoad
        The load.
    """

    def __init__(self, machine: SimulatedMachine, load: CpuLoad) -> None:
        self.machine = machine
        self.load = load
        self._end: Callable[[], None] | None = None
        self._cancelled = False

    @property
    def progress(self) -> float:
        """How much is done: 0 until the load is cancelled, as it has no end of its own, then 1."""
        return float(self._cancelled)

    @property
    def result(self) -> None:
        """What the load gave: nothing. What it used is seen with `SimulatedHost.observe`."""
        return

    def wait(self, timeout: float | None = None) -> None:
        """Let time pass.

        Parameters
        ----------
        timeout : float, optional
            Seconds of the host's own time, 0.001 to 3600.

        Raises
        ------
        HostError
            Where no timeout is given: the load would never end.
        ValueError
            Where `timeout` is outside its range.
        """
        if self._cancelled:
            return
        if timeout is None:
            raise HostError(
                f"The load in {self.machine.name} never ends by itself.",
                "Give wait a timeout in seconds, watch it with host.observe(seconds=5), or end it with job.cancel().",
            )
        self.machine.host.pass_time(checked_seconds("timeout", timeout, 0.001, LONGEST))

    def cancel(self) -> None:
        """End the load. Ending it twice is no error."""
        if self._cancelled:
            return
        self._cancelled = True
        if self._end is not None:
            self._end()
        self.machine.host.note(f"end the load in {self.machine.name}")

    def begin(self, end: Callable[[], None]) -> None:
        """Remember how to end the load; the host calls this when the load begins."""
        self._end = end

    def abandon(self) -> None:
        """Take the load for ended, without a word to the scheduler; the host calls this when it breaks."""
        self._cancelled = True

    def __repr__(self) -> str:
        what = "spinning" if self.load.duty >= 1 else f"asking for {self.load.duty:.0%} of each vCPU"
        return f"<load in {self.machine.name}: {'ended' if self._cancelled else what}>"


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
        Its memory in MiB. Nothing in the model depends on it yet.
    shares : int
        Its weight when CPUs are short.
    pin : frozenset of int
        The host CPUs its vCPUs may run on.
    """

    def __init__(
        self, host: SimulatedHost, name: str, vcpus: int, memory: float, shares: int, pin: frozenset[int]
    ) -> None:
        self.host = host
        self.name = name
        self.vcpus = vcpus
        self.memory = memory
        self.pin = pin
        self.group = Group(name, shares, vcpus, pin, host.now)
        self.job: SimulatedJob | None = None
        self._stopped = False

    @property
    def shares(self) -> int:
        """Its weight when CPUs are short."""
        return self.group.shares

    @property
    def state(self) -> str:
        """``"running"`` or ``"stopped"``."""
        return "stopped" if self._stopped else "running"

    @property
    def busy(self) -> bool:
        """Whether a load runs in it."""
        return self.job is not None and not self.job.progress

    def set(self, *, shares: int | None = None, pin: Iterable[int] | None = None) -> None:
        """Change the machine while it runs.

        Parameters
        ----------
        shares : int, optional
            Its new weight, 2 to 262144; as it was where not given.
        pin : iterable of int, optional
            The host CPUs its vCPUs may run on from now on; as they were where not given. To lift
            a pinning, give all the CPUs of the host: ``range(host.cpus)``.

        Raises
        ------
        HostError
            Where the machine or the host has been switched off.
        ValueError
            Where an argument is outside its range.
        """
        self._check_on()
        weight = None if shares is None else checked_whole("shares", shares, *SHARES)
        cpus = None if pin is None else checked_pin(pin, self.host.cpus)
        if weight is not None:
            self.host.scheduler.share(self.group, weight)
            self.host.note(f"set {self.name} shares={weight}")
        if cpus is not None:
            self.pin = cpus
            self.host.scheduler.allow(self.group, cpus)
            self.host.note(f"set {self.name} pin={','.join(map(str, sorted(cpus)))}")

    def run(self, load: CpuLoad) -> SimulatedJob:
        """Start a load on every vCPU of the machine.

        It begins when time next passes; loads started at one moment begin together, so their order does not matter.

        Raises
        ------
        HostError
            Where the machine has a load already, or it or the host has been switched off.
        ValueError
            Where `load` is not a load.
        """
        self._check_on()
        if not isinstance(load, CpuLoad):
            raise ValueError(f"a load is a CpuLoad, such as CpuLoad(1.0), not a {type(load).__name__}")
        if self.busy:
            raise HostError(f"{self.name} has a load already.", "End that with job.cancel() first.")
        self.job = SimulatedJob(self, load)
        self.host.begin(self.job)
        self.host.note(f"run in {self.name} a load with duty={load.duty:g} on each of {self.vcpus} vCPUs")
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
        return (
            f"<{self.name}: {self.vcpus} vCPU{'s' * (self.vcpus > 1)}, {self.memory:g} MiB, "
            f"{self.shares} shares{pinned}, {self.state}>"
        )
