"""What does it cost to promise more CPUs than there are?

Equal machines are pinned to the same host CPUs, more vCPUs than CPUs, and each vCPU wants to work for a part of the
time: its load. Below what there is, everybody gets what it asks for; above, everybody gets less and waits.

Settings
--------
machines : how many machines, `m1`, `m2`, ...
vcpus : how many vCPUs each of them has
cpus : how many host CPUs they all share
load : the fraction of each vCPU's time that its work takes; at 1 it spins
seconds : how long they are watched

Quantities
----------
cpu : CPU time per second of elapsed time, in CPU.
ready : the fraction of elapsed time x vCPUs in which a vCPU wanted to run and had to wait.

Bound between live and simulated, at cpus=1, vcpus=1, load=1
------------------------------------------------------------
0.03 CPU for `cpu`, 0.05 for `ready`, for up to 16 machines watched for 6 s or more; written before this experiment
first ran live. It is the case of equal shares of `cpu-shares`, and its bound. With a load below 1 none is
given: where in time the guests' work comes is the guests' own affair, and so is what they do about work left over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, integer, number
from labkit.host import CpuLoad, Host, Machine, Observation

__all__ = [
    "ADJUSTS",
    "BOUNDS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "Settings",
    "adjust",
    "bounds",
    "prepare",
    "run",
    "theory",
]

NAME = "cpu-overcommit"
QUESTION = "What does it cost to promise more CPUs than there are?"
LESSON = "02"
NEEDS = ("pin",)
QUANTITIES = {"cpu": "CPU", "ready": "1"}
BOUNDS = {"cpu": 0.03, "ready": 0.05}
ADJUSTS: tuple[str, ...] = ()
_VCPUS = 256  # in all; what a simulated run takes grows with them


@dataclass(frozen=True)
class Settings:
    """How many machines of which size there are, how busy they are, and what they share."""

    machines: int = integer(4, minimum=1, maximum=64, unit="1", about="how many machines there are")
    vcpus: int = integer(1, minimum=1, maximum=16, unit="vCPU", about="vCPUs of each machine")
    cpus: int = integer(1, minimum=1, maximum=16, unit="CPU", about="host CPUs that all machines are pinned to")
    load: float = number(1.0, minimum=0.01, maximum=1.0, unit="1", about="part of its time that each vCPU wants to run")
    seconds: float = number(6.0, minimum=0.5, maximum=60.0, unit="s", about="how long the machines are watched")

    def check(self) -> None:
        """Refuse more vCPUs in all than a run of some seconds can carry.

        Raises
        ------
        SettingError
            With the numbers.
        """
        if self.machines * self.vcpus > _VCPUS:
            raise SettingError(
                f"machines times vcpus must be {_VCPUS} vCPUs at most, not {self.machines} x {self.vcpus}."
            )


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity; empty where no bound was derived."""
    alone = settings.cpus == settings.vcpus == 1 and settings.load == 1
    stated = alone and settings.seconds >= 6 and settings.machines <= 16
    return dict(BOUNDS) if stated else {}


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """Equal parts of what there is, and nobody more than it asks for.

    cpu = min(load x vcpus, cpus / machines), in the long run. Ready time has a closed form in these cases:

    - A CPU for each vCPU: nobody ever waits. ready = 0.
    - More is asked for than there is: what is left undone piles up until every vCPU has always something to do. (How
      much can pile up does not matter, as long as it is more than comes in at once.) It then waits whenever it does
      not run: ready = 1 - cpu / vcpus. At load 1 that is so from the first moment; just above the capacity it takes
      long.
    - Otherwise it depends on where in time the machines' work comes, and is left out (None).

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used: equal machines have equal weights, whatever those are.

    Returns
    -------
    dict of (machine, quantity) to float or None
        `cpu` in CPU; `ready`, a fraction of elapsed time x vCPUs.

    References
    ----------
    Max-min fairness: D. Bertsekas, R. Gallager, *Data Networks*, 2nd edition (1992), section 6.5.2.
    """
    asked = settings.load * settings.vcpus
    cpu = min(asked, settings.cpus / settings.machines)
    ready: float | None = None
    if settings.machines * settings.vcpus <= settings.cpus:
        ready = 0.0
    elif settings.load == 1 or asked * settings.machines > settings.cpus * (1 + 1e-12):
        ready = 1.0 - cpu / settings.vcpus
    found: dict[tuple[str, str], float | None] = {}
    for name in _names(settings):
        found[name, "cpu"], found[name, "ready"] = cpu, ready
    return found


def _names(settings: Settings) -> list[str]:
    return [f"m{number}" for number in range(1, settings.machines + 1)]


def prepare(host: Host, settings: Settings) -> list[Machine]:
    """Make the machines, pin them to the same CPUs, and give every vCPU its load."""
    ask(host, *NEEDS)
    cpus = range(settings.cpus)
    machines = [host.create(name, vcpus=settings.vcpus, pin=cpus) for name in _names(settings)]
    for machine in machines:
        machine.run(CpuLoad(settings.load))
    return machines


def adjust(machines: list[Machine], settings: Settings) -> None:
    """Nothing here can be changed while the machines run."""


def run(host: Host, settings: Settings) -> Observation:
    """Watch equal machines that want more vCPUs than there are CPUs, on either host."""
    machines = prepare(host, settings)
    try:
        return host.observe(seconds=settings.seconds)
    finally:
        for machine in machines:
            machine.stop()
