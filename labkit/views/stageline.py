"""Machines' starts on one line of time: when each stage began, how long it lasted, when somebody answered.

A ruler with coloured stretches, one ruler a start. Every stretch has a number and, where there is room, its name, so
nothing hangs on a colour.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

from labkit.host import Event, Observation
from labkit.host.timing import BOOT_STAGES
from labkit.views.palette import look
from labkit.views.picture import Picture

__all__ = ["stage_line"]

_WIDE, _LEFT, _RIGHT = 480.0, 8.0, 16.0
_BAR, _STEP = 26.0, 58.0
_LETTER = 6.6  # px of a letter of 12 px
_CELL = 'style="text-align:right;padding:1px 8px;font-variant-numeric:tabular-nums"'


def stage_line(*results: Any) -> Picture:
    """The starts of some runs of the experiment `boot`, on one axis.

    Parameters
    ----------
    *results : Result
        What `labkit.views.run` gave; a host that did not run is left out.

    Returns
    -------
    Picture
        The line, a table of the time stamps in s, and the same in words.
    """
    starts = [
        (f"{result.outcome.settings.start}, {host}", seen)
        for result in results
        for host, seen in (("simulated", result.outcome.simulated), ("live", result.outcome.live))
        if seen is not None
    ]
    whys = dict.fromkeys(result.outcome.why_not_live for result in results if result.outcome.why_not_live)
    told = [_told(name, seen) for name, seen in starts]
    notes = [f"live: not run: {why}" for why in whys]
    page = _drawing(starts, " ".join(told)) + _table(starts) + "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return Picture(f'<figure style="margin:0">{page}</figure>', "\n".join([*told, *notes]))


def _stages(seen: Observation) -> list[Event]:
    return [event for event in seen.events if event.kind == "stage"]


def _told(name: str, seen: Observation) -> str:
    """One start in words."""
    parts = [f"{e.detail} from {e.time:.2f} s, for {e.seconds:.2f} s" for e in _stages(seen)]
    return f"{name}: {'; '.join(parts)}; the first answer at {_end(seen):.2f} s."


def _end(seen: Observation) -> float:
    return max((event.time + event.seconds for event in _stages(seen)), default=0.0)


def _axis(longest: float) -> list[float]:
    """Round moments from 0 on, some five of them."""
    if longest <= 0:
        return [0.0]
    rough = longest / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough)
    return [n * step for n in range(math.floor(longest / step) + 1)]


def _drawing(starts: Sequence[tuple[str, Observation]], words: str) -> str:
    longest = max((_end(seen) for _, seen in starts), default=0.0) or 1.0
    scale = (_WIDE - _LEFT - _RIGHT) / longest
    floor = 14 + _STEP * len(starts)
    parts = []
    for moment in _axis(longest):
        x = _LEFT + moment * scale
        parts.append(
            f'<line x1="{x:.1f}" y1="6" x2="{x:.1f}" y2="{floor:.1f}" stroke="currentColor" stroke-opacity=".25"/>'
            f'<text x="{x:.1f}" y="{floor + 15:.1f}" text-anchor="middle" style="{_style(11)}">{moment:g}</text>'
        )
    parts.append(
        f'<text x="{_WIDE - _RIGHT:g}" y="{floor + 30:.1f}" text-anchor="end" style="{_style(11)}">'
        "seconds since the machine was asked for</text>"
    )
    for row, (name, seen) in enumerate(starts):
        top = 24 + row * _STEP
        parts.append(
            f'<text x="{_LEFT}" y="{top - 6:.1f}" style="{_style(12)};font-weight:700">{html.escape(name)}</text>'
        )
        parts += [_stretch(event, top, scale) for event in _stages(seen)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(words)}" '
        f'viewBox="0 0 {_WIDE:g} {floor + 36:g}" '
        f'style="display:block;width:100%;max-width:640px;height:auto;font-family:inherit">{"".join(parts)}</svg>'
    )


def _style(size: int) -> str:
    return f"font-size:{size}px;fill:currentColor"


def _stretch(event: Event, top: float, scale: float) -> str:
    """One stage: a stretch with its number, and with its name where that fits."""
    number = BOOT_STAGES.index(event.detail) + 1
    colour = look(number - 1).colour
    x, wide = _LEFT + event.time * scale, max(1.0, event.seconds * scale)
    label = f"{number} {event.detail}"
    label = label if len(label) * _LETTER <= wide - 4 else str(number) if wide >= 10 else ""
    middle, line = x + wide / 2, top + _BAR / 2 + 4
    words = f'<text x="{middle:.1f}" y="{line:.1f}" text-anchor="middle" style="{_style(12)}">{label}</text>'
    return (
        f'<rect x="{x:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{_BAR:g}" fill="{colour}" fill-opacity=".3" '
        f'stroke="{colour}" stroke-width="1.5"/>{words if label else ""}'
    )


def _table(starts: Sequence[tuple[str, Observation]]) -> str:
    """When each stage began and how long it lasted, in s."""
    heads = "".join(f'<th scope="col" {_CELL}>{html.escape(name)}</th>' for name, _ in starts)
    lines = ""
    for number, stage in enumerate(BOOT_STAGES, start=1):
        cells = ""
        for _, seen in starts:
            event = next((event for event in _stages(seen) if event.detail == stage), None)
            cells += f"<td {_CELL}>{f'{event.time:.3f} + {event.seconds:.3f}' if event else 'left out'}</td>"
        lines += f'<tr><th scope="row" style="text-align:left">{number} {stage}</th>{cells}</tr>'
    ends = "".join(f"<td {_CELL}>{_end(seen):.3f}</td>" for _, seen in starts)
    lines += f'<tr><th scope="row" style="text-align:left">first answer at</th>{ends}</tr>'
    return (
        '<div role="group" tabindex="0" aria-label="Table: when each stage began" '
        'style="max-width:100%;overflow-x:auto">'
        '<table style="font-size:90%"><caption style="caption-side:top;text-align:left;font-weight:600;color:inherit">'
        "Begins at + lasts (s)</caption>"
        f'<thead><tr><th scope="col" style="text-align:left">stage</th>{heads}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )
