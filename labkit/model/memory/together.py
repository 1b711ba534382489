"""Guests whose equal pages are kept once, while the host swaps what is lacking then.

Neighbours who found that they own the same books keep one of each for all of them. What room that does not give, the
landlord's people carry to the cellar, from each neighbour's own shelves; a book kept for several they leave alone. Who
writes into a common book needs a copy of his own, and for that something else has to go.

That all equal pages are found before the first is swapped is what ESX does: it shares while there is time, and tries to
share a page before it swaps it out (VMware, knowledge base 1021095, "Transparent Page Sharing"; C. A. Waldspurger,
"Memory Resource Management in VMware ESX Server", OSDI 2002, section 4). How fast a scanner finds them is
`labkit.model.memory.scanning`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random

from labkit.host.paging import PAGING, Programs
from labkit.model.memory.reclaim import Theirs

__all__ = ["Sharer", "held_by", "sharers"]


def held_by(pages: int, programs: Programs) -> tuple[int, int]:
    """How many of a guest's pages are worked on, and how many are held in all."""
    working = round(pages * programs.working)
    return working, min(pages, working + round(pages * programs.cold))


class Sharer:
    """One guest, some of whose pages are kept for others too.

    Parameters
    ----------
    pages, working, held : int
        How many pages it has, works on, and holds in all.
    lacking : int
        Of how many it has to be relieved.
    alike : dict of int to list of Sharer
        The pages that are the same in several guests, and in which now; shared by all guests.
    cost : float
        What it takes to bring a page back, in s.
    random : random.Random
        Which pages the host swaps.
    """

    def __init__(
        self,
        pages: int,
        working: int,
        held: int,
        lacking: int,
        alike: dict[int, list[Sharer]],
        cost: float,
        random: Random,
    ) -> None:
        self._pages, self._working, self._held, self._lacking = pages, working, held, lacking
        self._alike = alike
        self._cost = cost
        self._merged = bytearray(pages)
        self._by_count: Counter[int] = Counter()  # how many of its pages are kept for so many guests
        self._own = Theirs(pages, random)  # those that are in memory and its own
        self._swapped = 0

    def share(self, page: int) -> None:
        """Let a page be one of those that are kept for several."""
        self._merged[page] = 1
        self._by_count[len(self._alike[page])] += 1
        self._own.leave(page)

    def fit(self) -> None:
        """Swap pages until the guest takes no more than it should."""
        while self._swapped + self._relieved < self._lacking - 1e-6 and len(self._own):
            self._own.go()
            self._swapped += 1

    @property
    def _relieved(self) -> float:
        """Of a page that is kept for k guests, each has a k-th."""
        return sum(pages * (1 - 1 / count) for count, pages in self._by_count.items())

    def fetch(self, page: int, written: bool) -> float:
        """Have a page there, as one of its own where it is written to; how long that takes."""
        if page in self._own or self._merged[page] and not written:
            return 0.0
        if self._merged[page]:
            self._part(page)
            return PAGING.copy.value
        self._swapped -= 1
        self.fit()
        self._own.back(page)
        return self._cost

    def _part(self, page: int) -> None:
        """Take a page of its own in the place of a common one. Who is left alone with that has it as their own."""
        before = self._alike[page]
        after = [guest for guest in before if guest is not self]
        for guest in before:
            guest._by_count[len(before)] -= 1
        if len(after) > 1:
            self._alike[page] = after
            for guest in after:
                guest._by_count[len(after)] += 1
        else:
            del self._alike[page]
        for guest in after:
            guest.fit()
        self.fit()
        for guest in [self, *(after if len(after) == 1 else [])]:
            guest._merged[page] = 0
            guest._own.back(page)

    def got_back(self) -> float:
        """Of how many pages sharing relieves it; what is swapped besides is not in it."""
        return self._relieved

    def parts(self) -> dict[str, float]:
        """Where its pages are now, in pages; of one that is kept for k guests a k-th is this one's."""
        at = [1.0 if page in self._own else 0.0 for page in range(self._pages)]
        for page in range(self._held):
            if self._merged[page]:
                at[page] = 1 / len(self._alike[page])
        working, held = self._working, self._held
        return {
            "working_set": sum(at[:working]),
            "idle": sum(at[working:held]),
            "free": sum(at[held:]),
            "shared": self._relieved,
            "swapped": float(self._swapped),
        }


def sharers(
    pages: Mapping[str, int],
    lacking: Mapping[str, int],
    programs: Programs,
    cost: float,
    random: Random,
    draws: Mapping[str, Random],
) -> dict[str, Sharer]:
    """Guests whose equal pages have all been found, and of which the host has swapped what was lacking still.

    Parameters
    ----------
    pages, lacking : mapping of str to int
        How many pages each guest has, and of how many it has to be relieved.
    programs : Programs
        What they hold; which pages are alike has nothing to do with what is worked on.
    cost : float
        What it takes to bring a page back, in s.
    random, draws : random.Random
        Which pages are alike; for each guest, which are swapped.
    """
    alike: dict[int, list[Sharer]] = {}
    found = {
        name: Sharer(count, *held_by(count, programs), lacking[name], alike, cost, draws[name])
        for name, count in pages.items()
    }
    held = {name: held_by(count, programs)[1] for name, count in pages.items()}
    for page in range(max(held.values())):
        if random.random() < programs.identical:
            who = [found[name] for name in pages if page < held[name]]
            if len(who) > 1:
                alike[page] = who
                for guest in who:
                    guest.share(page)
    for guest in found.values():
        guest.fit()
    return found
