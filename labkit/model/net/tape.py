"""A tape that writes down which frames pass, while somebody wants to know.

It stands beside the cables and touches nothing. A frame has one number wherever it passes, so that one line tells who
sent it, when, and at whose cards it came by.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from labkit.host import Event
from labkit.model.net.frames import Frame

__all__ = ["LONGEST", "Sighting", "Tape", "told"]

LONGEST = 10_000
"""Frames that it holds at the most."""


@dataclass
class Sighting:
    """One frame, and who saw it.

    Parameters
    ----------
    frame : Frame
        As its sender sent it.
    sender : str
        Which machine that is.
    sent : float
        When, in seconds of the host's clock.
    seen : list of (str, float)
        At whose card it arrived, and when.
    """

    frame: Frame
    sender: str
    sent: float
    seen: list[tuple[str, float]] = field(default_factory=list)


class Tape:
    """What was written down since it was last started."""

    def __init__(self) -> None:
        self._lines: dict[int, Sighting] | None = None

    def start(self) -> None:
        """Write down what passes from now on, on an empty tape."""
        self._lines = {}

    def stop(self) -> list[Sighting]:
        """Write no more; gives what there is, in the order of sending."""
        lines, self._lines = self._lines or {}, None
        return list(lines.values())

    def sent(self, frame: Frame, sender: str, now: float) -> None:
        """A machine sends a frame."""
        if self._lines is not None and len(self._lines) < LONGEST:
            self._lines[frame.number] = Sighting(frame, sender, now)

    def seen(self, frame: Frame, name: str, now: float) -> None:
        """A frame arrives at a machine's card."""
        if self._lines and frame.number in self._lines:
            self._lines[frame.number].seen.append((name, now))


def told(sightings: list[Sighting], since: float, whose: dict[str, str]) -> list[Event]:
    """Frames as events: when each was sent, how long until the last saw it, by whom, to whom, and who saw it.

    Parameters
    ----------
    sightings : list of Sighting
        From `Tape.stop`.
    since : float
        The moment that counts as 0, in seconds of the host's clock.
    whose : dict of str to str
        Which machine has which hardware address.
    """
    found = []
    for one in sightings:
        last = max((at for _name, at in one.seen), default=one.sent)
        to = whose.get(one.frame.destination, "all")
        seen = ", ".join(name for name, _at in one.seen) or "nobody"
        tag = "" if one.frame.tag is None else f", VLAN {one.frame.tag}"
        detail = f"to {to}; seen by {seen}; {one.frame.content}{tag}"
        found.append(Event(one.sent - since, "frame", one.sender, last - one.sent, detail=detail))
    return found
