"""The simulated host: what a live host does with real machines, worked out in an instant.

Start with `SimulatedHost`. Behind it stand, one idea a file: the rules of a hypervisor (`rules`), one CPU
and its queue (`cpu`), all of them together (`scheduler`), what machines are busy with (`loads`), and
the observer (`observing`).
"""

from labkit.model.rules import LINUX, RULES, Rules
from labkit.model.simulated import SimulatedHost, simulated

__all__ = ["LINUX", "RULES", "Rules", "SimulatedHost", "simulated"]
