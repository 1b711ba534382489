"""A long flow as water: a tank of coins, a pipe as wide as the card, and a tap that drips.

Frame by frame a minute at 1 Gbit/s is five million frames. Taken as water it is three moments: the flow begins, the
bucket runs empty, the flow ends. Between them nothing changes. At each moment what has arrived by frames and by water
differs by no more than `within` bytes (`tests/model/test_net_fluid.py`).
"""

from __future__ import annotations

from collections.abc import Generator
from math import inf

from simpy import Environment
from simpy.events import Event, Timeout

from labkit.host.networks import Shape
from labkit.model.net.bucket import PEAK_FRAME, Bucket, buckets
from labkit.model.net.outlet import CARD, HOP

__all__ = ["Water", "within"]

FULL = 1514
"""Bytes of a full frame."""


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
        self._coins = held[0].level(env.now) if held else inf
        self._drips = held[0].rate if held else CARD
        self._fast = min([CARD, *(bucket.rate for bucket in held[1:])])
        self._poured = 0.0
        self._rate = 0.0
        self._began = self._since = env.now
        env.process(self._flow())

    @property
    def arrived(self) -> float:
        """Bytes that have arrived until now."""
        return self._poured + self._rate * (self._env.now - self._since)

    def stop(self) -> None:
        """Let no more flow; the bucket keeps what is left in it."""
        if self._held and self._fast > self._drips:
            now = self._env.now
            left = max(self._coins + self._drips * (now - self._began) - self.arrived, 0.0)
            self._held[0].take(self._held[0].level(now) - left, now)
        self._turn(0.0)

    def _turn(self, rate: float) -> None:
        self._poured, self._rate, self._since = self.arrived, rate, self._env.now

    def _flow(self) -> Generator[Event, None, None]:
        if self._fast > self._drips:
            self._turn(self._fast)
            yield Timeout(self._env, self._coins / (self._fast - self._drips))
        self._turn(min(self._fast, self._drips))


def within(shape: Shape | None) -> float:
    """How far apart frames and water may be at any moment, in bytes.

    A frame arrives whole, the peak's bucket lets one of its size go at once, and a frame that has left has three cables
    to pass, each as long as `HOP` and the frame itself.

    Parameters
    ----------
    shape : Shape or None
        What holds the flow back.
    """
    fast = min([CARD, *(bucket.rate for bucket in buckets(shape)[1:])]) if shape else CARD
    return 2 * FULL + PEAK_FRAME + fast * 3 * (HOP + FULL / CARD)
