"""A disk as a sheet of squares, and its file as a bar beside the promise.

Picture graph paper: each square is an equal piece of the disk, from the first byte at the top left, row by row. A
square is filled from below as far as the file has room for that piece: to the top where it has for all of it, by a
sliver where it has for a small part, and not at all where a guest would read zeros that nobody keeps. Below it lies a
ruler as long as the disk was promised, and on it the file, as long as it is.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from labkit.host.disks import Disk, Extent
from labkit.views.picture import Picture

__all__ = ["MOST_SQUARES", "WIDE", "disk_map", "drawing", "filled", "size_in_words", "words"]

MOST_SQUARES = 1024
_COLUMNS, _SIDE = 32, 12.0  # px; two drawings are to fit beside each other
_BAR, _EDGE = 16.0, 1.0
_SLIVER = 2.0  # the least height of what is filled at all; less would not be seen
_COLOUR = "#0072B2"
WIDE = _COLUMNS * _SIDE + 2 * _EDGE
"""How many px wide a drawing is, where the page has as many."""
_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def size_in_words(size: float) -> str:
    """A number of bytes in the largest unit of which it has one, such as ``"384 KiB"``."""
    for unit, length in _UNITS:
        if size >= length:
            return f"{size / length:,.1f}".removesuffix(".0") + f" {unit}"
    return f"{size:,.4g} B"


def filled(extents: Iterable[Extent], size: int, squares: int) -> list[float]:
    """How much of each square has room in the file, from 0 to 1.

    Parameters
    ----------
    extents : iterable of Extent
        As `labkit.host.Disk.map` gives them.
    size : int
        The disk's, in bytes.
    squares : int
        In how many equal pieces it is drawn.
    """
    each = size / squares
    found = [0.0] * squares
    for extent in extents:
        if not extent.data or not extent.length:
            continue
        end = extent.start + extent.length
        first, last = extent.start * squares // size, (end * squares - 1) // size
        for square in range(first, last + 1):
            found[square] += (min(end, (square + 1) * each) - max(extent.start, square * each)) / each
    return [min(part, 1.0) for part in found]


def words(name: str, size: int, file_bytes: int, data: int, parts: Sequence[float]) -> str:
    """The picture in two sentences.

    Parameters
    ----------
    name : str
        The disk's.
    size, file_bytes, data : int
        What was promised, how long the file is, and for how much of the disk it has room, in bytes.
    parts : sequence of float
        How much of each square is filled, from 0 to 1.
    """
    whole, some = sum(part >= 1 for part in parts), sum(0 < part < 1 for part in parts)
    return (
        f"disk {name}: {size_in_words(size)} promised, its file is {size_in_words(file_bytes)} long and has room for "
        f"{size_in_words(data)} of the disk. Of {len(parts):,} squares of {size_in_words(size / len(parts))} each "
        f"{whole:,} are filled, {some:,} in part, {len(parts) - whole - some:,} empty."
    )


def drawing(name: str, size: int, file_bytes: int, extents: Sequence[Extent]) -> tuple[str, str]:
    """A disk's squares and its file as inline SVG with a legend below it, and the same in words.

    Parameters
    ----------
    name : str
        The disk's.
    size, file_bytes : int
        What was promised and how long the file is, in bytes.
    extents : sequence of Extent
        As `labkit.host.Disk.map` gives them.
    """
    squares = min(MOST_SQUARES, max(1, size >> 16))
    parts = filled(extents, size, squares)
    said = words(name, size, file_bytes, sum(extent.length for extent in extents if extent.data), parts)
    drawn = [_grid(squares), *(_square(place, part) for place, part in enumerate(parts) if part > 0)]
    top = -(-squares // _COLUMNS) * _SIDE + 12
    longest, wide = max(size, file_bytes), _COLUMNS * _SIDE
    drawn += [
        f'<rect x="0" y="{top:g}" width="{wide * size / longest:g}" height="{_BAR:g}" fill="none" '
        'stroke="currentColor" stroke-dasharray="4 3"/>',
        f'<rect x="0" y="{top:g}" width="{max(wide * file_bytes / longest, 1):g}" height="{_BAR:g}" '
        f'fill="{_COLOUR}" fill-opacity=".75" stroke="currentColor"/>',
    ]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(said)}" '
        f'viewBox="{-_EDGE:g} {-_EDGE:g} {WIDE:g} {top + _BAR + 2 * _EDGE:g}" '
        f'style="display:block;width:100%;max-width:{WIDE:g}px;height:auto">{"".join(drawn)}</svg>'
    )
    return svg + _below(size, file_bytes, parts), said


def _grid(squares: int) -> str:
    """Faint lines around every square; the last row may have fewer of them."""
    columns, (rows, rest) = min(_COLUMNS, squares), divmod(squares, _COLUMNS)
    lines = []
    for row in range(rows + (rest > 0) + 1):
        across = columns if row <= rows else rest
        lines.append(f"M0 {row * _SIDE:g}H{across * _SIDE:g}")
    for column in range(columns + 1):
        down = rows + (rest > 0 and column <= rest)
        lines.append(f"M{column * _SIDE:g} 0V{down * _SIDE:g}")
    return f'<path d="{"".join(lines)}" fill="none" stroke="currentColor" stroke-opacity=".22"/>'


def _square(place: int, part: float) -> str:
    """What is filled of a square, from below; the grid's lines stay to be seen."""
    x, y, most = place % _COLUMNS * _SIDE, place // _COLUMNS * _SIDE, _SIDE - 1
    high = most if part >= 1 else min(max(_SLIVER, part * most), most - 1)  # what is not full does not look full
    return f'<rect x="{x + 0.5:g}" y="{y + 0.5 + most - high:g}" width="{most:g}" height="{high:g}" fill="{_COLOUR}"/>'


def _below(size: int, file_bytes: int, parts: Sequence[float]) -> str:
    """What the bar is and what a square says, as the page's own text: as large on a narrow page as on a wide one."""
    whole, some = sum(part >= 1 for part in parts), sum(0 < part < 1 for part in parts)
    counted = (
        (1.0, whole, "full: the file has room for all of it"),
        (0.0, some, "in part, by a sliver or more: the file has room for a part of this square"),
        (None, len(parts) - whole - some, "empty: the guest reads zeros, and nobody keeps them"),
    )
    keys = "".join(
        f'<div style="display:flex;gap:6px;align-items:flex-start">{_key(part)}<span>{count:,} {means}</span></div>'
        for part, count, means in counted
    )
    return (
        f'<div style="max-width:{WIDE:g}px;font-size:13px;line-height:1.45;margin-top:4px">'
        f"<div>The bar: the file, {size_in_words(file_bytes)}, on {size_in_words(size)} promised.</div>"
        f"<div>Of {len(parts):,} squares of {size_in_words(size / len(parts))} each:</div>{keys}</div>"
    )


def _key(part: float | None) -> str:
    """One square, for the legend."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" aria-hidden="true" width="{_SIDE + 2:g}" height="{_SIDE + 2:g}" '
        f'viewBox="-1 -1 {_SIDE + 2:g} {_SIDE + 2:g}" style="flex:none;margin-top:2px">{_grid(1)}'
        f"{'' if part is None else _square(0, part)}</svg>"
    )


def disk_map(disk: Disk) -> Picture:
    """A disk of either host as it is at this moment, with its text twin.

    Parameters
    ----------
    disk : labkit.host.Disk
        The disk.
    """
    extents = disk.map()
    return Picture(*drawing(disk.name, disk.size, disk.file_bytes, extents))
