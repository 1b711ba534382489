"""Who sees which frame: tcpdump at every machine's tap while one guest pings another."""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from labkit.host import Event, HostError, Observation, Row
from labkit.live.net.cables import Cable, through, way
from labkit.live.net.network import room_of
from labkit.live.private.watching import Capture, Frame

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost

__all__ = ["capture"]

APART = 0.2  # seconds from one ping to the next
PATIENCE = 10.0  # seconds for the last answer

_TAGGED = re.compile(r"^vlan \d+, p \d+, ethertype [^,]+, ", re.ASCII)  # tcpdump's words for a VLAN's tag
_ASKS = ("Request who-has", "ICMP echo request")  # tcpdump's words for the two kinds of frames that are counted


def _know(cable: Cable, other: Cable, known: bool) -> None:
    """Let a machine know another's hardware address, or forget it."""
    name = through(cable, other)
    # Forgetting what it does not know is no error.
    _tell(cable, f"arp -i {name} -s {other.ip} {other.mac}" if known else f"arp -i {name} -d {other.ip} || :")


def _trust(cable: Cable, other: Cable, seconds: int, later: int) -> None:
    """For how many seconds a machine believes a hardware address, and after how many it makes sure of one (arp(7)).

    A machine that makes sure of another's tells it its own at that.
    """
    place = f"/proc/sys/net/ipv4/neigh/{through(cable, other)}"
    _tell(cable, f"echo {seconds} >{place}/base_reachable_time && echo {later} >{place}/delay_first_probe_time")


def _tell(cable: Cable, words: str) -> None:
    done = cable.machine.agent.run(["/bin/sh", "-c", words], PATIENCE)
    if done.status:
        raise HostError(f"{cable.machine.name} does not learn an address: {done.errors.strip()}.", "Try it again.")


def capture(host: LiveHost, sender: str, target: str, count: int, known: bool) -> Observation:
    """Count who sees what a sender sends; see `labkit.host.networks.Networked.capture`."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 1000:
        raise ValueError(f"count is a whole number from 1 to 1000, not {count!r:.40}")
    cable, other = there = way(host, sender, target)
    for one, another in (there, there[::-1]):
        _trust(one, another, 3600, 3600)
    for one, another in (there[::-1], there):
        _know(one, another, known)
    try:
        return _seen(host, cable, other, count)
    finally:
        with contextlib.suppress(HostError):  # a machine may have ended
            for one, another in (there, there[::-1]):
                _trust(one, another, 30, 5)  # as Linux has it
                if known:
                    _know(one, another, False)


def _seen(host: LiveHost, cable: Cable, other: Cable, count: int) -> Observation:
    between_them = f"((arp or icmp) and host {cable.ip} and host {other.ip})"
    choose = f"{between_them} or (vlan and {between_them})"  # frames at a trunk have a tag before all else
    begun, began = time.monotonic(), time.time()
    with contextlib.ExitStack() as stack:
        seen = {
            name: [stack.enter_context(Capture(room_of(host), each.tap, choose)) for each in machine.cables]
            for name, machine in host.machines.items()
        }
        words = ["ping", "-c", str(count), "-i", str(APART), "-W", "2", "-I", through(cable, other), other.ip]
        host.note_agent(cable.machine, "guest-exec", words)
        cable.machine.agent.run(["/bin/" + words[0], *words[1:]], PATIENCE + 2 * APART * count)
    sightings = {name: [frame for one in captures for frame in one.frames] for name, captures in seen.items()}
    rows = tuple(
        Row(machine=name, quantity="frames", unit="1", value=float(sum(_asks(frame, cable) for frame in frames)))
        for name, frames in sightings.items()
    )
    events = _passed(sightings, {cable.mac: cable.machine.name, other.mac: other.machine.name}, began)
    return Observation(time.monotonic() - begun, rows, (), events, host.provenance())


def _asks(frame: Frame, cable: Cable) -> bool:
    """Whether a frame is one of those that are counted: an echo request or an ARP request, from this card."""
    return frame.source == cable.mac and any(words in frame.told for words in _ASKS)


def _passed(sightings: Mapping[str, Sequence[Frame]], whose: Mapping[str, str], began: float) -> list[Event]:
    """Each frame as one event, of what was seen at each cable: there the first of equal frames is the same frame."""
    same: dict[tuple[str, str, int], list[tuple[str, Frame]]] = {}
    for name, frames in sightings.items():
        met: Counter[tuple[str, str]] = Counter()
        for frame in frames:
            key = frame.source, _TAGGED.sub("", frame.told)
            same.setdefault((*key, met[key]), []).append((name, frame))
            met[key] += 1
    events = []
    for (source, what, _), seen in same.items():
        sender, to = whose.get(source, source), whose.get(seen[0][1].destination, "all")
        times = [frame.time for name, frame in seen if name == sender] or [min(frame.time for _, frame in seen)]
        who = ", ".join(name for name, _ in seen if name != sender) or "nobody"
        lasted = max(frame.time for _, frame in seen) - times[0]
        detail = f"to {to}; seen by {who}; {what}"
        events.append(Event(max(0.0, times[0] - began), "frame", sender, max(0.0, lasted), detail=detail))
    return sorted(events, key=lambda event: event.time)
