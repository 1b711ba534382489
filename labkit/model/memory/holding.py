"""All that one machine has of memory: its guest's shelves, its balloon, and what is in its pages."""

from __future__ import annotations

import math
from collections.abc import Callable

from simpy import Environment

from labkit.host import HostError, MemoryLoad
from labkit.model.memory.balloon import Balloon
from labkit.model.memory.filling import Filling
from labkit.model.memory.guest import GuestMemory
from labkit.model.memory.rules import MemoryRules
from labkit.model.memory.sharing import Pages

__all__ = ["Holding"]


class Holding:
    """One machine's memory.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    name : str
        The machine's name.
    memory : float
        Its memory in MiB.
    rules : MemoryRules
        The hypervisor's.
    """

    def __init__(self, env: Environment, name: str, memory: float, rules: MemoryRules) -> None:
        self._env = env
        self._name = name
        self._rules = rules
        self.guest = GuestMemory(name, memory)
        self.balloon = Balloon(env, self.guest, rules)
        self.pages = Pages()
        self.watched = False  # whether an observation tells of it
        self._coming = 0.0  # MiB that a load is going to fill in all

    def seen(self) -> dict[str, float]:
        """The memory at this moment, in MiB; see `labkit.host.Machine.memory_seen`."""
        guest = self.guest
        return {
            "size": guest.size,
            "guest_total": guest.total,
            "guest_free": guest.free,
            "host_resident": guest.resident,
        }

    def checked(self, target: float) -> float:
        """A size that the balloon may leave the guest.

        Raises
        ------
        HostError
            Where the guest could not go on with it, with the least with which it can.
        ValueError
            Where it is more than the machine was made with.
        """
        if target > self.guest.memory:
            raise ValueError(f"memory is at most the {self.guest.memory:g} MiB that {self._name} was made with")
        least = math.ceil(self.guest.least(max(0.0, self._coming - self.guest.held)))
        if target < min(least, self.guest.memory):
            raise HostError(
                f"With {target:g} MiB the guest in {self._name} would run out of memory, and its kernel would end "
                "programs in it.",
                f"Leave it {least} MiB or more.",
            )
        return target

    def go(self, target: float) -> None:
        """Send the balloon."""
        self.watched = True
        self.balloon.go(target)

    def require(self, load: MemoryLoad) -> None:
        """Refuse a load that does not fit.

        Raises
        ------
        HostError
            With how much would.
        """
        # A balloon that is on its way counts as having arrived, whichever way is worse.
        free = self.guest.free - max(0.0, self.guest.size - self.balloon.target)
        most = math.floor(free - self._rules.filler - self.guest.unread)
        if load.size > most:
            raise HostError(
                f"The guest in {self._name} has no {load.size:g} MiB left to fill.", f"Fill {max(0, most)} MiB at most."
            )
        self._coming = load.size + self._rules.filler
        self.watched = True

    def fill(self, load: MemoryLoad, filled: Callable[[], None]) -> Filling:
        """Start a load that has been found to fit."""

        def done() -> None:
            self._coming = 0.0  # what the program needed for itself is free again
            filled()

        return Filling(self._env, self.guest, self.pages, load, self._rules, done)

    def emptied(self) -> None:
        """The load is over: nothing more is coming."""
        self._coming = 0.0
