"""The look of each machine: one source for Python's figures and for the browser's live view.

A machine keeps its look in every picture of a lesson: `places` gives a name its number. No picture relies on colour
alone: each look also has a hatch, a marker and a dash pattern. The eight colours are those of Okabe and Ito, which stay
apart under every common kind of colour blindness; from the ninth machine on they come darker, then lighter, and with
other hatches, so that 64 machines still differ.

The *columns* (theory, simulated, live) are told apart by how a bar is filled: hollow, hatched, solid.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

__all__ = ["COLUMNS", "Look", "look", "looks_for_browser", "places"]

COLUMNS = ("theory", "simulated", "live")

_COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "vermilion": "#D55E00",
    "yellow": "#F0E442",
    "grey": "#8C8C8C",
}
# The name that the browser's patterns have, and matplotlib's sign for the same.
_HATCHES = {
    "solid": "",
    "diagonal": "///",
    "dots": "...",
    "cross": "xx",
    "back": "\\\\\\",
    "horizontal": "---",
    "vertical": "|||",
    "plus": "++",
}
# The name that the browser's markers have, and matplotlib's sign for the same.
_MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "down": "v",
    "cross": "X",
    "plus": "P",
    "star": "*",
}
_NUMBERED = re.compile(r"m([1-9]\d?)")
_SHADES = ((0, 0.0), (0, 0.4), (255, 0.5))  # of a turn of eight colours: what is mixed in, and how much of it
_DASHES = ((6, 3), (2, 2), (8, 3, 2, 3), (4, 4), (10, 3), (1, 3), (6, 2, 1, 2, 1, 2), (3, 5))


@dataclass(frozen=True)
class Look:
    """How one machine is drawn.

    Parameters
    ----------
    colour : str
        Its colour, as ``"#rrggbb"``, and `colour_name`, in a word.
    pattern : str
        The name of its hatch, and `hatch`, matplotlib's sign for it.
    shape : str
        The name of its marker, and `marker`, matplotlib's sign for it.
    dash : tuple of int
        Its dash pattern: drawn and left out, in turn, in points.
    """

    colour: str
    colour_name: str
    pattern: str
    hatch: str
    shape: str
    marker: str
    dash: tuple[int, ...]


def look(index: int) -> Look:
    """The look of the machine at that index, from 0; the first 64 all differ."""
    if index < 0:
        raise ValueError(f"a machine's index is 0 or more, not {index}")
    place, turn = index % 8, index // 8
    name, colour = list(_COLOURS.items())[place]
    colour = _mixed(colour, *_SHADES[turn % len(_SHADES)])
    pattern, hatch = list(_HATCHES.items())[(place + turn) % 8]
    shape, marker = list(_MARKERS.items())[(place + turn) % 8]
    return Look(colour, name, pattern, hatch, shape, marker, _DASHES[(place + turn) % 8])


def _mixed(colour: str, other: int, much: float) -> str:
    """A colour with black (0) or white (255) in it."""
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(part + (other - part) * much):02X}" for part in parts)


def places(names: Iterable[str]) -> dict[str, int]:
    """The number of each name's look, the same in every picture: ``m3`` has the third, others have those left over.

    Parameters
    ----------
    names : iterable of str
        All that one picture shows, in its order; it may name one twice.
    """
    each = list(dict.fromkeys(names))
    found = {name: int(number[1]) - 1 for name in each if (number := _NUMBERED.fullmatch(name))}
    taken = set(found.values())
    left = (index for index in itertools.count() if index not in taken)
    return {name: found[name] if name in found else next(left) for name in each}


def looks_for_browser(names: list[str]) -> list[dict[str, object]]:
    """The machines with their looks, as the live view's JavaScript takes them."""
    placed = places(names)
    return [{"name": name, **asdict(look(placed[name])), "dash": list(look(placed[name]).dash)} for name in names]
