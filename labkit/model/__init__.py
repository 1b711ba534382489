"""The simulated host: what a live host does with real machines, worked out in an instant.

Start with `SimulatedHost`. Behind it stand, one idea a file: the rules of a hypervisor (`rules`), one CPU
and its queue (`cpu`), all of them together (`scheduler`), what machines are busy with (`loads`), and
the observer (`observing`). `FluidHost` (`fluid`) is another one, without slices: exact, and quick where
there are many machines.

How near the two come: on one CPU, machines that spin get the same to within a slice for each vCPU, and capped ones that
always get their quota to within two of it for each vCPU; so in CPU the gap falls as time passes
(`tests/model/test_fluid_sharing.py`). On several CPUs with caps there is no bound. There the host of slices lets a
capped vCPU run at full speed until its quota is gone, at moments left to chance, and evens out its queues only now and
then, while the fluid spreads each cap evenly over time and always finds the fair parts. Three machines on two CPUs, two
of them capped at 0.5 and 0.8 CPU, were up to 0.08 CPU apart after 20 s; how much of the waiting is ready and how much
throttled differs by far more, and so does how long a request waits beside a capped machine. Ask slices where that
matters.
"""

from labkit.model.fluid import FluidHost
from labkit.model.opening import simulated
from labkit.model.rules import LINUX, RULES, Rules
from labkit.model.simulated import SimulatedHost

__all__ = ["FluidHost", "LINUX", "RULES", "Rules", "SimulatedHost", "simulated"]
