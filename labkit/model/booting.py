"""A machine's start, stage after stage: a relay race, each runner as fast as he was seen to be once.

There is no formula for how long a kernel takes to find its devices. So the durations are measured ones: of one
computer, in runs that are compared with nothing. The play only puts them in a row; what it shows is the order of
things, their parts of the whole, and what a saved machine leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import simpy

from labkit.host import Event, HostError, Observation, Provenance, Row
from labkit.host.timing import BOOT_STAGES

if TYPE_CHECKING:
    from labkit.model.machine import SimulatedMachine
    from labkit.model.simulated import SimulatedHost

__all__ = ["MEASURED", "Measured", "boot"]


@dataclass(frozen=True)
class Measured:
    """How long each stage took on one computer.

    Parameters
    ----------
    seconds : mapping of str to mapping of str to float
        By start and stage, in s; a stage that is not there did not take place.
    where : str
        On which computer, and how.
    """

    seconds: Mapping[str, Mapping[str, float]]
    where: str


MEASURED = Measured(
    seconds={
        "cold": {"hypervisor": 0.315, "firmware": 0.190, "kernel": 1.42, "init": 0.23, "agent": 0.148},
        "saved": {"hypervisor": 0.364, "agent": 0.058},
    },
    where="as on two CPUs of a Xeon, QEMU 7.2.22 with TCG, the guest's Linux 6.1, 128 MiB, November 2026: the least of "
    "nine starts each, of those that others disturbed by less than 3%",
)
"""The stages of the course's guest with one vCPU: ``labkit run boot --host live``, nine times."""


def boot(host: SimulatedHost, name: str, start: str) -> tuple[SimulatedMachine, Observation]:
    """Switch a machine on; see `labkit.host.timing.BootsMachines`."""
    if start not in MEASURED.seconds:
        raise HostError(f"There is no start {start!r:.20}.", f"Choose one of {', '.join(MEASURED.seconds)}.")
    machine = host.create(name)
    stages = MEASURED.seconds[start]
    switched_on = host.now
    events = []
    for stage in BOOT_STAGES:
        if stage in stages:
            begun = host.now
            host.advance(begun + stages[stage])
            events.append(
                Event(time=begun - switched_on, kind="stage", machine=name, seconds=host.now - begun, detail=stage)
            )
    took = host.now - switched_on
    rows = [
        Row(machine=name, quantity=stage, unit="s", value=sum(e.seconds for e in events if e.detail == stage))
        for stage in BOOT_STAGES
    ]
    rows.append(Row(machine=name, quantity="total", unit="s", value=took))
    provenance = Provenance(
        host="simulated",
        name=host.name,
        mechanisms={"boots": f"{host.can('boots').mechanism}: {MEASURED.where}"},
        versions={"simpy": simpy.__version__},
    )
    return machine, Observation(took, tuple(rows), (), tuple(events), provenance)
