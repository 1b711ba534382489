"""A measured figure beside its peer's from the same run, and all of them as a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Figure", "Report", "beside", "within"]


@dataclass(frozen=True)
class Figure:
    """One figure.

    Parameters
    ----------
    name : str
        What was measured.
    value : float or None
        The median, or the percentile that the name says; None where it could not be measured.
    unit : str
        Its unit.
    rounds : int
        How many measurements it is made from.
    spread : tuple of float or None
        The smallest and the largest of them.
    peer : str
        What was measured beside it, in the same run; empty where there is nothing to compare with.
    peer_value : float or None
        The peer's median.
    ratio : float or None
        The figure as a multiple of the peer's.
    goal : str
        What it should be.
    met : bool or None
        Whether it is; None where that cannot be said.
    """

    name: str
    value: float | None
    unit: str
    rounds: int = 0
    spread: tuple[float, float] | None = None
    peer: str = ""
    peer_value: float | None = None
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None


def _middle(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 4) if values else None


def _spread(values: Sequence[float]) -> tuple[float, float] | None:
    return (round(min(values), 4), round(max(values), 4)) if values else None


def beside(
    name: str, values: Sequence[float], unit: str, peer: str, others: Sequence[float], most: float | None = None
) -> Figure:
    """A figure whose goal is a multiple of its peer's.

    Parameters
    ----------
    name, unit : str
        As in `Figure`.
    values : sequence of float
        The measurements.
    peer : str
        What the others are.
    others : sequence of float
        The peer's measurements, made in turn with these.
    most : float, optional
        The largest ratio of the medians that meets the goal.
    """
    value, other = _middle(values), _middle(others)
    ratio = round(value / other, 2) if value is not None and other else None
    goal = f"at most {most:g} × the peer" if most is not None else ""
    met = None if ratio is None or most is None else ratio <= most
    return Figure(name, value, unit, len(values), _spread(values), peer, other, ratio, goal, met)


def within(
    name: str,
    values: Sequence[float],
    unit: str,
    most: float,
    *,
    percentile: int = 50,
    peer: str = "",
    other: float = 0,
) -> Figure:
    """A figure whose goal is a number.

    Parameters
    ----------
    name, unit : str
        As in `Figure`.
    values : sequence of float
        The measurements.
    most : float
        What the percentile may be at most.
    percentile : int
        Which percentile of the measurements the figure is.
    peer, other : str, float, optional
        What was measured beside it, and what it came to.
    """
    if not values:
        return Figure(name, None, unit, goal=f"at most {most:g} {unit}")
    ordered = sorted(values)
    value = statistics.median(ordered) if percentile == 50 else ordered[-(-len(ordered) * percentile // 100) - 1]
    return Figure(
        name,
        round(value, 4),
        unit,
        len(values),
        _spread(values),
        peer,
        round(other, 4) if peer else None,
        round(value / other, 2) if peer and other else None,
        f"at most {most:g} {unit}",
        value <= most,
    )


@dataclass(frozen=True)
class Report:
    """All figures of one run.

    Parameters
    ----------
    figures : tuple of Figure
        In the order in which they were asked for.
    machine : dict
        What it ran on.
    complaint : str
        What could not be measured, and why; empty where all was.
    """

    figures: tuple[Figure, ...]
    machine: dict[str, Any]
    complaint: str = ""

    @property
    def status(self) -> int:
        """The exit code: 0 where every figure is there, met or not."""
        return 1 if self.complaint else 0

    def as_json(self) -> dict[str, Any]:
        """The document that ``labkit bench --json`` prints."""
        return {"machine": self.machine, "figures": [vars(figure) for figure in self.figures]}

    def text(self) -> str:
        """A line or two for each figure."""
        lines = [", ".join(f"{name} {value}" for name, value in self.machine.items())]
        for figure in self.figures:
            lines.append(f"\n{figure.name}: {_amount(figure.value, figure.unit)}{_range(figure)}")
            if figure.peer:
                times = f"; {figure.ratio:g} × that" if figure.ratio is not None else ""
                lines.append(f"  beside {figure.peer}: {_amount(figure.peer_value, figure.unit)}{times}")
            if figure.goal:
                said = {True: "met", False: "missed", None: "not known"}[figure.met]
                lines.append(f"  goal: {figure.goal}: {said}")
        return "\n".join(lines)


def _amount(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:.3g} {unit}"


def _range(figure: Figure) -> str:
    if figure.spread is None or figure.rounds < 2:
        return ""
    return f" ({figure.rounds} rounds, {figure.spread[0]:.3g} to {figure.spread[1]:.3g})"
