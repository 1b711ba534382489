"""A disk that grows while a guest writes to it: the simulated one at once, the real one before your eyes.

Both hosts get the same records in the same order. On the live host a guest writes them, some at a time, and after each
handful the file is looked at: the squares fill, and the file on the ruler becomes longer.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

from labkit.experiments import writes as patterns
from labkit.host import Host, HostError
from labkit.host.disks import Disk
from labkit.host.trimming import BLOCK
from labkit.views.asked import Openers
from labkit.views.commands import folded
from labkit.views.diskmap import WIDE, drawing
from labkit.views.picture import Picture
from labkit.views.running import Teller
from labkit.views.watched import WatchedHost

__all__ = ["growing_disk"]

HANDFULS = 12  # how often the live disk is looked at
MOST = 4000  # records


def growing_disk(
    writes: Any = "random:seed=1,count=100,length=4096",
    *,
    format: str = "qcow2",
    size: str | float = "1 GiB",
    open_live: Callable[[], Host] | None = None,
) -> Picture:
    """Watch how a disk's file grows while a guest writes.

    Parameters
    ----------
    writes : str
        What is written, as the setting `writes` of `disk-thin`; in whole blocks of 4096 bytes, 4000 writes at most.
    format, size : str
        The disk's, as in `labkit.host.Host.disk`.
    open_live : callable, optional
        Opens the live host, in place of `labkit.live`.

    Returns
    -------
    Picture
        Both disks as they are in the end; where there can be no guest, the simulated one, and the reason.

    Raises
    ------
    ValueError
        Where the writes are not as said.
    """
    import labkit

    with labkit.simulated() as host:
        disk = host.disk("data", size, format=format)
        places = patterns.places(patterns.read(writes), disk.size)
        if len(places) > MOST or any(offset % BLOCK or length % BLOCK for offset, length in places):
            raise ValueError(f"writes must be {MOST} at most, each of whole blocks of {BLOCK} bytes")
        for offset, length in places:
            disk.write(offset, length)
        simulated = _column("simulated", disk)
    live, journal = "", [""]
    tell, show = Teller(), _Shown()
    try:
        with WatchedHost(Openers.of(open_live, None).open_live, tell) as watched:
            live = _written(watched, format, size, places, lambda column: show(*_beside(simulated, column)))
        journal = watched.asked
    except HostError as error:
        live = ("", f"live: not run: {error}")
    except KeyboardInterrupt:
        live = ("", "live: somebody stopped it. Run the cell again.")
    finally:
        tell.done()
        show("")
    page, said = _beside(simulated, live)
    return Picture(page + folded(journal), said)


def _written(
    host: Host, format: str, size: str | float, places: Sequence[tuple[int, int]], show: Callable[[Any], None]
) -> tuple[str, str]:
    """Let a guest write, and draw its disk after each handful; the last drawing."""
    disk = host.disk("data", size, format=format)
    machine = host.create("m1", disks=[disk])
    each = -(-len(places) // HANDFULS)
    column = _column("live", disk)
    host.watching = True
    for first in range(0, len(places), each):
        host.progress(f"The guest writes record {first + 1:,} of {len(places):,}", first / len(places))
        machine.write("data", places[first : first + each])
        column = _column("live", disk)
        show(column)
    return column


def _column(name: str, disk: Disk) -> tuple[str, str]:
    """One host's disk, drawn and in words."""
    svg, said = drawing(disk.name, disk.size, disk.file_bytes, disk.map())
    return svg, f"{name}: {said}"


def _beside(*columns: tuple[str, str]) -> tuple[str, str]:
    """The columns beside each other, or one below the other where the page is narrow.

    Their width does not hang on that of the place they are in, and a card of the lesson makes room for a figure: the
    picture while the disk grows is as large as the last one.
    """
    parts = []
    for svg, said in columns:
        heading = said.partition(":")[0]
        below = svg or f"<p>{html.escape(said)}</p>"
        parts.append(
            f'<figure style="flex:none;width:{WIDE:g}px;max-width:100%;margin:0">'
            f'<figcaption style="font-weight:700;margin:0 0 4px">{heading}</figcaption>{below}</figure>'
        )
    page = f'<div class="labkit-figure" style="display:flex;flex-wrap:wrap;gap:16px 24px">{"".join(parts)}</div>'
    return page, "\n".join(said for _svg, said in columns)


class _Shown:
    """A place in the cell's output whose picture is exchanged; nothing outside of a notebook."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, page: str, said: str = "(the disk while it grew)") -> None:
        """Show another picture; an empty one in the end, as the cell's own result takes its place."""
        from IPython import get_ipython

        if getattr(get_ipython(), "kernel", None) is None or (self._handle is None and not page):
            return
        from IPython.display import display

        bundle = {"text/html": page, "text/plain": said}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
