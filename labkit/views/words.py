"""The words that pictures and tables share: what a quantity is called, and how a number is written."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal
from types import ModuleType
from typing import Any

__all__ = [
    "ABSENT",
    "LONG",
    "MEBI",
    "Quantity",
    "beside",
    "decimals",
    "family",
    "known",
    "number",
    "quantity",
    "rows_of",
    "setting_line",
    "signed",
    "significant",
]

ABSENT = "–"
MEBI = 1 << 20
LONG = 100_000
"""From here on bytes are told in MiB: 6,881,280 B (6.56 MiB)."""
_IN_GROUPS = 10_000  # from here on a number is written in groups of three digits: 65,536
_KNOWN = {
    "cpu": ("CPU time used", "Whose bar is longest? That machine gets most of the CPU."),
    "ready": ("Ready time: wanted a CPU, had to wait", "The longer the bar, the longer the machine waits in line."),
    "throttled": ("Throttled: wanted a CPU, its cap said no", "A long bar: the machine's own cap holds it back."),
    "response": ("Mean response time", "The longer the bar, the longer a customer waits for an answer."),
    "throughput": ("Throughput: requests answered", "Does each machine answer as many as come?"),
    "utilisation": ("Utilisation: how busy its vCPUs are", "Near 1 nothing is left for a bad moment."),
}
_PHASES = {"before": "before", "during": "during the spike", "after": "after"}  # as in ``cpu_during``
_UNITS = {"1": "fraction of the time", "1/s": "per second"}
_SAID_UNITS = {"slowdown": "times", "lookups": "layers"}  # a ratio that may be above 1 is no fraction of the time
_DECIMALS = {"ms": 1, "1/s": 2, "MiB": 1, "B": 0, "Mbit/s": 1}  # of the others 3: a thousandth of a CPU, of a second


YES_OR_NO = "1 or 0"
_COUNTED = (YES_OR_NO, "frames", "records", "snapshots")  # whole numbers


@dataclasses.dataclass(frozen=True)
class Quantity:
    """What a quantity is called, its unit in words, and what to look at when it is drawn."""

    name: str
    unit: str
    label: str
    look_at: str
    said_unit: str = ""

    @property
    def unit_words(self) -> str:
        """The unit as a person reads it: ``"1"`` is a fraction of the time, where the experiment says nothing else."""
        return self.said_unit or _UNITS.get(self.unit, self.unit)

    @property
    def is_fraction(self) -> bool:
        """Whether it is a part of the time, and so never above 1; a slowdown, say, is a pure number and may be."""
        return self.unit == "1" and not self.said_unit

    @property
    def after_number(self) -> str:
        """The unit as it stands behind a number, with its space; a fraction of the time has none."""
        return "" if self.is_fraction or self.yes_or_no else f" {self.unit_words}"

    @property
    def places(self) -> int:
        """How many decimals a number of it has."""
        return 0 if self.said_unit in _COUNTED else decimals(self.unit)

    @property
    def counted(self) -> bool:
        """Whether it is a whole number of something that is not told in larger units."""
        return not self.places and not self.in_mebibytes

    @property
    def yes_or_no(self) -> bool:
        """Whether it is 1 for yes and 0 for no, and nothing between."""
        return self.said_unit == YES_OR_NO

    @property
    def in_mebibytes(self) -> bool:
        """Whether long numbers of it are told in MiB as well."""
        return self.unit == "B"

    @property
    def name_alone(self) -> str:
        """Its label without what stands behind a colon or semicolon, to be named in a sentence."""
        return self.label.partition(":")[0].partition(";")[0]

    @property
    def heading(self) -> str:
        """Label and unit, for a heading."""
        return f"{self.label} ({self.unit_words})"


def decimals(unit: str) -> int:
    """How many decimals a number in that unit is shown with."""
    return _DECIMALS.get(unit, 3)


def rows_of(experiment: ModuleType) -> str:
    """What the rows of an experiment's tables are: machines, where its ``ROWS`` says nothing else."""
    return getattr(experiment, "ROWS", "machine")


def family(name: str) -> str:
    """What a quantity is one phase of: ``"cpu"`` of ``"cpu_during"``; else its own name.

    Those of one family are drawn on one scale.
    """
    stem, _, phase = name.rpartition("_")
    return stem if phase in _PHASES and stem else name


def known(name: str, unit: str) -> Quantity:
    """The words for a quantity that every host gives, whatever the experiment."""
    return Quantity(name, unit, *_KNOWN.get(name, (name, "")))


def quantity(experiment: ModuleType, name: str) -> Quantity:
    """The words for one of an experiment's quantities.

    An experiment may bring its own in ``LABELS``, as ``{"cpu": ("CPU time used", "Look at …")}``, with the unit in
    words as a third where it is none of the usual. A name that ends in ``_before``, ``_during`` or ``_after`` is that
    phase of the quantity named before it.
    """
    labels = {**_KNOWN, **getattr(experiment, "LABELS", {})}
    stem = family(name)
    label, look_at, *said_unit = labels.get(name) or labels.get(stem, (stem, ""))
    if stem != name and name not in labels:
        phase = _PHASES[name.rpartition("_")[2]]
        label, look_at = f"{label.partition(':')[0]}, {phase}", ""
    return Quantity(name, experiment.QUANTITIES[name], label, look_at, *(said_unit or [_SAID_UNITS.get(name, "")]))


def number(value: float | None, places: int = 3) -> str:
    """A number with a fixed count of decimals, never "-0.000", a long one in groups; a dash where there is none."""
    if value is None:
        return ABSENT
    text = f"{value:,.{places}f}" if abs(value) >= _IN_GROUPS else f"{value:.{places}f}"
    return text.lstrip("-") if not text.strip("-0.") else text


def beside(value: float, words: Quantity) -> str:
    """The unit behind a number, with its space, and in brackets the MiB of many bytes: " B (6.56 MiB)"."""
    more = f" ({value / MEBI:,.2f} MiB)" if words.in_mebibytes and abs(value) >= LONG else ""
    unit = words.after_number
    one = value == 1 and words.said_unit in _COUNTED  # 1 frame, 2 frames
    return f"{unit.removesuffix('s') if one else unit}{more}"


def signed(value: float | None, places: int = 3) -> str:
    """A difference with its sign, "+0.004" or "−0.012"; a dash where there is none."""
    if value is None:
        return ABSENT
    text = number(value, places)
    return text.replace("-", "−") if text.startswith("-") else f"+{text}"


def significant(value: float, digits: int = 3) -> str:
    """A number with so many significant digits at most and never an exponent: "0.0077", "2550", "7,770,000"."""
    if not math.isfinite(value):
        return str(value)
    rounded = Decimal(f"{value:.{digits}g}")
    return format(rounded, ",f") if abs(rounded) >= 10_000 else format(rounded, "f")


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def setting_line(settings: Any) -> str:
    """The settings of an experiment in one line, with their units."""
    parts = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        unit = field.metadata.get("unit", "")
        shown = ", ".join(map(_plain, value)) if isinstance(value, tuple) else _plain(value)
        # A unit that only repeats the setting's name, such as "shares", tells nothing, nor does that of a bare number.
        parts.append(f"{field.name} = {shown}" + (f" {unit}" if unit and unit not in (field.name, "1") else ""))
    return " · ".join(parts)
