"""Published numbers beside our own, each with its source, as a table."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Protocol

from labkit.views.picture import Picture
from labkit.views.words import ABSENT

__all__ = ["published_table"]

_LEFT = 'style="text-align:left;vertical-align:top"'
_RIGHT = 'style="text-align:right;vertical-align:top;white-space:nowrap"'


class _Row(Protocol):
    """What a row tells; see `labkit.experiments.memory_published.Published`."""

    what: str
    published: str
    ours: float | None
    unit: str
    source: str


def _ours(row: _Row) -> str:
    return ABSENT if row.ours is None else f"{row.ours:.4g}"


def published_table(rows: Sequence[_Row]) -> Picture:
    """A table of published numbers, ours beside them, and where they were published.

    Parameters
    ----------
    rows : sequence
        Such as `labkit.experiments.memory_published.published` gives.

    Returns
    -------
    Picture
        As HTML, with a text twin that has a line for each row.
    """
    head = "".join(f'<th scope="col" {_LEFT}>{word}</th>' for word in ("what", "published", "ours", "unit", "source"))
    body, lines = [], []
    for row in rows:
        told = row.published or ABSENT
        cells = f"<td {_RIGHT}>{html.escape(told)}</td><td {_RIGHT}>{_ours(row)}</td>"
        words = f"<td {_LEFT}>{html.escape(row.unit)}</td><td {_LEFT}>{html.escape(row.source)}</td>"
        body.append(f'<tr><th scope="row" {_LEFT}>{html.escape(row.what)}</th>{cells}{words}</tr>')
        lines.append(f"{row.what}: published {told}, ours {_ours(row)} {row.unit} ({row.source})")
    return Picture(
        '<div style="overflow-x:auto" role="region" tabindex="0" aria-label="Published numbers, and ours">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>",
        "\n".join(lines),
    )
