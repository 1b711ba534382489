"""What is fair, worked out without the model: weighted max-min by progressive filling, in exact fractions.

Imports nothing of labkit.
"""

from collections.abc import Sequence
from fractions import Fraction


def fair(weights: Sequence[int], demands: Sequence[Fraction], capacity: int = 1) -> list[Fraction]:
    """Fill all glasses at rates by weight; whoever is full stops; until the jug is empty or all are full.

    Parameters
    ----------
    weights : sequence of int
        How fast each fills.
    demands : sequence of Fraction
        How much each holds.
    capacity : int
        What the jug holds.
    """
    given = [Fraction(0)] * len(weights)
    thirsty = set(range(len(weights)))
    left = Fraction(capacity)
    while thirsty and left > 0:
        together = sum(weights[i] for i in thirsty)
        # The level to which all thirsty ones can rise until one is full or the jug is empty.
        rise = min([left / together, *((demands[i] - given[i]) / weights[i] for i in thirsty)])
        for i in thirsty:
            given[i] += rise * weights[i]
        left -= rise * together
        thirsty = {i for i in thirsty if given[i] < demands[i]}
    return given
