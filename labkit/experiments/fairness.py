"""Fair parts of something that is short: everybody's level rises together until it is used up.

Picture one pipe that fills several tanks at once, each at a speed that is its weight. A tank that is full takes no
more, and the others fill the faster. When the pipe is empty, what each tank holds is its fair part.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["max_min", "within_reach"]


def max_min(demands: Sequence[float], weights: Sequence[float], capacity: float) -> list[float]:
    """Weighted max-min fair parts.

    Nobody gets more than it asks for; and nobody could get more without somebody else getting less who, for its
    weight, has no more than it.

    Parameters
    ----------
    demands : sequence of float
        The most that each can use, in CPU: its demand, its cap or its number of vCPUs, whichever is least.
    weights : sequence of float
        How much each weighs; as many as `demands`, all above 0.
    capacity : float
        What there is, in CPU.

    Returns
    -------
    list of float
        What each gets, in CPU.

    References
    ----------
    D. Bertsekas, R. Gallager, *Data Networks*, 2nd edition (1992), section 6.5.2, max-min flow control; with weights,
    A. Parekh, R. Gallager, "A generalized processor sharing approach to flow control", IEEE/ACM Transactions on
    Networking 1 (1993).
    """
    got = [0.0] * len(demands)
    weight, left = float(sum(weights)), capacity
    # In the order in which they are full: who asks for least for its weight comes first.
    for place in sorted(range(len(demands)), key=lambda place: demands[place] / weights[place]):
        got[place] = min(demands[place], left * weights[place] / weight) if weight > 0 else 0.0
        left = max(left - got[place], 0.0)
        weight -= weights[place]
    return got


def within_reach(
    place: int, limit: float, demands: Sequence[float], weights: Sequence[float], capacity: float
) -> float:
    """What one of them would get if it asked for all it can use, up to `limit`, and the others for what they do.

    A machine whose mean demand is below that is stable: what comes in is done in the end. One whose demand is above
    it falls behind without end.

    Parameters
    ----------
    place : int
        Which of them.
    limit : float
        The most that it can use, in CPU.
    demands, weights, capacity
        As in `max_min`.
    """
    wishes = list(demands)
    wishes[place] = limit
    return max_min(wishes, weights, capacity)[place]
