"""A host that has promised more memory than it has, and what that costs the programs in its machines.

All machines are full of pages: some that programs work on, some that they hold and never come back to, some free. The
host gets back what it lacks, by one of three ways, and then the programs go on working and find out.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from simpy import Environment

from labkit.host import HostError, Observation, Provenance, Row, Series
from labkit.host.memory import PAGES_PER_MIB
from labkit.host.paging import MECHANISMS, PAGING, Programs
from labkit.model.memory.demand import Working
from labkit.model.memory.reclaim import Ours, Theirs, Victims
from labkit.model.memory.together import Sharer, held_by, sharers

__all__ = ["reclaim"]

TITLES = {
    "balloon": "a balloon: the guest swaps what it can spare",
    "swap": "the host swaps pages at random",
    "sharing": "one of equal pages is kept, and the host swaps at random what is lacking then",
}


class _Guest:
    """One guest whose memory has been got back by a balloon or by swapping."""

    def __init__(self, pages: int, lacking: int, programs: Programs, how: str, cost: float, random: Random) -> None:
        working, held = held_by(pages, programs)
        self._pages, self._working, self._held = pages, working, held
        self._cost = cost
        self._victims: Victims = Theirs(pages, random) if how == "swap" else Ours(working, pages - working, random)
        for _ in range(lacking):
            self._victims.go()

    def fetch(self, page: int, _written: bool) -> float:
        """Bring a page back where it is away, and let another go; how long that takes."""
        if page in self._victims:
            return 0.0
        self._victims.go()
        self._victims.back(page)
        return self._cost

    def got_back(self) -> float:
        """How many of its pages are not there."""
        return float(self._pages - len(self._victims))

    def parts(self) -> dict[str, float]:
        """Where its pages are now: worked on, held and not come to, free, or got back; in pages."""
        here = self._victims
        worked_on = sum(page in here for page in range(self._working))
        if isinstance(here, Ours):  # which of those that it can spare are gone is not told apart: free ones go first
            spare = len(here) - worked_on
            idle = min(spare, self._held - self._working)
            gone = "ballooned"
        else:
            idle = sum(page in here for page in range(self._working, self._held))
            spare, gone = len(here) - worked_on, "swapped"
        return {"working_set": worked_on, "idle": idle, "free": spare - idle, gone: self._pages - len(here)}


def reclaim(
    env: Environment,
    machines: Mapping[str, float],
    programs: Programs,
    how: str,
    *,
    memory: float,
    store: str,
    seconds: float,
    seed: int,
    name: str = "simulated host",
) -> Observation:
    """Carry out `labkit.host.paging.ReclaimsMemory.reclaim` on a clock; each machine lacks in proportion to its memory.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    machines, programs, how, memory, store, seconds
        As there.
    seed : int
        Decides which pages programs come to, and which go.
    name : str
        The host in words.

    Raises
    ------
    HostError
        Where there is no such way.
    """
    if how not in MECHANISMS:
        raise HostError(f"Memory cannot be got back by {how!r:.20}.", f"Choose one of {', '.join(MECHANISMS)}.")
    promised = sum(machines.values())
    part = max(0.0, 1 - memory / promised)
    pages = {name: round(size * PAGES_PER_MIB) for name, size in machines.items()}
    lacking = {name: round(count * part) for name, count in pages.items()}
    cost = PAGING.stores[store].value
    draws = {name: Random(f"reclaim/{seed}/{name}") for name in machines}
    guests: Mapping[str, _Guest | Sharer]
    if how == "sharing":
        guests = sharers(pages, lacking, programs, cost, Random(f"alike/{seed}"), draws)
    else:
        guests = {name: _Guest(pages[name], lacking[name], programs, how, cost, draws[name]) for name in machines}
    at_work = {
        name: Working(
            env, held_by(pages[name], programs)[0], programs.touches, programs.writes, guest.fetch, draws[name]
        )
        for name, guest in guests.items()
    }
    env.run(until=env.now + seconds)
    for programs_of_one in at_work.values():
        programs_of_one.end()
    rows: list[Row] = []
    series: list[Series] = []
    for one in machines:
        its = guests[one].parts()
        series += [Series(one, part, "MiB", (seconds,), (count / PAGES_PER_MIB,)) for part, count in its.items()]
        got = guests[one].got_back() / PAGES_PER_MIB
        rows.append({"machine": one, "quantity": "reclaimed", "unit": "MiB", "value": got})
        rows.append({"machine": one, "quantity": "slowdown", "unit": "1", "value": at_work[one].slowdown})
    provenance = Provenance("simulated", name, mechanisms={"reclaim": TITLES[how]})
    return Observation(seconds, tuple(rows), tuple(series), (), provenance)
