"""Where a host begins to look for equal pages: who is there at that moment, and by whose rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.model.memory import MEMORY_RULES, SimulatedSharing

if TYPE_CHECKING:
    from labkit.model.simulated import SimulatedHost

__all__ = ["share_pages"]


def share_pages(host: SimulatedHost, rate: float | None, ended: Callable[[], None]) -> SimulatedSharing:
    """Look for equal pages of the machines that are there; see `labkit.model.simulated.SimulatedHost.share_pages`.

    Parameters
    ----------
    host : SimulatedHost
        Whose machines.
    rate : float or None
        Pages per second, 50 to 1,000,000; as the rules have it where None.
    ended : callable
        Called when it is stopped.
    """
    if not (able := host.can("sharing")):
        raise HostError(able.reason, able.remedy)
    if host.sharing is not None:
        raise HostError("This host shares equal pages already.", "Stop that first.")
    if rate is not None and not 50 <= rate <= 1_000_000:
        raise ValueError(f"rate is a number of pages per second from 50 to 1000000, not {rate!r:.40}")
    pages = {name: machine.holding.pages for name, machine in sorted(host.machines.items())}
    return SimulatedSharing(host.env, pages, MEMORY_RULES[host.rules.name], rate, ended)
