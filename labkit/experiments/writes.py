"""What is written to a disk, in words: a list of places, or a pattern with a seed.

A write is ``offset+length``, both in bytes, and a list has commas between them: ``0+4096,1048576+65536``. Instead of a
list there may be one pattern:

``random:seed=1,count=100,length=4096``
    `count` writes of `length` bytes, each at a multiple of `align` bytes (where not given: of `length`), drawn by
    Python's ``random.Random(seed).randrange`` over all multiples at which it fits onto the disk. The same place may be
    drawn twice.
``sequential:count=100,length=4096``
    `count` writes of `length` bytes one after the other, the first at `offset` (where not given: 0), with `gap` bytes
    (where not given: 0) left out between them.

Seed, offset and gap may be 0; count, length and align are at least 1.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from typing import Any

from labkit.experiments.settings import SettingError

__all__ = ["MOST_BYTES", "MOST_WRITES", "later", "places", "read"]

MOST_WRITES = 10_000
MOST_BYTES = 256 << 20  # all of them together
LARGEST = 1 << 50  # of any number in a pattern

_WRITE = re.compile(r"([0-9]{1,16})\+([0-9]{1,16})", re.ASCII)
_PART = re.compile(r"([a-z]+)=([0-9]{1,16})", re.ASCII)
_PATTERNS: dict[str, dict[str, int | None]] = {
    "random": {"seed": None, "count": None, "length": None, "align": 0},
    "sequential": {"count": None, "length": None, "offset": 0, "gap": 0},
}
_MAY_BE_0 = ("seed", "offset", "gap")
_PATTERN = "random:seed=1,count=100,length=4096"
_LIKE = f"0+4096,1048576+65536 or {_PATTERN}"


def read(value: Any) -> tuple[str, ...]:
    """Read the setting: each write of a list is a word of the answer, a pattern is one.

    Parameters
    ----------
    value : str or iterable
        Words as above; from Python also pairs of offset and length.

    Raises
    ------
    SettingError
        Where it is neither, or there are too many.
    """
    words = value.split(",") if isinstance(value, str) else list(value) if isinstance(value, Iterable) else None
    if words is None or not words:
        raise SettingError(f"writes looks like {_LIKE}, not {value!r:.60}.")
    # A pattern has commas too: its parts come back together.
    if isinstance(words[0], str) and ":" in words[0]:
        text = ",".join(map(str, words)).replace(" ", "")
        return (_pattern_in_words(*_pattern(text)),)
    if len(words) > MOST_WRITES:
        raise SettingError(f"writes holds {MOST_WRITES} writes at the most, not {len(words)}.")
    return tuple("{}+{}".format(*_write(word)) for word in words)


def _write(word: Any) -> tuple[int, int]:
    if isinstance(word, (tuple, list)) and len(word) == 2:
        word = f"{word[0]}+{word[1]}"
    found = _WRITE.fullmatch(word.strip()) if isinstance(word, str) else None
    if not found or int(found[2]) < 1:
        raise SettingError(
            "each of writes is an offset, '+' and a length of 1 or more, such as 0+4096; or all of it is one pattern, "
            f"random:… or sequential:…, such as {_PATTERN} or sequential:count=100,length=4096; not {word!r:.60}."
        )
    return int(found[1]), int(found[2])


def _pattern(text: str) -> tuple[str, dict[str, int]]:
    kind, _colon, rest = text.partition(":")
    if kind not in _PATTERNS:
        raise SettingError(f"writes knows the patterns {' and '.join(_PATTERNS)}, not {kind!r:.60}.")
    given: dict[str, int] = {}
    for part in rest.split(","):
        found = _PART.fullmatch(part)
        name = found[1] if found else ""
        if not found or name not in _PATTERNS[kind] or name in given:
            known = ", ".join(_PATTERNS[kind])
            raise SettingError(
                f"writes: the pattern {kind} has one whole number for each of {known}; not {part!r:.60}."
            )
        given[name] = int(found[2])
    for name, usual in _PATTERNS[kind].items():
        if usual is None and name not in given:
            raise SettingError(f"writes: the pattern {kind} needs {name}, as in {name}=1.")
        least = 0 if name in _MAY_BE_0 or usual is not None and name not in given else 1
        if not least <= given.get(name, 0) <= LARGEST:
            raise SettingError(f"{name} of writes is a whole number from {least} to {LARGEST}, not {given[name]}.")
    if given["count"] > MOST_WRITES:
        raise SettingError(f"writes holds {MOST_WRITES} writes at the most, not {given['count']}.")
    return kind, given


def _pattern_in_words(kind: str, given: dict[str, int]) -> str:
    return f"{kind}:" + ",".join(f"{name}={given[name]}" for name in _PATTERNS[kind] if name in given)


def places(words: tuple[str, ...], size: int) -> list[tuple[int, int]]:
    """Every write of a setting as offset and length, in bytes, in their order.

    Parameters
    ----------
    words : tuple of str
        As `read` gives them.
    size : int
        Of the disk, in bytes.

    Raises
    ------
    SettingError
        Where a write does not lie on the disk, or there is more than 256 MiB of them.
    """
    if len(words) == 1 and ":" in words[0]:
        found = _drawn(*_pattern(words[0]), size)
    else:
        found = [_write(word) for word in words]
    for offset, length in found:
        if offset + length > size:
            raise SettingError(f"writes has {length} bytes at {offset}, and the disk has {size} bytes.")
    total = sum(length for _offset, length in found)
    if total > MOST_BYTES:
        raise SettingError(f"writes may hold {MOST_BYTES} bytes in all, not {total}.")
    return found


def later(words: tuple[str, ...], number: int) -> tuple[str, ...]:
    """The same setting with the seed of a random pattern raised by a number; all others stay as they are."""
    if len(words) != 1 or ":" not in words[0]:
        return words
    kind, given = _pattern(words[0])
    if "seed" not in given:
        return words
    return (_pattern_in_words(kind, {**given, "seed": given["seed"] + number}),)


def _drawn(kind: str, given: dict[str, int], size: int) -> list[tuple[int, int]]:
    count, length = given["count"], given["length"]
    if kind == "sequential":
        first, step = given.get("offset", 0), length + given.get("gap", 0)
        return [(first + number * step, length) for number in range(count)]
    if length > size:
        raise SettingError(f"writes has {length} bytes, and the disk has {size} bytes.")
    draw, align = random.Random(given["seed"]), given.get("align", length)
    return [(draw.randrange((size - length) // align + 1) * align, length) for _ in range(count)]
