"""A stack of layers as a drawing: plain, with its scheduler, or with the way of one disk write.

One SVG of about the width of a telephone, which grows with the page. Text and lines take the page's own colour, so it
can be read on light and on dark; every box has its name in it, so nothing hangs on its colour.
"""

from __future__ import annotations

import html

from labkit.views.palette import look
from labkit.views.stacks import Box, Stack

__all__ = ["drawing", "label"]

_WIDE, _EDGE = 420.0, 6.0
_COLUMN = (_WIDE - 2 * _EDGE) / 12
_HIGH, _FLOOR, _GAP = 66.0, 40.0, 6.0
_COLOURS = {
    "guest": look(0).colour,  # blue
    "hypervisor": look(1).colour,  # orange
    "system": look(2).colour,  # green
    "program": look(3).colour,  # purple
    "hardware": look(7).colour,  # grey
}
_MARK = 9.5  # radius of a numbered step
_PAGE = "var(--jp-layout-color0, Canvas)"  # the page's own background
_TEXT = f"font-size:13px;fill:currentColor;paint-order:stroke;stroke:{_PAGE};stroke-width:3px;stroke-opacity:.8"
_AHEAD = ' stroke-dasharray="3 4" stroke-opacity=".5"'  # how a line looks that the write has not come to yet


def _top(stack: Stack, row: int) -> float:
    """Where a row begins, from above."""
    rows = max(box.row for box in stack.boxes)
    return _EDGE + (rows - row) * (_HIGH + _GAP)


def _height(stack: Stack) -> float:
    return _top(stack, 0) + _FLOOR + _EDGE


def _rectangle(stack: Stack, box: Box) -> tuple[float, float, float, float]:
    """Left, top, width and height of a box."""
    left, right = _EDGE + box.left * _COLUMN, _EDGE + box.right * _COLUMN
    inset = _GAP / 2
    left += inset if box.left else 0.0
    right -= inset if box.right < 12 else 0.0
    return left, _top(stack, box.row), right - left, _HIGH if box.row else _FLOOR


def _mark(x: float, y: float, number: int, now: bool) -> str:
    """A numbered disc; the present one is filled."""
    fill, ink = ("currentColor", _PAGE) if now else (_PAGE, "currentColor")
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_MARK + 2 * now:.1f}" style="fill:{fill}" stroke="currentColor" '
        f'stroke-width="1.5"/><text x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="middle" '
        f'style="font-size:12px;font-weight:700;fill:{ink}">{number}</text>'
    )


def _marks(stack: Stack) -> list[tuple[float, float]]:
    """Where each step of the write is marked: along the lower edge of its box, one after another."""
    seen: dict[str, int] = {}
    places: list[tuple[float, float]] = []
    visits = [move.to for move in stack.moves]
    for key in visits:
        left, top, wide, high = _rectangle(stack, stack.box(key))
        turn, times = seen.get(key, 0), visits.count(key)
        seen[key] = turn + 1
        # The write comes from the guests, on the right: of two marks in a box the first is the one on the right.
        x = left + wide * (1 - (turn + 1) / (times + 1))
        if not stack.box(key).row:
            x = places[-1][0]  # straight down to the hardware
        elif wide > 300:
            guest = _rectangle(stack, stack.box("g1"))
            x = guest[0] + guest[2] / 2  # a box below the guests: straight down from the one that writes
        places.append((x, top + high - _MARK - 5 if stack.box(key).row else top + high / 2))
    return places


def _lines(stack: Stack, step: int | None) -> str:
    """The way of a write: all of it, or drawn out up to a step."""
    places = _marks(stack)
    last = len(places) if step is None else step
    return "".join(
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" stroke-width="2.5"'
        f"{'' if n < last else _AHEAD}/>"
        for n, ((x1, y1), (x2, y2)) in enumerate(zip(places, places[1:], strict=False), start=1)
    )


def _clock(x: float, y: float) -> str:
    """A clock face: here it is decided whose turn it is."""
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="11" style="fill:{_PAGE}" stroke="currentColor" '
        f'stroke-width="2"/><path d="M{x:.1f},{y - 7:.1f}V{y:.1f}L{x + 5:.1f},{y + 4:.1f}" fill="none" '
        'stroke="currentColor" stroke-width="2"/>'
    )


def _box(stack: Stack, box: Box, loud: bool) -> str:
    """A box; a loud one has a strong frame."""
    left, top, wide, high = _rectangle(stack, box)
    colour = _COLOURS[box.kind]
    dash = ' stroke-dasharray="7 3"' if box.kind == "program" else ""
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="6" fill="{colour}" '
        f'fill-opacity="{0.32 if loud else 0.13}" stroke="{colour}" stroke-width="{4 if loud else 2}"{dash}/>'
    )


def _words(stack: Stack, box: Box, loud: bool) -> str:
    """What is written in a box. A rim in the page's colour keeps it legible where a line passes behind it."""
    left, top, wide, high = _rectangle(stack, box)
    first = top + (18.0 if box.row else high / 2 + 4.5)
    x, anchor = (left + wide / 2, "middle") if box.row else (left + wide - 12, "end")
    weight = ";font-weight:700" if loud else ""
    return "".join(
        f'<text x="{x:.1f}" y="{first + 15.5 * n:.1f}" text-anchor="{anchor}" style="{_TEXT}{weight}">'
        f"{html.escape(line)}</text>"
        for n, line in enumerate(box.lines)
    )


def label(stack: Stack, show: str = "layers", step: int | None = None) -> str:
    """The drawing in words, for a screen reader.

    Parameters
    ----------
    stack : Stack
        What is drawn.
    show : {"layers", "scheduler", "write"}
        What is shown of it.
    step : int, optional
        Which step of the write, from 1; the whole way where not given.
    """
    rows: dict[int, list[str]] = {}
    for box in stack.boxes:
        rows.setdefault(box.row, []).append(" ".join(box.lines))
    said = "; ".join(f"row {row + 1}: {', '.join(rows[row])}" for row in sorted(rows))
    words = f"{stack.name}, from the bottom up. {said}."
    if show == "scheduler":
        words += f" Marked with a clock: {' '.join(stack.box(stack.scheduler).lines)}."
    elif show == "write":
        way = " to ".join(" ".join(stack.box(move.to).lines) for move in stack.moves)
        words += f" A line with numbered marks shows the way of a disk write: {way}."
        words += f" Mark {step} is filled." if step else ""
    return words


def drawing(stack: Stack, show: str = "layers", step: int | None = None) -> str:
    """A stack as inline SVG.

    Parameters
    ----------
    stack : Stack
        What to draw.
    show : {"layers", "scheduler", "write"}
        What to show of it.
    step : int, optional
        For ``"write"``: which step, from 1; the whole way where not given.
    """
    loud = {stack.scheduler} if show == "scheduler" else set()
    if show == "write":
        loud = {stack.moves[step - 1].to} if step else {move.to for move in stack.moves}
    parts = [_box(stack, box, box.key in loud) for box in stack.boxes]
    if show == "write":
        parts.append(_lines(stack, step))
    parts += [_words(stack, box, box.key in loud) for box in stack.boxes]
    if show == "write":
        parts += [_mark(x, y, n, n == step) for n, (x, y) in enumerate(_marks(stack), start=1)]
    elif show == "scheduler":
        left, top, wide, high = _rectangle(stack, stack.box(stack.scheduler))
        parts.append(_clock(left + wide / 2, top + high - 16))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(label(stack, show, step))}" '
        f'viewBox="0 0 {_WIDE:g} {_height(stack):g}" '
        'style="display:block;width:100%;max-width:520px;height:auto;font-family:inherit">'
        f"{''.join(parts)}</svg>"
    )
