"""The knobs of an experiment: each has a type, a range, a default and a unit.

An experiment's `Settings` is a frozen dataclass whose fields are made with `number`, `integer`,
`integers`, `choice` or `size`. From it come the widget's controls, the command line's ``--set``, and the
checks that turn a wrong value into one clear sentence.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeVar

from labkit.host import mebibytes

__all__ = ["SettingError", "choice", "describe", "from_text", "integer", "integers", "number", "size", "validate"]

S = TypeVar("S")


class SettingError(ValueError):
    """A setting's value that the experiment cannot take; the message tells which values it can."""


def _field(kind: str, default: Any, about: str, unit: str, **limits: Any) -> Any:
    metadata = {"type": kind, "about": about, "unit": unit, **limits}
    return dataclasses.field(default=default, metadata=metadata)


def number(default: float, *, minimum: float, maximum: float, unit: str, about: str) -> Any:
    """A field that holds a number with a fraction."""
    return _field("number", default, about, unit, min=minimum, max=maximum)


def integer(default: int, *, minimum: int, maximum: int, unit: str, about: str) -> Any:
    """A field that holds a whole number."""
    return _field("integer", default, about, unit, min=minimum, max=maximum)


def integers(
    default: tuple[int, ...], *, minimum: int, maximum: int, shortest: int, longest: int, unit: str, about: str
) -> Any:
    """A field that holds a list of whole numbers, each within the range, `shortest` to `longest` of them."""
    return _field(
        "list", default, about, unit, min=minimum, max=maximum, shortest=shortest, longest=longest, item="integer"
    )


def choice(default: str, choices: tuple[str, ...], *, about: str) -> Any:
    """A field that holds one word of several."""
    return _field("choice", default, about, "", choices=choices)


def size(default: float, *, minimum: float, maximum: float, about: str) -> Any:
    """A field that holds an amount of memory or disk, in MiB."""
    return _field("size", default, about, "MiB", min=minimum, max=maximum)


def describe(settings: type) -> dict[str, dict[str, Any]]:
    """Every setting of a `Settings` class: its type, default, min, max, unit, and choices where it has any."""
    described = {}
    for field in dataclasses.fields(settings):
        entry = {"default": field.default, "min": None, "max": None, **field.metadata}
        described[field.name] = {k: list(v) if isinstance(v, tuple) else v for k, v in entry.items()}
    return described


def _number(name: str, value: Any, limits: dict[str, Any], whole: bool) -> float | int:
    kind = "a whole number" if whole else "a number"
    wanted = f"{name} must be {kind} from {limits['min']} to {limits['max']}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SettingError(f"{wanted}, not {value!r:.60}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingError(f"{wanted}, not {value!r:.60}.")
    if whole and value != int(value):
        raise SettingError(f"{wanted}, not {value!r:.60}.")
    if not limits["min"] <= value <= limits["max"]:
        raise SettingError(f"{wanted}, not {value!r:.60}.")
    return int(value) if whole else float(value)


def _checked(name: str, value: Any, limits: dict[str, Any]) -> Any:
    kind = limits["type"]
    if kind == "choice":
        if value not in limits["choices"]:
            raise SettingError(f"{name} must be one of {', '.join(limits['choices'])}, not {value!r:.60}.")
        return value
    if kind == "size":
        try:
            value = mebibytes(value)
        except ValueError as error:
            raise SettingError(f"{name}: {error}.") from error
    if kind == "list":
        shortest, longest = limits["shortest"], limits["longest"]
        if not isinstance(value, (list, tuple)) or not shortest <= len(value) <= longest:
            raise SettingError(f"{name} must be {shortest} to {longest} whole numbers with commas between.")
        return tuple(_number(f"each of {name}", item, limits, whole=True) for item in value)
    return _number(name, value, limits, whole=kind == "integer")


def validate(settings: S) -> S:
    """The same settings with every value checked against its range and brought to its type.

    Raises
    ------
    SettingError
        At the first value that does not fit, saying which do.
    """
    checked = {
        f.name: _checked(f.name, getattr(settings, f.name), dict(f.metadata)) for f in dataclasses.fields(settings)
    }
    return dataclasses.replace(settings, **checked)


def _parsed(name: str, text: str, limits: dict[str, Any]) -> Any:
    kind = limits["type"]
    try:
        if kind == "list":
            return tuple(int(part) for part in text.split(","))
        if kind == "integer":
            return int(text)
        return float(text) if kind == "number" else text
    except ValueError:
        kinds = {"list": "whole numbers with commas between", "integer": "a whole number", "number": "a number"}
        raise SettingError(f"{name} must be {kinds[kind]}, not {text!r:.60}.") from None


def from_text(settings: type[S], pairs: dict[str, str]) -> S:
    """Settings from words such as ``{"shares": "256,512"}``, as the command line has them.

    Raises
    ------
    SettingError
        Where a name is not a setting's or a value does not fit.
    """
    known = {field.name: dict(field.metadata) for field in dataclasses.fields(settings)}
    for name in pairs:
        if name not in known:
            raise SettingError(f"there is no setting {name!r:.60}; there are {', '.join(known)}.")
    return validate(settings(**{name: _parsed(name, text, known[name]) for name, text in pairs.items()}))
