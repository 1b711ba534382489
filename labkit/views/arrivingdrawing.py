"""The drawing of what has arrived over time: axes, the ruled place above the bound, and three lines.

SVG without any name of its own inside, so that several on one page do not meddle with each other, and in the page's own
colours, so that one drawing suits a light and a dark theme.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence

from labkit.views.palette import Look

__all__ = ["drawing", "swatch", "ticks"]

Points = Sequence[tuple[float, float]]

_WIDE, _HIGH = 420.0, 270.0
_LEFT, _RIGHT, _TOP, _FLOOR = 40.0, 12.0, 10.0, 232.0
_MARKS = 26  # of a line, at the most
_RULED = 9.0  # px between two of the lines above the bound
_MEGA = 1e6
_TEXT = "font-size:13px;fill:currentColor"
_INK = "stroke:var(--jp-ui-font-color1, currentColor)"  # the theme's own, whatever is around it
# How a line is drawn beyond its colour, and its marks: hollow and larger, so that both are seen where they meet.
_LINES = {
    "bound": f'style="{_INK}" stroke-width="3.6" stroke-dasharray="0.1 7" stroke-linecap="round"',
    "simulated": 'stroke-width="1.8" stroke-dasharray="6 4"',
    "live": 'stroke-width="2"',
}


def ticks(end: float, count: int) -> list[float]:
    """Round numbers from 0 up to an end, about so many: 1, 2 or 5 of a power of ten apart.

    Parameters
    ----------
    end : float
        The last may not be beyond it; above 0.
    count : int
        About how many steps there are to be.
    """
    power = 10.0 ** math.floor(math.log10(end / count))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * count >= end * 0.999)
    return [place * step for place in range(math.floor(end / step + 1e-9) + 1)]


def _said(value: float, all_of_them: Sequence[float]) -> str:
    """A number at an axis, with as many decimals as the step of its axis has."""
    step = all_of_them[1] if len(all_of_them) > 1 else 1.0
    return f"{value:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def _mark(shape: str, x: float, y: float, size: float) -> str:
    """A mark around a point, as a path; the shapes are those of the live view."""
    s = size
    corners = {
        "square": ((-s, -s), (s, -s), (s, s), (-s, s)),
        "triangle": ((0, -s), (s, s), (-s, s)),
        "diamond": ((0, -s), (s, 0), (0, s), (-s, 0)),
    }.get(shape)
    if corners is None:
        return f"M{x - s:.1f},{y:.1f}a{s:g},{s:g} 0 1,0 {2 * s:g},0a{s:g},{s:g} 0 1,0 {-2 * s:g},0"
    return "M" + "L".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners) + "z"


def _marks(column: str, how: Look, places: Points) -> str:
    hollow = column == "simulated"
    path = "".join(_mark(how.shape, x, y, 4.2 if hollow else 2.4) for x, y in places)
    fill = "none" if hollow else how.colour
    return f'<path d="{path}" fill="{fill}" stroke="{how.colour}" stroke-width="{1.4 if hollow else 1}"/>'


def _line(column: str, places: Points, colour: str) -> str:
    path = "L".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<path d="M{path}" fill="none" stroke="{colour}" class="lk-arrived-{column}" {_LINES[column]}/>'


def _thinned(points: Points) -> Points:
    """Every so manieth of many points, with the first and the last."""
    every = max(1, math.ceil(len(points) / _MARKS))
    return [point for place, point in enumerate(points) if place % every == 0 or place == len(points) - 1]


def _axes(x: Callable[[float], float], y: Callable[[float], float], longest: float, most: float) -> str:
    along, up = ticks(longest, 6), ticks(most / _MEGA, 5)
    end = _WIDE - _RIGHT
    parts = [
        f'<path d="M{_LEFT:g},{y(at * _MEGA):.1f}H{end:g}" stroke="currentColor" stroke-opacity=".13"/>'
        f'<text x="{_LEFT - 6:g}" y="{y(at * _MEGA) + 4.5:.1f}" text-anchor="end" style="{_TEXT}">'
        f"{_said(at, up)}</text>"
        for at in up
    ]
    parts += [
        f'<text x="{x(at):.1f}" y="{_FLOOR + 17:g}" text-anchor="middle" style="{_TEXT}">{_said(at, along)}</text>'
        for at in along
    ]
    middle = (_LEFT + end) / 2
    parts.append(f'<text x="{middle:g}" y="{_HIGH - 4:g}" text-anchor="middle" style="{_TEXT}">time (s)</text>')
    parts.append(
        f'<path d="M{_LEFT:g},{_TOP:g}V{_FLOOR:g}H{end:g}" fill="none" stroke="currentColor" stroke-opacity=".6"/>'
    )
    return "".join(parts)


def _ruled(places: Points) -> str:
    """Lines from the top down to the bound, side by side: nothing can be there."""
    path, at = "", places[0][0] + _RULED / 2
    for (left, high), (right, low) in zip(places, places[1:], strict=False):
        while at <= right:
            floor = high + (low - high) * (at - left) / (right - left)
            path += f"M{at:.1f},{_TOP:g}V{floor:.1f}" if floor > _TOP else ""
            at += _RULED
    return f'<path d="{path}" stroke="currentColor" stroke-opacity=".22" class="lk-arrived-above"/>'


def drawing(
    how: Look,
    bound: Points,
    arrived: dict[str, list[tuple[float, float]]],
    kink: float | None,
    ends: tuple[float, float],
    said: str,
) -> str:
    """One sender's drawing.

    Parameters
    ----------
    how : Look
        The sender's colour and mark.
    bound : sequence of (float, float)
        Corners of the bound, in s and B.
    arrived : dict
        Points of ``"simulated"`` and ``"live"``, in s and B.
    kink : float or None
        When the bucket is empty, in s.
    ends : tuple of float
        Up to where the axes have to reach, in s and B.
    said : str
        The drawing in words.

    Returns
    -------
    str
        SVG.
    """
    longest, most = ends[0], ends[1] * 1.06

    def x(moment: float) -> float:
        return _LEFT + moment / longest * (_WIDE - _LEFT - _RIGHT)

    def y(count: float) -> float:
        return _FLOOR - count / most * (_FLOOR - _TOP)

    def placed(points: Points) -> Points:
        return [(x(moment), y(count)) for moment, count in points]

    parts = [_axes(x, y, longest, most), _ruled(placed(bound))]
    if kink is not None:
        high = y(dict(bound)[kink])
        turned = x(kink) > _WIDE * 0.6  # the words have no room to its right
        parts.append(
            f'<path d="M{x(kink):.1f},{high:.1f}V{_FLOOR:g}" stroke="currentColor" stroke-opacity=".6" '
            f'stroke-dasharray="3 3"/><text x="{x(kink) + (-6 if turned else 6):.1f}" y="{_FLOOR - 8:g}" '
            f'text-anchor="{"end" if turned else "start"}" style="{_TEXT}">bucket empty</text>'
        )
    for column in ("live", "simulated"):
        if column in arrived:
            parts.append(_line(column, placed(arrived[column]), how.colour))
    for column in ("live", "simulated"):
        if column in arrived:
            parts.append(_marks(column, how, placed(_thinned(arrived[column]))))
    parts.append(_line("bound", placed(bound), "currentColor"))  # above all others: who keeps to the bound lies on it
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(said)}" '
        f'viewBox="0 0 {_WIDE:g} {_HIGH:g}" style="display:block;width:100%;height:auto;font-family:inherit">'
        f"{''.join(parts)}</svg>"
    )


def swatch(column: str) -> str:
    """A short piece of a line with its mark, for the key."""
    piece = _line(column, [(2, 7), (38, 7)], "currentColor")
    mark = ""
    if column != "bound":
        hollow = column == "simulated"
        fill = "none" if hollow else "currentColor"
        mark = f'<path d="{_mark("circle", 20, 7, 4.2 if hollow else 2.4)}" fill="{fill}" stroke="currentColor"/>'
    return f'<svg width="40" height="14" aria-hidden="true" style="flex:none">{piece}{mark}</svg>'
