"""Whose page goes: the ways in which memory is got back.

A landlord who needs shelves can ask the tenant, who knows what he will not miss; or send his own people by night, who
carry off whatever is nearest.

References
----------
C. A. Waldspurger, "Memory Resource Management in VMware ESX Server", OSDI 2002, section 3.
"""

from __future__ import annotations

from array import array
from random import Random

__all__ = ["Ours", "Theirs", "Victims"]


class Victims:
    """The pages of one guest that are in memory, and which goes next.

    Parameters
    ----------
    count : int
        How many there are; they are numbered from 0.
    random : random.Random
        What is left to chance.
    """

    def __init__(self, count: int, random: Random) -> None:
        self._random = random
        self._here = array("l", range(count))
        self._place = array("l", range(count))  # where each page is in `_here`; -1 where it is away

    def __contains__(self, page: int) -> bool:
        return self._place[page] >= 0

    def __len__(self) -> int:
        return len(self._here)

    def back(self, page: int) -> None:
        """A page has come back."""
        self._place[page] = len(self._here)
        self._here.append(page)

    def leave(self, page: int) -> None:
        """A page goes."""
        place, last = self._place[page], self._here.pop()
        self._place[page] = -1
        if last != page:
            self._here[place] = last
            self._place[last] = place

    def go(self) -> int:
        """Choose a page, and let it go."""
        raise NotImplementedError

    def any_here(self) -> int:
        """One of the pages that are here, each as likely."""
        return self._here[int(self._random.random() * len(self._here))]


class Theirs(Victims):
    """The host chooses, and knows nothing of what is in a page: each is as likely."""

    def go(self) -> int:
        """Choose a page, and let it go."""
        page = self.any_here()
        self.leave(page)
        return page


class Ours(Victims):
    """The guest chooses, and knows: first what it can spare, and only then what is worked on.

    Parameters
    ----------
    worked_on : int
        How many pages are worked on: the first ones.
    spare : int
        How many can be spared: free ones, and those that nobody comes to; they are not told apart.
    random : random.Random
        What is left to chance.
    """

    def __init__(self, worked_on: int, spare: int, random: Random) -> None:
        super().__init__(worked_on, random)
        self._spare = spare

    def __len__(self) -> int:
        return super().__len__() + self._spare

    def go(self) -> int:
        """Choose a page, and let it go; -1 for one that is spared."""
        if self._spare:
            self._spare -= 1
            return -1
        page = self.any_here()
        self.leave(page)
        return page
