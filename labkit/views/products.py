"""Six products in a table, with the vendors' documents as footnotes; and a widget to look things up in.

The data are those of `labkit.products`. A table is HTML, plain text and Markdown at once.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets

from labkit.products import Cell, Product, Row, products, rows, select
from labkit.views.picture import Picture
from labkit.views.said import Said

__all__ = ["Browser", "ProductTable", "product_table"]

_WIDE = 3  # with more things than this, each has a line of its own and the products stand beside each other
_SHORT = 24  # letters of a command that is never broken; a table too wide for its place can be scrolled
_BROKEN = "-webkit-box-decoration-break:clone;box-decoration-break:clone"  # each line has the same edges
_WORDS = re.compile(r"-\S+ (?!-)\S+|\S+")  # of a command; an option and what it is set to are one
_LEFT = 'style="text-align:left;vertical-align:top"'
_ALL_PRODUCTS, _ALL_ROWS = "all six", "everything"


class ProductTable(Picture):
    """What products call things, as a table.

    Parameters
    ----------
    html, text, markdown : str
        The same three times: for eyes, for a screen reader, and for the source of a lesson.
    documented, cells : int
        How many of its cells have a document behind them.
    """

    def __init__(self, html: str, text: str, markdown: str, documented: int, cells: int) -> None:
        super().__init__(html, text)
        self.markdown = markdown
        self.documented = documented
        self.cells = cells

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {**super()._repr_mimebundle_(include, exclude), "text/markdown": self.markdown}


def _rendered(text: str) -> str:
    """HTML of a text in which `code` and *emphasis* are marked."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        _command(part[1:-1])
        if part.startswith("`") and len(part) > 1
        else re.sub(r"\*([^*]+)\*", r"<em>\1</em>", html.escape(part, quote=False))
        for part in parts
    )


def _command(words: str) -> str:
    """What is typed: a short command in one line; a longer one breaks between words, and not after an option."""
    if len(words) <= _SHORT:
        return f'<code style="white-space:nowrap">{html.escape(words)}</code>'
    parts = (f'<span style="white-space:nowrap">{html.escape(word)}</span>' for word in _WORDS.findall(words))
    return f'<code style="{_BROKEN}">{" ".join(parts)}</code>'


def _plain(text: str) -> str:
    """The text without marks of emphasis; those of code stay, as they are read as quotation marks."""
    return "".join(
        part if part.startswith("`") else re.sub(r"\*([^*]+)\*", r"\1", part) for part in re.split(r"(`[^`]+`)", text)
    )


class _Notes:
    """Footnotes, numbered as they come up; the same document and section have one number."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def number(self, cell: Cell) -> int | None:
        if not cell.footnote:
            return None
        if cell.footnote not in self.lines:
            self.lines.append(cell.footnote)
        return self.lines.index(cell.footnote) + 1


def product_table(*keys: str, of: Sequence[str] = ()) -> ProductTable:
    """What the products call something, side by side, with footnoted sources.

    Parameters
    ----------
    *keys : str
        What is asked for, such as ``"shares"``, ``"ready time"``; everything where nothing is named.
    of : sequence of str
        Which products, such as ``("kvm", "esxi")``; all six where none is named.

    Raises
    ------
    ValueError
        Where there is no such row or product.
    """
    asked, whose = select(keys, of)
    notes = _Notes()
    if len(asked) <= _WIDE:
        head = ["product", *(row.key for row in asked)]
        body = [(product.name, [product.cells[row.key] for row in asked]) for product in whose]
    else:
        head = ["", *(product.name for product in whose)]
        body = [(row.key, [product.cells[row.key] for product in whose]) for row in asked]
    numbered = [(name, [(cell, notes.number(cell)) for cell in cells]) for name, cells in body]
    every = [product.cells[row.key] for product in whose for row in asked]
    return ProductTable(
        _html(head, numbered, notes),
        _text(asked, whose, notes),
        _markdown(head, numbered, notes),
        sum(cell.documented for cell in every),
        len(every),
    )


_Lines = list[tuple[str, list[tuple[Cell, int | None]]]]


def _html(head: list[str], body: _Lines, notes: _Notes) -> str:
    columns = "".join(f'<th scope="col" {_LEFT}>{html.escape(word)}</th>' for word in head)
    lines = "".join(
        f'<tr><th scope="row" {_LEFT}>{html.escape(name)}</th>'
        + "".join(
            f"<td {_LEFT}>{_rendered(cell.text)}{f'&nbsp;<sup>{number}</sup>' if number else ''}</td>"
            for cell, number in cells
        )
        + "</tr>"
        for name, cells in body
    )
    listed = "".join(f"<li>{_rendered(line)}</li>" for line in notes.lines)
    sources = f'<ol style="font-size:smaller" aria-label="Sources">{listed}</ol>' if listed else ""
    return (
        '<div style="overflow-x:auto" role="region" tabindex="0" aria-label="What the products call it">'
        f"<table><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table></div>{sources}"
    )


def _text(asked: Sequence[Row], whose: Sequence[Product], notes: _Notes) -> str:
    lines = []
    for product in whose:
        lines.append(product.name)
        for row in asked:
            number = notes.number(product.cells[row.key])
            lines.append(f"  {row.key}: {_plain(product.cells[row.key].text)}{f' [{number}]' if number else ''}")
    return "\n".join(
        [*lines, "", *(f"[{number}] {_plain(line)}" for number, line in enumerate(notes.lines, 1))]
    ).strip()


def _markdown(head: list[str], body: _Lines, notes: _Notes) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, cells in body:
        shown = (f"{cell.text.replace('|', '&#124;')}{f' <sup>{n}</sup>' if n else ''}" for cell, n in cells)
        lines.append(f"| {name} | {' | '.join(shown)} |")
    listed = " ".join(f"<sup>{number}</sup> {line}." for number, line in enumerate(notes.lines, 1))
    return "\n".join([*lines, "", f"<small>{listed}</small>"]) if listed else "\n".join(lines)


class _Reading(Said):
    """What is shown, in one sentence; it also keeps the keys pressed in the browser from JupyterLab's shortcuts."""

    _esm = Said._esm.replace(
        "show();",
        """show();
      // The box comes onto the page after its parts. An arrow key in a list would otherwise go to the next cell.
      setTimeout(() => {
        const box = el.closest(".labkit-products");
        if (!box || box.dataset.lmSuppressShortcuts) return;
        box.setAttribute("data-lm-suppress-shortcuts", "true");
        box.addEventListener("keydown", (event) => event.stopPropagation());
      }, 0);""",
        1,
    )


class Browser(widgets.VBox):
    """Choose a product, or a thing, and read what the one calls the other.

    Parameters
    ----------
    key : str
        The thing that it shows at first.

    Attributes
    ----------
    product, thing : ipywidgets.Dropdown
        The two lists; both work by keyboard.
    shown : ProductTable
        The table as it stands.
    """

    def __init__(self, key: str = "shares") -> None:
        select([key])
        layout = widgets.Layout(width="340px", max_width="100%")
        self.product = widgets.Dropdown(
            description="product",
            options=[(_ALL_PRODUCTS, ""), *((product.name, product.key) for product in products())],
            tooltip="whose words",
            layout=layout,
        )
        self.thing = widgets.Dropdown(
            description="what",
            options=[(_ALL_ROWS, ""), *((f"{row.key}: {row.asks}", row.key) for row in rows())],
            value=key,
            tooltip="which control, or which property of the product",
            layout=widgets.Layout(width="520px", max_width="100%"),
        )
        self._said, self._table = _Reading(), widgets.HTML()
        self.shown = product_table(key)
        self._show()
        for choice in (self.product, self.thing):
            choice.observe(self._show, names="value")
        super().__init__([self.product, self.thing, self._said, self._table])
        self.add_class("labkit-products")

    def _show(self, _change: object = None) -> None:
        self.shown = product_table(*filter(None, [self.thing.value]), of=[*filter(None, [self.product.value])])
        self._table.value = self.shown.html
        self._said.value = html.escape(self.reading())

    def reading(self) -> str:
        """One sentence on what is shown: a single answer read out, or how much of it is documented."""
        what = self.thing.value or "everything"
        whose = dict((key, name) for name, key in self.product.options)[self.product.value]
        if self.product.value and self.thing.value:
            (product,) = select(of=[self.product.value])[1]
            return f"{product.name}, {what}: {_plain(product.cells[what].text)}."
        return f"{what[0].upper()}{what[1:]} of {whose}: {self.shown.documented} of {self.shown.cells} are documented."

    def __repr__(self) -> str:
        return f"{self.reading()}\n\n{self.shown.text}"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            data["text/plain"] = repr(self)
            data["text/html"] = f"<p>{html.escape(self.reading())}</p>{self.shown.html}"
        return bundle
