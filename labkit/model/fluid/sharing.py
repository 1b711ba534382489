"""The host's CPUs as one liquid: who gets how much from this moment to the next change.

Nothing happens between two changes, so nothing is calculated: at each change the liquid is shared out anew, and one
alarm is set for the first piece of work that will be done. That is exact, not a small step after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING

from simpy.events import Timeout

from labkit.model.fluid.filling import allocate

if TYPE_CHECKING:
    from simpy import Environment
    from simpy.events import Event

    from labkit.model.fluid.guest import Guest

__all__ = ["Sharing"]

_due = attrgetter("due")


class Sharing:
    """Shares the CPUs of one host out, at every moment, to whoever has work.

    Parameters
    ----------
    env : simpy.Environment
        The clock; other hosts may live by it too.
    cpus : int
        How many CPUs there are.
    """

    def __init__(self, env: Environment, cpus: int) -> None:
        self.env = env
        self.cpus = frozenset(range(cpus))
        # Those with work, and those of which something changed at this moment. Dictionaries, as they keep an order.
        self._busy: dict[Guest, None] = {}
        self._changed: dict[Guest, None] = {}
        self._unfair = False
        self._settling: Event | None = None
        self._alarm: Event | None = None
        self._next: float = inf

    # -- what becomes of a guest ------------------------------------------------------------------

    def add(self, guest: Guest, piece: int, work: float) -> None:
        """Give a guest a piece of work, in CPU seconds; infinite for one that has no end."""
        before = self._open(guest)
        guest.add(piece, work)
        self._close(guest, before)

    def extend(self, guest: Guest, piece: int, work: float, most: float) -> None:
        """Give a guest more work for a piece, in CPU seconds, up to `most`."""
        before = self._open(guest)
        guest.extend(piece, work, most)
        self._close(guest, before)

    def widen(self, guest: Guest, places: float) -> None:
        """Let a guest work on so many pieces at once."""
        before = self._open(guest)
        guest.widen(places)
        self._close(guest, before)

    def empty(self, guest: Guest) -> None:
        """Take all work from a guest."""
        before = self._open(guest)
        guest.empty()
        self._close(guest, before)

    def change(self, guest: Guest, **fields: object) -> None:
        """Change the shares, the pin, the cap or the number of vCPUs of a guest."""
        self._open(guest)
        for name, value in fields.items():
            setattr(guest, name, value)
        self._close(guest, -1)

    def _open(self, guest: Guest, slip: float = 0.0) -> int:
        guest.bring(self.env._now, slip)  # the property `now` takes three times as long
        return guest.runnable

    def _close(self, guest: Guest, before: int) -> None:
        """Note a change. All that happens at one moment is settled once."""
        self._changed[guest] = None
        if guest.runnable != before:
            self._unfair = True
            if guest.serving:
                self._busy[guest] = None
            else:
                self._busy.pop(guest, None)
        if self._settling is None:
            self._settling = Timeout(self.env, 0)
            self._settling.callbacks.append(self._settle)

    # -- from one change to the next --------------------------------------------------------------

    def _settle(self, _event: Event | None = None, slip: float = 0.0) -> None:
        """Share out anew, as far as what changed makes it necessary, and set the alarm."""
        self._settling = None
        changed, self._changed = self._changed, {}
        if self._unfair:
            self._unfair = False
            self._share(changed, slip)
        for guest in changed:
            if guest.serving:
                guest.flow(guest.rate, guest.throttled_rate)
            else:
                guest.flow(0.0, 0.0)
        soonest = min(self._busy, key=_due, default=None)
        if soonest is None or soonest.due == inf:
            self._alarm = None
        elif soonest.due != self._next or self._alarm is None:
            self._next = soonest.due
            self._alarm = Timeout(self.env, max(soonest.due - self.env._now, 0.0))
            self._alarm.callbacks.append(self._ring)

    def _share(self, changed: dict[Guest, None], slip: float) -> None:
        now = self.env._now
        busy = list(self._busy)
        mosts = [guest.most for guest in busy]
        rates = self._allocate(busy, mosts)
        throttled = self._throttled(busy, mosts, rates)
        for guest, rate, stopped in zip(busy, rates, throttled, strict=True):
            if guest in changed:
                guest.rate, guest.throttled_rate = rate, stopped  # the rest follows for all that changed
            elif rate != guest.rate or stopped != guest.throttled_rate:
                guest.bring(now, slip)
                guest.flow(rate, stopped)

    def _allocate(self, busy: list[Guest], mosts: Sequence[float]) -> Sequence[float]:
        weights = [guest.shares for guest in busy]
        leasts = [min(guest.reservation, most) for guest, most in zip(busy, mosts, strict=True)]
        return allocate(weights, leasts, mosts, [guest.pin for guest in busy], self.cpus)

    def _throttled(self, busy: list[Guest], mosts: Sequence[float], rates: Sequence[float]) -> list[float]:
        """How many vCPUs of each guest its cap holds back, where it gets all that its cap allows.

        A cap is a quota in every period, and whoever has not used it up runs as if there were none. So one period is
        gone through: all run at their parts, until the first has used up its quota; then the others, until the next
        has. From then on to the period's end a machine is throttled, with all of its vCPUs that have work; before that,
        those that did not run were ready. All periods begin together here: those of `labkit.model.bandwidth` begin at
        moments of their own, and where several machines' caps hold, more of their waiting is throttled there, and less
        ready. (Where vCPUs are many and machines few, this leaves CPUs idle at the end of a period which the mean rates
        use; the rates are the fair ones, this only divides up the rest.)
        """
        stopped = [0.0] * len(busy)
        quotas = {
            place: most
            for place, (guest, most) in enumerate(zip(busy, mosts, strict=True))
            if most < guest.runnable and rates[place] >= most
        }
        running = dict(enumerate(busy))
        passed = 0.0  # of one period
        while quotas:
            speeds = self._allocate(list(running.values()), [float(guest.runnable) for guest in running.values()])
            speed = dict(zip(running, speeds, strict=True))
            lasts = {place: left / speed[place] for place, left in quotas.items() if speed[place] > 0.0}
            step = min(lasts.values(), default=inf)
            passed += step
            if passed >= 1.0:
                break
            quotas = {place: left - speed[place] * step for place, left in quotas.items()}
            for place, last in lasts.items():
                if last <= step * (1 + 1e-12):
                    stopped[place] = busy[place].runnable * (1.0 - passed)
                    del quotas[place], running[place]
        return stopped

    def _ring(self, event: Event) -> None:
        """Take off whatever is done by now."""
        if event is not self._alarm:  # set before something came between
            return
        self._alarm = None
        self._settling = event  # what finishes now is settled below, at once
        # Where something else changed at this very moment nobody knows any more who is done: `_settle` finds out.
        done = [guest for guest in self._busy if guest.due <= self._next and guest not in self._changed]
        # The exact moment is not always a float: the clock shows the nearest.
        slip = (done[0].due - self.env._now) + done[0].due_slip if done else 0.0
        for guest in done:
            before = self._open(guest, slip)
            guest.finish()
            self._close(guest, before)
        self._settle(slip=slip)

    def abandon(self) -> None:
        """Forget everything; the host calls this when it breaks."""
        self._busy.clear()
        self._changed.clear()
        self._alarm = None
