"""An observer's gauges: of memory there is a level and no meter, so it is read at the end of each interval.

What an interval is said to have is the mean of the levels at its two ends; what the whole stretch is, the mean of its
intervals by their length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from labkit.host.memory import QUANTITIES
from labkit.host.observations import Row, Series

__all__ = ["Gauges"]


class Watched(Protocol):
    """A machine as far as its gauges go."""

    name: str

    def memory_seen(self) -> Mapping[str, float]:
        """Its memory at this moment, in MiB."""


class Gauges:
    """Readings of several machines' memory.

    Parameters
    ----------
    machines : sequence
        The machines; they are read once when this is made.
    """

    def __init__(self, machines: Sequence[Watched]) -> None:
        self._machines = machines
        self._readings: list[list[Mapping[str, float]]] = []
        self.look()

    def look(self) -> None:
        """Read all of them."""
        self._readings.append([machine.memory_seen() for machine in self._machines])

    def told(self, times: Sequence[float]) -> tuple[list[Row], list[Series]]:
        """What they showed, as rows and as series.

        Parameters
        ----------
        times : sequence of float
            When each look but the first was, in seconds from that one.
        """
        rows: list[Row] = []
        series: list[Series] = []
        lengths = [end - start for start, end in zip((0.0, *times), times, strict=False)]
        for place, machine in enumerate(self._machines):
            for quantity, unit in QUANTITIES.items():
                levels = [reading[place][quantity] for reading in self._readings]
                means = tuple((before + after) / 2 for before, after in zip(levels, levels[1:], strict=False))
                mean = sum(map(float.__mul__, means, lengths)) / sum(lengths)
                rows.append({"machine": machine.name, "quantity": quantity, "unit": unit, "value": mean})
                series.append(Series(machine.name, quantity, unit, tuple(times), means))
        return rows, series
