"""What travels: an envelope with two hardware addresses on it, the *frame*, and the letter in it.

The letter is either the question who has an IPv4 address (*address resolution*, ARP), or a packet of ICMP, TCP or UDP.
Of each there is here only what switches, doorkeepers and machines look at, and how long it is.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BROADCAST", "Arp", "Flow", "Frame", "Packet"]

BROADCAST = "ff:ff:ff:ff:ff:ff"

HEADER = 14
"""Bytes of an Ethernet frame around its letter: two addresses and a type (IEEE 802.3), without preamble and checksum,
as the counters of a tap and Linux's token bucket have them; nor is a short frame filled up to 64 bytes, as on a tap."""
TAG = 4
"""Bytes of a VLAN tag (IEEE 802.1Q-2018, 9.3)."""
ARP = 28
"""Bytes of an ARP packet for Ethernet and IPv4 (RFC 826)."""

Flow = tuple[str, str, int, str, int]
"""Protocol, source and its port, destination and its port: what tells one conversation from another."""


@dataclass(frozen=True, slots=True)
class Arp:
    """Who has an IPv4 address? Or: I have (RFC 826).

    Parameters
    ----------
    asks : bool
        Whether it is the question.
    mac, sender : str
        The hardware and IPv4 address of who speaks.
    target : str
        The IPv4 address that is asked about, or of who is answered.
    """

    asks: bool
    mac: str
    sender: str
    target: str
    length = ARP

    def __str__(self) -> str:
        return f"who has {self.target}?" if self.asks else f"{self.sender} is at {self.mac}"


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of IPv4.

    Parameters
    ----------
    protocol : {"icmp", "tcp", "udp"}
        Whose.
    kind : str
        What it is: ``"echo request"``, ``"echo reply"``, ``"unreachable"``; ``"SYN"``, ``"SYN-ACK"``, ``"ACK"``,
        ``"RST"``, ``"data"``; ``"request"``, ``"answer"``.
    source, destination : str
        IPv4 addresses.
    source_port, port : int
        From which port to which; of a ping both are its number.
    size : int
        Its bytes, headers included.
    about : Flow or None
        Of ``"unreachable"``: which conversation it is about (RFC 792 sends the beginning of the packet back).
    """

    protocol: str
    kind: str
    source: str
    destination: str
    source_port: int
    port: int
    size: int
    about: Flow | None = None

    @property
    def length(self) -> int:
        """Bytes."""
        return self.size

    @property
    def flow(self) -> Flow:
        """Which conversation it belongs to, in its direction."""
        return self.protocol, self.source, self.source_port, self.destination, self.port

    @property
    def flow_back(self) -> Flow:
        """The same conversation in the other direction."""
        return self.protocol, self.destination, self.port, self.source, self.source_port

    def __str__(self) -> str:
        to = f" port {self.port}" if self.protocol != "icmp" else ""
        return f"{self.protocol.upper()} {self.kind} {self.source} to {self.destination}{to}"


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame.

    Parameters
    ----------
    number : int
        Which one it is: the same at every place it passes, with a tag or without.
    source, destination : str
        Hardware addresses (MAC).
    content : Arp or Packet
        What is in it.
    tag : int or None
        The VLAN of its 802.1Q tag; None where it has none.
    """

    number: int
    source: str
    destination: str
    content: Arp | Packet
    tag: int | None = None

    @property
    def length(self) -> int:
        """Bytes, without preamble and checksum."""
        return HEADER + (TAG if self.tag is not None else 0) + self.content.length

    def tagged(self, tag: int | None) -> Frame:
        """The same frame with another tag, or without."""
        return self if tag == self.tag else Frame(self.number, self.source, self.destination, self.content, tag)
