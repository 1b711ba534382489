"""What exact sharing comes to, worked out without the model, in exact fractions and by plain means.

Imports nothing of labkit.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import chain, combinations

from .oracle import fair


def clamp(value: Fraction, least: Fraction, most: Fraction) -> Fraction:
    return max(least, min(value, most))


def level_for(rows: Sequence[tuple[int, Fraction, Fraction]], capacity: Fraction) -> Fraction | None:
    """The highest level at which the clamped amounts fit; None where they fit at any."""
    if sum(most for _, _, most in rows) <= capacity:
        return None
    marks = sorted({mark / weight for weight, least, most in rows for mark in (least, most)} | {Fraction(0)})

    def total(level: Fraction) -> Fraction:
        return sum((clamp(level * weight, least, most) for weight, least, most in rows), Fraction(0))

    low = max(mark for mark in marks if total(mark) <= capacity)
    slope = sum(weight for weight, least, most in rows if least <= low * weight < most)
    return low + (capacity - total(low)) / slope if slope else low


def fair_with_pins(
    weights: Sequence[int], leasts: Sequence[Fraction], mosts: Sequence[Fraction], pins: Sequence[frozenset[int]]
) -> list[Fraction]:
    """Weighted max-min fair parts with a least and a most, where each may use certain CPUs of one unit each.

    The level rises for all who are not fixed yet, until a set of machines fills the CPUs that any of it may use (Hall's
    condition, looked at for every set); who is in such a set is fixed there. Until all are fixed or have their most.
    """
    count = len(weights)
    sets = list(chain.from_iterable(combinations(range(count), size) for size in range(1, count + 1)))
    room = {chosen: Fraction(len(frozenset().union(*(pins[i] for i in chosen)))) for chosen in sets}
    fixed: dict[int, Fraction] = {}
    while len(fixed) < count:
        levels = {}
        for chosen in sets:
            free = [(weights[i], leasts[i], mosts[i]) for i in chosen if i not in fixed]
            left = room[chosen] - sum(fixed[i] for i in chosen if i in fixed)
            if free and (level := level_for(free, left)) is not None:
                levels[chosen] = level
        if not levels:
            fixed |= {i: mosts[i] for i in range(count) if i not in fixed}
            break
        lowest = min(levels.values())
        for chosen in [chosen for chosen, level in levels.items() if level == lowest]:
            for i in chosen:
                fixed.setdefault(i, clamp(lowest * weights[i], leasts[i], mosts[i]))
    return [fixed[i] for i in range(count)]


def completions(
    cpus: int,
    servers: Sequence[tuple[int, int, str, Sequence[tuple[Fraction, Fraction]]]],
    share: Callable[[Sequence[int], Sequence[Fraction], int], list[Fraction]] = fair,
) -> list[list[Fraction]]:
    """When each request of each server is done, by stepping from event to event over the work that is left.

    Parameters
    ----------
    cpus : int
        How many CPUs the servers share.
    servers : sequence of tuple
        For each: vCPUs, shares, discipline, and its requests as (arrival, work), in order of arrival.
    """
    now = Fraction(0)
    left = [[work for _, work in requests] for *_, requests in servers]
    done: list[list[Fraction | None]] = [[None] * len(requests) for *_, requests in servers]
    while any(finish is None for finishes in done for finish in finishes):
        served = []
        for (vcpus, _, discipline, requests), finishes in zip(servers, done, strict=True):
            here = [n for n, (arrival, _) in enumerate(requests) if arrival <= now and finishes[n] is None]
            served.append(here[:vcpus] if discipline == "queue" else here)
        demands = [Fraction(min(len(here), server[0])) for here, server in zip(served, servers, strict=True)]
        rates = share([server[1] for server in servers], demands, cpus)
        steps = [arrival - now for *_, requests in servers for arrival, _ in requests if arrival > now]
        for s, here in enumerate(served):
            steps += [left[s][n] * len(here) / rates[s] for n in here]
        step = min(steps)
        now += step
        for s, here in enumerate(served):
            for n in here:
                left[s][n] -= rates[s] / len(here) * step
                if left[s][n] == 0:
                    done[s][n] = now
    return done
