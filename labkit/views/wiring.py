"""Who is plugged in where, and which frames passed: plain data, read from a host and an observation, to be drawn.

Frames come as events of the kind ``"frame"``: whose it is that sent it, and in the detail ``to m2; seen by m2, m3; what
it was``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from labkit.host import HostError, Observation
from labkit.host.networks import Port

__all__ = ["Frame", "Plug", "Wiring", "frames_of", "wiring_of"]

_TOLD = re.compile(r"to (?P<to>[^;]+); seen by (?P<seen>[^;]+); (?P<what>.+)", re.ASCII)
_ALL, _NOBODY = "all", "nobody"


@dataclass(frozen=True)
class Plug:
    """One machine's cable in a network's switch.

    Parameters
    ----------
    machine : str
        Whose.
    port : Port
        How the socket is set; with the machine's address, where it is known.
    mac : str
        The hardware address of the machine's card, where it is known.
    """

    machine: str
    port: Port
    mac: str = ""

    @property
    def vlans(self) -> tuple[int, ...]:
        """The VLANs that it is in; none where it is in no VLAN."""
        return self.port.trunk or (() if self.port.vlan is None else (self.port.vlan,))

    @property
    def words(self) -> str:
        """How the socket is set, in words."""
        if self.port.trunk:
            return f"trunk {', '.join(map(str, self.port.trunk))}"
        return "no VLAN" if self.port.vlan is None else f"VLAN {self.port.vlan}"


@dataclass(frozen=True)
class Frame:
    """One frame that passed.

    Parameters
    ----------
    time : float
        When it was sent, in s from the beginning of the observation.
    sender : str
        Which machine sent it.
    seen : tuple of str
        At whose cards it arrived, without its sender.
    what : str
        What it was.
    to : str
        Which machine it was for; ``"all"`` for everybody, empty where that is not known.
    """

    time: float
    sender: str
    seen: tuple[str, ...]
    what: str
    to: str = ""

    @property
    def words(self) -> str:
        """It in a sentence."""
        whom = {"": "", _ALL: " to all"}.get(self.to, f" to {self.to}")
        seen = ", ".join(self.seen) or _NOBODY
        end = "" if self.what.endswith(("?", ".")) else "."
        return f"at {1000 * self.time:.3f} ms {self.sender} sends{whom}: {self.what}{end} Seen by {seen}."


@dataclass(frozen=True)
class Wiring:
    """A host's network as it is drawn.

    Parameters
    ----------
    machines : tuple of str
        All machines, in order.
    plugs : tuple of Plug
        Their cables.
    tables : mapping of str to (mapping of str to str)
        For each network what its switch has learnt: the machine by the hardware address.
    frames : tuple of Frame
        What passed, in order of time.
    from_nothing : bool
        Whether the switches had forgotten everything before the first frame, so that it is known when they learnt what.
    """

    machines: tuple[str, ...]
    plugs: tuple[Plug, ...]
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    frames: tuple[Frame, ...] = ()
    from_nothing: bool = False

    def after(self, count: int) -> Wiring:
        """The network as it was after so many of its frames: a switch learns from each frame where its sender is.

        Only of switches that began with nothing is that known; of others it is the network as it is now.
        """
        if not self.from_nothing or count >= len(self.frames):
            return self
        heard = {frame.sender for frame in self.frames[:count]}
        tables = {
            name: {mac: machine for mac, machine in table.items() if machine in heard}
            for name, table in self.tables.items()
        }
        return replace(self, tables=tables)

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks, in the order in which they are met."""
        return tuple(dict.fromkeys([*self.tables, *(plug.port.network for plug in self.plugs)]))

    @property
    def vlans(self) -> tuple[int, ...]:
        """All VLANs, the least first."""
        return tuple(sorted({vlan for plug in self.plugs for vlan in plug.vlans}))


def frames_of(seen: Observation | None) -> tuple[Frame, ...]:
    """The frames of an observation, in order of time.

    Parameters
    ----------
    seen : Observation or None
        Its events of the kind ``"frame"`` are read.
    """
    frames = []
    for event in seen.events if seen else ():
        if event.kind == "frame":
            said = _TOLD.fullmatch(event.detail)
            to, names, what = said.groups() if said else ("", _NOBODY, event.detail)
            frames.append(Frame(event.time, event.machine, _others(event.machine, names), what, to))
    return tuple(sorted(frames, key=lambda frame: frame.time))


def _others(sender: str, names: str) -> tuple[str, ...]:
    return tuple(name for name in names.split(", ") if name not in (sender, _NOBODY))


def wiring_of(host: Any, seen: Observation | None = None, *, from_nothing: bool = False) -> Wiring:
    """A host's network, as it is at this moment.

    Parameters
    ----------
    host : Networked
        Whose.
    seen : Observation, optional
        What was seen to pass on it.
    from_nothing : bool
        Whether its switches had forgotten everything just before that.

    Raises
    ------
    HostError
        Where the host has no networks.
    """
    networks = getattr(host, "networks", None)
    if not networks and (networks is None or not host.can("networks")):
        able = host.can("networks")
        raise HostError(able.reason or "This host does not tell who is plugged in where.", able.remedy)
    plugs = [plug for network in networks.values() for plug in _plugs(network)]
    order = {name: place for place, name in enumerate(host.machines)}
    plugs.sort(key=lambda plug: order.get(plug.machine, len(order)))
    names = dict.fromkeys([*host.machines, *(plug.machine for plug in plugs)])  # a router is no machine
    tables = {name: dict(network.table()) for name, network in networks.items()}
    return Wiring(tuple(names), tuple(plugs), tables, frames_of(seen), from_nothing)


def _plugs(network: Any) -> list[Plug]:
    return [Plug(machine, port, mac) for machine, port, mac in network.plugged()]
