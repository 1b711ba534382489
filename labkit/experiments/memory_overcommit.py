"""A host has promised more memory than it has, and all of it is full. What does getting it back cost the guests?

Every machine's memory is full of pages: its programs work through some of them at random, hold others that they never
come back to, and the rest is free. The host lacks the part that was promised too much, and gets it back. A balloon lets
the guest choose what it can spare; swapping takes pages at random, as the host does not know what is in them; page
sharing keeps one of equal pages, and finds what it finds.

Settings
--------
cold : which part of a machine's memory its programs hold and never come back to
identical : which part of all that programs hold is the same in every machine
machines : how many machines there are
memory : what each was promised
ratio : how many times more is promised than there is
reclaim : how it is got back: ``balloon``, ``swap`` or ``sharing``
seconds : how long programs then work
seed : which pages programs come to, and which go
store : where pages are swapped to, by the guest or by the host: ``disk``, which turns, or ``ssd``
touches : how many pages a program comes to in a second of undisturbed work
working : which part of a machine's memory its programs work through
writes : which part of the pages that they come to is written to

Machines are `m1`, `m2` and so on.

Quantities
----------
reclaimed : what was got back from each machine in the end by the way that was chosen, in MiB. Page sharing may find
    less than is lacking.
short : what is still lacking then, in MiB. The host swaps it, at random, as ESX does; `slowdown` has what that costs.
slowdown : how many times longer the programs took, in 1.

Theory: a balloon gets all that is lacking, and its cost is exact: free pages go first, then cold ones, and what is
lacking still comes from those that programs work through, so that so large a part of them is missing at any time. What
random swapping costs falls with time, as cold pages that have gone once never come back: no closed form here. All
equal pages are found before the first is swapped, as on ESX, which shares while there is time and tries a page before
it swaps it; so what sharing finds is exact as long as nobody writes, and where it is enough it costs nothing then.

Bound between live and simulated
--------------------------------
None is given, as nothing is live: a guest of this course has no disk to swap to, and a host that swaps does so with
whatever else it carries.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, choice, integer, number, size
from labkit.host import Host, Observation, Row
from labkit.host.memory import PAGES_PER_MIB
from labkit.host.paging import MECHANISMS, PAGING, STORES, Programs, slowdown

__all__ = [
    "ACTS",
    "AT_FIRST",
    "BOUNDS",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "NOT_LIVE",
    "QUANTITIES",
    "QUESTION",
    "UNBOUNDED",
    "Settings",
    "bounds",
    "machines",
    "run",
    "simulated_host",
    "theory",
]

NAME = "memory-overcommit"
QUESTION = "A host has promised more memory than it has. What does getting it back cost the guests?"
LESSON = "03"
NEEDS = ("reclaim",)
QUANTITIES = {"reclaimed": "MiB", "short": "MiB", "slowdown": "1"}
LABELS = {
    "reclaimed": ("Memory got back", "Look at whether it is what was lacking."),
    "short": ("Short: not found in that way, so swapped besides", "Only sharing leaves some; the others find all."),
    "slowdown": ("Slowdown: how many times longer programs took", ""),
}
AT_FIRST = ("reclaim", "ratio", "store", "touches")
ACTS = {
    "identical": ("reclaim", "sharing"),
    "writes": ("reclaim", "sharing"),
}
HEADLINE = "slowdown"
BOUNDS: dict[str, float] = {}
_A_PAGE = 1 / PAGES_PER_MIB  # MiB
_COME_TO_AT_MOST = 4_000_000  # pages that all programs come to; a simulated million takes a second or two
UNBOUNDED = "Nothing of it is live: a guest of this course has no disk to swap to."
NOT_LIVE = UNBOUNDED


@dataclass(frozen=True)
class Settings:
    """How much too much was promised, what is in it, and how it is got back."""

    ratio: float = number(
        1.5, minimum=1.0, maximum=4.0, unit="1", about="how many times more is promised than there is"
    )
    reclaim: str = choice("balloon", MECHANISMS, about="how memory is got back")
    machines: int = integer(4, minimum=1, maximum=16, unit="", about="how many machines")
    memory: float = size(256.0, minimum=16.0, maximum=1024.0, about="what each machine was promised")
    working: float = number(0.5, minimum=0.0, maximum=1.0, unit="1", about="part that programs work through")
    cold: float = number(0.3, minimum=0.0, maximum=1.0, unit="1", about="part held and never come back to")
    identical: float = number(0.3, minimum=0.0, maximum=1.0, unit="1", about="part of what is held that all have")
    touches: float = number(256.0, minimum=1.0, maximum=4096.0, unit="1/s", about="pages that a program comes to")
    writes: float = number(0.2, minimum=0.0, maximum=1.0, unit="1", about="part of these that is written to")
    store: str = choice("disk", STORES, about="where pages are swapped to")
    seconds: float = number(60.0, minimum=1.0, maximum=600.0, unit="s", about="how long programs then work")
    seed: int = integer(1, minimum=0, maximum=1_000_000, unit="", about="which pages go, and which are come to")

    @property
    def names(self) -> list[str]:
        """The machines' names."""
        return [f"m{number}" for number in range(1, self.machines + 1)]

    @property
    def host_memory(self) -> float:
        """What the host has for all of them, in MiB."""
        return self.machines * self.memory / self.ratio

    @property
    def lacking(self) -> float:
        """What each machine was promised too much, in MiB."""
        return self.memory * (1 - 1 / self.ratio)

    def check(self) -> None:
        """Make sure that the settings fit each other.

        Raises
        ------
        SettingError
            Where they do not.
        """
        if self.working + self.cold > 1:
            raise SettingError(f"working and cold together must be at most 1, not {self.working + self.cold:g}.")
        come_to = self.machines * self.touches * self.seconds
        if come_to > _COME_TO_AT_MOST:
            seconds = _COME_TO_AT_MOST / (self.machines * self.touches)
            raise SettingError(
                f"{self.machines} machines that come to {self.touches:g} pages a second for {self.seconds:g} s would "
                f"take minutes: at most {seconds:.0f} s with these, or fewer machines, or fewer touches."
            )


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated: nothing is live."""
    return {}


def machines(settings: Settings) -> int:
    """How many machines a host is asked to create: none, the pages are looked at and nothing else."""
    return 0


def simulated_host(settings: Settings) -> dict[str, int]:
    """How the simulated host is opened: with the experiment's seed."""
    return {"cpus": 1, "seed": settings.seed}


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """What is got back and what that costs, where it has a closed form.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used; there are no CPU shares here.

    Returns
    -------
    dict of (machine, quantity) to float or None
        In the units of `QUANTITIES`; None for what has no closed form.

    References
    ----------
    What a missing page costs: `labkit.host.paging`.
    """
    lacking = 1 - 1 / settings.ratio
    free = 1 - settings.working - settings.cold
    reclaimed: float | None = lacking * settings.memory
    longer: float | None = None
    if settings.reclaim == "balloon" or lacking == 0 and settings.reclaim == "swap":
        missing = max(0.0, lacking - free - settings.cold) / settings.working if settings.working else 0.0
        longer = slowdown(settings.touches, missing, PAGING.stores[settings.store].value)
    if settings.reclaim == "sharing":
        reclaimed = _found(settings)
        enough = reclaimed is not None and reclaimed >= lacking * settings.memory
        longer = 1.0 if enough and settings.writes == 0 else None
    found: dict[tuple[str, str], float | None] = {}
    short = None if reclaimed is None else max(0.0, settings.lacking - reclaimed)
    for name in settings.names:
        found[name, "reclaimed"], found[name, "short"], found[name, "slowdown"] = reclaimed, short, longer
    return found


def _found(settings: Settings) -> float | None:
    """What sharing gets back from a machine on average, in MiB, where nobody writes."""
    if settings.writes > 0:
        return None
    held = settings.working + settings.cold
    return settings.memory * held * settings.identical * (1 - 1 / settings.machines)


def run(host: Host, settings: Settings) -> Observation:
    """Get memory back, and let the programs in the machines work; on a simulated host."""
    ask(host, *NEEDS)
    promised = dict.fromkeys(settings.names, settings.memory)
    programs = Programs(settings.working, settings.cold, settings.identical, settings.touches, settings.writes)
    seen = host.reclaim(  # type: ignore[attr-defined]  # who can "reclaim" is a `labkit.host.paging.ReclaimsMemory`
        promised,
        programs,
        settings.reclaim,
        memory=settings.host_memory,
        store=settings.store,
        seconds=settings.seconds,
    )
    rows: list[Row] = []
    for row in seen.rows:
        rows.append(row)
        if row["quantity"] == "reclaimed":
            still = settings.lacking - row["value"]
            whole = still if still > _A_PAGE else 0.0  # nobody gets back a part of a page
            rows.append({"machine": row["machine"], "quantity": "short", "unit": "MiB", "value": whole})
    return dataclasses.replace(seen, rows=tuple(rows))
