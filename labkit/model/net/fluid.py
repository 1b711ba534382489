"""Long flows as water: a tank of coins for each, a tap that drips into it, and one pipe as wide as a card.

Frame by frame a minute at 1 Gbit/s is five million frames. Taken as water it is three moments: the flow begins, the
bucket runs empty, the flow ends. Between them nothing changes. At each moment what has arrived by frames and by water
differs by no more than `within` bytes (`tests/model/test_net_bucket.py`).

Where several flow to one machine, and want more than its cable takes, each gets the same, but nobody more than he wants
(max-min fairness, `labkit.model.fluid.filling`). So it is by frames too: senders with the same window wait in one
queue, each with what is left of its window, and the queue lets out frame after frame in their order.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from math import inf

from simpy import Environment
from simpy.events import Event, Timeout

from labkit.host.networks import Shape
from labkit.model.fluid.filling import fill
from labkit.model.net.bucket import PEAK_FRAME, Bucket, buckets
from labkit.model.net.outlet import CARD, HOP

__all__ = ["Water", "pour", "within"]

FULL = 1514
"""Bytes of a full frame."""
DRY = 1e-6
"""Bytes below which a tank is empty: what is left of a frame's coins by rounding."""


class Water:
    """A flow that never runs short of bytes to send.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    held : tuple of Bucket
        What holds it back: nothing, or the bucket of the average, and perhaps that of the peak.
    """

    def __init__(self, env: Environment, held: tuple[Bucket, ...]) -> None:
        self._env = env
        self._held = held
        self._coins = held[0].level(env.now) if held else 0.0
        self._drips = held[0].rate if held else CARD
        self._fast = min([CARD, *(bucket.rate for bucket in held[1:])])
        self._poured = 0.0
        self._rate = 0.0
        self._since = env.now
        self.over = False

    @property
    def arrived(self) -> float:
        """Bytes that have arrived until now."""
        return self._poured + self._rate * (self._env.now - self._since)

    @property
    def wanted(self) -> float:
        """How fast it would flow by itself, in bytes per second."""
        return self._fast if self._coins > DRY else min(self._fast, self._drips)

    @property
    def lasts(self) -> float:
        """After how many seconds its tank is empty; infinite where that never comes."""
        leaves = self._rate - self._drips
        return self._coins / leaves if self._coins > DRY and leaves > 0 else inf

    def turn(self, rate: float | None = None) -> None:
        """Bring it up to now, and let it flow at another rate from now on."""
        passed = self._env.now - self._since
        self._poured = self.arrived
        self._since = self._env.now
        if self._held:
            coins = self._coins + (self._drips - self._rate) * passed
            self._coins = min(max(coins, 0.0), self._held[0].size)
        self._rate = self._rate if rate is None else rate

    def stop(self) -> None:
        """Let no more flow; the bucket keeps what is left in it."""
        self.turn(0.0)
        self.over = True
        if self._held:
            now = self._env.now
            self._held[0].take(max(self._held[0].level(now) - self._coins, 0.0), now)


def pour(env: Environment, flows: Sequence[Water]) -> None:
    """Let several flow to one machine, through its one cable.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    flows : sequence of Water
        They begin now; see `Water.stop`.
    """
    env.process(_flow(env, flows))


def _flow(env: Environment, flows: Sequence[Water]) -> Generator[Event, None, None]:
    while True:
        for flow in flows:
            flow.turn()
        count = len(flows)
        for flow, rate in zip(flows, fill([1.0] * count, [0.0] * count, [f.wanted for f in flows], CARD), strict=True):
            flow.turn(rate)
        lasts = min(flow.lasts for flow in flows)
        if lasts == inf:
            return
        yield Timeout(env, lasts)
        if any(flow.over for flow in flows):
            return


def within(shape: Shape | None, others: int = 0) -> float:
    """How far apart frames and water may be at any moment, in bytes.

    A frame arrives whole, the peak's bucket lets one of its size go at once, and a frame that has left has three cables
    to pass, each as long as `HOP` and the frame itself. Of each other machine that sends to the same one two frames may
    be before it in the last queue, while all together want less than the cable takes.

    Parameters
    ----------
    shape : Shape or None
        What holds the flow back.
    others : int
        How many others flow to the same machine.
    """
    fast = min([CARD, *(bucket.rate for bucket in buckets(shape)[1:])]) if shape else CARD
    return 2 * FULL + PEAK_FRAME + fast * (3 * (HOP + FULL / CARD) + 2 * others * FULL / CARD)
