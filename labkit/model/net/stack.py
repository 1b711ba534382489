"""What a machine does at its end of the cable: asks who has an address, answers a ping, shakes hands.

Sources: RFC 826 (address resolution), RFC 792 (echo, port unreachable), RFC 9293 (TCP's three-way handshake, and RST
where nobody listens), RFC 1122 (UDP). How often is asked for an address is Linux's: three times, a second apart
(neigh/default/mcast_solicit and retrans_time_ms in Documentation/networking/ip-sysctl.rst).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from simpy import Environment
from simpy.events import Event, Timeout

from labkit.model.net.frames import BROADCAST, Arp, Flow, Frame, Packet

__all__ = ["SIZES", "Stack", "refusal"]

ASKS = 3
ASK_AGAIN = 1.0  # seconds
WAITING = 101
"""Packets that wait for one address (Linux's unres_qlen)."""
SIZES = {
    "echo request": 84,
    "echo reply": 84,
    "unreachable": 112,
    "SYN": 60,
    "SYN-ACK": 60,
    "ACK": 52,
    "RST": 40,
    "data": 1500,
    "request": 33,
    "answer": 33,
}
"""Bytes of each kind of packet, headers included: ping(8) sends 56 bytes of its own, a Linux TCP has 12 bytes of
options (20 in a SYN), and a datagram here carries five bytes."""
_ANSWERS = {"SYN": "SYN-ACK", "request": "answer", "echo request": "echo reply"}
_ENDS = {"SYN-ACK": True, "answer": True, "echo reply": True, "RST": False, "unreachable": False}


class Stack:
    """The network part of a machine's system, for one card.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    mac, address : str
        The card's addresses; the IPv4 address with its length.
    tags : tuple of (int or None)
        The tags with which it speaks: of an ordinary card none, of one at a trunk those of its VLANs.
    send : callable
        Puts a frame on the cable.
    numbers : iterator of int
        Gives each frame a number of its own.
    """

    def __init__(
        self,
        env: Environment,
        mac: str,
        address: str,
        tags: tuple[int | None, ...],
        send: Callable[[Frame], object],
        numbers: Iterator[int],
    ) -> None:
        interface = ipaddress.IPv4Interface(address)
        self._env = env
        self.mac = mac
        self.address = str(interface.ip)
        self._near = interface.network
        self._tags = tags
        self._send = send
        self._numbers = numbers
        self.forward: Callable[[Packet], bool] | None = None  # a router's: True for what it has taken care of
        self.gateway = ""  # who takes what is not for this network; nobody where it is empty
        self._neighbours: dict[str, tuple[str, int | None]] = {}
        self._unresolved: dict[str, list[Packet]] = {}
        self._awaited: dict[Flow, Event] = {}
        self._arrivals: dict[Flow, Event] = {}
        self.answered = 0  # questions that were answered here, or refused
        self.listening: set[tuple[str, int]] = set()
        self.takes: dict[tuple[str, int], Callable[[Packet], None]] = {}  # who gets the data that comes to a port

    def knows(self, address: str, mac: str, tag: int | None) -> None:
        """Write down whose hardware address is whose."""
        self._neighbours[address] = mac, tag

    def forget(self, address: str) -> None:
        """Strike one out."""
        self._neighbours.pop(address, None)

    def is_near(self, address: str) -> bool:
        """Whether an address is of the card's own network, so that no gateway is needed."""
        return ipaddress.IPv4Address(address) in self._near

    def send(self, packet: Packet) -> None:
        """Send a packet; whose neighbour is not known yet is asked for first."""
        next_one = packet.destination
        if not self.is_near(next_one):
            if not self.gateway:
                return  # "Network is unreachable": nothing is sent at all
            next_one = self.gateway
        if found := self._neighbours.get(next_one):
            self._frame(found[0], packet, found[1])
        elif next_one in self._unresolved:
            if len(self._unresolved[next_one]) < WAITING:
                self._unresolved[next_one].append(packet)
        else:
            self._unresolved[next_one] = [packet]
            self._ask(next_one, ASKS)

    def _ask(self, address: str, times: int) -> None:
        if address not in self._unresolved:
            return  # it was answered
        if not times:
            del self._unresolved[address]  # "No route to host"
            return
        for tag in self._tags:
            self._frame(BROADCAST, Arp(True, self.mac, self.address, address), tag)
        again = Timeout(self._env, ASK_AGAIN)
        again.callbacks.append(lambda _event: self._ask(address, times - 1))

    def _frame(self, mac: str, content: Arp | Packet, tag: int | None) -> None:
        self._send(Frame(next(self._numbers), self.mac, mac, content, tag))

    def receive(self, frame: Frame) -> None:
        """Take a frame from the cable; what is for somebody else is left lying, as it is for a card."""
        if frame.tag not in self._tags or frame.destination not in (self.mac, BROADCAST):
            return
        if isinstance(frame.content, Arp):
            self._resolve(frame.content, frame.tag)
        elif (self.forward is None or not self.forward(frame.content)) and frame.content.destination == self.address:
            self._take(frame.content)

    def _resolve(self, arp: Arp, tag: int | None) -> None:
        """RFC 826, "Packet Reception": who is known already or asks for us is written down, then answered."""
        ours = arp.target == self.address
        if ours or arp.sender in self._neighbours:
            self._neighbours[arp.sender] = arp.mac, tag
        if ours and arp.asks:
            self._frame(arp.mac, Arp(False, self.mac, self.address, arp.sender), tag)
        if ours:
            for packet in self._unresolved.pop(arp.sender, ()):
                self._frame(arp.mac, packet, tag)

    def _take(self, packet: Packet) -> None:
        if came := self._arrivals.pop(packet.flow, None):
            came.succeed(True)
        service = packet.protocol, packet.port
        if packet.kind in _ANSWERS:
            self.answered += 1
            if packet.protocol == "icmp" or service in self.listening:
                self._reply(packet, _ANSWERS[packet.kind])
            elif packet.protocol == "tcp":
                self._reply(packet, "RST")
            else:
                self.send(refusal(packet))
        elif packet.kind in _ENDS:
            event = self._awaited.pop(packet.about or packet.flow_back, None)
            if event is not None:
                event.succeed(_ENDS[packet.kind])
                if packet.kind == "SYN-ACK":
                    self._reply(packet, "ACK")
        elif taker := self.takes.get(service):
            taker(packet)

    def _reply(self, packet: Packet, kind: str) -> None:
        protocol, source, source_port, destination, port = packet.flow_back
        self.send(Packet(protocol, kind, source, destination, source_port, port, SIZES[kind]))

    def probe(self, protocol: str, address: str, source_port: int, port: int) -> Event:
        """Ping, connect, or ask; the event comes with True for an answer, with False for a refusal, or never."""
        kind = {"icmp": "echo request", "tcp": "SYN", "udp": "request"}[protocol]
        packet = Packet(protocol, kind, self.address, address, source_port, port, SIZES[kind])
        self._awaited[packet.flow] = event = Event(self._env)
        self.send(packet)
        return event

    def arrival(self, flow: Flow) -> Event:
        """What comes when the first packet of a conversation arrives here."""
        self._arrivals[flow] = event = Event(self._env)
        return event


def refusal(packet: Packet) -> Packet:
    """What says that a packet was not taken: a reset for TCP, else "port unreachable" (RFC 792)."""
    protocol, source, source_port, destination, port = packet.flow_back
    if protocol == "tcp":
        return Packet("tcp", "RST", source, destination, source_port, port, SIZES["RST"])
    size = SIZES["unreachable"]
    return Packet("icmp", "unreachable", source, destination, source_port, port, size, about=packet.flow)
