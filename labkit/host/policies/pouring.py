"""Pouring an amount out among several vessels that stand side by side.

Each vessel has its own shape: a curve that says how much is in it where the level is so high. The level is raised until
all is poured out. Proportional shares with a minimum and a maximum are such vessels, and so is the idle memory tax.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["poured", "shared"]

Curve = Sequence[tuple[float, float]]
"""Points (level, amount), neither ever falling; straight between them, level before the first and after the last."""


def poured(curves: Sequence[Curve], total: float) -> list[float]:
    """How much is in each vessel once `total` is poured out, or all are full.

    Parameters
    ----------
    curves : sequence of sequence of (float, float)
        The vessels, each by its points.
    total : float
        How much there is.

    Raises
    ------
    ValueError
        Where even the lowest level needs more than `total`.
    """
    least = sum(curve[0][1] for curve in curves)
    if least > total * (1 + 1e-12) + 1e-9:
        raise ValueError(f"the minima come to {least:g}, more than the {total:g} that there is")
    bends: list[tuple[float, float]] = []  # level, and by how much the slope of the sum changes there
    for curve in curves:
        for (low, some), (high, more) in zip(curve, curve[1:], strict=False):
            if high > low and more > some:
                slope = (more - some) / (high - low)
                bends += [(low, slope), (high, -slope)]
    bends.sort()
    level, amount, slope = (bends[0][0] if bends else 0.0), least, 0.0
    for at, change in bends:
        if slope > 0 and amount + slope * (at - level) >= total:
            break
        amount, level, slope = amount + slope * (at - level), at, slope + change
    if slope > 0 and amount < total:
        level += (total - amount) / slope
    return [_at(curve, level) for curve in curves]


def _at(curve: Curve, level: float) -> float:
    for (low, some), (high, more) in zip(curve, curve[1:], strict=False):
        if level <= low:
            return some
        if level < high:
            return some + (more - some) * (level - low) / (high - low)
    return curve[-1][1]


def shared(wishes: Sequence[float], minima: Sequence[float], weights: Sequence[float], total: float) -> list[float]:
    """Proportional shares: each gets at least its minimum, never more than it wishes, and else by its weight.

    Parameters
    ----------
    wishes, minima : sequence of float
        What each would have, and what it must have; no wish below its minimum.
    weights : sequence of float
        Above 0.
    total : float
        What there is; what nobody wishes is left over.

    References
    ----------
    Weighted max-min fairness with floors: clamp(level × weight, minimum, wish), the level such that the sum is `total`.
    """
    return poured(
        [
            ((least / weight, least), (wish / weight, wish))
            for wish, least, weight in zip(wishes, minima, weights, strict=True)
        ],
        total,
    )
