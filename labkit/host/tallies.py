"""An observer's tallies: how many requests each machine's disks have answered, and how long those took together.

The two meters only ever go up. Between two readings, the answers by the time are the rate, `iops`; the time that the
requests took by their number is what one took, `latency`. By Little's law their product is how many were under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from labkit.host.observations import Row, Series

__all__ = ["QUANTITIES", "Tallies", "Tallied"]

QUANTITIES = {"iops": "1/s", "latency": "ms"}


class Tallied(Protocol):
    """A machine as far as its disks' meters go."""

    name: str

    def disk_meters(self) -> tuple[int, float]:
        """Requests that its disks have answered, and the seconds that these took together."""


class Tallies:
    """Readings of several machines' disks.

    Parameters
    ----------
    machines : sequence
        The machines; they are read once when this is made.
    """

    def __init__(self, machines: Sequence[Tallied]) -> None:
        self._machines = machines
        self._readings: list[list[tuple[int, float]]] = []
        self.look()

    def look(self) -> None:
        """Read all of them."""
        self._readings.append([machine.disk_meters() for machine in self._machines])

    def told(self, times: Sequence[float]) -> tuple[list[Row], list[Series]]:
        """What they counted, as rows and as series; a latency is 0 where nothing was answered.

        Parameters
        ----------
        times : sequence of float
            When each look but the first was, in seconds from that one.
        """
        rows: list[Row] = []
        series: list[Series] = []
        lengths = [end - start for start, end in zip((0.0, *times), times, strict=False)]
        for place, machine in enumerate(self._machines):
            read = [reading[place] for reading in self._readings]
            whole = _rates(read[0], read[-1], times[-1])
            parts = [_rates(*step) for step in zip(read[:-1], read[1:], lengths, strict=True)]
            for number, (quantity, unit) in enumerate(QUANTITIES.items()):
                rows.append({"machine": machine.name, "quantity": quantity, "unit": unit, "value": whole[number]})
                series.append(Series(machine.name, quantity, unit, tuple(times), tuple(part[number] for part in parts)))
        return rows, series


def _rates(before: tuple[int, float], after: tuple[int, float], seconds: float) -> tuple[float, float]:
    """Answers per second, and milliseconds that one took."""
    answered = after[0] - before[0]
    return answered / seconds, (after[1] - before[1]) / answered * 1000 if answered else 0.0
