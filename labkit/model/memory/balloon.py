"""The balloon: a tenant who was sent by the landlord, takes free shelves, and tells the landlord which.

It moves a request at a time and each takes its time, so a balloon that is sent far is long on its way; it may be sent
elsewhere before it has arrived.
"""

from __future__ import annotations

from simpy import Environment
from simpy.events import Event, Timeout

from labkit.model.memory.guest import GuestMemory
from labkit.model.memory.rules import MemoryRules

__all__ = ["Balloon"]

_CLOSE = 1e-6  # MiB


class Balloon:
    """The balloon in one guest.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    guest : GuestMemory
        The guest.
    rules : MemoryRules
        How much it moves at a time, and how fast.
    """

    def __init__(self, env: Environment, guest: GuestMemory, rules: MemoryRules) -> None:
        self._env = env
        self._guest = guest
        self._rules = rules
        self._moving = False
        self.target = guest.memory

    def go(self, target: float) -> None:
        """Leave the guest `target` MiB; on the way from now on."""
        self.target = target
        if not self._moving:
            self._next()

    def _next(self) -> None:
        """Begin with the next request, where there is one to make."""
        way = abs(self._guest.size - self.target)
        self._moving = way > _CLOSE
        if self._moving:
            amount = min(way, self._rules.balloon_request)
            Timeout(self._env, amount / self._rules.balloon_speed, amount).callbacks.append(self._moved)

    def _moved(self, event: Event) -> None:
        way = self._guest.size - self.target
        amount = min(event.value, abs(way))
        if way > 0:
            self._guest.inflate(amount)
        else:
            self._guest.deflate(amount)
        self._next()
