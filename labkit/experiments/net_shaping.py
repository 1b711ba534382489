"""How much gets through a port that may take only so much?

`m1` sends to `m2` as much as it can. Its port has a *token bucket*: coins drip in at the average rate, a byte that
passes takes one out, and a full bucket may be emptied at the peak rate. Another machine, `m3`, may send to `m2` at the
same time, through a bucket of its own at its own port.

Settings
--------
average : the steady rate
peak : how fast a burst may go; 0 for as fast as the card can
burst : how much may go at more than the average, in MB (10^6 bytes)
seconds : how long they send
beside : the steady rate of `m3`, with twice that at the peak and the same burst; 0 for no `m3`

Quantities
----------
rate : what arrives in the second half of the time, in Mbit/s (10^6 bits): the steady state, where the burst is over by
    then.
bytes : what has arrived in all, in B.

Both count whole Ethernet frames, without preamble and checksum, as the bucket does. A program such as iperf3 counts its
own bytes alone: 1448 of the 1514 of a full frame, 0.956 of it. The series of `rate` has that of each interval, that of
`bytes` what had arrived by its end.

Theory is the bucket's bound, which somebody who always has more to send just reaches: in any time t from a full bucket
on, min(burst + average·t, peak·t) pass; one frame at the peak, `FRAME`, is left out. `envelope` has it at every moment.
With `m3` each has its own, as both peaks together have to fit onto the cable of `m2`. Simulated are frames one by one,
or where there would be too many the flow as water (`labkit.model.net.fluid`). Live is iperf3 in the guests, counted at
the target's tap; with `m3` that tap has the frames of both, and each is counted where it enters the switch, behind its
bucket.

Bound between live and simulated
--------------------------------
5% of `average` for `rate`, where the burst is over in the first half, for 6 s or more, an average from 1 to 50 Mbit/s
and a burst of 0.02 MB or more. Written before the experiment first ran live. A second half of 3 s at 1 Mbit/s is 248
frames, so that one frame more or fewer is 0.4%; what is read from counters a few ms late or early is 0.2% more. The
rest is for moments in which TCP, having lost a frame, leaves the queue before the bucket empty and the bucket full; the
queue of 50 ms and more is many times what a path of a millisecond needs to be kept busy. Above 50 Mbit/s an emulated
guest may not have more to send than that. None is given for `bytes`: how fast TCP finds its pace at the beginning is no
part of the model.

With `m3` each has 5% of its own average, where all that was said holds for each and the two averages together are 25
Mbit/s at the most. This too was written before two senders first ran live. What is counted, and how late it is read,
is as before; the two counters are read one after the other, each with its own moment. New is that three emulated guests
and the switch share the CPUs. One guest alone sends 50 Mbit/s and more, and of that the same CPUs give each of two at
least half. So 25 for both together leaves the queue before each bucket filled twice as fast as the bucket empties it.
What is lost behind the bucket, for want of time in the switch or the target, has been counted already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, number
from labkit.host import Host, HostError, Observation
from labkit.host.networks import Networked, Shape

__all__ = [
    "BOUNDS",
    "FRAME",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "ROWS",
    "Settings",
    "bounds",
    "envelope",
    "machines",
    "run",
    "theory",
]

NAME = "net-shaping"
QUESTION = "How much gets through a port that may take only so much?"
LESSON = "06"
NEEDS = ("networks", "shaping")
ROWS = "pair"
QUANTITIES = {"rate": "Mbit/s", "bytes": "B"}
LABELS = {
    "rate": ("Steady rate", "Is it the average, whatever the peak and the burst?"),
    "bytes": ("Arrived in all", "More than average times time: the rest is the burst."),
}
HEADLINE = "rate"
BOUNDS = {"rate": 0.05}
SHOWN = {"beside": (0, 30)}

PAIR, BESIDE = "m1>m2", "m3>m2"
CARD = 1000.0  # Mbit/s; what a simulated card sends, above which no peak matters
EVERY = 0.25  # seconds
FRAME = 1600
"""Bytes by which what has arrived may be above the bucket's bound: one frame at the peak (tc-tbf(8), ``mtu``)."""


@dataclass(frozen=True)
class Settings:
    """The bucket, and for how long it is asked for more."""

    average: float = number(8.0, minimum=0.1, maximum=500.0, unit="Mbit/s", about="the steady rate")
    peak: float = number(
        16.0, minimum=0.0, maximum=1000.0, unit="Mbit/s", about="how fast a burst may go; 0 for no limit"
    )
    burst: float = number(
        1.0, minimum=0.002, maximum=100.0, unit="MB", about="how much may go at more than the average"
    )
    seconds: float = number(6.0, minimum=1.0, maximum=60.0, unit="s", about="how long they send")
    beside: float = number(
        0.0, minimum=0.0, maximum=200.0, unit="Mbit/s", about="the steady rate of m3, which sends as well; 0 for no m3"
    )

    def check(self) -> None:
        """Make sure that the peak is above the average, where there is one, and that a cable takes both peaks.

        Raises
        ------
        SettingError
            Where it is not so.
        """
        if 0 < self.peak <= self.average:
            raise SettingError(f"peak must be above average, or 0 for none, not {self.peak:g}.")
        if 0 < self.beside < 0.1:
            raise SettingError(f"beside must be 0.1 or more, or 0 for no m3, not {self.beside:g}.")
        if self.beside and sum(min(shape.peak or inf, CARD) for shape in self.shapes.values()) > CARD:
            raise SettingError(
                f"peak and twice beside may be {CARD:g} together, what a cable takes; with m3, peak cannot be 0."
            )

    @property
    def shapes(self) -> dict[str, Shape]:
        """The bucket of each pair of sender and target."""
        found = {PAIR: Shape(self.average, self.peak or None, self.burst)}
        if self.beside:
            found[BESIDE] = Shape(self.beside, 2 * self.beside, self.burst)
        return found


def _fast(shape: Shape) -> float:
    """How fast a burst goes, in Mbit/s."""
    return min(shape.peak or inf, CARD)


def _over(shape: Shape) -> float:
    """After how many seconds the burst is over; infinite where the average alone is as fast."""
    more = _fast(shape) - shape.average
    return shape.burst * 8 / more if more > 0 else inf


def bounds(settings: Settings) -> dict[Any, float]:
    """How far live may be from simulated, in Mbit/s, for each pair; empty where no bound was derived."""
    shapes = settings.shapes
    if settings.seconds < 6 or settings.burst < 0.02:
        return {}
    if sum(shape.average for shape in shapes.values()) > (50 if len(shapes) == 1 else 25):
        return {}
    if any(shape.average < 1 or _over(shape) > settings.seconds / 2 for shape in shapes.values()):
        return {}
    if len(shapes) == 1:
        return {"rate": BOUNDS["rate"] * settings.average}
    return {(pair, "rate"): BOUNDS["rate"] * shape.average for pair, shape in shapes.items()}


def machines(settings: Settings) -> int:
    """How many machines there are."""
    return 1 + len(settings.shapes)


def envelope(settings: Settings) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """The buckets' bounds over time, as corners of straight lines: none of the two hosts may get above.

    Parameters
    ----------
    settings : Settings
        The experiment's.

    Returns
    -------
    dict of (machine, quantity) to list of (float, float)
        For the `bytes` of each pair the moments, in s, and what may have arrived by then in all, in B; the corner in
        the middle is where the bucket is empty.
    """
    found = {}
    for pair, shape in settings.shapes.items():
        empty = _over(shape)
        moments = [0.0, *([empty] if empty < settings.seconds else []), settings.seconds]
        found[pair, "bytes"] = [(moment, _most(shape, moment)) for moment in moments]
    return found


def _most(shape: Shape, time: float) -> float:
    """The most that a bucket lets through in a time, in B."""
    return min(shape.burst * 1e6 + shape.average * 1e6 / 8 * time, _fast(shape) * 1e6 / 8 * time)


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float]:
    """The most that a token bucket lets through, in all and in the second half.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used.

    Returns
    -------
    dict of (machine, quantity) to float
        `rate` in Mbit/s and `bytes` in B.

    References
    ----------
    RFC 2698 (two rates, two buckets) and tc-tbf(8). J.-Y. Le Boudec and P. Thiran, "Network Calculus" (2001), 1.2: the
    arrival curve of a token bucket, which a greedy source follows.
    """
    half = settings.seconds / 2
    found = {}
    for pair, shape in settings.shapes.items():
        whole = _most(shape, settings.seconds)
        found[pair, "rate"] = (whole - _most(shape, half)) / half * 8 / 1e6
        found[pair, "bytes"] = whole
    return found


def run(host: Host, settings: Settings) -> Observation:
    """Send as much as can be, on either host."""
    ask(host, *NEEDS)
    if not isinstance(host, Networked):
        raise HostError("This host has no networks.", "Use labkit.simulated() or labkit.live(networks=True).")
    lan = host.network("lan")
    made = []
    try:
        shapes = {pair.partition(">")[0]: shape for pair, shape in settings.shapes.items()}
        for name in ("m1", "m2", "m3")[: machines(settings)]:
            made.append(host.create(name, nics=[lan.port(shape=shapes.get(name))]))
        return host.transfer(list(shapes), "m2", settings.seconds, EVERY)
    finally:
        for machine in made:
            machine.stop()
        lan.remove()
