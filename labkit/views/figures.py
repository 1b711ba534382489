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
from labkit.views.palette import COLUMNS, look, places
from labkit.views.picture import Picture
from labkit.views.scales import Scale, mark, scale_of
from labkit.views.words import ABSENT, Quantity, family, quantity, rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BESIDE", "figure"]

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
_LARGEST = 1.3  # so many times as large as drawn, where there is room
BESIDE = (
    "display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,380px),1fr));column-gap:24px;align-items:start"
)
"""How panels lie beside each other, and tables of the same quantities below them."""
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
        f'style="width:100%;max-width:{wide * 4 / 3 * _LARGEST:.0f}px;height:auto" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return opening + svg[svg.index(">") + 1 :].strip()


def _short(tag: re.Match[str]) -> str:
    """A tag whose coordinates have two decimals: enough to draw by, and the same with every version of matplotlib."""
    return re.sub(r"-?[0-9]+\.[0-9]{3,}", lambda found: f"{float(found[0]):.2f}", tag[0])


def _longest(rows: list[dict[str, Any]], columns: list[str]) -> float:
    return max([row[column] for row in rows for column in columns if row[column] is not None], default=1.0) or 1.0


def _said(value: float, column: str, scale: Scale) -> str:
    """What stands beside a bar."""
    if scale.words.yes_or_no:
        return f"{column}: {'yes' if value else 'no'}"  # "no theory" would say that there is none
    return f"{scale.told(value)} {column}"


def _bars(
    axes: Axes, rows: list[dict[str, Any]], columns: list[str], longest: float, looks: dict[str, int], scale: Scale
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
            axes.text(value + longest * 0.015, at, _said(value, column, scale), va="center", fontsize=7.5)


def _spoken(value: float | None, column: str, scale: Scale) -> str:
    """A bar in the picture's name."""
    return f"{column} {ABSENT if value is None else scale.told(value)}"


def _wrapped(words: Quantity, longest: float) -> tuple[int, int]:
    """How many lines there are above a quantity's bars, and below them."""
    above, below = words.look_at, scale_of(longest, words).heading
    return len(textwrap.wrap(above, _TITLE)) or 1, len(textwrap.wrap(below, _TITLE))


def _panel(
    words: Quantity,
    rows: list[dict[str, Any]],
    columns: list[str],
    longest: float,
    looks: dict[str, int],
    rows_are: str,
    lines: tuple[int, int],
) -> str:
    """One quantity's bars; `longest` ends the axis, `looks` numbers the rows, and `rows_are` says what these are.

    `lines`: for how many lines of text there is room above and below the bars, the same in all panels of a picture.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        said = textwrap.wrap(words.look_at, _TITLE) or [""]
        above = 0.38 + _LINE * (lines[0] - 1)  # inches for what to look at
        if words.yes_or_no:
            longest = 1.0
        scale = scale_of(longest, words)
        named = textwrap.wrap(scale.heading, _TITLE)
        below = 0.47 + _LINE * (lines[1] - 1)
        drawn = Figure(figsize=(4.2, 0.1 + below + above + len(rows) * (0.2 + 0.19 * len(columns))), facecolor="none")
        FigureCanvasSVG(drawn)
        height = drawn.get_figheight()
        names = [row["machine"] for row in rows]
        left = max(0.1, 0.03 + 0.02 * max(map(len, names)))
        axes = drawn.add_axes((left, below / height, 0.99 - left, (height - below - above) / height), facecolor="none")
        _bars(axes, rows, columns, longest, looks, scale)
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.5, -0.5)  # the first machine on top, and room also for a bar that is not there
        values = [(row[column], column) for row in rows for column in columns if row[column] is not None]
        letters = max((len(_said(value, column, scale)) for value, column in values), default=0)
        wide, room = (0.99 - left) * drawn.get_figwidth(), letters * _LETTER + _GAP
        axes.set_xlim(0, longest * max(1.42, wide / (wide - room)))
        mark(axes, longest * 1.36, scale)  # at the very end it is cut
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
        f"{row['machine']}: " + ", ".join(_spoken(row[column], column, scale) for column in columns)
        for row in rows[:12]
    )
    more = f"; and {len(rows) - 12} more {rows_are}s" if len(rows) > 12 else ""
    return _theme_aware(svg, f"lk{salt}", f"Bar chart. {words.heading}. {spoken}{more}.")


def _caption(outcome: Outcome, columns: list[str]) -> str:
    key = ", ".join(f"{column} {_FILLS[column]}" for column in columns)
    lines = [text.reading(outcome), f"Bars: {key}.", *map(_sentence, text.host_lines(outcome))]
    said = "<br>".join(html.escape(line) for line in lines)
    if not (notice := text.notice(outcome)):
        return said
    written = html.escape(_sentence(notice))
    return f"{said}<br>{written}" if text.untroubled(outcome.experiment) else f"{said}<br><strong>{written}</strong>"


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
    looks = places(row["machine"] for row in rows)
    grouped = text.by_quantity(rows)
    longest: dict[str, float] = {}
    for name, those in grouped.items():
        longest[family(name)] = max(longest.get(family(name), 0.0), _longest(those, columns))
    wrapped = [_wrapped(quantity(outcome.experiment, name), longest[family(name)]) for name in grouped]
    lines = (max((one[0] for one in wrapped), default=1), max((one[1] for one in wrapped), default=1))
    panels = [
        _panel(
            quantity(outcome.experiment, name),
            those,
            _filled(those, columns),
            longest[family(name)],
            looks,
            rows_of(outcome.experiment),
            lines,
        )
        for name, those in grouped.items()
    ]
    body = (
        '<figure class="labkit-figure" style="margin:0">'
        f'<div style="{BESIDE};row-gap:12px">{"".join(panels)}</div>'
        f'<figcaption style="font-size:90%;line-height:1.5;margin-top:6px">{_caption(outcome, columns)}</figcaption>'
        "</figure>"
    )
    return Picture(body, text.table(outcome))
