"""Where frames leave one by one: a gate in front of a cable, with a queue before it.

A frame takes the time that its bytes need on the cable; behind a gate with a token bucket it waits for its coins too.
What comes while others wait stands in line, and what finds the line full is lost (*tail drop*).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf

from simpy import Environment
from simpy.events import Timeout

from labkit.host.networks import Shape
from labkit.model.net.bucket import buckets, longest_queue
from labkit.model.net.frames import Frame

__all__ = ["CARD", "HOP", "Outlet"]

CARD = 1e9 / 8
"""Bytes per second of a card and its cable: 1 Gbit/s (1000BASE-T, IEEE 802.3ab)."""
HOP = 20e-6
"""Seconds from one end of a cable to the other end, with all that software does there. It decides nothing but how long
a ping takes, and is an assumption: a packet through a virtual switch takes some tens of microseconds."""
LINE = 1000
"""Frames that may wait for a cable: Linux's usual ``txqueuelen``."""


class Outlet:
    """A gate that lets frames out in their order.

    Since frames leave in the order in which they came, each one's moment is known when it comes.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    deliver : callable
        Given each frame when it has arrived at the other end.
    shape : Shape, optional
        What holds it back.
    """

    def __init__(self, env: Environment, deliver: Callable[[Frame], None], shape: Shape | None = None) -> None:
        self._env = env
        self._deliver = deliver
        self.buckets = buckets(shape) if shape else ()
        self._most = longest_queue(shape) if shape else inf
        self._line: deque[tuple[float, int]] = deque()  # when each that waits will leave, and its length
        self._waiting = 0  # bytes
        self._begun = 0.0  # when the last one began to leave
        self._free = 0.0  # when the cable is free again
        self.sent = 0
        self.lost = 0

    def send(self, frame: Frame) -> bool:
        """Put a frame in line; False where the line is full, and the frame is lost."""
        now, length = self._env.now, frame.length
        while self._line and self._line[0][0] <= now:
            self._waiting -= self._line.popleft()[1]
        begins = max(now, self._free)
        if self.buckets:
            begins = max(begins, self._begun)
            for bucket in self.buckets:
                begins = max(begins, bucket.ready(length, begins))
        waits = begins > now
        if begins == inf or (waits and (len(self._line) >= LINE or self._waiting + length > self._most)):
            self.lost += 1
            return False
        for bucket in self.buckets:
            bucket.take(length, begins)
        if waits:
            self._line.append((begins, length))
            self._waiting += length
        self._begun = begins
        self._free = begins + length / CARD
        self.sent += 1
        arrived = Timeout(self._env, self._free - now + HOP)
        arrived.callbacks.append(lambda _event: self._deliver(frame))
        return True
