"""The knobs of an experiment: each has a type, a range, a default and a unit.

An experiment's `Settings` is a frozen dataclass whose fields are made with `number`, `integer`,
`numbers`, `integers`, `words`, `choice` or `size`. From it come the widget's controls, the command line's ``--set``,
and the checks that turn a wrong value into one clear sentence. Where values must also fit each other, the class has a
method ``check()`` that raises `SettingError`; it is called once each value is known to be within its own range.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar

from labkit.host import mebibytes

__all__ = [
    "SettingError",
    "choice",
    "describe",
    "from_text",
    "integer",
    "integers",
    "number",
    "numbers",
    "size",
    "validate",
    "words",
]

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


def numbers(
    default: tuple[float, ...], *, minimum: float, maximum: float, shortest: int, longest: int, unit: str, about: str
) -> Any:
    """A field that holds a list of numbers with a fraction, each within the range, `shortest` to `longest` of them."""
    return _field(
        "list", default, about, unit, min=minimum, max=maximum, shortest=shortest, longest=longest, item="number"
    )


def choice(
    default: str, choices: tuple[str, ...], *, about: str, unit: str = "", read: Callable[[Any], str] | None = None
) -> Any:
    """A field that holds one word of several; `read`, where given, brings other ways to write one to it."""
    return _field("choice", default, about, unit, choices=choices, **({"read": read} if read else {}))


def words(
    default: tuple[str, ...], *, read: Callable[[Any], tuple[str, ...]], longest: int, unit: str, about: str
) -> Any:
    """A field that holds a list of words, up to `longest`; `read` brings what was given to it, or raises SettingError.

    Its `min` and `max` say how many words there may be.
    """
    return _field("list", default, about, unit, min=1, max=longest, shortest=1, longest=longest, item="word", read=read)


def size(default: float, *, minimum: float, maximum: float, about: str) -> Any:
    """A field that holds an amount of memory or disk, in MiB."""
    return _field("size", default, about, "MiB", min=minimum, max=maximum)


def describe(settings: type) -> dict[str, dict[str, Any]]:
    """Every setting of a `Settings` class: its type, default, min, max, unit, and choices where it has any."""
    described = {}
    for field in dataclasses.fields(settings):
        entry = {"default": field.default, "min": None, "max": None, **field.metadata}
        entry.pop("read", None)
        described[field.name] = {k: list(v) if isinstance(v, tuple) else v for k, v in entry.items()}
    return described


def _shown(value: Any) -> str:
    """A value as an error message shows it: short, whatever it is."""
    if isinstance(value, int) and value.bit_length() > 128:  # Python refuses to write out the longest of them
        return "a number of more than 38 digits"
    try:
        return f"{value!r:.60}"
    except (ValueError, RecursionError):  # such a number within it, or it within itself
        return f"such a {type(value).__name__}"


def _number(name: str, value: Any, limits: dict[str, Any], whole: bool) -> float | int:
    kind = "a whole number" if whole else "a number"
    wanted = f"{name} must be {kind} from {limits['min']} to {limits['max']}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SettingError(f"{wanted}, not {_shown(value)}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingError(f"{wanted}, not {_shown(value)}.")
    if whole and value != int(value):
        raise SettingError(f"{wanted}, not {_shown(value)}.")
    if not limits["min"] <= value <= limits["max"]:
        raise SettingError(f"{wanted}, not {_shown(value)}.")
    return int(value) if whole else float(value)


def _listed(limits: dict[str, Any]) -> str:
    """What a list looks like, such as "2 to 64 whole numbers with commas between"."""
    kind = "whole numbers" if limits["item"] == "integer" else "numbers"
    return f"{limits['shortest']} to {limits['longest']} {kind} with commas between"


def _checked(name: str, value: Any, limits: dict[str, Any]) -> Any:
    kind = limits["type"]
    if "read" in limits:
        value = limits["read"](value)
        if kind == "list":
            return value
    if kind == "choice":
        if not isinstance(value, str) or value not in limits["choices"]:
            raise SettingError(f"{name} must be one of {', '.join(limits['choices'])}, not {_shown(value)}.")
        return value
    if kind == "size":
        try:
            value = mebibytes(value)
        except ValueError as error:
            raise SettingError(f"{name}: {error}.") from error
    if kind == "list":
        if not isinstance(value, (list, tuple)) or not limits["shortest"] <= len(value) <= limits["longest"]:
            raise SettingError(f"{name} must be {_listed(limits)}.")
        whole = limits["item"] == "integer"
        return tuple(_number(f"each of {name}", item, limits, whole=whole) for item in value)
    return _number(name, value, limits, whole=kind == "integer")


def validate(settings: S) -> S:
    """The same settings with every value checked against its range and brought to its type, then against the others.

    Raises
    ------
    SettingError
        At the first value that does not fit, saying which do.
    """
    checked = {
        f.name: _checked(f.name, getattr(settings, f.name), dict(f.metadata)) for f in dataclasses.fields(settings)
    }
    fitting = dataclasses.replace(settings, **checked)
    check = getattr(fitting, "check", None)
    if check is not None:
        check()
    return fitting


def _parsed(name: str, text: str, limits: dict[str, Any]) -> Any:
    kind = limits["type"]
    if kind not in ("list", "integer", "number") or "read" in limits:
        return text
    try:
        # Python itself would also read 1_000 and the digits of every script; here a number is what all can read.
        if not text.isascii() or "_" in text:
            raise ValueError
        if kind == "list":
            read = int if limits["item"] == "integer" else float
            return tuple(read(part) for part in text.split(","))
        return int(text) if kind == "integer" else float(text)
    except ValueError:
        wanted = _listed(limits) if kind == "list" else {"integer": "a whole number", "number": "a number"}[kind]
        raise SettingError(f"{name} must be {wanted}, not {text!r:.60}.") from None


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
