"""The desk at the entrance: nothing gets in whose papers are not in order.

Each function takes what a person typed and gives back a clean value, or raises a ValueError that
names the range. The engine behind the desk can then trust what it is handed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable
from typing import Any

__all__ = ["checked_cap", "checked_name", "checked_pin", "checked_reservation", "checked_seconds", "checked_whole"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,19}", re.ASCII)


def checked_whole(what: str, value: Any, least: int, most: int) -> int:
    """A whole number from `least` to `most`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or not least <= number <= most:
        raise ValueError(f"{what} is a whole number from {least} to {most}, not {_shown(value)}")
    return number


def checked_seconds(what: str, value: Any, least: float, most: float) -> float:
    """A number of seconds from `least` to `most`."""
    return _checked(value, least, most, f"{what} is a number of seconds from {least:g} to {most:g}")


def checked_cap(value: Any) -> float:
    """The most CPU time that a machine may use, in CPU; infinite for no cap."""
    return _checked(value, 0.01, math.inf, "cap is a number of CPU from 0.01, or math.inf for none")


def checked_reservation(value: Any, cpus: int) -> float:
    """The CPU time that a machine is sure of, in CPU; 0 for none."""
    return _checked(value, 0.0, cpus, f"reservation is a number of CPU from 0 to the host's {cpus}")


def _checked(value: Any, least: float, most: float, allowed: str) -> float:
    try:
        if isinstance(value, (bool, str, bytes)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or not least <= number <= most:
        raise ValueError(f"{allowed}, not {_shown(value)}")
    return number


def checked_name(value: Any) -> str:
    """A machine's name."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            f"a name is a letter, then letters, digits and hyphens, 20 characters at most, not {_shown(value)}"
        )
    return value


def checked_pin(value: Iterable[int] | None, cpus: int) -> frozenset[int]:
    """The host CPUs that a machine may run on; all where `value` is None."""
    if value is None:
        return frozenset(range(cpus))
    allowed = f"pin is a list of host CPUs, such as [0]; this host has CPUs 0 to {cpus - 1}"
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ValueError(f"{allowed}; not {_shown(value)}")
    chosen: set[int] = set()
    for count, cpu in enumerate(value):
        if count >= 4096:  # whoever gives an endless list gets an answer
            raise ValueError(f"{allowed}; not a list of more than 4096")
        try:
            chosen.add(checked_whole("pin", cpu, 0, cpus - 1))
        except ValueError:
            raise ValueError(f"{allowed}; not {_shown(cpu)}") from None
    if not chosen:
        raise ValueError(f"{allowed}; not an empty list")
    return frozenset(chosen)


def _shown(value: Any) -> str:
    """A value as an error message shows it: short, whatever it is."""
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of more than 38 digits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
