"""Equal pages: a librarian who walks along the shelves, again and again, and keeps one copy of what he finds twice.

He knows the books that he keeps for several (the *stable* tree), and on each walk notes down those that he may find
again (the *unstable* one, thrown away at the walk's end). A book that has changed since his last walk is not worth
noting. Who writes into a book that is kept for several first gets a copy of his own.

That is how Linux's kernel same-page merging goes (mm/ksm.c, `cmp_and_merge_page`; Documentation/admin-guide/mm,
ksm.rst). ESX's page sharing has the same ideas with hashes and hints: C. A. Waldspurger, "Memory resource management in
VMware ESX Server", OSDI 2002, section 4.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ZERO", "Pages", "Scanner"]

ZERO = 0
"""The content of a page that holds nothing but zeros."""

_ALONE, _WITH_OTHERS, _WITH_ZERO = 0, 1, 2


class Pages:
    """What is in the pages of one machine: a number for each, equal where the pages are.

    As long as nobody looks at them, what a program has filled is noted as a whole, and not page by page.
    """

    def __init__(self) -> None:
        self.contents: list[int] = []
        self.seen: list[int | None] = []
        self.state = bytearray()
        self.scanner: Scanner | None = None
        self._noted: list[tuple[int, int, int, int]] = []  # start, stop, how many are alike, seed; in order of time

    def __len__(self) -> int:
        return len(self.contents)

    def fill(self, start: int, stop: int, alike: int, seed: int) -> None:
        """A program fills the pages from `start` up to `stop`, as `labkit.host.MemoryLoad` has it.

        Parameters
        ----------
        start, stop : int
            Which pages.
        alike : int
            The pages below hold the same in all machines; from there on, what only programs of this seed write.
        seed : int
            The load's.
        """
        if self._noted and self._noted[-1][1:] == (start, alike, seed):
            start = self._noted.pop()[0]
        # What is written over is no more.
        self._noted = [noted for noted in self._noted if noted[0] < start or noted[1] > stop]
        self._noted.append((start, stop, alike, seed))
        if self.scanner is not None:
            self.write_out()

    def write_out(self) -> None:
        """Write single pages where so far it was only noted what is in them."""
        noted, self._noted = self._noted, []
        for start, stop, alike, seed in noted:
            for place in range(start, stop):
                # What is in a page is a number: above 0 where it is the same in all machines, below where its own.
                self.write(place, place + 1 if place < alike else -((seed << 32) + place + 1))

    def write(self, place: int, content: int) -> None:
        """Write a page; where it was shared its machine gets one of its own first."""
        for _missing in range(place - len(self.contents) + 1):
            self.contents.append(ZERO)
            self.seen.append(None)
            self.state.append(_ALONE)
        if self.state[place] != _ALONE and self.scanner is not None:
            self.scanner.part(self, place)
        self.contents[place] = content


class Scanner:
    """The librarian.

    Parameters
    ----------
    machines : iterable of Pages
        All pages that he walks along, in this order. What comes to be there on his way he looks at too.
    zero_pages : bool
        Whether a page of zeros is let point to the one that the host has anyway.
    """

    def __init__(self, machines: Iterable[Pages], *, zero_pages: bool) -> None:
        self._machines = list(machines)
        self._zero_pages = zero_pages
        self._stable: dict[int, int] = {}
        self._unstable: dict[int, tuple[Pages, int]] = {}
        self._machine = self._place = 0
        self._zeros = 0
        self.passes = 0
        for pages in self._machines:
            pages.write_out()
            pages.scanner = self

    @property
    def saved(self) -> int:
        """How many pages of the host are not needed, as others stand for them."""
        return sum(self._stable.values()) - len(self._stable) + self._zeros

    def merged(self, pages: Pages) -> int:
        """How many of a machine's pages point to one that is kept for several; pages of zeros aside."""
        return pages.state.count(_WITH_OTHERS)

    def scan(self, count: int) -> None:
        """Look at the next `count` pages, or at all where there are fewer."""
        for _page in range(min(count, sum(map(len, self._machines)))):
            while self._place >= len(self._machines[self._machine]):
                self._on_to_the_next_machine()
            self._look(self._machines[self._machine], self._place)
            self._place += 1
        if self._machine == len(self._machines) - 1 and self._place >= len(self._machines[self._machine]) > 0:
            self._on_to_the_next_machine()

    def part(self, pages: Pages, place: int) -> None:
        """Give a page that is shared back to its machine as one of its own."""
        if pages.state[place] == _WITH_ZERO:
            self._zeros -= 1
        else:
            content = pages.contents[place]
            self._stable[content] -= 1
            if not self._stable[content]:
                del self._stable[content]
        pages.state[place] = _ALONE
        pages.seen[place] = None

    def forget(self, pages: Pages) -> None:
        """A machine has been switched off: its pages are no more."""
        for place, state in enumerate(pages.state):
            if state != _ALONE:
                self.part(pages, place)
        for content in [content for content, (whose, _place) in self._unstable.items() if whose is pages]:
            del self._unstable[content]
        pages.contents, pages.seen, pages.state = [], [], bytearray()
        pages.scanner = None

    def part_all(self) -> None:
        """Give every machine its own pages again, and forget them."""
        for pages in self._machines:
            for place, state in enumerate(pages.state):
                if state != _ALONE:
                    self.part(pages, place)
            pages.scanner = None

    def _on_to_the_next_machine(self) -> None:
        self._place = 0
        self._machine += 1
        if self._machine == len(self._machines):
            self._machine = 0
            self._unstable.clear()
            self.passes += 1

    def _look(self, pages: Pages, place: int) -> None:
        if pages.state[place] != _ALONE:
            return
        content = pages.contents[place]
        if content in self._stable:
            self._stable[content] += 1
            pages.state[place] = _WITH_OTHERS
            return
        if pages.seen[place] != content:
            pages.seen[place] = content
            return
        if self._zero_pages and content == ZERO:
            self._zeros += 1
            pages.state[place] = _WITH_ZERO
            return
        other = self._unstable.get(content)
        # What was noted may have been written since.
        if other is not None and other != (pages, place) and other[0].contents[other[1]] == content:
            del self._unstable[content]
            self._stable[content] = 2
            pages.state[place] = other[0].state[other[1]] = _WITH_OTHERS
        else:
            self._unstable[content] = (pages, place)
