"""A host that has promised more memory than it has, and what that costs the programs in its machines.

All machines are full of pages: some that programs work on, some that they hold and never come back to, some free. The
host gets back what it lacks, by one of three ways, and then the programs go on working and find out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from random import Random
from typing import Any

from simpy import Environment

from labkit.host import HostError, Observation, Provenance, Row, Series
from labkit.host.memory import PAGES_PER_MIB
from labkit.host.paging import MECHANISMS, PAGING, Programs
from labkit.model.memory.demand import Working
from labkit.model.memory.reclaim import Ours, Theirs, Victims
from labkit.model.memory.rules import LINUX_MEMORY

__all__ = ["reclaim"]

TITLES = {
    "balloon": "a balloon: the guest swaps what it can spare",
    "swap": "the host swaps pages at random",
    "sharing": "a scanner keeps one of equal pages",
}


class _Guest:
    """One guest whose memory has been got back by a balloon or by swapping."""

    def __init__(self, pages: int, lacking: int, programs: Programs, how: str, cost: float, random: Random) -> None:
        working, held = _pages(pages, programs)
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


class _Shared:
    """All guests' pages that are equal, found one by one by a scanner that goes round and round.

    Those that were found equal in several machines are kept once for all of them, so that each of k machines is
    relieved of all but a k-th of it. Which pages are alike has nothing to do with what is worked on.
    """

    def __init__(self, pages: Mapping[str, int], programs: Programs, random: Random) -> None:
        self._names = list(pages)
        self._most = max(pages.values())
        drawn = [random.random() < programs.identical for _ in range(self._most)]
        self._alike = {name: bytearray(self._most) for name in pages}
        for name, count in pages.items():
            held = _pages(count, programs)[1]
            self._alike[name][:held] = bytes(drawn[:held])
        self._merged = {name: bytearray(self._most) for name in pages}

    def got_back(self, name: str) -> float:
        """Of how many pages a machine is relieved."""
        together = [sum(column) for column in zip(*self._merged.values(), strict=True)]
        return sum(1 - 1 / count for count, own in zip(together, self._merged[name], strict=True) if own)

    def parts(self, name: str, working: int, held: int, pages: int) -> dict[str, float]:
        """Where a machine's pages are now, as `_Guest.parts`; of a page kept for k machines a k-th is this one's."""
        together = [sum(column) for column in zip(*self._merged.values(), strict=True)]
        away = [1 - 1 / count if own else 0.0 for count, own in zip(together, self._merged[name], strict=True)]
        worked_on, idle = working - sum(away[:working]), held - working - sum(away[working:held])
        return {"working_set": worked_on, "idle": idle, "free": float(pages - held), "shared": sum(away)}

    def scan(self, env: Environment) -> None:
        """Begin to look, as fast as Linux does."""
        env.process(self._scanning(env))

    def _scanning(self, env: Environment) -> Generator[Any, Any, None]:
        place, places = 0, self._most * len(self._names)
        while True:
            yield env.timeout(LINUX_MEMORY.rest)
            for _ in range(LINUX_MEMORY.pages_to_scan):
                page, who = divmod(place, len(self._names))
                place = (place + 1) % places
                if self._alike[self._names[who]][page] and sum(own[page] for own in self._alike.values()) > 1:
                    self._merged[self._names[who]][page] = 1

    def fetch_for(self, name: str) -> Callable[[int, bool], float]:
        """What the programs of one machine call for each page that they come to."""
        alike, merged = self._alike[name], self._merged[name]

        def fetch(page: int, written: bool) -> float:
            if not written:
                return 0.0
            alike[page] = 0  # from now on it is this machine's own
            if not merged[page]:
                return 0.0
            merged[page] = 0
            return PAGING.copy.value

        return fetch


def _pages(pages: int, programs: Programs) -> tuple[int, int]:
    """How many pages are worked on, and how many are held in all."""
    working = round(pages * programs.working)
    return working, min(pages, working + round(pages * programs.cold))


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
    if how == "sharing":
        shared = _Shared(pages, programs, Random(f"alike/{seed}"))
        fetches = {name: shared.fetch_for(name) for name in machines}
    else:
        guests = {name: _Guest(pages[name], lacking[name], programs, how, cost, draws[name]) for name in machines}
        fetches = {name: guest.fetch for name, guest in guests.items()}
    at_work = {
        name: Working(env, _pages(pages[name], programs)[0], programs.touches, programs.writes, fetch, draws[name])
        for name, fetch in fetches.items()
    }
    if how == "sharing":
        shared.scan(env)
    env.run(until=env.now + seconds)
    rows: list[Row] = []
    series: list[Series] = []
    for one in machines:
        its = shared.parts(one, *_pages(pages[one], programs), pages[one]) if how == "sharing" else guests[one].parts()
        series += [Series(one, part, "MiB", (seconds,), (count / PAGES_PER_MIB,)) for part, count in its.items()]
        got = shared.got_back(one) if how == "sharing" else lacking[one]
        rows.append({"machine": one, "quantity": "reclaimed", "unit": "MiB", "value": got / PAGES_PER_MIB})
        rows.append({"machine": one, "quantity": "slowdown", "unit": "1", "value": at_work[one].slowdown})
    provenance = Provenance("simulated", name, mechanisms={"reclaim": TITLES[how]})
    return Observation(seconds, tuple(rows), tuple(series), (), provenance)
