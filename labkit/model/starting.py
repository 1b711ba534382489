"""Where a load begins: on the vCPUs, in the memory or at a disk, as it is of the one kind or the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.host import DiskLoad, MemoryLoad
from labkit.model.loads import drive

if TYPE_CHECKING:
    from labkit.model.jobs import SimulatedJob
    from labkit.model.simulated import SimulatedHost

__all__ = ["start"]


def start(host: SimulatedHost, job: SimulatedJob) -> None:
    """Let a job's load begin at this moment."""
    machine, load = job.machine, job.load
    if isinstance(load, MemoryLoad):
        job.begin(machine.holding.fill(load, job.filled))
    elif isinstance(load, DiskLoad):
        job.begin(machine.reader(load))
    else:
        job.begin(drive(host.env, host.scheduler, machine.group, load, host.seed, job.finish))
