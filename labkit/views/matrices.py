"""Who reaches whom, as a table: a row for each that begins, a column for each that is reached.

Where an experiment asks nothing else, the table stands in the place of bars, in a fifth of their room.
"""

from __future__ import annotations

import html
from typing import Any

from labkit.experiments.outcome import Outcome
from labkit.host.words import listed
from labkit.views.picture import Picture
from labkit.views.text import by_quantity, host_lines, notice, reading, table, untroubled
from labkit.views.words import quantity

__all__ = ["asks_only_who", "grid", "matrix", "reached"]

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


def _cells(rows: list[dict[str, Any]]) -> tuple[list[tuple[str, str]], list[str], dict[tuple[str, str], str]]:
    """The pairs, all who are in one, and what is said of each of these about each."""
    pairs = {(source, target): row for row in rows for source, _, target in [row["machine"].partition(">")]}
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    return list(pairs), names, {(a, b): _ITSELF if a == b else _cell(pairs.get((a, b))) for a in names for b in names}


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
        f'<div role="group" tabindex="0" aria-label="Table: {html.escape(heading)}" '
        'style="max-width:100%;overflow-x:auto">'
        '<table style="border-collapse:collapse;margin:4px 0;width:auto">'
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
        pairs, names, cells = _cells(rows)
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


def asks_only_who(outcome: Outcome) -> bool:
    """Whether an outcome is nothing but the answers of ordered pairs, yes or no, to one question."""
    names = {row["quantity"] for row in outcome.rows}
    pairs = all(">" in row["machine"] for row in outcome.rows)
    return pairs and len(names) == 1 and quantity(outcome.experiment, *names).yes_or_no


def grid(outcome: Outcome) -> str:
    """The table of an outcome that asks only who, as HTML, and below it whether the columns agree."""
    _pairs, names, cells = _cells(outcome.rows)
    heading = quantity(outcome.experiment, outcome.rows[0]["quantity"]).name_alone
    filled = [column for column in _COLUMNS if any(row[column] is not None for row in outcome.rows)]
    apart = [f"{a} to {b}" for (a, b), words in cells.items() if "," in words]
    if apart:
        said = f"{listed(filled).capitalize()} differ for {listed(apart)}, in a thick frame."
    elif len(filled) > 1:
        said = f"{listed(filled).capitalize()} say the same of each pair."
    else:
        said = f"From {filled[0]} alone." if filled else "Nothing was run."
    return f'{_table(heading, names, cells)}<p style="margin:2px 0">{html.escape(said)}</p>'


def reached(outcome: Outcome) -> Picture:
    """What stands in the place of a figure where an outcome asks only who; its twin has every number."""
    lines = [reading(outcome), *host_lines(outcome)]
    below = "<br>".join(html.escape(line) for line in lines)
    if said := notice(outcome):
        written = html.escape(said)
        below += f"<br>{written}" if untroubled(outcome.experiment) else f"<br><strong>{written}</strong>"
    return Picture(
        f'<figure class="labkit-figure labkit-who" style="margin:0">{grid(outcome)}'
        f'<figcaption style="font-size:90%;line-height:1.5;margin-top:6px">{below}</figcaption></figure>',
        table(outcome),
    )
