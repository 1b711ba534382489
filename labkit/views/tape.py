"""What a live run has shown so far: the last minute as curves, and the means since the settings last changed.

Memory is an amount and no rate: of it the last stretch tells, as a balloon takes its time to get where it is to be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from labkit.host import Observation, Row
from labkit.views.frame import Curve

__all__ = ["Tape"]

KEPT = 60.0
"""How many seconds of the curves are kept."""


@dataclass
class Tape:
    """One column of a run that goes on: `"live"`, or the simulated host that runs beside it.

    Parameters
    ----------
    column : str
        Which.
    now : float
        How many seconds it has been running.
    """

    column: str
    now: float = 0.0
    _lines: dict[tuple[str, str], tuple[list[float], list[float]]] = field(default_factory=dict)
    _seen: list[Observation] = field(default_factory=list)

    def add(self, seen: Observation) -> None:
        """What was seen in the stretch that has just ended."""
        for line in seen.series:
            times, values = self._lines.setdefault((line.machine, line.quantity), ([], []))
            times.extend(self.now + time for time in line.times)
            values.extend(line.values)
        self._seen.append(seen)
        self.now += seen.seconds
        self._forget()

    def level(self, levels: dict[tuple[str, str], float], start: float, end: float) -> None:
        """A stretch in which each quantity had one value, as theory's has; for a tape that sees no host."""
        for key, value in levels.items():
            times, values = self._lines.setdefault(key, ([], []))
            if values and values[-1] == value:
                times[-1] = end
            else:
                times.extend((start, end))
                values.extend((value, value))
        self.now = end
        self._forget()

    def changed(self) -> None:
        """The settings changed: the means start anew."""
        self._seen.clear()

    def _forget(self) -> None:
        for times, values in self._lines.values():
            old = sum(1 for time in times if time < self.now - KEPT)
            if old > 1 and len(times) > 2:
                del times[: old - 1], values[: old - 1]

    @property
    def curves(self) -> list[Curve]:
        """The last minute."""
        return [Curve(self.column, *key, list(times), list(values)) for key, (times, values) in self._lines.items()]

    def mean(self) -> Observation | None:
        """All that was seen since the settings last changed, as one observation; None before there is any."""
        if not self._seen:
            return None
        total = sum(seen.seconds for seen in self._seen)
        last = self._seen[-1]
        disturbed = sum(seen.disturbed * seen.seconds for seen in self._seen) / total
        rows: list[Row] = []
        for row in last.rows:
            parts = [(seen.value(row["machine"], row["quantity"]), seen.seconds) for seen in self._seen]
            mean = sum(value * seconds for value, seconds in parts) / total
            merged: dict[str, Any] = {**row, "value": parts[-1][0] if row["unit"] == "MiB" else mean}
            merged.pop("disturbed", None)
            rows.append(Row(**merged))
        return Observation(total, tuple(rows), (), (), last.provenance, disturbed)
