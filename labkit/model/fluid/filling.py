"""How much of the CPUs each machine gets at one moment: glasses filled from one jug.

Glasses of different widths stand under one jug. Water rises in all of them to the same level; a wide glass (many
shares) takes more of it. A glass that is full takes no more, and one with a reservation has some water to begin with.
So each glass holds ``clamp(level × shares, least, most)``, and the level is such that the jug is empty: weighted
max-min fairness (D. Bertsekas and R. Gallager, Data Networks, 2nd edition, 1992, section 6.5.2).

Machines that are pinned stand under several jugs, one for each CPU, and each is reached by certain jugs only. What is
fair is then the same, as far as the pipes allow: nobody can get more without taking it from somebody who has no more
by weight (N. Megiddo, "Optimal flows in networks with multiple sources and sinks", Mathematical Programming 7, 1974).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from labkit.model.fluid.crowding import crowd

__all__ = ["allocate", "fill"]


def fill(weights: Sequence[float], leasts: Sequence[float], mosts: Sequence[float], capacity: float) -> Sequence[float]:
    """Share one capacity out by weight, with a least and a most for each.

    Parameters
    ----------
    weights : sequence of float
        The shares, above 0.
    leasts, mosts : sequence of float
        The least and the most that each gets, in CPU. The leasts fit into `capacity` together.
    capacity : float
        What there is, in CPU.

    Returns
    -------
    sequence of float
        What each gets, in CPU; `mosts` itself where there is enough for all.

    Notes
    -----
    Fixes, in each round, those that are surely at their most, or those that are surely at their least, and works the
    level out anew for the others: G. R. Bitran and A. C. Hax, "Disaggregation and resource allocation using convex
    knapsack problems with bounded variables", Management Science 27(4), 1981. Exact, with at most as many rounds
    as machines, and as a rule two or three.
    """
    if fsum(mosts) <= capacity:
        return mosts
    given = list(mosts)
    free = range(len(given))
    left = capacity
    while free:
        level = left / fsum([weights[i] for i in free])
        over = [i for i in free if level * weights[i] > mosts[i]]
        under = [i for i in free if level * weights[i] < leasts[i]]
        excess = fsum([level * weights[i] - mosts[i] for i in over])
        lack = fsum([leasts[i] - level * weights[i] for i in under])
        if excess >= lack:  # held to their bounds, all would take less than there is: the level can only rise
            fixed = over
        else:
            fixed = under
            for i in under:
                given[i] = leasts[i]
        if excess == lack:  # they would take exactly what there is: this is the level
            for i in free:
                given[i] = min(max(level * weights[i], leasts[i]), mosts[i])
            break
        done = set(fixed)
        left -= fsum([given[i] for i in fixed])
        free = [i for i in free if i not in done]
    return given


def allocate(
    weights: Sequence[float],
    leasts: Sequence[float],
    mosts: Sequence[float],
    pins: Sequence[frozenset[int]],
    cpus: frozenset[int],
) -> Sequence[float]:
    """Share CPUs out by weight, where each may use certain CPUs only.

    Parameters
    ----------
    weights, leasts, mosts : sequence of float
        As for `fill`; each most is above 0, and the leasts fit onto the CPUs together.
    pins : sequence of frozenset of int
        The CPUs that each may use, some of `cpus`.
    cpus : frozenset of int
        All there are.

    Notes
    -----
    First all CPUs are shared out as if there were no pins. Where that is more than some machines can reach, those
    whose CPUs are most overcrowded are given all of these CPUs, and nobody else is; then the same for them, and for the
    others on the other CPUs. This is the decomposition algorithm for a polymatroid, exact: S. Fujishige,
    "Lexicographically optimal base of a polymatroid with respect to a weight vector", Mathematics of Operations
    Research 5(2), 1980; with bounds, H. Groenevelt, "Two algorithms for maximizing a separable concave function over a
    polymatroid feasible region", European Journal of Operational Research 54, 1991.

    That each vCPU is on one CPU at a time asks for no more than that each gets at most one CPU: whatever fits in sums
    can be arranged in turns (T. Gonzalez and S. Sahni, "Open shop scheduling to minimize finish time", Journal of the
    ACM 23(4), 1976).
    """
    given = fill(weights, leasts, mosts, float(len(cpus)))
    if all(len(pin) == len(cpus) for pin in pins):
        return given
    crowded = crowd(given, pins)
    if not crowded:
        return given
    theirs = frozenset().union(*(pins[i] for i in crowded))
    others = [i for i in range(len(given)) if i not in crowded]
    if not others and theirs == cpus:  # they cannot have been given more than that: a rounding error
        return given
    result = list(given)
    for chosen, place in ((sorted(crowded), theirs), (others, cpus - theirs)):
        parts = ([column[i] for i in chosen] for column in (weights, leasts, mosts))
        for i, amount in zip(chosen, allocate(*parts, [pins[i] & place for i in chosen], place), strict=True):
            result[i] = amount
    return result
