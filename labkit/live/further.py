"""What more a host on this computer does than every host promises: it times programs, boots, and lets harm be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.host import Observation
from labkit.host.timing import Program
from labkit.live import boots, native
from labkit.live.harm import harm, inside

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["DoesMore"]


class DoesMore:
    """Calls of a live host that only some experiments need."""

    def times(self: LiveHost, program: Program, guest: LiveMachine) -> Observation:
        """Time a small program here and in a guest; see `labkit.host.timing.TimesPrograms`."""
        return native.times(self, program, guest)

    def boot(self: LiveHost, name: str, start: str) -> tuple[LiveMachine, Observation]:
        """Switch a machine on and keep what happened when; see `labkit.host.timing.BootsMachines`."""
        return boots.boot(self, name, start)

    def harm(self: LiveHost, machine: LiveMachine, how: str) -> str:
        """Let a machine do harm to itself; see `labkit.host.harm.HarmsMachines`."""
        return harm(self, machine, how)

    def inside(self, machine: LiveMachine) -> dict[str, str]:
        """What a machine sees of itself; see `labkit.host.harm.HarmsMachines`."""
        return inside(machine)
