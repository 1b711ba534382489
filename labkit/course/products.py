"""*How the products call this*: the section that every lesson has, out of the one file of data.

In a lesson::

    from labkit.course import products

    products.table("shares", "ready time")

shows the two for all six products, with the vendors' documents as footnotes; ``products.browse()`` is for looking
around. The data are in `labkit.products`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labkit.views.products import Browser, ProductTable

__all__ = ["browse", "table"]


def table(*keys: str, of: Sequence[str] = ()) -> ProductTable:
    """What the products call something; see `labkit.views.products.product_table`.

    Parameters
    ----------
    *keys : str
        What is asked for, such as ``"shares"``; everything where nothing is named.
    of : sequence of str
        Which products, such as ``("kvm",)``; all six where none is named.

    Raises
    ------
    ValueError
        Where there is no such row or product; says which there are.
    """
    from labkit.views.products import product_table

    return product_table(*keys, of=of)


def browse(key: str = "shares") -> Browser:
    """A widget to choose a product or a thing in, beginning with `key`; see `labkit.views.products.Browser`."""
    from labkit.views.products import Browser

    return Browser(key)
