"""Where each part of a disk lies, in a chain of layers: what of each sheet shows, and what an upper sheet hides.

One row for each layer, the topmost above, each as long as the disk from left to right. A tall mark is data that shows,
a low one is data that still takes room and that nobody sees any more, as a layer above has written there too. The
first row is what the guest sees, the last all that is hidden. A row has its layer's name, so that nothing hangs on a
colour.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass

from labkit.host import Disk
from labkit.host.chains import chain_of
from labkit.views.palette import look, places
from labkit.views.picture import Picture

__all__ = ["Layer", "layers_of", "where_it_lies"]

MEBI = 1 << 20
_PIECES = 512  # into which a disk is cut for the drawing
_WIDE, _LEFT, _RIGHT, _EDGE = 640.0, 84.0, 132.0, 6.0
_ROW, _HIGH, _LOW = 26.0, 18.0, 6.0
_TEXT = "font-size:13px;fill:currentColor"
_EDGES = 'stroke="currentColor" stroke-opacity=".55" stroke-width=".4"'  # a pale colour is seen on white too
_SEEN, _HIDDEN = "guest sees", "hidden"


@dataclass(frozen=True)
class Layer:
    """What a picture shows of one layer.

    Parameters
    ----------
    name : str
        Its disk's name.
    shown, hidden : tuple of (int, int)
        The stretches of its data that show through all layers above, and those that do not: from where, and up to
        where, in bytes of the disk.
    """

    name: str
    shown: tuple[tuple[int, int], ...]
    hidden: tuple[tuple[int, int], ...]

    @property
    def shown_bytes(self) -> int:
        """How much of the disk is read from here."""
        return sum(end - start for start, end in self.shown)

    @property
    def hidden_bytes(self) -> int:
        """How much of its data nobody sees any more."""
        return sum(end - start for start, end in self.hidden)


def layers_of(top: Disk) -> list[Layer]:
    """What every layer holds, the topmost first, by the maps of the layers.

    Parameters
    ----------
    top : Disk
        The disk whose chain is looked at.
    """
    owned: dict[int, list[tuple[int, int]]] = {}
    for extent in top.map():
        if extent.data:
            owned.setdefault(extent.depth, []).append((extent.start, extent.start + extent.length))
    found = []
    for depth, disk in enumerate(chain_of(top)):
        shown = owned.get(depth, [])
        own = [(one.start, one.start + one.length) for one in disk.map() if one.data and not one.depth]
        found.append(Layer(disk.name, tuple(shown), tuple(_without(own, shown))))
    return found


def _without(stretches: list[tuple[int, int]], others: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The parts of stretches that lie in none of the others; both are in the order of the disk."""
    for start, end in stretches:
        at = start
        for left, right in others:
            if right <= at or left >= end:
                continue
            if left > at:
                yield at, left
            at = max(at, right)
        if at < end:
            yield at, end


def _pieces(stretches: tuple[tuple[int, int], ...], size: int) -> set[int]:
    """Which pieces of the drawing the stretches touch."""
    return {
        piece
        for start, end in stretches
        for piece in range(start * _PIECES // size, min(_PIECES - 1, (end - 1) * _PIECES // size) + 1)
    }


def _runs(pieces: set[int]) -> Iterator[tuple[int, int]]:
    """Pieces side by side as one: the first, and how many."""
    for first in sorted(piece for piece in pieces if piece - 1 not in pieces):
        count = 1
        while first + count in pieces:
            count += 1
        yield first, count


def _marks(pieces: set[int], row: int, colour: str, high: float) -> str:
    """Marks that stand on the floor of a row."""
    one, floor = (_WIDE - _LEFT - _RIGHT) / _PIECES, _EDGE + row * _ROW + _HIGH
    return "".join(
        f'<rect x="{_LEFT + first * one:.2f}" y="{floor - high:g}" width="{count * one:.2f}" height="{high:g}" '
        f'fill="{colour}" {_EDGES}/>'
        for first, count in _runs(pieces)
    )


def _row(number: int, name: str, marks: str, said: str) -> str:
    top = _EDGE + number * _ROW
    middle = top + _HIGH / 2 + 4.5
    frame = (
        f'<rect x="{_LEFT:g}" y="{top:g}" width="{_WIDE - _LEFT - _RIGHT:g}" height="{_HIGH:g}" fill="none" '
        'stroke="currentColor" stroke-opacity=".35"/>'
    )
    return (
        f'<text x="{_LEFT - 8:g}" y="{middle:g}" text-anchor="end" style="{_TEXT}">{html.escape(name)}</text>{frame}'
        f'{marks}<text x="{_WIDE - _RIGHT + 8:g}" y="{middle:g}" style="{_TEXT}">{html.escape(said)}</text>'
    )


def _size(count: int) -> str:
    return f"{count / MEBI:.1f} MiB"


def _sentences(layers: list[Layer], size: int) -> list[str]:
    """What the picture shows, in words."""
    shown, hidden = sum(layer.shown_bytes for layer in layers), sum(layer.hidden_bytes for layer in layers)
    said = [
        f"A disk of {_size(size)} in {len(layers)} layer{'s' if len(layers) > 1 else ''}, the topmost first; the guest "
        f"sees {_size(shown)} of data, and {_size(hidden)} more is kept that it does not see."
    ]
    for layer in layers:
        said.append(f"{layer.name}: {_size(layer.shown_bytes)} shows, {_size(layer.hidden_bytes)} is hidden.")
    return said


def where_it_lies(top: Disk) -> Picture:
    """A disk's chain as a picture, with its text twin.

    Parameters
    ----------
    top : Disk
        The disk that the guest has; all that it lies over is drawn below it.

    Raises
    ------
    HostError
        Where a layer is gone.
    """
    layers, size = layers_of(top), top.size
    numbered = places(layer.name for layer in reversed(layers))  # from the base on, as in the charts of their sizes
    rows, guest, covered = [], "", ""
    for number, layer in enumerate(layers):
        colour = look(numbered[layer.name]).colour
        shown = _pieces(layer.shown, size)
        hidden = _pieces(layer.hidden, size)
        covered = _marks(hidden, len(layers) + 1, colour, _LOW) + covered  # of two hidden pieces the upper one is drawn
        marks = _marks(hidden - shown, number + 1, colour, _LOW)
        marks += _marks(shown, number + 1, colour, _HIGH)
        guest = _marks(shown, 0, colour, _HIGH) + guest  # where a piece is of several layers, the upper one is seen
        rows.append(_row(number + 1, layer.name, marks, f"{layer.shown_bytes / MEBI:.1f} of {_held(layer)}"))
    total = sum(layer.shown_bytes for layer in layers)
    first = _row(0, _SEEN, guest, _size(total))
    rows.append(_row(len(layers) + 1, _HIDDEN, covered, _size(sum(layer.hidden_bytes for layer in layers))))
    words = _sentences(layers, size)
    high = 2 * _EDGE + (len(layers) + 2) * _ROW
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(" ".join(words))}" '
        f'viewBox="0 0 {_WIDE:g} {high:g}" style="display:block;width:100%;max-width:760px;height:auto;'
        f'font-family:inherit">{first}{"".join(rows)}</svg>'
    )
    key = (
        '<p style="margin:4px 0">Tall marks: data that shows. Low marks: data that a layer above hides, and that takes '
        "room all the same; the last row has those of all layers. Beside a layer: how much of its data shows.</p>"
    )
    return Picture(svg + key, "\n".join(words))


def _held(layer: Layer) -> str:
    return _size(layer.shown_bytes + layer.hidden_bytes)
