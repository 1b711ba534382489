"""A network of a live host: one switch of Open vSwitch, which is libvirt's `<virtualport type='openvswitch'>`."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from labkit.host import Ability, HostError
from labkit.host.networks import Port, Rule, Shape
from labkit.host.ports import checked_name, checked_port, checked_rules
from labkit.live.private import bridged, programs, switch

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.net.cables import Cable
    from labkit.live.private.opening import PrivateDriver
    from labkit.live.private.room import Room

__all__ = ["LiveNetwork", "ability", "clear", "device", "make", "room_of"]

LONGEST = 15  # letters of a network device's name (IFNAMSIZ, netdevice(7))
MOST = 250  # networks of a host, each with addresses of its own: 10.0.0.0/24, 10.0.1.0/24, ...

_EMBEDDED = Ability(
    False,
    reason="libvirt inside this process has no networks.",
    remedy="Open a private host: labkit.live(networks=True).",
)
_ELSEWHERE = Ability(
    False,
    reason="labkit makes networks on a host of its own only.",
    remedy="Open a private host: labkit.live(networks=True), with LABKIT_URI unset.",
)


def ability(host: LiveHost, what: str) -> Ability:
    """Whether a host has ``"networks"``, their ``"firewall"`` or ``"shaping"``, and by which mechanism."""
    if not hasattr(host.driver, "room"):
        return _EMBEDDED if host.root else _ELSEWHERE
    try:
        if what == "networks":
            _require_switch()
            programs.require(programs.LOOKING, "To see who sees which frame")
            return Ability(True, "Open vSwitch in namespaces of its own, libvirt's <vlan>")
        if what == "firewall":
            programs.require(programs.FILTERING, "A firewall")
            bridged.require_harmless()
            return Ability(True, "libvirt's nwfilter")
        programs.require(programs.SHAPING, "Shaping")
        return Ability(True, "the kernel's token bucket (tc-tbf); libvirt's <bandwidth> has no peak for what is sent")
    except HostError as error:
        return Ability(False, reason=error.message, remedy=error.remedy)


def _require_switch() -> None:
    if switch.found() is None and programs.find("apt-get") is None:
        raise HostError(
            "Open vSwitch is not installed here, and there is no apt to get it with.",
            "Install your distribution's package openvswitch; its service need not run.",
        )


def driver_of(host: LiveHost) -> PrivateDriver:
    """The way to a private host.

    Raises
    ------
    HostError
        Where the host is none.
    """
    from labkit.live.private.opening import PrivateDriver

    if isinstance(host.driver, PrivateDriver):
        return host.driver
    no = ability(host, "networks")
    raise HostError(no.reason, no.remedy)


def room_of(host: LiveHost) -> Room:
    """The namespaces in which a host's networks are."""
    return driver_of(host).room


def device(host: LiveHost, words: str) -> str:
    """A name for a network device: the host's id, then words as far as there is room, and never given before."""
    name = f"{host.id}-{words}"[:LONGEST]
    number = 1
    while name in host.devices:
        number += 1
        name = f"{host.id}-{words}"[: LONGEST - len(str(number))] + str(number)
    host.devices.add(name)
    return name


class LiveNetwork:
    """A switch that learns. Made by `LiveHost.network`.

    Parameters
    ----------
    host : LiveHost
        Where it is.
    name : str
        What the learner calls it.
    rules : tuple of Rule
        Those before every port's own.
    stateful : bool
        Whether answers to what was let through pass.
    number : int
        The third part of its addresses.
    """

    def __init__(self, host: LiveHost, name: str, rules: tuple[Rule, ...], stateful: bool, number: int) -> None:
        self.host = host
        self.name = name
        self.rules = rules
        self.stateful = stateful
        self.addresses = ipaddress.IPv4Network(f"10.0.{number}.0/24")
        self.switch = device(host, name)
        self.cables: list[Cable] = []
        self.given: set[str] = set()  # addresses: the others remember for a while whose they were

    def __repr__(self) -> str:
        inside = ", ".join(cable.machine.name for cable in self.cables) or "nobody"
        return f"network {self.name}, switch {self.switch}: {inside}"

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

    def free_address(self) -> str:
        """The next address that no machine on it has or had, with its length.

        Raises
        ------
        HostError
            Where all are taken.
        """
        for found in self.addresses.hosts():
            if str(found) not in self.given:
                return f"{found}/{self.addresses.prefixlen}"
        raise HostError(f"All addresses of {self.name} are taken.", "Remove the network, and make it again.")

    def table(self) -> Mapping[str, str]:
        """Which machine the switch has learnt to be where: the machine's name by the address of its card."""
        machines = {cable.port_name: cable.machine.name for cable in self.cables}
        learnt = switch.learnt(room_of(self.host), self.switch)
        return {entry.mac: machines[entry.port] for entry in learnt if entry.port in machines}

    def plugged(self) -> tuple[tuple[str, Port, str], ...]:
        """Who is plugged in; see `labkit.host.networks.Network.plugged`."""
        return tuple(
            (cable.machine.name, dataclasses.replace(cable.port, address=cable.address), cable.mac)
            for cable in self.cables
        )

    def forget(self) -> None:
        """Let the switch forget all that it has learnt.

        That is its table, and the short cuts that Open vSwitch keeps for frames like those before: what takes a short
        cut teaches the switch only some half a second later.
        """
        for command in (["ovs-appctl", "fdb/flush", self.switch], ["ovs-appctl", "revalidator/purge"]):
            room_of(self.host).run(command)
            self.host.command(command)

    def remove(self) -> None:
        """Take the switch away.

        Raises
        ------
        HostError
            While machines are plugged in.
        """
        if self.host.networks.get(self.name) is not self:
            return
        if self.cables:
            inside = ", ".join(cable.machine.name for cable in self.cables)
            raise HostError(f"There are machines plugged into {self.name}: {inside}.", "Stop them first.")
        self.take_away()

    def take_away(self) -> None:
        """Take the switch away, whatever is plugged in; no error where the private host has gone."""
        command = ["ovs-vsctl", "--if-exists", "del-br", self.switch]
        self.host.networks.pop(self.name, None)
        with contextlib.suppress(HostError):
            room_of(self.host).run(command, check=False)
            self.host.command(command)


def make(host: LiveHost, name: str, rules: Sequence[Rule], stateful: bool) -> LiveNetwork:
    """Make a network; see `labkit.host.networks.Networked.network`.

    Raises
    ------
    HostError
        Where the host cannot have it, or has one of that name.
    ValueError
        Where the name or a rule is none.
    """
    checked_name(name)
    checked = checked_rules(rules)
    room = room_of(host)
    if checked and not (able := ability(host, "firewall")):
        raise HostError(able.reason, able.remedy)
    if name in host.networks:
        raise HostError(f"There is a network {name} already.", "Take it, or another name.")
    taken = {network.addresses for network in host.networks.values()}
    free = (third for third in range(MOST) if ipaddress.IPv4Network(f"10.0.{third}.0/24") not in taken)
    if (number := next(free, None)) is None:
        raise HostError(f"A host has {MOST} networks at most.", "Remove one first.")
    switch.start(room, lambda sentence: host.progress(sentence, 0.0))
    # What the computer's own end of a cable says of itself (IPv6) is not the machines' and would be counted with them.
    room.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 || :"], check=False)
    made = LiveNetwork(host, name, checked, stateful, number)
    host.networks[name] = made  # an interrupt may come when the switch is there
    try:
        switch.add(room, made.switch)
    except BaseException:
        made.take_away()
        raise
    host.command(["ovs-vsctl", "add-br", made.switch, "--", "set", "bridge", made.switch, "datapath_type=netdev"])
    return made


def clear(host: LiveHost) -> None:
    """Take all networks of a host away, without an error: it is closing."""
    for network in list(host.networks.values()):
        with contextlib.suppress(HostError, OSError):
            network.take_away()
    host.networks.clear()
