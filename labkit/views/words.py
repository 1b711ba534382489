"""The words that pictures and tables share: what a quantity is called, and how a number is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import ModuleType
from typing import Any

__all__ = ["ABSENT", "Quantity", "listed", "number", "quantity", "setting_line", "signed"]

ABSENT = "–"
_FRACTION = "1"
_KNOWN = {
    "cpu": ("CPU time used", "Whose bar is longest? That machine gets most of the CPU."),
    "ready": ("Ready time: wanted a CPU, had to wait", "The longer the bar, the longer the machine waits in line."),
}


@dataclasses.dataclass(frozen=True)
class Quantity:
    """What a quantity is called, its unit in words, and what to look at when it is drawn."""

    name: str
    unit: str
    label: str
    look_at: str

    @property
    def unit_words(self) -> str:
        """The unit as a person reads it: ``"1"`` is a fraction of the time."""
        return "fraction of the time" if self.unit == _FRACTION else self.unit

    @property
    def heading(self) -> str:
        """Label and unit, for a heading."""
        return f"{self.label} ({self.unit_words})"


def quantity(experiment: ModuleType, name: str) -> Quantity:
    """The words for one of an experiment's quantities.

    An experiment may bring its own in ``LABELS``, as ``{"cpu": ("CPU time used", "Look at …")}``.
    """
    own = getattr(experiment, "LABELS", {}).get(name)
    label, look_at = own or _KNOWN.get(name, (name, ""))
    return Quantity(name, experiment.QUANTITIES[name], label, look_at)


def number(value: float | None, places: int = 3) -> str:
    """A number with a fixed count of decimals, never "-0.000"; a dash where there is none."""
    if value is None:
        return ABSENT
    text = f"{value:.{places}f}"
    return text.lstrip("-") if float(text) == 0 else text


def signed(value: float | None, places: int = 3) -> str:
    """A difference with its sign, "+0.004" or "−0.012"; a dash where there is none."""
    if value is None:
        return ABSENT
    text = number(value, places)
    return text.replace("-", "−") if text.startswith("-") else f"+{text}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """Words with commas between and a word before the last: "m1, m2 and m3"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def setting_line(settings: Any) -> str:
    """The settings of an experiment in one line, with their units."""
    parts = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        unit = field.metadata.get("unit", "")
        shown = ", ".join(map(_plain, value)) if isinstance(value, tuple) else _plain(value)
        # A unit that only repeats the setting's name, such as "shares", tells nothing.
        parts.append(f"{field.name} = {shown}" + (f" {unit}" if unit and unit != field.name else ""))
    return " · ".join(parts)
