"""How much slower is a program in a virtual machine, and what makes it so?

A small program does one thing over and over: on the host itself, and in a guest. Most of a guest's instructions run on
the processor itself. What must not leads out of the guest, and each *exit* costs time; so it matters what the program
does. A hosted hypervisor (type 2) adds the way through the host's own kernel, a hypervisor inside a guest
multiplies exits. Where the processor's help cannot be had, the guest's instructions are translated: *emulation*.

Settings
--------
kind : what the program does: ``compute``: it counts; ``system-call``: it asks the kernel for a number; ``disk``: it
    reads 4 KiB from a disk; ``network``: it sends a packet
seconds : how long it does so each time, in every place
repeats : how many times, in turn; the median counts
rate : how many times in a second it does its thing natively, for disk and network; for theory and simulation alone, as
    a live host finds it out: the mechanisms of its provenance tell it, to be set here

Machines are the places: `native`, the host itself; `guest`; `hosted`, a guest of a hosted hypervisor; `nested`, a guest
of a hypervisor that is itself in a guest; and for ``compute`` `emulated`, a guest whose processor is emulated. For the
other kinds nobody has published what emulation costs, and the row is left out.

Theory and simulation of `guest`, `hosted` and `nested` suppose hardware assistance (VT-x, AMD-V), with the published
costs of `labkit.host.costs`, each with its source. Live, `guest` is a guest as this host can run it. **Where the
accelerator is TCG it has nothing to do with exits**: QEMU translates every instruction, and what was measured is to be
compared with `emulated`, which then shows the same measurement. The provenance says which it was. `hosted` and `nested`
are not measured: labkit has no VMware Workstation, VirtualBox or Parallels Desktop, and no hypervisor in its guests.

``disk`` live: the guest reads from its read-only disk of tools, past its own cache; the host reads the same file from
its page cache, which is what QEMU does for the guest. So it is the price of the way through the virtual disk, not
of a disk. ``network`` is not measured: a guest of labkit has a card without a cable.

Quantities
----------
slowdown : the time that the same work takes there, divided by the time that it takes natively, in 1; `native` is 1.

Bound between live and simulated
--------------------------------
None, for any kind; decided before this experiment first ran live. What is simulated is a computer of 2010 with the
costs published of it, what is measured is the one at hand; and under TCG the factor depends on which instructions a
program has, 4 and 10 being both published by one author for one version. What must hold is that no place is
faster than the host itself by more than the measurement scatters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from labkit.experiments.needs import ask
from labkit.experiments.settings import choice, integer, number
from labkit.host import Host, HostError, Observation, Row
from labkit.host.costs import COSTS
from labkit.host.timing import KINDS, PLACES, Program, TimesPrograms

__all__ = [
    "BOUNDS",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "ROWS",
    "SIMULATED_ONLY",
    "Settings",
    "UNBOUNDED",
    "bounds",
    "machines",
    "needs",
    "run",
    "theory",
]

NAME = "overhead"
QUESTION = "How much slower is a program in a virtual machine, and what makes it so?"
LESSON = "01"
NEEDS = ("programs",)
ROWS = "place"
QUANTITIES = {"slowdown": "1"}
LABELS = {
    "slowdown": (
        "Slowdown",
        "1 is the host itself; the longer the bar, the longer the same work takes.",
        "times as long",
    )
}
BOUNDS: dict[str, float] = {}
UNBOUNDED = "The costs were published of other computers, and what emulation costs depends on a program's instructions."
SIMULATED_ONLY = ("hosted", "nested")
"""The places that a live host of labkit does not have."""
_USES_A_DEVICE = ("disk", "network")


@dataclass(frozen=True)
class Settings:
    """What the program does, and for how long."""

    kind: str = choice("compute", KINDS, about="what the program does over and over")
    seconds: float = number(0.5, minimum=0.05, maximum=5.0, unit="s", about="how long it does so each time")
    repeats: int = integer(3, minimum=1, maximum=15, unit="1", about="how many times; the median counts")
    rate: float = number(
        10_000.0, minimum=10.0, maximum=1_000_000.0, unit="1/s", about="uses of a disk or card in a second, natively"
    )


def bounds(_settings: Settings) -> dict[str, float]:
    """How far live may be from simulated: no bound is derived (`UNBOUNDED` says why)."""
    return {}


def needs(settings: Settings) -> tuple[str, ...]:
    """What it asks of a host with these settings."""
    return (*NEEDS, "network programs") if settings.kind == "network" else NEEDS


def machines(_settings: Settings) -> int:
    """How many machines there are: the guest."""
    return 1


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float]:
    """T = T_native × (1 + exits in a native second × cost of one), and for emulation T = T_native × factor.

    Exits in a second are those of the guest's clock, and those of the uses of a device. The formula counts the clock's
    ticks in a second of work; in truth they come in a second of time, so that a slow guest has more of them:
    T = T_native × (1 + device exits × cost) / (1 − ticks × cost). The difference is below a thousandth of what is
    measured here. Where ticks × cost reaches 1 there is no T: such a guest only handles interrupts.

    Its other limits: exits cost the same every time, whatever the caches have lost; nothing goes on while the guest is
    left (a disk that works meanwhile makes an exit cheaper than it says); and there is a CPU for the guest.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used.

    Returns
    -------
    dict of (machine, quantity) to float
        `slowdown` in 1.

    References
    ----------
    The costs and their sources are in `labkit.host.costs`. The formula is, in words, that of A. Landau, M. Ben-Yehuda
    and A. Gordon, "SplitX: split guest/hypervisor execution on multi-core", WIOV 2011: the overhead of a single exit is
    multiplied by the frequency of exits. That a system call does not exit: Intel, *Software Developer's Manual*,
    volume 3C, "Instructions that cause VM exits", which has no SYSCALL.
    """
    uses = settings.rate if settings.kind in _USES_A_DEVICE else 0.0
    ticks = COSTS.ticks.value * COSTS.exits_per_tick.value
    out, device, switches = COSTS.exit.value, COSTS.device.value, 2 * COSTS.world_switch.value
    many = COSTS.exits_per_nested_exit.value
    overhead = {
        "native": 0.0,
        "guest": ticks * out + uses * device,
        "hosted": ticks * (out + switches) + uses * (device + switches + COSTS.host_path.value),
        "nested": ticks * many * out + uses * (device + (many - 1) * out),
    }
    found = {(place, "slowdown"): 1 + cost for place, cost in overhead.items()}
    if settings.kind == "compute":
        found["emulated", "slowdown"] = COSTS.translated.value * COSTS.software_mmu.value
    return found


def run(host: Host, settings: Settings) -> Observation:
    """Time the program in every place that a host has."""
    ask(host, *needs(settings))
    if not isinstance(host, TimesPrograms):
        raise HostError("This host does not time programs.", "Use labkit.simulated() or labkit.live().")
    program = Program(settings.kind, settings.seconds, settings.repeats, settings.rate)  # type: ignore[arg-type]
    guest = host.create("guest")
    try:
        seen = host.times(program, guest)
    finally:
        guest.stop()
    native = seen.value("native", "seconds")
    rows = [
        Row(**{**row, "quantity": "slowdown", "unit": "1", "value": row["value"] / native})
        for row in sorted(seen.rows, key=lambda row: PLACES.index(row["machine"]))
    ]
    return dataclasses.replace(seen, rows=tuple(rows))
