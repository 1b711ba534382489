"""How much gets through a port that may take only so much?

`m1` sends to `m2` as much as it can. Its port has a *token bucket*: coins drip in at the average rate, a byte that
passes takes one out, and a full bucket may be emptied at the peak rate.

Settings
--------
average : the steady rate
peak : how fast a burst may go; 0 for as fast as the card can
burst : how much may go at more than the average, in MB (10^6 bytes)
seconds : how long `m1` sends

Quantities
----------
rate : what arrives in the second half of the time, in Mbit/s (10^6 bits): the steady state, where the burst is over by
    then.
bytes : what has arrived in all, in B.

Both count whole Ethernet frames, without preamble and checksum, as the bucket does. A program such as iperf3 counts its
own bytes alone: 1448 of the 1514 of a full frame, 0.956 of it. The series has what arrived in each interval.

Theory is the bucket's bound, which somebody who always has more to send just reaches: in any time t from a full bucket
on, min(burst + average·t, peak·t) pass (one frame at the peak left out). Simulated are frames one by one, or where
there would be too many the flow as water (`labkit.model.net.fluid`). Live is iperf3 in the guests, counted at the
target's tap.

Bound between live and simulated
--------------------------------
5% of `average` for `rate`, where the burst is over in the first half, for 6 s or more, an average from 1 to 50 Mbit/s
and a burst of 0.02 MB or more. Written before the experiment first ran live. A second half of 3 s at 1 Mbit/s is 248
frames, so that one frame more or fewer is 0.4%; what is read from counters a few ms late or early is 0.2% more. The
rest is for moments in which TCP, having lost a frame, leaves the queue before the bucket empty and the bucket full; the
queue of 50 ms and more is many times what a path of a millisecond needs to be kept busy. Above 50 Mbit/s an emulated
guest may not have more to send than that. None is given for `bytes`: how fast TCP finds its pace at the beginning is no
part of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, number
from labkit.host import Host, HostError, Observation
from labkit.host.networks import Networked, Shape

__all__ = [
    "BOUNDS",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "Settings",
    "bounds",
    "machines",
    "run",
    "theory",
]

NAME = "net-shaping"
QUESTION = "How much gets through a port that may take only so much?"
LESSON = "06"
NEEDS = ("networks", "shaping")
QUANTITIES = {"rate": "Mbit/s", "bytes": "B"}
LABELS = {
    "rate": ("Steady rate", "Is it the average, whatever the peak and the burst?"),
    "bytes": ("Arrived in all", "More than average times time: the rest is the burst."),
}
HEADLINE = "rate"
BOUNDS = {"rate": 0.05}

PAIR = "m1>m2"
CARD = 1000.0  # Mbit/s; what a simulated card sends, above which no peak matters
EVERY = 0.25  # seconds


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
    seconds: float = number(6.0, minimum=1.0, maximum=60.0, unit="s", about="how long m1 sends")

    def check(self) -> None:
        """Make sure that the peak is above the average, where there is one.

        Raises
        ------
        SettingError
            Where it is not.
        """
        if 0 < self.peak <= self.average:
            raise SettingError(f"peak must be above average, or 0 for none, not {self.peak:g}.")

    @property
    def fast(self) -> float:
        """How fast a burst goes, in Mbit/s."""
        return min(self.peak or inf, CARD)


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, in Mbit/s; empty where no bound was derived."""
    steady = _over(settings) <= settings.seconds / 2 and settings.seconds >= 6
    if steady and 1 <= settings.average <= 50 and settings.burst >= 0.02:
        return {"rate": BOUNDS["rate"] * settings.average}
    return {}


def _over(settings: Settings) -> float:
    """After how many seconds the burst is over."""
    return settings.burst * 8 / (settings.fast - settings.average)


def machines(_settings: Settings) -> int:
    """How many machines there are."""
    return 2


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

    def most(time: float) -> float:
        return min(settings.burst * 1e6 + settings.average * 1e6 / 8 * time, settings.fast * 1e6 / 8 * time)

    whole, half = most(settings.seconds), most(settings.seconds / 2)
    return {(PAIR, "rate"): (whole - half) / (settings.seconds / 2) * 8 / 1e6, (PAIR, "bytes"): whole}


def run(host: Host, settings: Settings) -> Observation:
    """Send as much as can be, on either host."""
    ask(host, *NEEDS)
    if not isinstance(host, Networked):
        raise HostError("This host has no networks.", "Use labkit.simulated() or labkit.live(networks=True).")
    lan = host.network("lan")
    made = []
    try:
        shape = Shape(settings.average, settings.peak or None, settings.burst)
        for name in ("m1", "m2"):
            made.append(host.create(name, nics=[lan.port(shape=shape if name == "m1" else None)]))
        return host.transfer("m1", "m2", settings.seconds, EVERY)
    finally:
        for machine in made:
            machine.stop()
        lan.remove()
