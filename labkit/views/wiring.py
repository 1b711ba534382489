"""Who is plugged in where, and which frames passed: plain data, read from a host and an observation, to be drawn.

Frames come as events of the kind ``"frame"``, and there are two ways to see them. Somebody who stands beside all cables
writes one event for each: whose it is, and in its detail ``to m2; seen by m2, m3; what it was``. Who listens at the end
of each cable writes one for each sighting: who saw it, and in its detail what it was. The second kind is put together
here: at every cable the first of equal frames is the same frame, so is the second, and who saw it first sent it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
    """

    machines: tuple[str, ...]
    plugs: tuple[Plug, ...]
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    frames: tuple[Frame, ...] = ()

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
    events = [event for event in seen.events if event.kind == "frame"] if seen else []
    told = [(event, _TOLD.fullmatch(event.detail)) for event in events]
    found = [
        Frame(event.time, event.machine, _others(event.machine, said["seen"]), said["what"], said["to"])
        for event, said in told
        if said
    ]
    found += _put_together((event.time, event.machine, event.detail) for event, said in told if not said)
    return tuple(sorted(found, key=lambda frame: frame.time))


def _others(sender: str, names: str) -> tuple[str, ...]:
    return tuple(name for name in names.split(", ") if name not in (sender, _NOBODY))


def _put_together(sightings: Iterable[tuple[float, str, str]]) -> list[Frame]:
    """Frames from what was seen at each cable."""
    times_seen: dict[tuple[str, str], int] = defaultdict(int)
    same: dict[tuple[str, int], list[tuple[float, str]]] = defaultdict(list)
    for time, name, what in sightings:
        same[what, times_seen[name, what]].append((time, name))
        times_seen[name, what] += 1
    frames = []
    for (what, _number), seen in same.items():
        (time, sender), *others = sorted(seen)
        frames.append(Frame(time, sender, tuple(name for _time, name in others), what))
    return frames


def wiring_of(host: Any, seen: Observation | None = None) -> Wiring:
    """A host's network, as it is at this moment.

    Parameters
    ----------
    host : Networked
        Whose; its networks are in ``host.networks``, and each says in ``plugged()`` who is plugged in, as machine,
        port and hardware address.
    seen : Observation, optional
        What was seen to pass on it.

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
    return Wiring(tuple(names), tuple(plugs), tables, frames_of(seen))


def _plugs(network: Any) -> list[Plug]:
    return [Plug(machine, port, mac) for machine, port, mac in network.plugged()]
