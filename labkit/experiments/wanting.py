"""What the programs of several machines want of memory, from one look to the next.

Drawn once from a seed, before a host is asked for anything, so that both hosts are asked for the very same.
"""

from __future__ import annotations

from random import Random

__all__ = ["wanted"]


def wanted(names: list[str], steps: int, low: float, high: float, seed: int) -> dict[str, list[int]]:
    """How much the programs of each machine want in each step, in MiB.

    Programs come and go: after 8 to 16 steps, each as likely, others are there. Most want little and few want much:
    `low` and the square of a random number from 0 to 1 of what is between `low` and `high`.

    They stay for several looks of a governor, as it can only answer to what it has seen. Were others there at every
    third to sixth look, a rule would gain far less on fixed parts, or nothing: the lesson says how much.

    Parameters
    ----------
    names : list of str
        The machines.
    steps : int
        How many steps.
    low, high : float
        The least and the most, in MiB.
    seed : int
        Decides the draw, together with a machine's name.
    """
    found = {}
    for name in names:
        draw = Random(f"wanted/{seed}/{name}")
        amounts: list[int] = []
        while len(amounts) < steps:
            amounts += [round(low + (high - low) * draw.random() ** 2)] * (8 + int(9 * draw.random()))
        found[name] = amounts[:steps]
    return found
