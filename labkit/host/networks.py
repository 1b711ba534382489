"""What both hosts promise of networks: switches, the ports of machines on them, rules, and what gets through.

Picture a switch on the wall with a row of sockets. Each socket is a *port*: one machine's cable is in it. The switch
learns which address it hears at which port, and a port can be painted: machines at ports of one colour (one *VLAN*)
hear each other, and nobody else. A port that carries several colours is a *trunk*. At each port there may be a
doorkeeper with a list of rules, and a tap that lets only so much through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from labkit.host.observations import Observation

__all__ = ["Action", "Direction", "Network", "Networked", "Port", "Reaching", "Routing", "Rule", "Shape"]

Action = Literal["accept", "drop", "reject"]
Direction = Literal["in", "out", "both"]
Reaching = Literal["icmp", "tcp", "udp"]


@dataclass(frozen=True)
class Rule:
    """One line of a doorkeeper's list; the first that fits decides, and what none fits is let through.

    An answer to what was let through is let through too, whatever the list says, where the network keeps books of who
    began (`Networked.network`, `stateful`).

    Parameters
    ----------
    action : {"accept", "drop", "reject"}
        Let it through; throw it away without a word; or throw it away and say so.
    direction : {"in", "out", "both"}
        Seen from the machine at the port: what comes to it, or what it sends.
    protocol : {"any", "icmp", "tcp", "udp", "arp"}
        Of what kind. ``"any"`` is every IPv4 packet; address resolution is none, and only ``"arp"`` fits it.
    port : int or None
        To which port of TCP or UDP, 1 to 65535; None for any. It is where the packet goes to, in either direction.
    source : str
        From which IPv4 address or network, such as ``"10.0.0.5"`` or ``"10.0.0.0/24"``; empty for any.
    """

    action: Action
    direction: Direction = "in"
    protocol: Literal["any", "icmp", "tcp", "udp", "arp"] = "any"
    port: int | None = None
    source: str = ""


@dataclass(frozen=True)
class Shape:
    """The most that a port takes from its machine, as a token bucket (libvirt's ``<bandwidth>`` has the same three).

    What the machine sends too fast waits in a queue, and is lost where that is full; what comes to the machine is not
    held back. The bytes counted are those of whole Ethernet frames, without preamble and checksum.

    Parameters
    ----------
    average : float
        The steady rate, in Mbit/s.
    peak : float or None
        The rate up to which a burst may go, in Mbit/s; None for as fast as the card can.
    burst : float
        How much may go at more than the average, in MB (10^6 bytes).
    """

    average: float
    peak: float | None = None
    burst: float = 0.1


@dataclass(frozen=True)
class Port:
    """A socket of a network's switch, and how it is set; made with `Network.port`, given to `Host.create`.

    Parameters
    ----------
    network : str
        The network's name.
    vlan : int or None
        The VLAN whose frames it takes and gives untagged (an *access* port), 1 to 4094; None for no VLAN.
    trunk : tuple of int
        The VLANs whose frames pass with their tags (a *trunk* port).
    address : str
        The IPv4 address of the machine's card on it, with its length, as in ``"10.0.0.5/24"``; the network gives the
        next free one where it is empty.
    rules : tuple of Rule
        The doorkeeper's list, in order.
    shape : Shape or None
        What holds the machine's sending back.
    spoof : bool
        Whether the machine may send with an address (MAC or IPv4) that is not its own.
    """

    network: str
    vlan: int | None = None
    trunk: tuple[int, ...] = field(default=())
    address: str = ""
    rules: tuple[Rule, ...] = field(default=())
    shape: Shape | None = None
    spoof: bool = True


@runtime_checkable
class Network(Protocol):
    """A switch that learns, on one host."""

    name: str

    def port(
        self,
        *,
        vlan: int | None = None,
        trunk: Iterable[int] = (),
        address: str = "",
        rules: Iterable[Rule] = (),
        shape: Shape | None = None,
        spoof: bool = True,
    ) -> Port:
        """A socket to plug a machine in: ``host.create("web", nics=[lan.port(vlan=10)])``."""

    def table(self) -> Mapping[str, str]:
        """Which machine the switch has learnt to be where: its ports by the machines' hardware addresses (MAC)."""

    def plugged(self) -> Sequence[tuple[str, Port, str]]:
        """Who is plugged in: the machine's name, its port with the address it has there, and its card's MAC."""

    def forget(self) -> None:
        """Let the switch forget all that it has learnt, as if it had just been switched on."""

    def remove(self) -> None:
        """Take the switch away, once no machine is plugged in. Doing so twice is no error."""


@runtime_checkable
class Networked(Protocol):
    """A host that has networks; for the ability ``"networks"``.

    ``"firewall"`` is the ability to have ports and networks with rules and ports without `Port.spoof`, ``"shaping"``
    that to have ports with a shape.
    """

    networks: Mapping[str, Network]

    def network(self, name: str, *, rules: Sequence[Rule] = (), stateful: bool = True) -> Network:
        """Make a switch; `rules` stand before those of every port.

        Where it is not `stateful`, the answer to what was let through has to pass the rules as everything else does.
        """

    def reach(
        self,
        pairs: Iterable[tuple[str, str]] | None = None,
        protocol: Reaching = "icmp",
        port: int | None = None,
        claim: str = "",
    ) -> Observation:
        """Try who reaches whom: `reachable`, 1 or 0, for each ordered pair of machines, named ``m1>m2``.

        A ping for ICMP, a connection for TCP, a packet and its answer for UDP; somebody listens at `port`. All pairs
        where none are named. With a `claim`, an IPv4 address, the sender gives that for its own; as no answer would
        come back to it, `reachable` then says whether its first packet arrived.
        """

    def capture(self, sender: str, target: str, count: int = 1, *, known: bool = True) -> Observation:
        """Let `sender` ping `target`, and count who sees what it sends: `frames`, for every machine.

        Counted are the sender's echo requests and its ARP requests; of the sender itself those that it sent. Sender and
        target know each other's hardware address (MAC) already; where it is not `known`, both have forgotten it, and
        the sender asks first.
        """

    def transfer(self, sender: str | Sequence[str], target: str, seconds: float, every: float = 0.5) -> Observation:
        """Let `sender` send as much as it can: `rate` in Mbit/s and `bytes` in B, of the pair ``sender>target``.

        Several senders, each named once, send to the target at the same time. `rate` is that of the second half, when
        all bursts are over. Its series has the rate of each interval, that of `bytes` what had arrived by its end.
        """


@runtime_checkable
class Routing(Protocol):
    """A host that has routers between its networks; for the ability ``"routers"``."""

    def router(self, name: str, ports: Sequence[Port], *, nat: bool = False) -> None:
        """Plug a router into two or more networks, or VLANs of one, until the first of these networks is removed.

        Machines there are told of it as their gateway. With `nat` the last port is *outside*: what leaves there gets
        the router's address, answers find back, and nobody outside can begin anything with those inside.
        """
