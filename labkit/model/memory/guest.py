"""A guest's memory: shelves in use, shelves that are free, and among those the ones that were never used.

Free shelves lie in one pile. Whoever needs some takes from the top, and whoever leaves some puts them on the top, as
Linux's page allocator does (mm/page_alloc.c: `__free_one_page` adds at the head of a free list, and
`get_page_from_free_area` takes from there). So what a program has just left is taken first, and what was never used
lies at the bottom: that decides whether the balloon's catch is worth anything to the host.
"""

from __future__ import annotations

from labkit.host import HostError
from labkit.host.memory import GUEST, Guest

__all__ = ["GuestMemory"]

_DUST = 1e-9  # MiB


class GuestMemory:
    """What there is in one guest, in MiB.

    Parameters
    ----------
    name : str
        Whose it is, for messages.
    memory : float
        The machine's memory in MiB.
    guest : Guest
        What is in such a guest from the start.

    Raises
    ------
    HostError
        Where such a guest could not start in so little.
    """

    def __init__(self, name: str, memory: float, guest: Guest = GUEST) -> None:
        self.memory = memory
        self.kept = guest.kept(memory)
        self.reserve = guest.reserve
        self.used = guest.used
        self.files = 0.0
        self._all_files = guest.files
        self.held = 0.0
        self.ballooned = 0.0
        room = memory - self.kept - self.used
        if room < self.reserve:
            # kept(m) = a + b m, so m - kept(m) - used >= reserve from here on
            least = (guest.kernel + guest.used + guest.reserve) / (1 - guest.bookkeeping)
            raise HostError(
                f"The guest in {name} does not start with {memory:g} MiB.", f"Give it {least:.0f} MiB or more."
            )
        touched = min(guest.touched, room)
        # From the bottom to the top: how much, and whether the host has room for it.
        self._pile: list[tuple[float, bool]] = [(room - touched, False), (touched, True)]

    @property
    def free(self) -> float:
        """What nobody in the guest uses (MemFree)."""
        return sum(amount for amount, _touched in self._pile)

    @property
    def total(self) -> float:
        """What its kernel has to deal out (MemTotal)."""
        return self.memory - self.kept - self.ballooned

    @property
    def size(self) -> float:
        """What the balloon leaves it."""
        return self.memory - self.ballooned

    @property
    def resident(self) -> float:
        """What of it takes room on the host: all that was ever used, less what the balloon gave back."""
        return self.kept + self.used + self.files + self.held + sum(amount for amount, touched in self._pile if touched)

    def least(self, coming: float = 0.0) -> float:
        """The smallest size at which the guest can go on, in MiB; `coming` MiB more are going to be used."""
        return self.kept + self.used + self.held + coming + self.reserve

    @property
    def unread(self) -> float:
        """What of a program's files has still to be read into memory."""
        return self._all_files - self.files

    def read(self) -> None:
        """A program is started: its files come to be in memory, and stay there. Those of one are all that there are."""
        self.files += self._off(self.unread)

    def take(self, amount: float) -> None:
        """A program takes so much, and uses it."""
        self.held += self._off(amount)

    def leave(self, amount: float) -> None:
        """A program leaves so much; the host does not hear of it."""
        amount = min(amount, self.held)
        self.held -= amount
        self._on(amount, touched=True)

    def inflate(self, amount: float) -> float:
        """The balloon takes so much, or what there is, and gives it to the host; how much it was."""
        taken = self._off(amount)
        self.ballooned += taken
        return taken

    def deflate(self, amount: float) -> float:
        """The balloon gives so much back to the guest; it takes no room on the host until it is used."""
        amount = min(amount, self.ballooned)
        self.ballooned -= amount
        self._on(amount, touched=False)
        return amount

    def _off(self, amount: float) -> float:
        taken = 0.0
        while self._pile and amount - taken > _DUST:
            there, touched = self._pile.pop()
            part = min(there, amount - taken)
            taken += part
            if there - part > _DUST:
                self._pile.append((there - part, touched))
        return taken

    def _on(self, amount: float, *, touched: bool) -> None:
        if self._pile and self._pile[-1][1] == touched:
            amount += self._pile.pop()[0]
        if amount > _DUST:
            self._pile.append((amount, touched))
