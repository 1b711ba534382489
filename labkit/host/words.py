"""What a host says when it cannot, what it can, how much memory a size is, and several words in one sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Ability", "HostError", "listed", "mebibytes"]


class HostError(Exception):
    """Something a host was asked for and could not do, in one sentence, with what to do about it.

    Parameters
    ----------
    message : str
        What went wrong, in words a learner can read.
    remedy : str
        What the person can do about it; empty where there is nothing to do.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message} {remedy}".strip())


@dataclass(frozen=True)
class Ability:
    """The answer of `Host.can`: yes and by which mechanism, or no with the reason and the remedy."""

    yes: bool
    mechanism: str = ""
    reason: str = ""
    remedy: str = ""

    def __bool__(self) -> bool:
        return self.yes

    def __repr__(self) -> str:
        if self.yes:
            return f"yes: {self.mechanism}"
        return f"no: {self.reason} {self.remedy}".strip()


_UNITS = {"b": 1 / 1048576, "kib": 1 / 1024, "mib": 1.0, "gib": 1024.0, "tib": 1048576.0}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", re.ASCII)


def mebibytes(size: str | float) -> float:
    """Read a size such as ``"128 MiB"`` or ``"1 GiB"`` into MiB; a bare number is MiB already.

    Raises
    ------
    ValueError
        Where it is not a positive size in B, KiB, MiB, GiB or TiB.
    """
    match = _SIZE.fullmatch(f"{size:.12f}" if isinstance(size, float) else str(size))
    factor = _UNITS.get((match[2] or "MiB").lower()) if match else None
    if not match or factor is None or float(match[1]) <= 0:
        raise ValueError(f"a size looks like '128 MiB' or '1 GiB', not {size!r}")
    return float(match[1]) * factor


def listed(words: Sequence[str], last: str = "and") -> str:
    """Words with commas between and a word before the last: "m1, m2 and m3"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
