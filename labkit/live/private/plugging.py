"""A network card plugged into a machine that runs, as ``virsh attach-device --live`` does.

A saved boot knows nothing of networks: it has empty slots (PCI Express root ports), and a card goes into one, as disks
do (`labkit.live.attaching`). The guest's kernel sees it come; it is found by its address and named as it would be in a
machine that was built with it: the first card with a cable is ``eth0``, and the one without a cable makes room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from labkit.host import HostError
from labkit.live.errors import translated

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine

__all__ = ["plug", "tap_of"]

LIVE = 1  # VIR_DOMAIN_AFFECT_LIVE
PATIENCE = 30.0  # seconds for the guest to see a card come; beside others on a busy CPU it is slow

# $1 is the card's address, $2 the name that it is to have, $3 its IP address with the prefix length, or nothing.
_NAME = """
card=
while [ -z "$card" ]; do
	for each in /sys/class/net/*; do
		read -r mac <"$each/address"
		[ "$mac" = "$1" ] && card=${each##*/}
	done
	[ -n "$card" ] || usleep 20000
done
if [ "$card" != "$2" ]; then
	ip link set "$card" down
	if [ -e "/sys/class/net/$2" ]; then
		ip link set "$2" down
		ip link set "$2" name nocable
	fi
	ip link set "$card" name "$2" || exit
fi
[ -z "$3" ] || ip addr add "$3" dev "$2" || exit
own=/proc/sys/net/ipv6/conf/$2/disable_ipv6
[ ! -e "$own" ] || echo 1 >"$own"
neighbours=/proc/sys/net/ipv4/neigh/$2
echo 1 >"$neighbours/mcast_solicit"
echo 5000 >"$neighbours/retrans_time_ms"
ip link set "$2" up
"""
"""It speaks IPv4 alone, asks once who has an address, and waits 5 s for the answer: what it says by itself would be
counted too, and would teach the switch."""


def plug(machine: LiveMachine, card: Element, name: str = "eth0", address: str = "") -> str:
    """Plug a card into a running machine, and return when it is up in there.

    Parameters
    ----------
    machine : LiveMachine
        A machine on a private host, with an empty slot.
    card : xml.etree.ElementTree.Element
        From `labkit.live.private.cards.card`.
    name : str
        What the guest is to call it.
    address : str
        Its IP address with the prefix length, as ``"10.0.0.1/24"``; none where it is empty.

    Returns
    -------
    str
        What the host calls its end of the cable: the tap's name.

    Raises
    ------
    HostError
        Where libvirt refuses, or the guest does not see it.
    """
    found = card.find("mac")
    assert found is not None
    mac = found.get("address", "")
    with translated(f"plug a network card into {machine.name}"):
        machine.domain.attachDeviceFlags(ElementTree.tostring(card, encoding="unicode"), LIVE)
    done = machine.agent.run(["/bin/sh", "-c", _NAME, "sh", mac, name, address], PATIENCE)
    if done.status:
        said = done.errors.strip() or f"status {done.status}"
        raise HostError(f"The card of {machine.name} did not come up: {said}.", "Create the machine again.")
    return tap_of(machine, mac)


def tap_of(machine: LiveMachine, mac: str) -> str:
    """What the host calls its end of the cable of a card; empty where there is no such card."""
    for card in ElementTree.fromstring(machine.xml()).iterfind("devices/interface"):
        address, target = card.find("mac"), card.find("target")
        if address is not None and address.get("address") == mac and target is not None:
            return target.get("dev", "")
    return ""
