"""The numbers of a bar chart: in which unit they are told, and where its axis has marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.views.words import LONG, MEBI, Quantity, number, significant

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Scale", "mark", "scale_of"]

_KIBI = 1 << 10


@dataclass(frozen=True)
class Scale:
    """How the numbers of one quantity are told in one chart: all in the same unit, also on the axis.

    Parameters
    ----------
    words : Quantity
        The quantity.
    per : int
        How much of it is 1 of what the chart tells: so many bytes, or 1.
    unit : str
        The unit in the chart, in words.
    """

    words: Quantity
    per: int
    unit: str

    @property
    def heading(self) -> str:
        """What the axis is called; where the chart rounds bytes, that the table does not."""
        return f"{self.words.label} ({self.unit}{'; bytes in the table' if self.per > 1 else ''})"

    def told(self, value: float) -> str:
        """A value as it stands beside its bar; a whole number of mebibytes as such."""
        if not self.words.in_mebibytes:
            return number(value, self.words.places)
        many = value / self.per
        if many == int(many):
            return f"{many:,.0f} {self.unit}"
        return f"{many:,.2f} {self.unit}" if many >= 0.01 else f"{significant(many, 2)} {self.unit}"


def scale_of(longest: float, words: Quantity) -> Scale:
    """The scale of a chart whose longest bar is so long, in the quantity's own unit."""
    if words.in_mebibytes and longest >= LONG:
        return Scale(words, MEBI, "MiB")
    if words.in_mebibytes and longest >= _KIBI:
        return Scale(words, _KIBI, "KiB")
    return Scale(words, 1, words.unit_words)


def mark(axes: Axes, end: float, scale: Scale) -> None:
    """Put ticks that have room on an axis that ends at `end`: whole numbers where something is counted.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The chart.
    end : float
        Up to where there may be ticks, in the quantity's own unit.
    scale : Scale
        In which unit they are told.
    """
    from matplotlib.ticker import MaxNLocator

    words, end = scale.words, end / scale.per
    if words.yes_or_no:
        axes.set_xticks([0, 1], ["0 (no)", "1 (yes)"])
        return
    ticker = MaxNLocator(5 if end >= 1360 else 7, steps=[1, 2, 2.5, 5, 10], integer=words.counted)
    ticks = [place for place in ticker.tick_values(0, end) if 0 <= place <= end]
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    places = next((count for count in range(7) if abs(round(step, count) - step) < 1e-9), 7)
    axes.set_xticks([place * scale.per for place in ticks], [f"{place:,.{places}f}" for place in ticks])
