"""Three bars a machine: theory hollow, simulated hatched, live solid.

Drawn by matplotlib, without pyplot, into SVG whose text stays text and takes the page's own colours, so that one
picture suits a light and a dark theme. The same outcome gives the same bytes.
"""

from __future__ import annotations

import hashlib
import html
import io
import re
import textwrap
from typing import TYPE_CHECKING, Any

from labkit.experiments.outcome import Outcome
from labkit.host import Observation
from labkit.views import text
from labkit.views.palette import COLUMNS, look
from labkit.views.picture import Picture
from labkit.views.words import LONG, MEBI, Quantity, family, number, quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["figure"]

_INK = "#0f1e2d"  # stands for the page's own text colour, and is replaced by currentColor
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "labkit",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "hatch.linewidth": 1.1,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_TITLE, _LINE = 58, 0.17  # letters of a title's line, and its height in inches
_LETTER, _GAP = 0.066, 0.1  # inches that a letter of a bar's number takes at the most, and that are left beside it
_FILLS = {"theory": "hollow", "simulated": "hatched", "live": "solid"}


def _theme_aware(svg: str, name: str, title: str) -> str:
    """The bare <svg> element: the page's colours and font, ids of its own, a role and a name."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="(?:figure|axes|patch|text|line2d|matplotlib\.axis|[xy]tick|[A-Za-z]+Collection)_\d+"', "", svg)
    svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = svg.replace(_INK, "currentColor")
    svg = re.sub(r"font-family: 'DejaVu Sans'", "font-family: inherit", svg)
    svg = re.sub(r"font: ([0-9.]+)px 'DejaVu Sans'[^;\"]*", r"font-size: \1px; font-family: inherit", svg)
    svg = re.sub(r"<[^>]*>", _short, svg)
    box = re.search(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', svg)
    wide, high = (float(box[1]), float(box[2])) if box else (480.0, 240.0)
    opening = (
        f'<svg role="img" aria-label="{html.escape(title)}" viewBox="0 0 {wide:g} {high:g}" '
        f'style="width:{wide * 4 / 3:.0f}px;max-width:100%;height:auto" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return opening + svg[svg.index(">") + 1 :].strip()


def _short(tag: re.Match[str]) -> str:
    """A tag whose coordinates have two decimals: enough to draw by, and the same with every version of matplotlib."""
    return re.sub(r"-?[0-9]+\.[0-9]{3,}", lambda found: f"{float(found[0]):.2f}", tag[0])


def _longest(rows: list[dict[str, Any]], columns: list[str]) -> float:
    return max([row[column] for row in rows for column in columns if row[column] is not None], default=1.0) or 1.0


def _said(value: float, column: str, words: Quantity) -> str:
    """What stands beside a bar."""
    if words.yes_or_no:
        return f"{'yes' if value else 'no'} {column}"
    return f"{number(value, words.places)} {column}"


def _scale(longest: float, words: Quantity) -> tuple[int, str]:
    """How much of a quantity is 1 on its axis, and the unit in words."""
    if words.in_mebibytes and longest >= LONG:
        return MEBI, "numbers in B, axis in MiB"
    return 1, words.unit_words


def _marks(axes: Axes, longest: float, scale: int, words: Quantity) -> None:
    """Put ticks that have room on the axis of a quantity."""
    from matplotlib.ticker import MaxNLocator

    if words.yes_or_no:
        axes.set_xticks([0, 1], ["0 (no)", "1 (yes)"])
        return
    end = longest * 1.36 / scale  # at the very end it is cut
    ticker = MaxNLocator(5 if longest / scale >= 1000 else 7, steps=[1, 2, 2.5, 5, 10])
    ticks = [mark for mark in ticker.tick_values(0, end) if 0 <= mark <= end]
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    places = next((count for count in range(7) if abs(round(step, count) - step) < 1e-9), 7)
    axes.set_xticks([mark * scale for mark in ticks], [f"{mark:,.{places}f}" for mark in ticks])


def _bars(
    axes: Axes, rows: list[dict[str, Any]], columns: list[str], longest: float, looks: dict[str, int], words: Quantity
) -> None:
    thick = 0.8 / len(columns)
    for index, row in enumerate(rows):
        for place, column in enumerate(columns):
            value = row[column]
            if value is None:
                continue
            at = index + (place - (len(columns) - 1) / 2) * thick
            colour = look(looks[row["machine"]]).colour
            how: dict[str, Any] = {"edgecolor": _INK, "linewidth": 0.8}
            if column == "theory":
                how |= {"facecolor": "none", "linestyle": (0, (3, 2))}
            elif column == "simulated":
                how |= {"facecolor": "none", "edgecolor": colour, "hatch": "////", "linewidth": 1.2}
            else:
                how |= {"facecolor": colour}
            axes.barh(at, value, thick * 0.86, **how)
            axes.text(value + longest * 0.015, at, _said(value, column, words), va="center", fontsize=7.5)


def _panel(
    words: Quantity, rows: list[dict[str, Any]], columns: list[str], longest: float, looks: dict[str, int]
) -> str:
    """One quantity's bars; `longest` ends the axis, and `looks` numbers the machines."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        said = textwrap.wrap(words.look_at, _TITLE) or [""]
        above = 0.38 + _LINE * (len(said) - 1)  # inches for what to look at
        if words.yes_or_no:
            longest = 1.0
        scale, unit = _scale(longest, words)
        named = textwrap.wrap(f"{words.label} ({unit})", _TITLE)
        below = 0.47 + _LINE * (len(named) - 1)
        drawn = Figure(figsize=(4.2, 0.1 + below + above + len(rows) * (0.2 + 0.19 * len(columns))), facecolor="none")
        FigureCanvasSVG(drawn)
        height = drawn.get_figheight()
        names = [row["machine"] for row in rows]
        left = max(0.1, 0.03 + 0.02 * max(map(len, names)))
        axes = drawn.add_axes((left, below / height, 0.99 - left, (height - below - above) / height), facecolor="none")
        _bars(axes, rows, columns, longest, looks, words)
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.5, -0.5)  # the first machine on top, and room also for a bar that is not there
        values = [(row[column], column) for row in rows for column in columns if row[column] is not None]
        letters = max((len(_said(value, column, words)) for value, column in values), default=0)
        wide, room = (0.99 - left) * drawn.get_figwidth(), letters * _LETTER + _GAP
        axes.set_xlim(0, longest * max(1.42, wide / (wide - room)))
        _marks(axes, longest, scale, words)
        axes.set_xlabel("\n".join(named))
        axes.set_title("\n".join(said), fontsize=9.5, loc="left", x=-left / (0.99 - left), pad=8)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color=_INK, alpha=0.15, linewidth=0.6)
        axes.set_axisbelow(True)
        sink = io.StringIO()
        drawn.savefig(sink, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = sink.getvalue()
    salt = hashlib.sha256((svg + words.name).encode()).hexdigest()[:8]
    spoken = "; ".join(
        f"{row['machine']}: " + ", ".join(f"{column} {number(row[column], words.places)}" for column in columns)
        for row in rows[:12]
    )
    more = f"; and {len(rows) - 12} more machines" if len(rows) > 12 else ""
    return _theme_aware(svg, f"lk{salt}", f"Bar chart. {words.heading}. {spoken}{more}.")


def _caption(outcome: Outcome, columns: list[str]) -> str:
    key = ", ".join(f"{column} {_FILLS[column]}" for column in columns)
    lines = [text.reading(outcome), f"Bars: {key}.", *map(_sentence, text.host_lines(outcome))]
    said = "<br>".join(html.escape(line) for line in lines)
    unmoved = text.untroubled(outcome.experiment)
    if not (notice := text.disturbed_line(outcome.live, unmoved)):
        return said
    written = html.escape(_sentence(notice))
    return f"{said}<br>{written}" if unmoved else f"{said}<br><strong>{written}</strong>"


def _sentence(line: str) -> str:
    return line[0].upper() + line[1:] + ("" if line.endswith(".") else ".")


def _has(seen: Observation | None, column: str, rows: list[dict[str, Any]]) -> bool:
    return seen is not None or (column == "theory" and any(row["theory"] is not None for row in rows))


def _filled(rows: list[dict[str, Any]], columns: list[str]) -> list[str]:
    """The columns in which a quantity has any number; a quantity without theory needs no room for it."""
    return [column for column in columns if any(row[column] is not None for row in rows)] or columns


def figure(outcome: Outcome) -> Picture:
    """Theory, simulation and measurement in one picture: three bars a machine, a panel for each quantity.

    Parameters
    ----------
    outcome : Outcome
        What `labkit.views.run` or `labkit.experiments.outcome.compare` gave.

    Returns
    -------
    Picture
        Inline SVG for light and dark pages, with `labkit.views.table` as its text twin.
    """
    rows = outcome.rows
    seen = {"theory": None, "simulated": outcome.simulated, "live": outcome.live}
    columns = [column for column in COLUMNS if _has(seen[column], column, rows)]
    looks = {name: place for place, name in enumerate(dict.fromkeys(row["machine"] for row in rows))}
    grouped = text.by_quantity(rows)
    longest: dict[str, float] = {}
    for name, those in grouped.items():
        longest[family(name)] = max(longest.get(family(name), 0.0), _longest(those, columns))
    panels = [
        _panel(quantity(outcome.experiment, name), those, _filled(those, columns), longest[family(name)], looks)
        for name, those in grouped.items()
    ]
    body = (
        '<figure class="labkit-figure" style="margin:0">'
        f'<div style="display:flex;flex-wrap:wrap;gap:12px 24px;align-items:flex-start">{"".join(panels)}</div>'
        f'<figcaption style="font-size:90%;line-height:1.5;margin-top:6px">{_caption(outcome, columns)}</figcaption>'
        "</figure>"
    )
    return Picture(body, text.table(outcome))
