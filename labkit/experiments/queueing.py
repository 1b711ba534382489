"""A counter with several clerks and one line: how long people stand and are served.

People come at random, each with a random piece of work, and the first in line goes to the first clerk who is free. In
Kendall's notation that is M/M/c: Markovian (Poisson) arrivals, Markovian (exponential) work, c clerks.
"""

from __future__ import annotations

import math
from functools import lru_cache
from heapq import heapify, heapreplace
from random import Random

__all__ = ["erlang_c", "half_width", "mean_response"]

_NORMAL = 1.959964  # 97.5% of a standard normal distribution lie below
_STEPS = 100_000  # requests that the replications of one interval serve in all, at least
_LONGEST = 20_000  # requests of one replication at most
_SETTLED = 50  # times 1 / (1 - rho)^2 requests: then an M/M/1 queue that began empty has forgotten it
_FEWEST = 80  # replications at least: then the half-width itself is known to 8% (1 / sqrt(2 x 80))


def erlang_c(servers: int, offered: float) -> float:
    """The fraction of those who come that have to wait: Erlang's second formula.

    Parameters
    ----------
    servers : int
        How many clerks, c.
    offered : float
        How much work comes in a second of time, in seconds of work; below `servers`.

    Notes
    -----
    By way of Erlang's first formula B, which has a recursion without large numbers:
    B(0) = 1, B(k) = a B(k-1) / (k + a B(k-1)); then C = c B / (c - a (1 - B)).

    References
    ----------
    A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic telephone
    exchanges", Elektroteknikeren 13 (1917); L. Kleinrock, *Queueing Systems*, volume 1 (1975), section 3.5.
    """
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = offered * blocked / (number + offered * blocked)
    return servers * blocked / (servers - offered * (1.0 - blocked))


def mean_response(servers: int, rate: float, service: float) -> float | None:
    """The mean time from coming to being done, in the long run; None where those who come are too many.

    Parameters
    ----------
    servers : int
        How many clerks.
    rate : float
        How many come in a second.
    service : float
        The mean piece of work, in seconds.

    Returns
    -------
    float or None
        Seconds: service + C x service / (c - a), with a = rate x service and C by `erlang_c`.
    """
    offered = rate * service
    if offered >= servers:
        return None
    return service + erlang_c(servers, offered) * service / (servers - offered)


@lru_cache(maxsize=256)
def half_width(servers: int, rate: float, service: float, requests: int) -> float | None:
    """Half the width of the 95% confidence interval of the mean response of so many requests, in seconds.

    The first of them come to free clerks, as in a run of `cpu-sizing`. The mean of n requests that follow each other
    scatters more than that of n independent ones: who comes after a long wait waits long himself. The half-width is
    1.96 times the standard deviation of that mean. Where n is small for a load near 1, the means of such runs lie below
    the long run's mean and unevenly about their own, so the interval says how far two runs are apart by chance, and not
    where the long run's mean is.

    Parameters
    ----------
    servers, rate, service
        As in `mean_response`.
    requests : int
        How many, n.

    Returns
    -------
    float or None
        Seconds; None where those who come are too many.

    Notes
    -----
    For one clerk and n of 50 / (1 - rho)^2 or more it is sigma / sqrt(n), where sigma^2 is the asymptotic variance of
    the sequence of responses, and has a closed form, sigma = service x (1 + rho) / (1 - rho)^2. The responses of M/M/1
    are a Markov chain, T' = max(T - A, 0) + S with exponential A and S; h(t) = t + rate t^2 / (2 (1 - rho)) solves its
    Poisson equation h(t) - E[h(T')] = t - tau, with tau = E[T]; and sigma^2 = 2 E[(T - tau) h(T)] - Var[T], where T is
    exponential. For waiting times, without the service, D. J. Daley gave it in "The serial correlation coefficients of
    waiting times in a stationary single server queue", Journal of the Australian Mathematical Society 8 (1968); W.
    Whitt, "Planning queueing simulations", Management Science 35 (1989), says how long to watch a queue for what width.

    Otherwise it is taken from independent replications of the recursion of J. Kiefer and J. Wolfowitz, "On the theory
    of queues with many servers", Transactions of the American Mathematical Society 78 (1955), always with the same
    seed: 80 or more, which know a standard deviation to 8%. Replications are of 20,000 requests at the most; for more,
    the width shrinks with the root of their number, which at a load above 0.95 is a little too fast.
    """
    load = rate * service / servers
    if load >= 1:
        return None
    if servers == 1 and requests >= _SETTLED / (1 - load) ** 2:
        return _NORMAL * service * (1 + load) / (1 - load) ** 2 / math.sqrt(requests)
    length = min(requests, _LONGEST)
    times = max(_FEWEST, _STEPS // length)
    # 36 and 36.0 are one key of the cache, so they must be one seed too.
    random = Random(f"width/{servers}/{float(rate)!r}/{float(service)!r}/{length}")
    means = [_replicated(servers, rate, service, length, random) for _ in range(times)]
    middle = math.fsum(means) / times
    variance = math.fsum((mean - middle) ** 2 for mean in means) / (times - 1)
    return _NORMAL * math.sqrt(variance * length / requests)


def _replicated(servers: int, rate: float, service: float, requests: int, random: Random) -> float:
    """The mean response of one replication that begins with free clerks."""
    free = [0.0] * servers  # when each clerk is free, soonest first
    heapify(free)
    now = total = 0.0
    for _ in range(requests):
        now -= math.log(1.0 - random.random()) / rate
        begin = free[0]
        if begin < now:
            begin = now
        done = begin - math.log(1.0 - random.random()) * service
        heapreplace(free, done)
        total += done - now
    return total / requests
