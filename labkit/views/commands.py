"""The plain commands behind a live run, folded under a line that says how many there are."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["folded"]

# Long commands break between words; a word is broken only where it alone is wider than the page.
_LINES = "white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere;line-height:1.4"


def folded(journal: Sequence[str]) -> str:
    """A journal's lines in HTML, folded; empty where there are none.

    Parameters
    ----------
    journal : sequence of str
        As `Host.journal` gives it: commands, and between them comments, which begin with ``#`` and do not count.
    """
    if not journal:
        return ""
    count = sum(1 for line in journal if not line.lstrip().startswith("#"))
    return (
        f'<details style="margin-top:8px"><summary>What libvirt was asked ({count} '
        f"{'command' if count == 1 else 'commands'})</summary>"
        f'<pre tabindex="0" style="{_LINES}">{html.escape(chr(10).join(journal))}</pre></details>'
    )
