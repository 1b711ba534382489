"""labkit: predict, simulate, run it on real virtual machines, and see the three side by side.

A whole lab in four lines, on the simulated host::

    import labkit

    with labkit.simulated(cpus=1) as host:
        web = host.create("web", shares=256)
        web.run(labkit.CpuLoad())
        print(host.observe(seconds=5))

and the same four with ``labkit.live()`` for real guests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from labkit.host import CpuLoad, HostError, MemoryLoad, RequestLoad

if TYPE_CHECKING:
    from labkit.live import ForeignHost, LiveHost
    from labkit.model import FluidHost, SimulatedHost

__all__ = ["CpuLoad", "HostError", "MemoryLoad", "RequestLoad", "live", "simulated"]
__version__ = "0.1.0"


def simulated(
    cpus: int = 2, *, rules: str = "kvm", seed: int = 0, mode: Literal["slices", "fluid"] = "slices"
) -> SimulatedHost | FluidHost:
    """Open a simulated host, of time slices or fluid; see `labkit.model.SimulatedHost` and `labkit.model.FluidHost`.

    Raises
    ------
    ValueError
        Where an argument is outside its range, or there is no such mode.
    """
    from labkit.model import simulated as open_simulated

    return open_simulated(cpus, rules=rules, seed=seed, mode=mode)


def live(
    uri: str | None = None,
    progress: Callable[[str, float], None] | None = None,
    *,
    networks: bool = False,
    allow_changes: bool | None = None,
) -> LiveHost | ForeignHost:
    """Open a live host: the first that works here, or the one at `uri`; see `labkit.live.open_host`.

    With `networks` it is a host that has virtual networks.

    Raises
    ------
    HostError
        Where no live host works on this machine; `labkit doctor` says why and what to do.
    """
    from labkit.live import open_host

    return open_host(uri, progress, networks=networks, allow_changes=allow_changes)
