"""A router: somebody with a foot in several networks, who carries packets from one to the other.

It takes frames that are for its own card and packets that are for somebody else, and sends the packet on where that
one's network is. With address translation (NAT) whoever is inside leaves with the router's own outside address, under a
number that the router remembers; what comes back under that number from whom it was sent to goes to whom it belongs,
and whatever else knocks outside is not let in.

Sources: RFC 1812, 5.2 (forwarding; time to live is not modelled), RFC 3022, 2.2 and 4.1 (NAPT, with ICMP's query
numbers and errors), RFC 4787, REQ-1 (one number for one sender, whomever it speaks to) and section 5 (address and
port-dependent filtering, as Linux's masquerading has it: only who was spoken to may answer). Nothing is forgotten but
for want of numbers; then who got his first loses it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from itertools import cycle

from labkit.model.net.frames import Flow, Packet
from labkit.model.net.gate import Gate

__all__ = ["Router"]

_Who = tuple[str, str, int]  # protocol, address, port

FIRST_NUMBER, LAST_NUMBER = 20_000, 65_535  # of those that senders of packets get outside


class Router:
    """A router, plugged into several networks.

    Parameters
    ----------
    gates : sequence of Gate
        Its cards.
    nat : bool
        Whether the last of them is outside, and what leaves there gets its address.
    """

    def __init__(self, gates: Sequence[Gate], nat: bool) -> None:
        self.gates = tuple(gates)
        self.outside = gates[-1] if nat else None
        self._numbers = cycle(range(FIRST_NUMBER, LAST_NUMBER + 1))
        self._given: dict[_Who, int] = {}
        self._whose: dict[tuple[str, int], tuple[str, int]] = {}  # protocol and number: whose address and port
        self._begun: set[Flow] = set()  # as they are outside
        for gate in gates:
            gate.stack.forward = partial(self._take, gate)

    def _take(self, gate: Gate, packet: Packet) -> bool:
        """Look at a packet that has come; False where it is for the router itself."""
        ours = packet.destination == gate.stack.address
        if gate is self.outside:
            flow = packet.about or packet.flow_back  # an error comes under the number of what it is about
            if not ours or flow not in self._begun:
                return not ours
            packet = _inwards(packet, *self._whose[flow[0], flow[2]])
        elif any(packet.destination == each.stack.address for each in self.gates):
            return False
        out = next((each for each in self.gates if each.stack.is_near(packet.destination)), None)
        if out is None:
            return True
        if out is self.outside:
            packet = self._outwards(packet, out.stack.address)
        out.stack.send(packet)
        return True

    def _outwards(self, packet: Packet, address: str) -> Packet:
        who = packet.protocol, packet.source, packet.source_port
        if who not in self._given:
            self._give(who, next(self._numbers))
        number = self._given[who]
        port = number if packet.protocol == "icmp" else packet.port
        packet = dataclasses.replace(packet, source=address, source_port=number, port=port)
        self._begun.add(packet.flow)
        return packet

    def _give(self, who: _Who, number: int) -> None:
        protocol = who[0]
        if before := self._whose.get((protocol, number)):
            del self._given[protocol, *before]
            self._begun = {flow for flow in self._begun if (flow[0], flow[2]) != (protocol, number)}
        self._given[who] = number
        self._whose[protocol, number] = who[1:]


def _inwards(packet: Packet, address: str, port: int) -> Packet:
    """The same packet for whom it belongs to."""
    if packet.about:
        protocol, _source, _source_port, there, its_port = packet.about
        its_port = port if protocol == "icmp" else its_port
        about = protocol, address, port, there, its_port
        return dataclasses.replace(packet, destination=address, port=port, about=about)
    source_port = port if packet.protocol == "icmp" else packet.source_port
    return dataclasses.replace(packet, destination=address, port=port, source_port=source_port)
