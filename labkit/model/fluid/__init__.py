"""The fluid mode of the simulated host: CPUs that run everybody at once, each at a part of the speed.

Start with `FluidHost` (`host`). Behind it stand, one idea a file: who gets how much (`filling`, and `crowding` where
machines are pinned), a machine and its work in virtual time (`guest`), from one change to the next (`sharing`), what
machines are busy with (`loads`), and the observer (`observing`).
"""

from labkit.model.fluid.host import FluidHost
from labkit.model.fluid.machine import FluidMachine

__all__ = ["FluidHost", "FluidMachine"]
