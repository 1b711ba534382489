"""Which cell of the notebook is running, so that one that runs again can end what its last run began."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Cell", "this_cell"]


class Cell(NamedTuple):
    """A cell, and one run of it; both empty outside of a notebook.

    Parameters
    ----------
    name : str
        The cell's own id, or its code where the notebook does not tell the id.
    run : str
        Which run of it.
    """

    name: str = ""
    run: str = ""

    def repeats(self, other: Cell) -> bool:
        """Whether this is another run of the same cell."""
        return bool(self.name) and self.name == other.name and self.run != other.run


def this_cell() -> Cell:
    """The cell that is running at the moment."""
    from IPython import get_ipython

    parent = getattr(get_ipython(), "get_parent", dict)()
    header = parent.get("header", {})
    if header.get("msg_type") != "execute_request":
        return Cell()
    name = parent.get("metadata", {}).get("cellId") or parent.get("content", {}).get("code", "")
    return Cell(str(name), str(header.get("msg_id", "")))
