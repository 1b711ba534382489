"""A picture that is also words: SVG for eyes, a text twin for screen readers, static pages and nbval."""

from __future__ import annotations

from typing import Any

__all__ = ["Picture"]


class Picture:
    """Something to look at in a notebook, with its text twin.

    Parameters
    ----------
    html : str
        Inline SVG, or HTML around it.
    text : str
        The same in words.
    """

    def __init__(self, html: str, text: str) -> None:
        self.html = html
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}
