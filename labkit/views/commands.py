"""The plain commands behind a live run, folded under a line that says how many there are."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["folded"]

_LONG = 200  # letters; beyond that a command to a guest's agent hides the others, as it may hold a whole program
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
    if all(line.lstrip().startswith("#") for line in journal):
        return ""
    plain = [line for line in journal if not line.lstrip().startswith("#")]
    count = len(plain)
    return (
        f'<details style="margin-top:8px"><summary>{_heading(plain)} ({count} '
        f"{'command' if count == 1 else 'commands'})</summary>"
        f'<pre tabindex="0" style="{_LINES}">{html.escape(chr(10).join(map(_short, journal)))}</pre></details>'
    )


def _heading(commands: Sequence[str]) -> str:
    """What the commands are, by who was asked: libvirt, which is virsh's part, others as well, or others alone."""
    of_libvirt = [line for line in commands if line.lstrip().startswith("virsh")]
    if not of_libvirt:
        return "The plain commands"
    return "What libvirt was asked" + (", and what else was run" if len(of_libvirt) < len(commands) else "")


def _short(line: str) -> str:
    """A command as it is shown: of a long one to a guest's agent its beginning, and how much more there is."""
    if len(line) <= _LONG or not line.startswith("virsh qemu-agent-command"):
        return line
    more = len(line) - _LONG // 2
    return f"{line[: _LONG // 2]}…  # a program for the guest, {more:,} letters more"
