"""A machine's cable: from the card in the guest, by a tap, into a network's switch, and what it passes on the way."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from labkit.host import HostError
from labkit.host.networks import Port
from labkit.live.attaching import MOST_CARDS
from labkit.live.domain import fresh_mac
from labkit.live.errors import translated
from labkit.live.net import books, filters
from labkit.live.net.network import LiveNetwork, ability, device, room_of
from labkit.live.private import bridged, cards, plugging, shaping

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["Cable", "between", "checked_nics", "plug", "plug_again", "pull_out", "require_machines", "through", "way"]

QUIET = 10.0  # seconds for the guest to set something


@dataclass
class Cable:
    """One machine's cable.

    Parameters
    ----------
    machine : LiveMachine
        Whose.
    network : LiveNetwork
        What it is plugged into.
    port : Port
        As it was asked for.
    card : str
        What the guest calls its end: ``eth0``, ``eth1``, ....
    mac, address : str
        The card's, the second with its length.
    tap : str
        The host's end of it.
    port_name : str
        The port of the switch: the tap, or the last of what stands between.
    bridge, inner : str
        With rules or a shape: the little bridge, and the near end of the pair that leads on to the switch.
    filter : str
        libvirt's filter; empty for none.
    book : int
        In which of the kernel's books it is written who began (`labkit.live.net.books`); 0 for none of its own.
    """

    machine: LiveMachine
    network: LiveNetwork
    port: Port
    card: str
    mac: str
    address: str
    tap: str
    port_name: str
    bridge: str = ""
    inner: str = ""
    filter: str = ""
    book: int = 0

    @property
    def ip(self) -> str:
        """Its address alone."""
        return self.address.partition("/")[0]

    @property
    def vlans(self) -> frozenset[int]:
        """The VLANs that it is in; 0 stands for none."""
        return frozenset(self.port.trunk or (self.port.vlan or 0,))


def checked_nics(host: LiveHost, nics: Sequence[Port]) -> tuple[Port, ...]:
    """The ports to plug a machine into.

    Raises
    ------
    HostError
        Where one is no port of this host's networks, asks for what cannot be had, or there are too many.
    """
    nics = tuple(nics)
    if not nics:
        return nics
    if not all(isinstance(port, Port) and port.network in host.networks for port in nics):
        raise HostError("nics takes ports of this host's networks.", "Make them with host.network(...).port().")
    if len(nics) > MOST_CARDS:
        raise HostError(f"A machine has {MOST_CARDS} network cards at most.", "Give it fewer.")
    for port in nics:
        if port.trunk and (port.rules or not port.spoof or host.networks[port.network].rules):
            raise HostError(
                "libvirt's nwfilter does not look into frames that have a VLAN's tag, as those at a trunk have.",
                "Give rules to ports of one VLAN, or of none; on the simulated host a trunk may have them too.",
            )
    wanted = {"networks"}
    if any(port.rules or not port.spoof or host.networks[port.network].rules for port in nics):
        wanted.add("firewall")
    if any(port.shape for port in nics):
        wanted.add("shaping")
    for what in sorted(wanted):
        if not (able := ability(host, what)):
            raise HostError(able.reason, able.remedy)
    return nics


def plug_again(host: LiveHost, machine: LiveMachine) -> None:
    """Plug a machine that began anew, with another QEMU, in where it was, with the same addresses."""
    before = list(machine.cables)
    pull_out(machine)
    for cable in before:
        plug(host, machine, dataclasses.replace(cable.port, address=cable.address), cable.mac)


def plug(host: LiveHost, machine: LiveMachine, port: Port, mac: str = "") -> Cable:
    """Plug a running machine in, and return when its card is up; with a new hardware address where none is given.

    Raises
    ------
    HostError
        Where the host or the guest refuses; what had begun goes with the machine.
    """
    network = host.networks[port.network]
    taken = {cable.ip for cable in network.cables}
    address = port.address or network.free_address()
    if address.partition("/")[0] in taken:
        raise HostError(f"A machine on {network.name} has the address {address} already.", "Give it another.")
    tap = device(host, machine.name)
    rules = (*network.rules, *port.rules)
    cable = Cable(machine, network, port, f"eth{len(machine.cables)}", mac or fresh_mac(), address, tap, tap)
    if rules or port.shape or not port.spoof:
        cable.bridge, cable.inner = device(host, f"{machine.name}-br"), device(host, f"{machine.name}-in")
        cable.port_name = device(host, f"{machine.name}-up")
    machine.cables.append(cable)  # from here on `pull_out` clears up, should an interrupt come
    network.cables.append(cable)
    network.given.add(cable.ip)
    if rules or not port.spoof:
        _define(
            host, cable, filters.describe(tap, rules, stateful=network.stateful, own="" if port.spoof else cable.ip)
        )
    if cable.bridge:
        _build(host, cable)
        if network.stateful and any(rule.protocol != "arp" for rule in rules):
            cable.book = books.new_number()
            for command in books.opening(cable.book, cable.tap, cable.inner):
                _run(host, command)
            bridged.require_in_force(room_of(host))
        description = cards.card(cable.mac, bridge=cable.bridge, filter=cable.filter, device=tap)
    else:
        # Without a word Open vSwitch takes a port for a trunk of all VLANs; one that has none is not to hear any.
        vlan = None if port.trunk else port.vlan or 0
        description = cards.card(cable.mac, switch=network.switch, vlan=vlan, trunk=port.trunk, device=tap)
    plugging.plug(machine, description, cable.card, "" if port.trunk else address)
    host.comment(f"{cable.card}.xml of {machine.name}: {ElementTree.tostring(description, encoding='unicode')}")
    host.note("attach-device", machine.name, f"{cable.card}.xml", "--live")
    _introduce(network, cable)
    return cable


def _run(host: LiveHost, command: list[str]) -> None:
    room_of(host).run(command)
    host.command(command)


def _define(host: LiveHost, cable: Cable, described: list[str]) -> None:
    cable.filter = cable.tap
    with translated(f"make the filter of {cable.machine.name}"):
        for xml in described:
            host.connection.nwfilterDefineXML(xml)
    for xml in described:
        host.comment(f"a filter of {cable.machine.name}: {xml}")
        host.note("nwfilter-define", f"{cable.tap}.xml")


def _build(host: LiveHost, cable: Cable) -> None:
    """Make what stands between the tap and the switch."""
    port = cable.port
    tags = ["trunks=" + ",".join(map(str, port.trunk))] if port.trunk else [f"tag={port.vlan or 0}"]
    # A bridge that waits before it passes anything on, asks who wants what, or learns who is on which side and keeps
    # from the machine what it takes for somebody else's, would be more than a piece of cable.
    plain = ["forward_delay", "0", "mcast_snooping", "0", "ageing_time", "0"]
    _run(host, ["ip", "link", "add", cable.bridge, "type", "bridge", *plain])
    _run(host, ["ip", "link", "add", cable.inner, "type", "veth", "peer", "name", cable.port_name])
    _run(host, ["ip", "link", "set", cable.inner, "master", cable.bridge])
    for name in (cable.bridge, cable.inner, cable.port_name):
        _run(host, ["ip", "link", "set", name, "up"])
    if port.shape:
        shape = port.shape
        room = room_of(host)
        host.command(shaping.shape(room, cable.inner, shape.average, peak=shape.peak, burst=shape.burst))
    _run(host, ["ovs-vsctl", "add-port", cable.network.switch, cable.port_name, *tags])


def _introduce(network: LiveNetwork, cable: Cable) -> None:
    """Give a machine at a trunk its card for each VLAN, and tell those at trunks by which of them the others are."""
    if cable.port.trunk:
        lines = [f"ip link set {cable.card} up"]
        for vlan in sorted(cable.vlans):
            name = f"{cable.card}.{vlan}"
            lines += [
                f"ip link add link {cable.card} name {name} type vlan id {vlan}",
                f"echo 1 >/proc/sys/net/ipv6/conf/{name}/disable_ipv6",
                f"ip addr add {cable.ip}/32 dev {name}",
                f"ip link set {name} up",
            ]
        _tell(cable, lines)
    for other in network.cables:
        if other is not cable:
            _lay(cable, [other])
            _lay(other, [cable])


def _lay(cable: Cable, others: Iterable[Cable]) -> None:
    if not cable.port.trunk:
        return
    lines = []
    for other in others:
        if shared := cable.vlans & other.vlans:
            lines.append(f"ip route replace {other.ip}/32 dev {cable.card}.{min(shared)} src {cable.ip}")
    if lines:
        _tell(cable, lines)


def _tell(cable: Cable, lines: list[str]) -> None:
    done = cable.machine.agent.run(["/bin/sh", "-c", "set -e\n" + "\n".join(lines)], QUIET)
    if done.status:
        said = done.errors.strip() or f"status {done.status}"
        raise HostError(f"{cable.machine.name} could not set its card: {said}.", "Create the machine again.")


def through(cable: Cable, other: Cable) -> str:
    """What the guest calls the card by which it reaches another machine."""
    shared = cable.vlans & other.vlans
    return f"{cable.card}.{min(shared)}" if cable.port.trunk and shared else cable.card


def between(sender: LiveMachine, target: LiveMachine) -> tuple[Cable, Cable] | None:
    """The cables by which one machine may reach another: the first pair in one network; None where there is none."""
    for cable in sender.cables:
        for other in target.cables:
            if cable.network is other.network:
                return cable, other
    return None


def require_machines(host: LiveHost, names: Iterable[str]) -> None:
    """Make sure that a host has machines of such names.

    Raises
    ------
    HostError
        Where one is missing.
    """
    for name in names:
        if name not in host.machines:
            raise HostError(f"There is no machine {name:.40}.", "Look at host.machines.")


def way(host: LiveHost, sender: str, target: str) -> tuple[Cable, Cable]:
    """The cables by which one machine, by its name, reaches another; see `between`.

    Raises
    ------
    HostError
        Where there is no such machine, or no network that both are in.
    """
    require_machines(host, (sender, target))
    found = between(host.machines[sender], host.machines[target])
    if found is None or sender == target:
        raise HostError(f"{sender} and {target} are in no network together.", "Plug both into one.")
    return found


def pull_out(machine: LiveMachine) -> None:
    """Take away all that stood between a machine that is switched off and its networks; without an error."""
    host = machine.host
    for cable in list(machine.cables):
        machine.cables.remove(cable)
        with contextlib.suppress(ValueError):
            cable.network.cables.remove(cable)
        with contextlib.suppress(HostError, OSError):
            room = room_of(host)
            room.run(["ovs-vsctl", "--if-exists", "del-port", cable.network.switch, cable.port_name], check=False)
            for command in books.closing(cable.book, cable.tap, cable.inner) if cable.book else ():
                room.run(command, check=False)
            if cable.bridge:
                room.run(["ip", "link", "del", cable.inner], check=False)
                room.run(["ip", "link", "del", cable.bridge], check=False)
        for name in (cable.tap, f"{cable.tap}-ipv4", f"{cable.tap}-arp") if cable.filter else ():
            _undefine(host, name)


def _undefine(host: LiveHost, name: str) -> None:
    import libvirt

    with contextlib.suppress(libvirt.libvirtError):
        host.connection.nwfilterLookupByName(name).undefine()
