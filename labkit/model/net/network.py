"""A host's networks: its switches, and which machine is plugged in where.

A patch cabinet: a row of switches, a box of cables, and a label on each plug. Addresses are given out one after the
other: the first network's are 10.0.0.1, 10.0.0.2, …, the second's 10.0.1.1, …
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from itertools import count
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.host.networks import Port, Rule, Shape
from labkit.host.ports import checked_name, checked_port, checked_rules
from labkit.model.net.frames import Frame
from labkit.model.net.gate import Gate
from labkit.model.net.outlet import Outlet
from labkit.model.net.router import Router
from labkit.model.net.switch import Socket, Switch
from labkit.model.net.tape import Tape

if TYPE_CHECKING:
    from labkit.model.simulated import SimulatedHost

__all__ = ["Cabinet", "SimulatedNetwork"]

NETWORKS = 1000
CARDS = 8  # of one machine


class SimulatedNetwork:
    """A switch of a simulated host; made with `SimulatedHost.network`, see `labkit.host.networks.Network`.

    Parameters
    ----------
    cabinet : Cabinet
        Where it stands.
    name : str
        Its name.
    place : int
        The how manieth of its host it is, from 0.
    rules : tuple of Rule
        What stands before the rules of each port.
    stateful : bool
        Whether its doorkeepers have books.
    """

    def __init__(self, cabinet: Cabinet, name: str, place: int, rules: tuple[Rule, ...], stateful: bool) -> None:
        self._cabinet = cabinet
        self.name = name
        self.place = place
        self.rules = rules
        self.stateful = stateful
        self.switch = Switch(cabinet.host.env)
        self.removed = False

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
        """A socket to plug a machine in; see `labkit.host.networks.Network.port`."""
        return checked_port(self.name, vlan=vlan, trunk=trunk, address=address, rules=rules, shape=shape, spoof=spoof)

    def table(self) -> dict[str, str]:
        """Which machine it has learnt to be where: names by hardware addresses."""
        return {mac: socket.name for (_vlan, mac), socket in self.switch.table().items()}

    def plugged(self) -> tuple[tuple[str, Port, str], ...]:
        """Who is plugged in; see `labkit.host.networks.Network.plugged`."""
        gates = (gate for gate in self._cabinet.all_gates() if gate.port.network == self.name)
        return tuple((gate.owner, gate.port, gate.stack.mac) for gate in gates)

    def forget(self) -> None:
        """Let it forget what it has learnt."""
        self._cabinet.host.check_open()
        self.switch.forget()
        self._cabinet.host.note(f"network {self.name} forgets what it has learnt")

    def join(self, other: SimulatedNetwork, vlans: Iterable[int] = ()) -> None:
        """Join it to another switch by a cable, as a trunk of some VLANs, or untagged for machines of none.

        Switches must not come to form a ring, in which a flooded frame would go round for ever: there is no spanning
        tree here.

        Raises
        ------
        HostError
            Where the two are joined already, directly or by way of others; or one of them was taken away.
        """
        self._cabinet.join(self, other, frozenset(vlans))

    def remove(self) -> None:
        """Take it away, once no machine is plugged in. Doing so twice is no error."""
        if self.removed:
            return
        names = [
            gate.owner for gates in self._cabinet.gates.values() for gate in gates if gate.port.network == self.name
        ]
        if names:
            raise HostError(f"{', '.join(names)} has a cable in {self.name}.", "Stop the machines first.")
        self.removed = True
        self._cabinet.taken_away(self)

    def __repr__(self) -> str:
        plugged = [gate.owner for gate in self._cabinet.all_gates() if gate.port.network == self.name]
        return f"<network {self.name}: {', '.join(plugged) or 'nobody'}{', removed' if self.removed else ''}>"


class Cabinet:
    """All networks of one host.

    Parameters
    ----------
    host : SimulatedHost
        Whose.
    """

    def __init__(self, host: SimulatedHost) -> None:
        self.host = host
        self.networks: dict[str, SimulatedNetwork] = {}
        self.gates: dict[str, list[Gate]] = {}
        self.routers: dict[str, Router] = {}
        self.tape = Tape()
        self.numbers = count(1)
        self._places = count()
        self._macs = count(1)
        self._joints: dict[frozenset[str], dict[str, Socket]] = {}  # between two switches, by their names

    def make(self, name: str, rules: Sequence[Rule], stateful: bool) -> SimulatedNetwork:
        """Make a switch; see `labkit.host.networks.Networked.network`."""
        name = checked_name(name)
        if name in self.networks:
            raise HostError(f"This host has a network {name} already.", "Remove it first, or take another name.")
        if len(self.networks) >= NETWORKS:
            raise HostError(f"This host has {NETWORKS} networks, and no room for more.", "Remove some first.")
        network = SimulatedNetwork(self, name, next(self._places), checked_rules(rules), bool(stateful))
        self.networks[name] = network
        said = f" rules={len(network.rules)}" * bool(network.rules) + " stateful=no" * (not stateful)
        self.host.note(f"network {name}{said}")
        return network

    def taken_away(self, network: SimulatedNetwork) -> None:
        """A switch is gone, with the cables that joined it to others."""
        for pair in [pair for pair in self._joints if network.name in pair]:
            for name, socket in self._joints.pop(pair).items():
                self.networks[name].switch.unplug(socket)
        del self.networks[network.name]
        for name, router in list(self.routers.items()):
            if any(gate.port.network == network.name for gate in router.gates):
                for gate in router.gates:
                    gate.unplug()
                del self.routers[name]
        self.host.note(f"remove network {network.name}")

    def all_gates(self) -> list[Gate]:
        """Every cable that is plugged in."""
        routers = [gate for router in self.routers.values() for gate in router.gates]
        return [gate for gates in self.gates.values() for gate in gates] + routers

    def checked(self, name: str, nics: Iterable[Port]) -> tuple[Port, ...]:
        """The ports to give to a machine of that name, each with its address.

        Raises
        ------
        HostError
            Where one is none of this host's, its address is taken, or there are none left; or a router has the name.
        """
        if name in self.routers:
            raise HostError(f"This host has a router {name} already.", "Take another name.")
        found: list[Port] = []
        for port in nics:
            if not isinstance(port, Port) or port.network not in self.networks:
                raise HostError(f"{port!r:.60} is no port of this host's networks.", "Make it with network.port().")
            found.append(self._addressed(port, found))
        if len(found) > CARDS:
            raise HostError(f"A machine has {CARDS} cards at the most, not {len(found)}.", "Give it fewer.")
        return tuple(found)

    def _addressed(self, port: Port, others: Sequence[Port]) -> Port:
        network = self.networks[port.network]
        ports = [*(gate.port for gate in self.all_gates()), *others]
        # An address may be there once in each VLAN of a switch.
        same = [each for each in ports if each.network == port.network and _meet(each, port)]
        taken = {ipaddress.IPv4Interface(each.address).ip for each in same}
        if port.address:
            if ipaddress.IPv4Interface(port.address).ip in taken:
                raise HostError(f"{port.address} is taken in {port.network}.", "Take another address.")
            return port
        every = {ipaddress.IPv4Interface(each.address).ip for each in ports}
        own = ipaddress.IPv4Network(f"10.{network.place >> 8}.{network.place & 255}.0/24")
        free = next((address for address in own.hosts() if address not in every), None)
        if free is None:
            raise HostError(f"{port.network} has no address left.", "Give one, as in port(address='10.9.0.1/16').")
        return _with_address(port, f"{free}/24")

    def plug(self, name: str, ports: Sequence[Port]) -> None:
        """Plug a machine's cables in."""
        if gates := self._plugged(name, ports):
            self.gates[name] = gates
            self._show_the_way()

    def route(self, name: str, ports: Sequence[Port], nat: bool) -> None:
        """Make a router; see `labkit.host.networks.Routing.router`."""
        name = checked_name(name)
        if name in self.routers or name in self.host.machines:
            raise HostError(f"This host has a machine or router {name} already.", "Take another name.")
        ports = self.checked(name, ports)
        if len(ports) < 2 or any(port.trunk for port in ports):
            raise ValueError("a router has two ports or more, none of them a trunk")
        self.routers[name] = Router(self._plugged(name, ports), nat)
        self._show_the_way()
        self.host.note(f"router {name} {','.join(f'{p.network}={p.address}' for p in ports)}{' nat' * nat}")

    def _show_the_way(self) -> None:
        """Let machines know the router of their network: those of the outside, with NAT, need not know of it."""
        for gate in (gate for gates in self.gates.values() for gate in gates):
            for router in self.routers.values():
                for its in router.gates:
                    if (
                        its is not router.outside
                        and its.port.network == gate.port.network
                        and _meet(its.port, gate.port)
                    ):
                        gate.stack.gateway = its.stack.address

    def _plugged(self, name: str, ports: Sequence[Port]) -> list[Gate]:
        gates = []
        for port in ports:
            network, number = self.networks[port.network], next(self._macs)
            mac = f"52:54:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
            rules, books = network.rules, network.stateful
            gates.append(Gate(self.host.env, name, port, mac, network.switch, rules, books, self.numbers, self.tape))
        return gates

    def unplug(self, name: str) -> None:
        """Pull a machine's cables out."""
        for gate in self.gates.pop(name, ()):
            gate.unplug()

    def join(self, one: SimulatedNetwork, other: SimulatedNetwork, vlans: frozenset[int]) -> None:
        """Join two switches by a cable; see `SimulatedNetwork.join`."""
        for network in (one, other):
            if network.removed:
                raise HostError(f"The network {network.name} was removed.", "Make it again.")
        if other.name in self._hanging_together(one.name):
            raise HostError(
                f"{one.name} and {other.name} hang together already, and a second way would be a ring.",
                "Join each pair of switches on one way only.",
            )
        env, ends = self.host.env, {}

        def cable(here: SimulatedNetwork, there: SimulatedNetwork) -> Socket:
            def arrive(frame: Frame) -> None:
                there.switch.enter(ends[there.name], frame)

            return Socket(there.name, Outlet(env, arrive).send, trunk=vlans)

        ends[one.name], ends[other.name] = cable(one, other), cable(other, one)
        self._joints[frozenset(ends)] = ends
        one.switch.plug(ends[one.name])
        other.switch.plug(ends[other.name])
        self.host.note(f"join networks {one.name} and {other.name} vlans={','.join(map(str, sorted(vlans)))}")

    def _hanging_together(self, name: str) -> set[str]:
        """The switches that one is joined to, directly or by way of others, and itself."""
        found = {name}
        while more := {each for pair in self._joints if pair & found for each in pair} - found:
            found |= more
        return found


def _meet(one: Port, other: Port) -> bool:
    """Whether two ports of a switch are of one VLAN."""
    return bool(_vlans(one) & _vlans(other))


def _vlans(port: Port) -> set[int | None]:
    return set(port.trunk) or {port.vlan}


def _with_address(port: Port, address: str) -> Port:
    return Port(port.network, port.vlan, port.trunk, address, port.rules, port.shape, port.spoof)
