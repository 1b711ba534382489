"""The simulated host: what a live host does with real machines, worked out in an instant.

Start with `SimulatedHost`. Behind it stand, one idea a file: the rules of a hypervisor (`rules`), one CPU
and its queue (`cpu`), all of them together (`scheduler`), what machines are busy with (`loads`), and
the observer (`observing`). `FluidHost` (`fluid`) is another one, without slices: exact, and quick where
there are many machines.
"""

from labkit.model.fluid import FluidHost
from labkit.model.rules import LINUX, RULES, Rules
from labkit.model.simulated import SimulatedHost, simulated

__all__ = ["FluidHost", "LINUX", "RULES", "Rules", "SimulatedHost", "simulated"]
