"""How much memory does a host save when it keeps equal pages once?

Several machines fill the same amount of memory. A part of it holds the same in all of them, page by page, the rest is
each machine's own. The host goes through all pages, again and again, and keeps one of those that are equal.

Settings
--------
machines : how many machines fill their memory
identical : which part of what they fill is the same in all of them
size : how much each of them fills

Quantities
----------
saved : memory that the host does not need, as one page stands for several, in MiB. The simulated host counts the pages
    that it keeps. Live it is worked out from how much of each machine's memory points to a page that is kept for
    several (``ksm_merging_pages`` of its QEMU process), less that of another machine of the same kind that fills
    nothing: guests of one image have much in common from the start, and that is not the question here. How many of
    these pages the kernel keeps it tells for the whole computer only; there it is reckoned that of n equal pages one
    is kept. Pages of zeros are not counted.

    It belongs to the machine `host`, as no guest sees it.
shared : each machine's part of that, in MiB: of what it fills, what takes no room as it is kept for several. Of a page
    that n machines have in common, each is relieved of (n - 1)/n. It is counted by machine on both hosts. How much of
    what a machine fills is its own besides, comes as the series `used`.

A live host does this only where it is allowed: it is a switch of the whole computer. With LABKIT_ALLOW_KSM=1, as root,
it is switched on for the time of the experiment, and then everything is put back as it was.

Bound between live and simulated
--------------------------------
2 MiB for each machine but the first; written before this experiment first ran live. What is known of a filled machine
is its difference from one that is not filled, and two guests differ by what their agent and their kernel happen to have
written meanwhile: some hundreds of pages, of which 512 are 2 MiB. Where nothing is shared both are 0. Of `shared`,
which came later, (n - 1)/n of the same 2 MiB for each machine; written before that was first measured.

The first live run was 6.3 MiB off, beyond that. A look at the guests' pages one by one found why: the kernel of a guest
that is nearly full moved filled pages together and left copies behind. The program that fills switches that off since;
the bound stayed as it was.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from labkit.experiments.needs import ask
from labkit.experiments.phases import joined
from labkit.experiments.settings import integer, number, size
from labkit.host import Host, HostError, Machine, MemoryLoad, Observation, Row, Series
from labkit.host.memory import GUEST, PAGES_PER_MIB, PageSharing

__all__ = [
    "BOUNDS",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "TOGETHER",
    "UNDISTURBED",
    "Settings",
    "bounds",
    "machines",
    "run",
    "theory",
]

NAME = "memory-sharing"
QUESTION = "How much memory does a host save when it keeps equal pages once?"
LESSON = "03"
NEEDS = ("sharing", "filling")
QUANTITIES = {"saved": "MiB", "shared": "MiB"}
LABELS = {
    "saved": ("Saved by sharing", "Of what is the same in all machines, every copy but one."),
    "shared": ("Shared: what each machine is relieved of", "What is the same, less its own share of the one copy."),
}
HEADLINE = "saved"
TOGETHER = ("shared",)
UNDISTURBED = "these are amounts of memory, and no matter of CPU time"
BOUNDS = {"saved": 6.0, "shared": 1.5}

RATE = 50_000.0  # pages per second; the kernel's own 5,000 would make the experiment ten times as long
PASSES = 3  # the first sees what is there, the second merges what has not changed, the third what came in its way
SETTLED = 0.5  # MiB that a further pass may add when it is over
PATIENCE = 180.0  # seconds, for filling and for scanning
LOOK = 1.0  # seconds
ROOM = 16.0  # MiB in a guest besides what it fills, is used and is kept; Python and what it is read from go there


@dataclass(frozen=True)
class Settings:
    """How many machines there are, what they fill, and how much of that is the same."""

    machines: int = integer(4, minimum=1, maximum=16, unit="machines", about="how many fill their memory")
    identical: float = number(0.5, minimum=0.0, maximum=1.0, unit="1", about="part of it that is the same in all")
    size: float = size(48.0, minimum=1.0, maximum=256.0, about="how much each of them fills")


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, in MiB."""
    return {"saved": 2.0 * (settings.machines - 1), "shared": 2.0 * (1 - 1 / settings.machines)}


def machines(settings: Settings) -> int:
    """How many guests there will be: one more, which fills nothing."""
    return settings.machines + 1


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float]:
    """Of what is the same in all machines, every copy but one is saved: (machines - 1) x identical x size, exactly.

    That is shared by all machines alike.

    Memory is shared by whole pages of 4096 bytes, so the part that is the same is rounded to them.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used; CPU shares do not matter here.

    Returns
    -------
    dict of (machine, quantity) to float
        `saved` of `host` and `shared` of each machine, in MiB.

    References
    ----------
    C. A. Waldspurger, "Memory resource management in VMware ESX Server", OSDI 2002, section 4.
    """
    alike = round(round(settings.size * PAGES_PER_MIB) * settings.identical)
    saved = (settings.machines - 1) * alike / PAGES_PER_MIB
    return {("host", "saved"): saved} | {(name, "shared"): saved / settings.machines for name in _names(settings)}


def run(host: Host, settings: Settings) -> Observation:
    """Fill machines with what is known, let the host look for equal pages, and count, on either host."""
    ask(host, *NEEDS)
    with ExitStack() as afterwards:
        filled, control = _fill(host, settings, afterwards)
        sharing = afterwards.enter_context(host.share_pages(RATE))
        parts: list[Observation] = []
        saved: list[float] = []
        shared: dict[str, list[float]] = {name: [] for name in filled}
        merged = [0.0]  # by the number of passes there have been
        while True:
            parts.append(host.observe(LOOK, LOOK))
            now = _shared(sharing, filled, control)
            for name, part in now.items():
                shared[name].append(part)
            saved.append(math.fsum(now.values()) if sharing.saved is None else sharing.saved)
            while len(merged) <= sharing.passes:
                merged.append(saved[-1])
            if sharing.passes >= PASSES and abs(merged[-1] - merged[-2]) < SETTLED:
                break
            if sum(part.seconds for part in parts) > PATIENCE:
                raise HostError(
                    f"The host went through all pages {sharing.passes} times in {PATIENCE:g} s, and there was still "
                    "more to share.",
                    "Try fewer machines or less memory.",
                )
    rows: list[Row] = [{"machine": "host", "quantity": "saved", "unit": "MiB", "value": saved[-1]}]
    rows += [
        {"machine": name, "quantity": "shared", "unit": "MiB", "value": those[-1]} for name, those in shared.items()
    ]
    ends = tuple(math.fsum(part.seconds for part in parts[:count]) for count in range(1, len(parts) + 1))
    lines = [Series("host", "saved", "MiB", ends, tuple(saved))]
    for name, those in shared.items():
        own = tuple(settings.size - part for part in those)
        lines += [Series(name, "shared", "MiB", ends, tuple(those)), Series(name, "used", "MiB", ends, own)]
    return dataclasses.replace(joined(parts, rows), series=tuple(lines))


def _fill(host: Host, settings: Settings, afterwards: ExitStack) -> tuple[list[str], str]:
    """Make the machines, fill them, and give their names, and that of the one that was not filled."""
    # Whole steps of 64 MiB, so that few sizes of guests have to be booted and saved.
    needed = (GUEST.kernel + GUEST.used + ROOM + settings.size) / (1 - GUEST.bookkeeping)
    memory = max(128, math.ceil(needed / 64) * 64)
    names = _names(settings)
    loads = {name: MemoryLoad(settings.size, settings.identical, seed=number) for number, name in enumerate(names, 1)}
    loads["control"] = MemoryLoad(0.0)  # the same program, so that the same files are in memory
    jobs = []
    for name, load in loads.items():
        machine: Machine = host.create(name, memory=memory)
        afterwards.callback(machine.stop)
        jobs.append(machine.run(load))
    for job in jobs:
        job.wait(PATIENCE)
        if job.progress < 1.0:
            raise HostError(f"A guest did not fill its memory within {PATIENCE:g} s.", "Try again, or a smaller size.")
    return names, "control"


def _names(settings: Settings) -> list[str]:
    return [f"m{number}" for number in range(1, settings.machines + 1)]


def _shared(sharing: PageSharing, filled: list[str], control: str) -> dict[str, float]:
    """What each of the filled machines is relieved of, in MiB.

    What points to a common page in one of n machines that are filled alike does so in all n, and one of these is kept.
    """
    before, part = sharing.merged(control), (len(filled) - 1) / len(filled)
    return {name: (sharing.merged(name) - before) * part for name in filled}
