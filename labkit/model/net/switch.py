"""A switch that learns: a sorter who writes down from which socket each sender's frames come.

A frame for somebody on the list goes to that socket alone. A frame for somebody who is not on it, or for everybody,
goes to all sockets but its own (*flooding*). Who has not been heard of for five minutes is crossed out. All that is
done for each VLAN apart, as if each were a switch of its own.

Sources: IEEE 802.1D-2004, 7.7 (forwarding), 7.8 (learning), 7.9 and table 7-5 (ageing, 300 s); IEEE 802.1Q-2018, 6.9
(which VLAN a frame belongs to), 8.6.2 (what a port takes), 8.6.4 (what it gives). There is no spanning tree: switches
that are joined to each other must not form a ring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from simpy import Environment

from labkit.model.net.frames import BROADCAST, Frame

__all__ = ["AGEING", "UNTAGGED", "Socket", "Switch"]

AGEING = 300.0
"""Seconds after which an address that is not heard of is forgotten (IEEE 802.1D-2004, table 7-5)."""
UNTAGGED = 0
"""The VLAN of ports that are of none; no tag can have this number (IEEE 802.1Q-2018, table 9-2)."""


@dataclass
class Socket:
    """A port of the switch.

    Parameters
    ----------
    name : str
        Who is plugged in.
    give : callable
        Given each frame that goes out there.
    vlan : int
        Of an access port: to which VLAN what comes untagged belongs, and what leaves untagged.
    trunk : frozenset of int
        Of a trunk: the VLANs whose frames come and go with their tag; nothing untagged does.
    """

    name: str
    give: Callable[[Frame], None]
    vlan: int = UNTAGGED
    trunk: frozenset[int] = field(default=frozenset())

    def vlan_of(self, frame: Frame) -> int | None:
        """To which VLAN a frame belongs that comes in here; None where it is not let in."""
        if self.trunk:
            return frame.tag if frame.tag in self.trunk else None
        return self.vlan if frame.tag is None else None

    def carries(self, vlan: int) -> bool:
        """Whether frames of a VLAN leave here."""
        return vlan in self.trunk if self.trunk else vlan == self.vlan


class Switch:
    """A switch.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    ageing : float
        After how many seconds of silence an address is forgotten.
    """

    def __init__(self, env: Environment, ageing: float = AGEING) -> None:
        self._env = env
        self._ageing = ageing
        self.sockets: list[Socket] = []
        self._heard: dict[tuple[int, str], tuple[Socket, float]] = {}

    def plug(self, socket: Socket) -> None:
        """Plug a cable in."""
        self.sockets.append(socket)

    def unplug(self, socket: Socket) -> None:
        """Pull a cable out; what was learnt there is forgotten."""
        self.sockets.remove(socket)
        self._heard = {place: entry for place, entry in self._heard.items() if entry[0] is not socket}

    def forget(self) -> None:
        """Forget all that was learnt."""
        self._heard.clear()

    def enter(self, socket: Socket, frame: Frame) -> None:
        """Take a frame that comes in at a port, and hand it on."""
        vlan = socket.vlan_of(frame)
        if vlan is None:
            return
        now = self._env.now
        if frame.source != BROADCAST:
            self._heard[vlan, frame.source] = socket, now
        known = self._where(vlan, frame.destination)
        out = self.sockets if known is None else [known]
        for each in list(out):
            if each is not socket and each.carries(vlan):
                each.give(frame.tagged(vlan if each.trunk else None))

    def _where(self, vlan: int, mac: str) -> Socket | None:
        socket, heard = self._heard.get((vlan, mac), (None, 0.0))
        return socket if self._env.now - heard <= self._ageing else None

    def table(self) -> dict[tuple[int, str], Socket]:
        """Where it believes each address to be, by VLAN and address."""
        return {place: socket for place in self._heard if (socket := self._where(*place)) is not None}
