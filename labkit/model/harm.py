"""Harm to a simulated machine: it has no kernel and no memory of its own, only time on the host's CPUs.

So all that can happen to it is that it is there no more, or that it asks for time. That its neighbours feel nothing
else is the model's assumption, and what a live host is asked to show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.host import CpuLoad, HostError
from labkit.host.harm import HARMS

if TYPE_CHECKING:
    from labkit.model.machine import SimulatedMachine

__all__ = ["harm", "inside"]


def harm(machine: SimulatedMachine, how: str) -> str:
    """Let a machine do harm to itself; see `labkit.host.harm.HarmsMachines`.

    A panic ends it at once. Taking memory until there is none left, and from the beginning again, is work for its
    vCPUs all the time.
    """
    if how not in HARMS:
        raise HostError(f"There is no harm {how!r:.20}.", f"Choose one of {', '.join(HARMS)}.")
    machine.host.note(f"harm {machine.name} by {how}")
    if how == "panic":
        machine.stop()
        return "it is gone"
    machine.run(CpuLoad(1.0))
    return "its vCPU is busy from now on"


def inside(machine: SimulatedMachine) -> dict[str, str]:
    """What a machine would see of itself: what it was given, and nothing of the host."""
    if machine.state != "running":
        raise HostError(f"{machine.name} has been switched off.", "Create a new machine.")
    return {
        "CPU": str(machine.vcpus),
        "memory": f"{machine.memory:g} MiB",
        "disk": "none in the model",
        "network card": "none in the model",
    }
