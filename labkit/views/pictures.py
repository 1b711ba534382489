"""Pictures drawn by hand: host, guest, hypervisor and vCPU in one."""

from __future__ import annotations

import html
from pathlib import Path

from labkit.views.picture import Picture

__all__ = ["host_picture"]

_DRAWN = Path(__file__).parent / "static" / "host_picture.svg"
_WORDS = {
    "host": "the real computer. It has real CPUs, memory and a disk.",
    "guest": "a virtual machine: a computer made by software. It has its own system and its own programs, and believes "
    "that it is alone.",
    "hypervisor": "the software between guests and hardware. It decides which guest runs when, and keeps them apart.",
    "vCPU": "a guest's virtual CPU. It makes progress only while the hypervisor lets it run on a real CPU; the rest of "
    "the time it waits.",
}
_TITLE = (
    "One computer, the host, as a large frame. At the bottom its hardware: CPU 0 and CPU 1, memory, a disk. Above "
    "the hardware the hypervisor, as a band. On top three guests, m1, m2 and m3, each with its own system and "
    "programs. m1 and m2 have one vCPU each, m3 has two. Lines lead from the vCPUs of m1 and m2 and from the "
    "first of m3 through the hypervisor to CPU 0, and from the second of m3 to CPU 1. Below CPU 0 a strip of time "
    "shows m1, m2 and m3 taking turns; below CPU 1 m3 runs, then nothing, then m3 again."
)


def host_picture() -> Picture:
    """Host, guest, hypervisor and vCPU in one picture, with its text twin."""
    drawing = _DRAWN.read_text(encoding="utf-8")
    opening = (
        f'<svg role="img" aria-label="{html.escape(_TITLE)}" '
        'style="display:block;width:100%;max-width:760px;height:auto;font-family:inherit" '
    )
    drawing = drawing.replace("<svg ", opening, 1).strip()
    words = "".join(
        f'<dt style="font-weight:700">{html.escape(word[0].upper() + word[1:] if word.islower() else word)}</dt>'
        f'<dd style="margin:0 0 4px">{html.escape(meaning[0].upper() + meaning[1:])}</dd>'
        for word, meaning in _WORDS.items()
    )
    listed = (
        '<dl style="display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;max-width:760px;margin:10px 0 0">'
        f"{words}</dl>"
    )
    text = "\n".join([_TITLE, "", *(f"{word}: {meaning}" for word, meaning in _WORDS.items())])
    return Picture(f'<figure style="margin:0">{drawing}{listed}</figure>', text)
