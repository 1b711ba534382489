"""A machine as the fluid host sees it: a mill that grinds several sacks of grain at once.

All sacks on the mill are ground equally fast. So nobody has to look at each of them all the time: one clock on the
mill counts how much has been ground from each sack since the mill last stood empty. A sack that comes is labelled
with what the clock will show when it is done; the lowest label is the next to be done, however the speed of the mill
changes before that. The clock is the virtual time of processor sharing (A. Parekh and R. Gallager, "A generalized
processor sharing approach to flow control", IEEE/ACM Transactions on Networking 1(3), 1993, section III).

A float forgets what is less than some 1e-16 of it. That is nothing, once; but a mill that works for hours forgets it
a hundred thousand times, and often on the same side. So whatever runs on for long, the clock, the labels and the time
of the next change, is kept as two floats: a number, and the little that it lacks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf

__all__ = ["Guest"]


class Guest:
    """What runs in one machine, and how fast.

    Parameters
    ----------
    name : str
        The machine's name.
    vcpus, shares : int
        As of the machine.
    pin : frozenset of int
        The host CPUs that it may use.
    cap, reservation : float
        In CPU, as of the machine.
    now : float
        The time of its creation in seconds.

    Attributes
    ----------
    serving : list of tuple
        What is being worked on, as a heap of ``(label, the little that it lacks, number, piece)``.
    waiting : deque of tuple
        What is not yet, as ``(piece, work)``, first come first.
    places : float
        How many pieces are worked on at once; infinite where all that come are.
    finished : callable
        Told of each piece that is done; None where nobody asks.
    rate : float
        What the machine gets at present, in CPU.
    pace : float
        What each piece gets of it.
    ready_rate, throttled_rate : float
        How many vCPUs want to run and do not, as others are before them, or as the cap does not let them.
    due : float
        When the next piece is done if nothing changes, on the host's clock; infinite where none will be.
    due_slip : float
        The little that `due` lacks.
    """

    __slots__ = (
        "_carry",
        "_clock",
        "_number",
        "_ran",
        "_readied",
        "_since",
        "_slip",
        "_throttled",
        "cap",
        "due",
        "due_slip",
        "finished",
        "name",
        "pace",
        "pin",
        "places",
        "rate",
        "ready_rate",
        "reservation",
        "serving",
        "shares",
        "throttled_rate",
        "vcpus",
        "waiting",
    )

    def __init__(
        self, name: str, vcpus: int, shares: int, pin: frozenset[int], cap: float, reservation: float, now: float
    ) -> None:
        self.name = name
        self.vcpus = vcpus
        self.shares = shares
        self.pin = pin
        self.cap = cap
        self.reservation = reservation
        self.serving: list[tuple[float, float, int, int]] = []
        self.waiting: deque[tuple[int, float]] = deque()
        self.places = inf
        self.finished: Callable[[int], None] | None = None
        self.rate = self.pace = self.ready_rate = self.throttled_rate = 0.0
        self.due = inf
        self.due_slip = 0.0
        self._number = 0
        self._clock = self._carry = 0.0
        self._since = now
        self._slip = 0.0
        self._ran = self._readied = self._throttled = 0.0

    @property
    def runnable(self) -> int:
        """How many of its vCPUs have something to do."""
        return min(len(self.serving), self.vcpus)

    @property
    def most(self) -> float:
        """The most that it can use at present, in CPU: each vCPU up to one CPU, and up to its part of the cap."""
        return self.runnable * min(1.0, self.cap / self.vcpus)

    def books(self, now: float) -> tuple[float, float, float]:
        """Seconds that its vCPUs have run, were ready, and were throttled, up to `now`; changes nothing."""
        passed = now - self._since
        return (
            self._ran + self.rate * passed,
            self._readied + self.ready_rate * passed,
            self._throttled + self.throttled_rate * passed,
        )

    def bring(self, now: float, slip: float = 0.0) -> None:
        """Bring the clock and the books up to `now`, and the little that it lacks; before anything changes here."""
        passed = (now - self._since) + (slip - self._slip)
        if passed == 0.0:
            return
        self._since = now
        self._slip = slip
        self._ran += self.rate * passed
        self._readied += self.ready_rate * passed
        self._throttled += self.throttled_rate * passed
        # Compensated summation: A. Neumaier, Zeitschrift für Angewandte Mathematik und Mechanik 54, 1974.
        step = self.pace * passed
        clock = self._clock
        self._clock = total = clock + step
        self._carry += (clock - total) + step if clock >= step else (step - total) + clock

    def flow(self, rate: float, throttled_rate: float) -> None:
        """Run at `rate` from the moment on up to which `bring` brought it, with so many vCPUs throttled."""
        self.rate = rate
        self.throttled_rate = throttled_rate
        serving = self.serving
        if not serving:
            self.pace = self.ready_rate = 0.0
            self.due = inf
            return
        self.ready_rate = max(self.runnable - rate - throttled_rate, 0.0)
        self.pace = pace = rate / len(serving)
        label, little, _, _ = serving[0]
        if pace <= 0.0 or label == inf:  # where reservations take all there is, a machine without one stands still
            self.due = inf
            return
        ahead = self._slip + max((label - self._clock) + (little - self._carry), 0.0) / pace
        self.due = due = self._since + ahead
        self.due_slip = (self._since - due) + ahead

    # -- pieces of work ---------------------------------------------------------------------------

    def add(self, piece: int, work: float) -> None:
        """Take a piece of so many CPU seconds; it waits where there is no place for it."""
        if len(self.serving) < self.places:
            self._serve(piece, work)
        else:
            self.waiting.append((piece, work))

    def extend(self, piece: int, work: float, most: float) -> None:
        """Add work to a piece, in CPU seconds, until it has `most` left; a piece that is not there is added."""
        for place, (label, little, number, other) in enumerate(self.serving):
            if other == piece:
                left = (label - self._clock) + (little - self._carry)
                self.serving[place] = (*self._label(min(left + work, most)), number, piece)
                heapify(self.serving)
                return
        self.add(piece, min(work, most))

    def widen(self, places: float) -> None:
        """Work on so many pieces at once, from now on."""
        self.places = places
        while self.waiting and len(self.serving) < places:
            self._serve(*self.waiting.popleft())

    def empty(self) -> None:
        """Drop all work."""
        self.serving.clear()
        self.waiting.clear()

    def finish(self) -> None:
        """Take off the piece that is due now, with all that are due with it; `bring` must have been called."""
        # By now the clock shows the label, but for a rounding error. It goes by the time that has passed, and is not
        # set to the label: so what one piece loses by rounding is not handed on to the others.
        label = self.serving[0][:2]
        done = []
        while self.serving and self.serving[0][:2] <= label:
            done.append(heappop(self.serving)[3])
        while self.waiting and len(self.serving) < self.places:
            self._serve(*self.waiting.popleft())
        for piece in done:
            if self.finished is not None:
                self.finished(piece)

    def _serve(self, piece: int, work: float) -> None:
        if not self.serving:
            self._clock = self._carry = 0.0
            self._number = 0
        self._number += 1
        heappush(self.serving, (*self._label(work), self._number, piece))

    def _label(self, work: float) -> tuple[float, float]:
        """What the clock will show when so much has been done, and the little that this number lacks."""
        if work == inf:
            return inf, 0.0
        clock = self._clock
        rest = self._carry + work
        label = clock + rest
        return label, (clock - label) + rest if clock >= rest else (rest - label) + clock

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self.serving)} at work, {len(self.waiting)} waiting, at {self.rate:g} CPU>"
