"""Requests to a disk, and the limit that holds them back.

Picture a bucket with a hole. Each request pours a cup in; while there is room it goes on at once, and when the bucket
is full it waits at the tap until enough has run out. The hole is the limit, the bucket is the burst. QEMU holds disks
back in this way (util/throttle.c, `throttle_compute_wait`), with a bucket of a tenth of a second's requests where
nothing else is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING

from simpy.events import Timeout

if TYPE_CHECKING:
    from simpy import Environment
    from simpy.events import Event

    from labkit.host import DiskLoad
    from labkit.model.vcpu import VCpu

__all__ = ["BUCKET", "SERVICE", "Bucket", "Reader"]

BUCKET = 0.1
"""The bucket's size, in seconds of the limit (QEMU, util/throttle.c, `throttle_compute_wait`: ``bkt->avg / 10``)."""

SERVICE = 1e-4
"""Seconds that the store takes for a request that nothing holds back: an ordinary solid-state disk's 0.1 ms.

It decides what a disk without a limit does; below a limit of some hundred requests a second it leaves no trace."""


class Bucket:
    """A limit of requests per second on one disk.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    """

    def __init__(self, env: Environment) -> None:
        self._env = env
        self.iops = inf
        self._empty = 0.0  # when all that was poured in will have run out

    def limit(self, iops: float) -> None:
        """Let `iops` requests a second through from now on; those already waiting keep their moments."""
        if self.iops < inf and iops < inf:  # what is in the bucket runs out through another hole
            self._empty = self._env.now + max(self._empty - self._env.now, 0.0) * self.iops / iops
        self.iops = iops

    def wait(self) -> float:
        """Pour a request in; the seconds until it may go on."""
        if self.iops == inf:
            return 0.0
        now = self._env.now
        self._empty = max(self._empty, now)
        wait = max(self._empty - now - BUCKET, 0.0)
        self._empty += 1 / self.iops
        return wait


class Reader:
    """A `DiskLoad` that a machine runs: as many requests under way as its depth, each followed by the next.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    bucket : Bucket
        What holds the disk back.
    load : DiskLoad
        The load.
    meters : list of [int, float]
        The machine's meters, which go on from what they show: requests answered, and seconds that they took.
    """

    progress = 0.0  # it has no end of its own

    def __init__(self, env: Environment, bucket: Bucket, load: DiskLoad, meters: list) -> None:
        self._env = env
        self._bucket = bucket
        self._meters = meters
        self._ended = False
        for _ in range(load.depth):
            self._send()

    def grow(self, vcpus: Iterable[VCpu]) -> None:
        """More vCPUs change nothing for a disk."""

    def end(self) -> None:
        """Send no more."""
        self._ended = True

    def _send(self) -> None:
        asked = self._env.now

        def answered(_event: Event) -> None:
            if self._ended:
                return
            self._meters[0] += 1
            self._meters[1] += self._env.now - asked
            self._send()

        Timeout(self._env, self._bucket.wait() + SERVICE).callbacks.append(answered)
