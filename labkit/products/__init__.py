"""Six products side by side, and what each calls the things of this course: the data, and nothing drawn.

All of it lies in ``products.toml`` beside this file: what a product says of itself, with the title and the section of
its vendor's document. What was read there for this edition carries the month; what no document was found for is
said to be *not documented*, and left at that. `labkit.views.products` shows it; `labkit.course.products` puts it
into lessons.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NOT_DOCUMENTED", "Cell", "Product", "Row", "products", "rows", "select"]

NOT_DOCUMENTED = "not documented"
_FILE = Path(__file__).with_name("products.toml")


@dataclass(frozen=True)
class Cell:
    """What one product says of one thing.

    Parameters
    ----------
    text : str
        The answer; `code` and *emphasis* are marked as in Markdown.
    source, section : str
        The title of the vendor's document, and where in it; both empty where `text` is *not documented*.
    checked : str
        The month in which the document was read for this, such as ``"2026-11"``; empty where it was not.
    """

    text: str
    source: str = ""
    section: str = ""
    checked: str = ""

    @property
    def documented(self) -> bool:
        """Whether a document was found."""
        return self.text != NOT_DOCUMENTED

    @property
    def footnote(self) -> str:
        """The document and the section in one line; empty where there is none."""
        if not self.source:
            return ""
        place = f"{self.source}, “{self.section}”" if self.section else self.source
        return place if self.checked else f"{place} (not compared with its latest edition)"


@dataclass(frozen=True)
class Row:
    """One thing that products are compared by.

    Parameters
    ----------
    key : str
        How it is asked for, such as ``"ready time"``.
    asks : str
        What it is about, in the course's words.
    control : bool
        Whether it is a control of this course, rather than a property of the product.
    """

    key: str
    asks: str
    control: bool


@dataclass(frozen=True)
class Product:
    """One of the six."""

    key: str
    name: str
    cells: Mapping[str, Cell]


@functools.cache
def _written() -> dict:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


@functools.cache
def rows() -> tuple[Row, ...]:
    """All that the products are compared by: first what they are, then the course's controls."""
    written = _written()
    return tuple(
        Row(key, asks, control)
        for part, control in (("properties", False), ("controls", True))
        for key, asks in written[part].items()
    )


@functools.cache
def products() -> tuple[Product, ...]:
    """The six products: three of servers, then three of desks.

    Raises
    ------
    ValueError
        Where the file breaks a rule: every product has a cell for every row, or says that it is not documented, and
        every cell names its source.
    """
    written = _written()
    found = []
    for key, entry in written["products"].items():
        silent = entry.get("not_documented", [])
        cells = {name: Cell(NOT_DOCUMENTED) for name in silent}
        for name, cell in entry["cells"].items():
            if name in cells:
                raise ValueError(f"{key}: {name!r} is said to be not documented, and has a cell")
            if not {"text", "source", "section"} <= set(cell) or bool(cell.get("checked")) == ("seen" in cell):
                raise ValueError(f"{key}: {name!r} needs text, source, section, and either checked or seen = false")
            source = written["sources"][cell["source"]]
            cells[name] = Cell(cell["text"], source, cell["section"], cell.get("checked", ""))
        asked = [row.key for row in rows()]
        if set(cells) != set(asked):
            raise ValueError(f"{key}: {sorted(set(cells) ^ set(asked))} are missing, or nobody asks for them")
        found.append(Product(key, entry["name"], {name: cells[name] for name in asked}))
    return tuple(found)


def select(keys: Sequence[str] = (), of: Sequence[str] = ()) -> tuple[tuple[Row, ...], tuple[Product, ...]]:
    """Some rows and some products, in the order asked for; all where nothing is named.

    Parameters
    ----------
    keys : sequence of str
        Of rows, such as ``"shares"``.
    of : sequence of str
        Of products, such as ``"kvm"``.

    Raises
    ------
    ValueError
        Where there is none of that name, with those that there are.
    """
    known_rows = {row.key: row for row in rows()}
    known_products = {product.key: product for product in products()}
    for asked, known, what in ((keys, known_rows, "row"), (of, known_products, "product")):
        for key in asked:
            if key not in known:
                raise ValueError(f"there is no {what} {key!r:.40}; there are {', '.join(known)}")
    return (
        tuple(known_rows[key] for key in keys) or rows(),
        tuple(known_products[key] for key in of) or products(),
    )
