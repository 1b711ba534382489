"""What has arrived in all, over time, below the bound that a bucket sets: no point may lie above its line.

Each sender has a drawing of its own, all on the same scale. The bucket's bound is a dotted line, and what lies above
it, where nothing can be, is ruled. Simulated is a dashed line with hollow marks, live a solid one with filled marks: so
nothing hangs on a colour. Where the bucket is empty the bound has its kink.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from labkit.experiments.outcome import Outcome
from labkit.host import Observation
from labkit.views.arrivingdrawing import drawing, swatch
from labkit.views.palette import Look, look
from labkit.views.picture import Picture
from labkit.views.text import host_lines, notice

__all__ = ["Sender", "bytes_over_time", "drawn", "in_words", "senders"]

MEGA = 1e6  # bytes
_QUANTITY = "bytes"
_HEADING = "Arrived in all, over time"
_CELL = 'style="text-align:right;padding:1px 8px;font-variant-numeric:tabular-nums"'
_HEADS = ("host", "time (s)", "bound (MB)", "arrived (MB)")


@dataclass(frozen=True)
class Sender:
    """What a picture shows of one sender.

    Parameters
    ----------
    pair : str
        Who sends to whom, such as ``"m1>m2"``.
    look : Look
        How its lines are drawn.
    bound : sequence of (float, float)
        The corners of the bound: moments, in s, and what may have arrived by then in all, in B.
    arrived : dict
        For ``"simulated"`` and ``"live"``, where they were run, the moments and what had arrived by then, in B.
    frame : float
        Bytes by which a whole frame may be above the line.
    """

    pair: str
    look: Look
    bound: Sequence[tuple[float, float]]
    arrived: dict[str, list[tuple[float, float]]]
    frame: float

    def most(self, moment: float) -> float:
        """What the bucket lets through up to a moment, in B; behind its last corner it goes on as before."""
        parts = list(zip(self.bound, self.bound[1:], strict=False))
        (begin, low), (end, high) = next((part for part in parts if moment <= part[1][0]), parts[-1])
        return low + (high - low) * (moment - begin) / (end - begin)

    def nearest(self, column: str) -> tuple[float, float]:
        """How far above the bound the highest point of a column is, in B, and when; below 0 where it is below."""
        return max((count - self.most(moment), moment) for moment, count in self.arrived[column])


def senders(outcome: Outcome) -> list[Sender]:
    """The senders of an outcome, with their bounds.

    Raises
    ------
    ValueError
        Where the experiment knows no bound over time.
    """
    envelope = getattr(outcome.experiment, "envelope", None)
    if envelope is None:
        raise ValueError(f"{outcome.experiment.NAME} has no bound over time")
    columns = {name: seen for name, seen in (("simulated", outcome.simulated), ("live", outcome.live)) if seen}
    found = []
    for place, ((pair, quantity), corners) in enumerate(envelope(outcome.settings).items()):
        if quantity == _QUANTITY:
            arrived = {name: points for name, seen in columns.items() if (points := _in_all(seen, pair))}
            found.append(Sender(pair, look(place), tuple(corners), arrived, outcome.experiment.FRAME))
    return found


def _in_all(seen: Observation, pair: str) -> list[tuple[float, float]]:
    """What had arrived at each moment that was looked at, and nothing at the beginning."""
    for line in seen.series:
        if (line.machine, line.quantity) == (pair, _QUANTITY):
            return [(0.0, 0.0), *zip(line.times, line.values, strict=True)]
    return []


def bytes_over_time(outcome: Outcome) -> Picture:
    """What has arrived in all against the buckets' bounds, with sentences and a table as its twin.

    Parameters
    ----------
    outcome : Outcome
        Of `net-shaping`, or of another experiment that has a bound over time.

    Raises
    ------
    ValueError
        Where the experiment knows no bound over time.
    """
    where = host_lines(outcome)
    if said := notice(outcome):
        where.append(said)
    below = "".join(f'<p style="margin:2px 0;font-size:90%">{html.escape(line)}</p>' for line in where)
    return Picture(f"<div>{drawn(outcome)}{below}</div>", "\n".join([in_words(outcome), *where]))


def drawn(outcome: Outcome) -> str:
    """The drawings and their tables as HTML, without where the numbers come from."""
    those = senders(outcome)
    points = [point for one in those for line in (one.bound, *one.arrived.values()) for point in line]
    ends = max(moment for moment, _count in points), max(count for _moment, count in points)
    parts = []
    for one in those:
        said = _sentences(one)
        picture = drawing(one.look, one.bound, one.arrived, _kink(one), ends, f"{one.pair}. {' '.join(said)}")
        parts.append(
            '<div style="flex:1 1 300px;max-width:460px;min-width:0">'
            f'<p style="margin:0"><strong>{html.escape(one.pair)}</strong></p>{picture}'
            f'<p style="margin:4px 0;font-size:90%">{html.escape(" ".join(said))}</p>{_numbers(one)}</div>'
        )
    return (
        '<figure class="labkit-figure labkit-arrived" style="margin:0;line-height:1.4">'
        f'<figcaption style="font-weight:700;margin:0 0 4px">{_HEADING} (MB, 10<sup>6</sup> bytes)</figcaption>'
        f"{_key(those)}"
        f'<div style="display:flex;flex-wrap:wrap;gap:12px 24px">{"".join(parts)}</div></figure>'
    )


def in_words(outcome: Outcome) -> str:
    """The same in words."""
    lines = [f"{_HEADING}, against the bound of each bucket"]
    for one in senders(outcome):
        lines += [one.pair, *(f"  {said}" for said in _sentences(one))]
    return "\n".join(lines)


def _kink(one: Sender) -> float | None:
    """When the bucket is empty; None where it never is."""
    return one.bound[1][0] if len(one.bound) > 2 else None


def _sentences(one: Sender) -> list[str]:
    """What the drawing shows, in words."""
    end, most = one.bound[-1]
    kink = _kink(one)
    rates = [(high - low) * 8e-6 / (to - at) for (at, low), (to, high) in zip(one.bound, one.bound[1:], strict=False)]
    if kink is None:
        first = f"The bucket lets {rates[0]:.3g} Mbit/s through, and is not empty before the end."
    else:
        first = (
            f"The bucket lets {rates[0]:.3g} Mbit/s through until it is empty, after {kink:.2f} s; then {rates[1]:.3g}."
        )
    said = [first, f"In {end:g} s that is {most / MEGA:.2f} MB at the most."]
    for column, points in one.arrived.items():
        above, moment = one.nearest(column)
        if above <= 0:
            place = "no point above the bound"
        elif above <= one.frame:
            place = f"no point above the bound by more than a frame ({math.ceil(above)} B)"
        else:
            place = f"above the bound by {above:,.0f} B after {moment:.2f} s"
        said.append(f"{column.capitalize()}: {points[-1][1] / MEGA:.2f} MB in all; {place}.")
    return said


def _numbers(one: Sender) -> str:
    """All points as a table, each with the bound at its own moment, as live moments are never quite round."""
    rows = [
        f'<tr><th scope="row" {_CELL}>{column}</th><td {_CELL}>{moment:.3f}</td>'
        f"<td {_CELL}>{one.most(moment) / MEGA:.3f}</td><td {_CELL}>{count / MEGA:.3f}</td></tr>"
        for column, points in one.arrived.items()
        for moment, count in points[1:]
    ]
    heads = "".join(f'<th scope="col" {_CELL}>{head}</th>' for head in _HEADS)
    name = f"Arrived in all, {one.pair}"
    return (
        f'<details><summary>{html.escape(one.pair)} in numbers</summary><div role="group" tabindex="0" '
        f'aria-label="Table: {html.escape(name)}" style="max-width:100%;overflow-x:auto">'
        f'<table style="font-size:90%"><caption style="color:inherit;text-align:left">{html.escape(name)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def _key(those: Sequence[Sender]) -> str:
    """How the lines are drawn."""
    columns = [name for name in ("simulated", "live") if any(name in one.arrived for one in those)]
    items = [("bound", "theory: the bucket's bound; ruled above it, where nothing can be")]
    items += [(column, column) for column in columns]
    listed = "".join(
        '<li style="display:inline-flex;align-items:center;gap:6px;margin:0 16px 0 0">'
        f"{swatch(name)}{html.escape(words)}</li>"
        for name, words in items
    )
    return f'<ul aria-label="How the lines are drawn" style="list-style:none;margin:0 0 4px;padding:0">{listed}</ul>'
