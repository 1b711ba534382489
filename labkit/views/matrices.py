"""Who reaches whom, as a table: a row for each that begins, a column for each that is reached."""

from __future__ import annotations

import html
from typing import Any

from labkit.experiments.outcome import Outcome
from labkit.views.picture import Picture
from labkit.views.text import by_quantity, host_lines
from labkit.views.words import quantity

__all__ = ["matrix"]

_COLUMNS = ("theory", "simulated", "live")
_CELL = "padding:3px 12px;border:1px solid currentColor;text-align:center"
_YES, _NO, _ITSELF, _UNKNOWN = "yes", "no", "itself", "–"  # noqa: RUF001 - a dash stands for nothing known


def _said(value: float | None) -> str:
    """1 and 0 are yes and no; anything between is said as the number that it is."""
    if value is None:
        return _UNKNOWN
    return {1.0: _YES, 0.0: _NO}.get(float(value), f"{value:g}")


def _cell(row: dict[str, Any] | None) -> str:
    """What the columns say of one pair: once where they agree, else each with its name."""
    if row is None:
        return _UNKNOWN
    said = {column: _said(row[column]) for column in _COLUMNS if row[column] is not None}
    if len(set(said.values())) <= 1:
        return next(iter(said.values()), _UNKNOWN)
    return ", ".join(f"{column} {word}" for column, word in said.items())


def _ground(words: str) -> str:
    """Those that are reached have a ground as well as the word; those over which the columns differ, a thick frame."""
    if words == _YES:
        return "background:rgba(0,158,115,.28)"
    return "border:3px solid #D55E00" if "," in words else ""


def _table(heading: str, names: list[str], cells: dict[tuple[str, str], str]) -> str:
    head = "".join(f'<th scope="col" style="{_CELL}">{html.escape(name)}</th>' for name in names)
    rows = ""
    for source in names:
        one = "".join(
            f'<td style="{_CELL};{_ground(cells[source, target])}">{html.escape(cells[source, target])}</td>'
            for target in names
        )
        rows += f'<tr><th scope="row" style="{_CELL}">{html.escape(source)}</th>{one}</tr>'
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:4px 0">'
        f'<caption style="text-align:left;font-weight:700">{html.escape(heading)}</caption>'
        f'<thead><tr><th scope="col" style="{_CELL}">from, to</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def matrix(outcome: Outcome) -> Picture:
    """Who reaches whom, from rows of ordered pairs such as ``m1>m2``: ``yes`` where the value is 1, ``no`` where 0.

    Where theory, simulation and measurement agree, a cell says it once; where not, it says what each says.

    Parameters
    ----------
    outcome : Outcome
        Of an experiment whose machines are pairs; rows of single machines are left out.
    """
    pages, texts = [], []
    for name, rows in by_quantity(row for row in outcome.rows if ">" in row["machine"]).items():
        pairs = {tuple(row["machine"].split(">", 1)): row for row in rows}
        names = list(dict.fromkeys(name for pair in pairs for name in pair))
        cells = {(a, b): _ITSELF if a == b else _cell(pairs.get((a, b))) for a in names for b in names}
        heading = quantity(outcome.experiment, name).label
        pages.append(_table(heading, names, cells))
        texts += [heading, *(f"  {a} to {b}: {cells[a, b]}" for a, b in pairs)]
    if not pages:
        return Picture("<p>Nobody tried to reach anybody.</p>", "Nobody tried to reach anybody.")
    where = host_lines(outcome)
    return Picture(
        "".join([*pages, *(f"<p style='margin:2px 0'>{html.escape(line)}</p>" for line in where)]),
        "\n".join([*texts, *where]),
    )
