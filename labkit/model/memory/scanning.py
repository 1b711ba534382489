"""The librarian's hours: so many pages, then a rest, and so on until he is sent home."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simpy import Environment
from simpy.events import Event, Timeout

from labkit.host.memory import PAGES_PER_MIB
from labkit.model.memory.rules import MemoryRules
from labkit.model.memory.sharing import Pages, Scanner

__all__ = ["SimulatedSharing"]


class SimulatedSharing:
    """A simulated host that looks for equal pages; see `labkit.host.memory.PageSharing`.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    machines : mapping of str to Pages
        The pages of each machine that is there.
    rules : MemoryRules
        How many pages it looks at before it rests, where `rate` does not say, and for how long it rests.
    rate : float or None
        How many pages it looks at in a second.
    stopped : callable
        Called without arguments when it stops.
    """

    def __init__(
        self,
        env: Environment,
        machines: Mapping[str, Pages],
        rules: MemoryRules,
        rate: float | None,
        stopped: Callable[[], None],
    ) -> None:
        self._env = env
        self._machines = dict(machines)
        self._scanner = Scanner(self._machines.values(), zero_pages=rules.zero_pages)
        self._rest = rules.rest
        self._count = rules.pages_to_scan if rate is None else max(1, round(rate * rules.rest))
        self._stopped = stopped
        self._on = True
        self._next()

    @property
    def passes(self) -> int:
        """How often it has been through all pages since it began."""
        return self._scanner.passes

    @property
    def saved(self) -> float:
        """How much of the host's memory is not needed, as other pages stand for it, in MiB."""
        return self._scanner.saved / PAGES_PER_MIB

    def merged(self, machine: str) -> float:
        """How much of a machine's memory points to a page that is kept for several, in MiB; pages of zeros aside."""
        pages = self._machines.get(machine)
        return self._scanner.merged(pages) / PAGES_PER_MIB if pages is not None else 0.0

    def forget(self, machine: str) -> None:
        """A machine has been switched off: its pages are no more."""
        pages = self._machines.pop(machine, None)
        if pages is not None:
            self._scanner.forget(pages)

    def stop(self) -> None:
        """Give each machine its own pages again, and stop. Stopping twice is no error."""
        if self._on:
            self._on = False
            self._scanner.part_all()
            self._stopped()

    def __enter__(self) -> SimulatedSharing:
        return self

    def __exit__(self, *_how: object) -> None:
        self.stop()

    def _next(self) -> None:
        Timeout(self._env, self._rest).callbacks.append(self._look)

    def _look(self, _event: Event) -> None:
        if self._on:
            self._scanner.scan(self._count)
            self._next()
