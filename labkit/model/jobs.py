"""Work that a simulated machine has been given: a slip of paper with which to ask after it, or to stop it.

Picture the receipt of a copy shop. It says what was ordered, how much of it is done, and what came of it; with
it in hand one may wait, or tell them to stop. Some orders have an end (so many requests), some have none (spin).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING

from labkit.host import CpuLoad, DiskLoad, HostError, Load, MemoryLoad, RequestLoad, Served
from labkit.model.arguments import checked_seconds

if TYPE_CHECKING:
    from simpy.events import Event

    from labkit.model.loads import Running
    from labkit.model.machine import SimulatedMachine
    from labkit.model.vcpu import VCpu

__all__ = ["LONGEST", "SimulatedJob"]

LONGEST = 3600.0
"""The longest time in seconds that one call lets pass."""


class SimulatedJob:
    """A load that a simulated machine runs, until it is done or cancelled.

    Parameters
    ----------
    machine : SimulatedMachine
        The machine.
    load : Load
        The load.
    """

    def __init__(self, machine: SimulatedMachine, load: Load) -> None:
        self.machine = machine
        self.load = load
        self.over = False
        self._filled = False
        self._done: Event | None = None
        self._running: Running | None = None
        self._result: Served | None = None

    @property
    def progress(self) -> float:
        """How much is done, from 0 to 1.

        Of requests the fraction served, of memory the fraction filled; without an end, 0 until it is cancelled.
        """
        if isinstance(self.load, CpuLoad | DiskLoad):
            return float(self.over)
        return self._running.progress if self._running is not None else 0.0

    @property
    def result(self) -> Served | None:
        """What became of the requests, once all are served or the load was cancelled; None before, and for a `CpuLoad`.

        What a load used is seen with `SimulatedHost.observe`.
        """
        return self._result

    def wait(self, timeout: float | None = None) -> Served | None:
        """Let time pass until the load is over, or the memory full that it fills, and return its result.

        Parameters
        ----------
        timeout : float, optional
            Seconds of the host's own time, 0.001 to 3600, after which to return None.

        Raises
        ------
        HostError
            Where no timeout is given and the load would never end.
        ValueError
            Where `timeout` is outside its range.
        """
        if self.over or self._filled:
            return self._result
        endless = isinstance(self.load, CpuLoad | DiskLoad)
        if timeout is not None:
            timeout = checked_seconds("timeout", timeout, 0.001, LONGEST)
        elif endless:
            raise HostError(
                f"The load in {self.machine.name} never ends by itself.",
                "Give wait a timeout in seconds, watch it with host.observe(seconds=5), or end it with job.cancel().",
            )
        if endless:
            self.machine.host.pass_time(timeout)
        else:
            self._done = self._done or self.machine.host.env.event()
            self.machine.host.pass_time_until(self._done, timeout)
        return self._result

    def cancel(self) -> None:
        """End the load. Ending it twice is no error."""
        if not self.over:
            self.finish()
            self.machine.host.note(f"end the load in {self.machine.name}")

    # -- for the host -----------------------------------------------------------------------------

    def begin(self, running: Running) -> None:
        """Remember what runs; the host calls this when the load begins."""
        self._running = running

    def filled(self) -> None:
        """The memory is full, and stays so until the load is cancelled; the load calls this itself."""
        self._filled = True
        if self._done is not None:
            self._done.succeed()
            self._done = None

    def finish(self) -> None:
        """Keep the result: the load has been ended, or has done all that was to be done and says so."""
        self.over = True
        if self._running is not None:
            self._result = self._running.end()
        elif isinstance(self.load, RequestLoad):  # cancelled before it began
            self._result = Served(self.load.arrivals, (inf,) * len(self.load.arrivals), 0.0)
        if isinstance(self.load, MemoryLoad):
            self.machine.holding.emptied()
        if self._done is not None:
            self._done.succeed()

    def abandon(self) -> None:
        """Take the load for ended, without a word to the scheduler; the host calls this when it breaks."""
        self.over = True

    def grow(self, vcpus: Iterable[VCpu]) -> None:
        """Use vCPUs that the machine has got meanwhile."""
        if self._running is not None and not self.over:
            self._running.grow(vcpus)

    def __repr__(self) -> str:
        if isinstance(self.load, RequestLoad):
            what = f"serving {len(self.load.arrivals)} requests, {self.progress:.0%} done"
        elif isinstance(self.load, MemoryLoad):
            what = f"filling {self.load.size:g} MiB, {self.progress:.0%} done"
        elif isinstance(self.load, DiskLoad):
            what = f"keeping the disk {self.load.disk} busy"
        else:
            what = "spinning" if self.load.duty >= 1 else f"asking for {self.load.duty:.0%} of each vCPU"
        return f"<load in {self.machine.name}: {'ended' if self.over else what}>"
