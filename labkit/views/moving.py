"""A machine that boots from a disk in another product's format, and what it says on its console while it does."""

from __future__ import annotations

import html
from collections.abc import Callable

from labkit.host import Host, HostError
from labkit.host.disks import FORMATS
from labkit.views.asked import Openers
from labkit.views.commands import folded
from labkit.views.picture import Picture
from labkit.views.running import Teller
from labkit.views.watched import WatchedHost

__all__ = ["boots_from"]

_STEPS = 6  # told: making the disk, converting it, power-on, firmware, boot loader, kernel


def boots_from(format: str, *, open_live: Callable[[], Host] | None = None) -> Picture:
    """Make a disk with a small system on it, convert it, and boot a real machine from it.

    Parameters
    ----------
    format : str
        One of `labkit.host.disks.FORMATS`.
    open_live : callable, optional
        Opens the live host, in place of `labkit.live`.

    Returns
    -------
    Picture
        What the machine said first; where there can be none, the reason.

    Raises
    ------
    ValueError
        Where there is no such format.
    """
    if format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}, not {format!r:.40}")
    tell, lines, journal, seconds = Teller(), [], [], 0.0
    try:
        with WatchedHost(Openers.of(open_live, None).open_live, tell, steps=_STEPS) as host:
            if not (able := host.can("boot disks")):
                raise HostError(able.reason, able.remedy)
            host.progress("Making a disk with a small system on it", 0.0)
            made = host.system_disk("made")
            host.progress(f"Converting the disk to {format}", 0.0)
            moved = made.convert("moved", format)
            machine = host.boot_from("web", moved)
            lines = host.first_lines(machine)
            seconds = machine.moments["answered"] - machine.moments["asked"]
            where = f"{host.accelerator.name}, {seconds:.1f} s from power-on to its agent's first answer"
        journal = host.asked
    except HostError as error:
        return Picture(f"<p>{html.escape(str(error))}</p>", f"not run: {error}")
    except KeyboardInterrupt:
        return Picture("<p>Somebody stopped it.</p>", "not run: somebody stopped it. Run the cell again.")
    finally:
        tell.done()
    said = f"A machine booted from a {format} file ({where}). It said:"
    shown = "\n".join(lines)
    page = f"<p>{html.escape(said)}</p><pre tabindex='0'>{html.escape(shown)}</pre>{folded(journal)}"
    return Picture(page, f"{said}\n{shown}")
