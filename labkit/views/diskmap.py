"""A disk as a sheet of squares, and its file as a bar beside the promise.

Picture graph paper: each square is an equal piece of the disk, from the first byte at the top left, row by row. A
square is filled where the file has room for that piece, half filled where it has for some of it, and empty where a
guest would read zeros that nobody keeps. Below it lies a ruler as long as the disk was promised, and on it the file, as
long as it is.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from labkit.host.disks import Disk, Extent
from labkit.views.picture import Picture
from labkit.views.words import number

__all__ = ["MOST_SQUARES", "disk_map", "drawing", "filled", "size_in_words", "words"]

MOST_SQUARES = 1024
_COLUMNS = 64
_WIDE, _BAR, _EDGE = 640.0, 16.0, 2.0
_FULL, _PART = "#0072B2", "#56B4E9"
_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def size_in_words(size: float) -> str:
    """A number of bytes in the largest unit of which it has one, such as ``"384 KiB"``."""
    for unit, length in _UNITS:
        if size >= length:
            return f"{number(size / length, 1).removesuffix('.0')} {unit}"
    return f"{size:g} B"


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
        f"{size_in_words(data)} of the disk. Of {len(parts)} squares of {size_in_words(size / len(parts))} each "
        f"{whole} are filled, {some} in part, {len(parts) - whole - some} empty."
    )


def drawing(name: str, size: int, file_bytes: int, extents: Sequence[Extent]) -> tuple[str, str]:
    """A disk's squares and its file as inline SVG, and the same in words.

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
    columns = min(_COLUMNS, squares)
    side = _WIDE / columns if columns == _COLUMNS else 20.0
    rows = -(-squares // columns)
    drawn = [
        f'<rect x="0" y="0" width="{columns * side:g}" height="{rows * side:g}" fill="none" stroke="currentColor" '
        'stroke-opacity=".35"/>'
    ]
    for place, part in enumerate(parts):
        if part > 0:
            x, y = place % columns * side, place // columns * side
            # A square that is filled in part is lower as well as paler: nothing hangs on the colour.
            high = side - 1 if part >= 1 else (side - 1) / 2
            drawn.append(
                f'<rect x="{x + 0.5:g}" y="{y + side - 0.5 - high:g}" width="{side - 1:g}" height="{high:g}" '
                f'fill="{_FULL if part >= 1 else _PART}"/>'
            )
    top = rows * side + 12
    long = _WIDE * min(file_bytes / max(size, file_bytes), 1.0)
    ruler = _WIDE * size / max(size, file_bytes)
    drawn += [
        f'<rect x="0.5" y="{top:g}" width="{ruler - 1:g}" height="{_BAR:g}" fill="none" stroke="currentColor" '
        'stroke-dasharray="4 3"/>',
        f'<rect x="0.5" y="{top:g}" width="{max(long - 1, 1):g}" height="{_BAR:g}" fill="{_FULL}" fill-opacity=".75" '
        'stroke="currentColor"/>',
        f'<text x="0" y="{top + _BAR + 15:g}" style="font-size:13px;fill:currentColor">file: '
        f"{html.escape(size_in_words(file_bytes))} of {html.escape(size_in_words(size))} promised</text>",
    ]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(said)}" '
        f'viewBox="{-_EDGE:g} {-_EDGE:g} {_WIDE + 2 * _EDGE:g} {top + _BAR + 22:g}" '
        f'style="display:block;width:100%;max-width:{_WIDE:g}px;height:auto;font-family:inherit">{"".join(drawn)}</svg>'
    )
    return svg, said


def disk_map(disk: Disk) -> Picture:
    """A disk of either host as it is at this moment, with its text twin.

    Parameters
    ----------
    disk : labkit.host.Disk
        The disk.
    """
    extents = disk.map()
    return Picture(*drawing(disk.name, disk.size, disk.file_bytes, extents))
