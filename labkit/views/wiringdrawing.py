"""The picture of a wiring: machines above, their cables, and below them the switches with their sockets.

A socket has the colour and the hatch of its VLAN, and its name beside it.
"""

from __future__ import annotations

import html
import zlib

from labkit.views.palette import look
from labkit.views.wiring import Frame, Plug, Wiring

__all__ = ["drawing", "key_of_vlans", "learnt", "lines", "marks", "page", "under"]

_BOX, _HIGH, _TOP = 92.0, 40.0, 10.0
_BESIDE, _LEAST = 46.0, 64.0  # left of a cable, where it says who sends, and right of it, where its socket is described
_GAP, _BAR, _BETWEEN = 78.0, 30.0, 62.0
_EDGE = 12.0
_SOCKET, _SOCKET_HIGH = 30.0, 16.0
_TEXT = "font-size:12px;fill:currentColor"
_SMALL = "font-size:11px;fill:currentColor"
_NARROW = 480.0  # a picture wider than that may have to be moved sideways
_HATCHES = {
    "solid": "",
    "diagonal": "M-2,10L10,-2M4,12L12,4",
    "back": "M-2,-2L10,10M4,-4L12,4",
    "dots": "M2,2h2v2h-2z",
    "cross": "M0,0L8,8M8,0L0,8",
    "horizontal": "M0,4H8",
    "vertical": "M4,0V8",
    "plus": "M0,4H8M4,0V8",
}


class _Places:
    """Where everything of a wiring is drawn."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        cards: dict[str, list[Plug]] = {name: [] for name in wiring.machines}
        for plug in wiring.plugs:
            cards.setdefault(plug.machine, []).append(plug)
        self.boxes: dict[str, tuple[float, float]] = {}
        self.across: dict[Plug, float] = {}
        at = _EDGE
        for name, plugs in cards.items():
            begins = at + _BESIDE
            for plug in plugs:
                self.across[plug] = at + _BESIDE
                at += _BESIDE + max(_LEAST, 6.4 * max(map(len, labels(wiring, plug))) + 14)
            at += 0 if plugs else _BESIDE + _LEAST
            last = self.across[plugs[-1]] if plugs else begins
            wide = max(_BOX, 7.6 * len(name) + 12, last - begins + 48)
            at = max(at, begins - 30 + wide + 16)
            self.boxes[name] = begins - 30, wide
        self.wide = max(at + _EDGE, 300.0)
        self.bars = {
            name: _TOP + _HIGH + _GAP + place * (_BAR + _BETWEEN) for place, name in enumerate(wiring.networks)
        }
        self.high = max([_TOP + _HIGH, *(top + _BAR for top in self.bars.values())]) + 12

    def cable(self, plug: Plug) -> tuple[float, float, float]:
        """A cable's place across, its upper and its lower end."""
        return self.across[plug], _TOP + _HIGH, self.bars[plug.port.network]

    def cable_of(self, machine: str, others: tuple[str, ...]) -> Plug | None:
        """The cable that a machine's frame took: of several the one in whose network the others are."""
        own = [plug for plug in self.wiring.plugs if plug.machine == machine]
        theirs = {plug.port.network for plug in self.wiring.plugs if plug.machine in others}
        return next((plug for plug in own if plug.port.network in theirs), own[0] if own else None)


def _key(wiring: Wiring) -> str:
    """A name for the picture's patterns: the same for the same picture, another for another."""
    return f"lt{zlib.crc32(repr((wiring.machines, wiring.plugs)).encode()):08x}"


def _pattern(key: str, number: int) -> str:
    own = look(number)
    hatch = _HATCHES[own.pattern]
    return (
        f'<pattern id="{key}-{number}" width="8" height="8" patternUnits="userSpaceOnUse">'
        f'<rect width="8" height="8" fill="{own.colour}"/>'
        + (f'<path d="{hatch}" stroke="#000" stroke-width="1.4" fill="none"/>' if hatch else "")
        + "</pattern>"
    )


def _fill(key: str, wiring: Wiring, vlan: int) -> str:
    return f"url(#{key}-{wiring.vlans.index(vlan)})"


def _text(x: float, y: float, words: str, style: str = _SMALL, anchor: str = "middle") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" style="{style}">{html.escape(words)}</text>'


def _machine(places: _Places, name: str) -> str:
    left, wide = places.boxes[name]
    plugs = [plug for plug in places.wiring.plugs if plug.machine == name]
    address = plugs[0].port.address.partition("/")[0] if len(plugs) == 1 else ""
    said = address or ("no cable" if not plugs else f"{len(plugs)} cards" if len(plugs) > 1 else "")
    middle = left + wide / 2
    return (
        f'<rect x="{left:g}" y="{_TOP:g}" width="{wide:g}" height="{_HIGH:g}" rx="5" fill="none" stroke="currentColor" '
        f'stroke-width="1.4"/>{_text(middle, _TOP + 17, name, f"{_TEXT};font-weight:700")}'
        f"{_text(middle, _TOP + 32, said)}"
    )


def _extras(plug: Plug) -> str:
    """What else a socket does: how many rules its doorkeeper has, and the steady rate of its tap."""
    said = [f"{len(plug.port.rules)} rule{'s' if len(plug.port.rules) > 1 else ''}"] if plug.port.rules else []
    said += [f"{plug.port.shape.average:g} Mbit/s"] if plug.port.shape else []
    return ", ".join(said)


def labels(wiring: Wiring, plug: Plug) -> list[str]:
    """What is written beside a socket; the address too, where the machine has several."""
    several = sum(other.machine == plug.machine for other in wiring.plugs) > 1
    address = plug.port.address.partition("/")[0] if several else ""
    return [plug.words, *filter(None, [_extras(plug), address])]


def _plug(places: _Places, key: str, plug: Plug) -> str:
    x, above, below = places.cable(plug)
    vlans = plug.vlans
    top, left = below - _SOCKET_HIGH / 2, x - _SOCKET / 2
    piece = _SOCKET / max(1, len(vlans))
    inside = "".join(
        f'<rect x="{left + number * piece:g}" y="{top:g}" width="{piece:g}" height="{_SOCKET_HIGH:g}" '
        f'fill="{_fill(key, places.wiring, vlan)}"/>'
        for number, vlan in enumerate(vlans)
    )
    words = labels(places.wiring, plug)
    said = "".join(_text(x + 10, below - 15 - 13 * line, text, anchor="start") for line, text in enumerate(words[::-1]))
    return (
        f'<path d="M{x:g},{above:g}V{below:g}" stroke="currentColor" stroke-width="2" fill="none"/>{inside}'
        f'<rect x="{left:g}" y="{top:g}" width="{_SOCKET:g}" height="{_SOCKET_HIGH:g}" rx="2" fill="none" '
        f'stroke="currentColor" stroke-width="1.4"/>{said}'
    )


def _bar(places: _Places, name: str) -> str:
    top = places.bars[name]
    return (
        f'<rect x="{_EDGE / 2:g}" y="{top:g}" width="{places.wide - _EDGE:g}" height="{_BAR:g}" rx="4" '
        'fill="currentColor" fill-opacity=".10" stroke="currentColor" stroke-opacity=".6"/>'
        f"{_text(_EDGE + 4, top + 23, f'switch {name}', _TEXT, 'start')}"
    )


def _arrow(x: float, begins: float, ends: float, dash: str = "") -> str:
    """A thick cable with a head at its end, in the colour of the words: every other may be that of a VLAN."""
    towards = 1 if ends > begins else -1
    tip, base = ends - 9 * towards, ends - 21 * towards
    head = f"M{x:g},{tip:g}L{x - 7:g},{base:g}H{x + 7:g}Z"
    return (
        f'<path d="M{x:g},{begins:g}V{base:g}" stroke="currentColor" stroke-width="5" fill="none"{dash}/>'
        f'<path d="{head}" fill="currentColor"/>'
    )


def marks(wiring: Wiring, frame: Frame) -> str:
    """What is drawn over the picture for one frame: solid where it came from, dashed where it went."""
    places = _Places(wiring)
    if (sent := places.cable_of(frame.sender, frame.seen or (frame.to,))) is None:
        return ""
    x, above, below = places.cable(sent)
    parts = [_arrow(x, above, below), _text(x - 8, above + 15, "sends", f"{_SMALL};font-weight:700", "end")]
    for name in frame.seen:
        if (got := places.cable_of(name, (frame.sender,))) is not None:
            x, above, below = places.cable(got)
            parts.append(_arrow(x, below, above, ' stroke-dasharray="6 3"'))
            parts.append(_text(x - 8, above + 32, "sees it", f"{_SMALL};font-weight:700", "end"))
    return "".join(parts)


def lines(wiring: Wiring, tables: bool = True) -> list[str]:
    """The picture in words; with what the switches have learnt, where that is asked for."""
    said = [
        f"{len(wiring.machines)} machine{'s' * (len(wiring.machines) != 1)} and "
        f"{len(wiring.networks)} switch{'es' * (len(wiring.networks) != 1)}."
    ]
    for name in wiring.networks:
        said.append(f"Switch {name}:")
        for plug in wiring.plugs:
            if plug.port.network == name:
                more = [plug.words, plug.port.address, plug.mac, _extras(plug)]
                said.append(f"  {plug.machine}: {', '.join(filter(None, more))}")
        if tables:
            known = wiring.tables.get(name, {})
            told = ", ".join(f"{mac} is {machine}" for mac, machine in known.items()) or "nothing"
            said.append(f"  The switch has learnt: {told}.")
    if loose := [name for name in wiring.machines if all(plug.machine != name for plug in wiring.plugs)]:
        said.append(f"Without a cable: {', '.join(loose)}.")
    return said


def key_of_vlans(wiring: Wiring) -> str:
    """How the VLANs are drawn."""
    key = _key(wiring)
    items = "".join(
        f'<span style="margin-right:14px;white-space:nowrap"><svg width="22" height="12" aria-hidden="true" '
        f'style="vertical-align:-1px"><rect width="22" height="12" fill="{_fill(key, wiring, vlan)}" '
        f'stroke="currentColor"/></svg> VLAN {vlan}</span>'
        for vlan in wiring.vlans
    )
    return f'<p style="margin:4px 0">{items}</p>' if items else ""


def learnt(wiring: Wiring) -> str:
    """What the switches have learnt, as a table."""
    one = len(wiring.networks) == 1
    when = " in the end" if wiring.frames and not wiring.from_nothing else ""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{html.escape(mac)}</th><td>{html.escape(machine)}</td>'
        f"<td>{html.escape(name)}</td></tr>"
        for name in wiring.networks
        for mac, machine in wiring.tables.get(name, {}).items()
    )
    if not rows:
        who = "The switch has" if one else "The switches have"
        return f'<p style="margin:4px 0">{who} not learnt where anybody is.</p>' if wiring.networks else ""
    return (
        '<table style="margin:6px 0;border-collapse:collapse"><caption style="text-align:left;font-weight:700">'
        f"What the {'switch has' if one else 'switches have'} learnt{when}</caption><thead><tr>"
        '<th scope="col" style="text-align:left">hardware address</th><th scope="col">machine</th>'
        '<th scope="col">switch</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def drawing(wiring: Wiring, frame: Frame | None = None) -> str:
    """The picture itself, as inline SVG.

    Parameters
    ----------
    wiring : Wiring
        What is drawn.
    frame : Frame, optional
        A frame that is on its way.
    """
    places, key = _Places(wiring), _key(wiring)
    parts = [f"<defs>{''.join(_pattern(key, number) for number in range(len(wiring.vlans)))}</defs>"]
    parts += [_bar(places, name) for name in wiring.networks]
    parts += [_machine(places, name) for name in wiring.machines]
    parts += [_plug(places, key, plug) for plug in wiring.plugs]
    over = marks(wiring, frame) if frame else ""
    words = " ".join(line.strip() for line in lines(wiring, tables=False)) + (f" {frame.words}" if frame else "")
    # Who has no mouse moves it by the arrow keys.
    moved = ' tabindex="0" role="group" aria-label="The network, as a picture"' if places.wide > _NARROW else ""
    return (
        f'<div style="overflow-x:auto"{moved}><svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'aria-label="{html.escape(words)}" viewBox="0 0 {places.wide:g} {places.high:g}" style="display:block;'
        f"width:100%;min-width:{0.85 * places.wide:g}px;max-width:{places.wide * 1.25:g}px;"
        f'height:auto;font-family:inherit">{"".join(parts)}<g class="lt-marks">{over}</g></svg></div>'
    )


def under(wiring: Wiring) -> str:
    """What stands below the picture: the key of its VLANs, and what the switches have learnt."""
    return key_of_vlans(wiring) + learnt(wiring)


def page(wiring: Wiring) -> str:
    """The whole picture, with what stands below it."""
    return drawing(wiring) + under(wiring)
