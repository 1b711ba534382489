"""What happens from power-on until a machine can be used?

The hypervisor makes the machine, its firmware starts it, the kernel finds what there is, the first program prepares
the rest, and at last something answers. Or all of that is left out, as the memory of a machine that had booted is read
back from a file.

Settings
--------
start : ``cold``: from power-on; ``saved``: from the saved memory of a machine that had booted

Quantities
----------
The machine is `m1`; each stage is in s, and ends where the next begins.

hypervisor : from asking for the machine until the hypervisor's call is back: a process is made, devices, and, for
    ``saved``, the memory is read back. The vCPU has then just begun to run, or is about to.
firmware : from then until the kernel's clock begins: the firmware, and loading the kernel.
kernel : until the first program starts.
init : what the first program (``images/init``) does until it starts the agent.
agent : until the agent has answered for the first time.
total : all of that.

A ``saved`` machine has no firmware, kernel and init to wait for: they are 0, and theory says so. Everything else
depends on the computer, and no formula gives it: theory has none.

How the clocks are related, live: the kernel counts its seconds from its own start. Its uptime is asked for through the
agent, and the host's clock is read before and after; their difference is when the kernel's clock began, to half of
what that call takes. The provenance tells it as `clocks`, with how much that may be off, and the times of day as
`time stamps`.

Simulated is the same chain played with the stages' durations as they were measured once, in a run apart from any
comparison, on a computer that the provenance names (`labkit.model.booting`). So what can be compared is which
stage takes how much of the whole, and how cold and saved differ, not seconds.

Bound between live and simulated
--------------------------------
None for what takes time, as it is that computer's; decided before this experiment first ran live. For ``saved``, 0
for `firmware`, `kernel` and `init`, which do not take place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from labkit.experiments.needs import ask
from labkit.experiments.settings import choice
from labkit.host import Host, HostError, Observation
from labkit.host.timing import BOOT_STAGES, BootsMachines

__all__ = [
    "BOUNDS",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "Settings",
    "UNBOUNDED",
    "bounds",
    "machines",
    "run",
    "theory",
]

NAME = "boot"
QUESTION = "What happens from power-on until a machine can be used?"
LESSON = "01"
NEEDS = ("boots",)
QUANTITIES = dict.fromkeys((*BOOT_STAGES, "total"), "s")
LABELS = {
    "hypervisor": ("Hypervisor", "Making the machine; for a saved one, also reading its memory back."),
    "firmware": ("Firmware", "Until the kernel's clock begins."),
    "kernel": ("Kernel", "Until the first program starts."),
    "init": ("First program", "Until the agent is started."),
    "agent": ("Agent", "Until it has answered."),
    "total": ("From asking to the first answer", "The longer the bar, the longer somebody waits."),
}
HEADLINE = "total"
SKIPPED = ("firmware", "kernel", "init")
"""The stages that a saved machine does not go through."""
BOUNDS = dict.fromkeys(SKIPPED, 0.0)
UNBOUNDED = "How long a stage takes depends on the computer; what is simulated was measured on one of them."


@dataclass(frozen=True)
class Settings:
    """How the machine is started."""

    start: str = choice("cold", ("cold", "saved"), about="from power-on, or from the memory of a booted machine")


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated: for a saved machine's missing stages not at all, for others none is given."""
    return dict(BOUNDS) if settings.start == "saved" else {}


def machines(_settings: Settings) -> int:
    """How many machines there are."""
    return 1


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """Nothing but that a machine whose memory is read back does not boot: 0 s for what it leaves out.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used.

    Returns
    -------
    dict of (machine, quantity) to float or None
        The stages and `total`, in s.
    """
    missing = SKIPPED if settings.start == "saved" else ()
    return {("m1", quantity): 0.0 if quantity in missing else None for quantity in QUANTITIES}


def run(host: Host, settings: Settings) -> Observation:
    """Switch a machine on and keep what happened when, on either host."""
    ask(host, *NEEDS)
    if not isinstance(host, BootsMachines):
        raise HostError("This host does not tell of a boot.", "Use labkit.simulated() or labkit.live().")
    machine, seen = host.boot("m1", cast(Literal["cold", "saved"], settings.start))
    machine.stop()
    return seen
