"""A token bucket: coins drip into it at a steady rate, and each byte that passes takes one out.

While there are coins bytes pass at once; when it is empty they wait for the next. A second, tiny bucket, which drips
faster, decides how fast a full one may be emptied: the *peak*. So in any time t at most
min(burst + average·t, one frame + peak·t) bytes pass.

The two buckets are those of RFC 2697 and RFC 2698, with waiting instead of marking, as in Linux's tc-tbf(8).
"""

from __future__ import annotations

from math import inf

from labkit.host.networks import Shape

__all__ = ["LATENCY", "PEAK_FRAME", "Bucket", "buckets", "longest_queue"]

PEAK_FRAME = 1600
"""Bytes that the bucket of the peak holds, tc-tbf(8)'s ``mtu``: one frame with a tag, rounded up."""
LATENCY = 0.05
"""tc-tbf(8)'s ``latency``, in seconds: how much of a rate may wait besides a bucket's whole size."""


class Bucket:
    """One bucket, full at the beginning.

    Parameters
    ----------
    rate : float
        Bytes per second that drip in.
    size : float
        Bytes that it holds.
    """

    def __init__(self, rate: float, size: float) -> None:
        self.rate = rate
        self.size = size
        self._level = size
        self._at = 0.0

    def level(self, now: float) -> float:
        """What is in it, in bytes, at a moment that is not before the last that it was asked about."""
        return min(self.size, self._level + self.rate * (now - self._at))

    def ready(self, length: int, now: float) -> float:
        """The first moment from `now` on at which so many bytes are in it; infinite where it is too small for them."""
        missing = length - self.level(now)
        if missing <= 0:
            return now
        return now + missing / self.rate if length <= self.size else inf

    def take(self, length: float, now: float) -> None:
        """Take bytes out, at a moment at which it is `ready`."""
        # What has just dripped in to the last byte may come out a hair's breadth short of it.
        self._level = max(self.level(now) - length, 0.0)
        self._at = now


def buckets(shape: Shape) -> tuple[Bucket, ...]:
    """The buckets of a shape, in bytes: that of the average, and that of the peak where there is one."""
    found = [Bucket(shape.average * 1e6 / 8, shape.burst * 1e6)]
    if shape.peak is not None:
        found.append(Bucket(shape.peak * 1e6 / 8, PEAK_FRAME))
    return tuple(found)


def longest_queue(shape: Shape) -> float:
    """How many bytes may wait at the most: `limit` as tc works it out from `LATENCY` (iproute2, tc/q_tbf.c).

    Of each bucket a whole size and `LATENCY` of its rate, and of the two the smaller. So nothing waits longer than
    `LATENCY` where the bucket is full, and far longer behind an empty one: up to a second for 1 MB at 8 Mbit/s.
    """
    return min(bucket.rate * LATENCY + bucket.size for bucket in buckets(shape))
