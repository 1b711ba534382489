"""Requests as they come to a server: at random moments, each with a random piece of work.

Drawn once from a seed, before a host is asked for anything. So both hosts serve the very same requests, and what
differs between them is the hosts, not the luck of the draw.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from random import Random

from labkit.host import RequestLoad

__all__ = ["AHEAD", "count", "phased", "poisson"]

AHEAD = 60.0
"""How long requests go on after the experiment is over, in seconds: a live host is not on time to a second."""

_LEAST = 1e-9  # CPU seconds; a piece of work is never nothing


def _exponential(random: Random, mean: float) -> float:
    # By hand and not by expovariate: only the numbers of random() are promised to stay the same in every Python.
    return -mean * math.log(1.0 - random.random())


def poisson(rate: float, work: float, seed: int, name: str, until: float) -> RequestLoad:
    """A Poisson stream of requests, their work exponential.

    Parameters
    ----------
    rate : float
        How many come in a second, on average.
    work : float
        The mean work of a request, in CPU seconds.
    seed : int
        Decides the draw, together with `name`.
    name : str
        The machine's, so that no two draw the same.
    until : float
        The stream ends there, in seconds; one request comes in any case.
    """
    return phased([(math.inf, rate)], work, seed, name, until)


def phased(phases: Iterable[tuple[float, float]], work: float, seed: int, name: str, until: float) -> RequestLoad:
    """A Poisson stream whose rate changes at given moments, the work of its requests exponential.

    Parameters
    ----------
    phases : iterable of (float, float)
        Until when, in seconds, and at which rate, in 1/s, one after another; the last one goes on until `until`.
    work, seed, name, until
        As in `poisson`.

    Notes
    -----
    A stream of rate 1 is drawn and its time then stretched: a Poisson stream of changing rate is that (E. Çinlar,
    *Introduction to Stochastic Processes*, 1975, section 4.7). So the same requests come, only sooner or later, when a
    rate is changed.
    """
    gaps, pieces = Random(f"gaps/{seed}/{name}"), Random(f"work/{seed}/{name}")
    arrivals: list[float] = []
    start, units = 0.0, _exponential(gaps, 1.0)  # units: how much of the stream of rate 1 is left before the next one
    for end, rate in _closed(phases, until):
        moment = start + units / rate
        while moment < end:
            arrivals.append(moment)
            moment += _exponential(gaps, 1.0) / rate
        units, start = (moment - end) * rate, end
    if not arrivals:
        arrivals.append(start + units)
    return RequestLoad(tuple(arrivals), tuple(max(_exponential(pieces, work), _LEAST) for _ in arrivals))


def count(requests: int, rate: float, work: float, seed: int, name: str) -> RequestLoad:
    """As many requests of a Poisson stream as asked for, their work exponential.

    Parameters
    ----------
    requests : int
        How many.
    rate, work, seed, name
        As in `poisson`.
    """
    gaps, pieces = Random(f"gaps/{seed}/{name}"), Random(f"work/{seed}/{name}")
    moment, arrivals = 0.0, []
    for _ in range(requests):
        moment += _exponential(gaps, 1.0 / rate)
        arrivals.append(moment)
    return RequestLoad(tuple(arrivals), tuple(max(_exponential(pieces, work), _LEAST) for _ in arrivals))


def _closed(phases: Iterable[tuple[float, float]], until: float) -> Sequence[tuple[float, float]]:
    """The phases, the last one cut or made longer so that it ends at `until`."""
    known = list(phases)
    kept = [phase for phase, following in pairwise(known) if phase[0] < until]
    return [*kept, (until, known[len(kept)][1])]
