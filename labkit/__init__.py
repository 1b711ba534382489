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
from typing import TYPE_CHECKING

from labkit.host import CpuLoad, HostError, RequestLoad

if TYPE_CHECKING:
    from labkit.live import LiveHost
    from labkit.model import SimulatedHost

__all__ = ["CpuLoad", "HostError", "RequestLoad", "live", "simulated"]
__version__ = "0.1.0"


def simulated(cpus: int = 2, *, rules: str = "kvm", seed: int = 0) -> SimulatedHost:
    """Open a simulated host; see `labkit.model.SimulatedHost`."""
    from labkit.model import SimulatedHost

    return SimulatedHost(cpus, rules=rules, seed=seed)


def live(uri: str | None = None, progress: Callable[[str, float], None] | None = None) -> LiveHost:
    """Open a live host: the first that works here, or the one at `uri`; see `labkit.live.open_host`.

    Raises
    ------
    HostError
        Where no live host works on this machine; `labkit doctor` says why and what to do.
    """
    from labkit.live import open_host

    return open_host(uri, progress)
