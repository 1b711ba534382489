"""A machine's network card as libvirt describes it, and what it is plugged into.

One card is like another to the guest: the same model, at the same place, with nothing left to do for the network it is
plugged into. So a boot that was saved with a card plugged into nothing can be restored with it plugged into anything.
The card computes its own checksums and cuts its own segments: what a switch in a program hands on is then whole, as
the packets on a real wire are.

The format is libvirt's, https://libvirt.org/formatdomain.html#network-interfaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement

from labkit.host import HostError

__all__ = ["card"]

_LEFT_TO_THE_HOST = {
    "host": ("csum", "gso", "tso4", "tso6", "ecn", "ufo"),
    "guest": ("csum", "tso4", "tso6", "ecn", "ufo"),
}


def card(
    mac: str,
    *,
    switch: str = "",
    bridge: str = "",
    vlan: int | None = None,
    trunk: tuple[int, ...] = (),
    filter: str = "",
    device: str = "",
) -> Element:
    """Describe a card of a machine in a private host.

    Parameters
    ----------
    mac : str
        Its address.
    switch : str
        The Open vSwitch that it is plugged into.
    bridge : str
        Or a Linux bridge that is there. With neither it is plugged into nothing, as a saved boot's is.
    vlan : int, optional
        The VLAN of an access port, 1 to 4094, or 0 for one that is in none; only of a switch.
    trunk : tuple of int
        The VLANs of a trunk port, tagged; only of a switch.
    filter : str
        The nwfilter that its traffic passes through; only on a bridge.
    device : str
        What the host's end of the cable is called, 15 letters at most; libvirt names it otherwise.

    Raises
    ------
    HostError
        Where libvirt cannot do what is asked for together.
    """
    if filter and switch:
        raise HostError(
            "libvirt's nwfilter does not work on ports of Open vSwitch.",
            "Plug the machine into a bridge instead; or leave the filter out.",
        )
    if (vlan is not None or trunk) and not switch:
        raise HostError("libvirt sets VLANs on ports of Open vSwitch only.", "Plug the machine into a switch.")
    kind = "bridge" if switch or bridge else "ethernet"
    made = Element("interface", type=kind)
    SubElement(made, "mac", address=mac)
    if switch:
        SubElement(made, "source", bridge=switch)
        SubElement(made, "virtualport", type="openvswitch")
    elif bridge:
        SubElement(made, "source", bridge=bridge)
    if vlan is not None or trunk:
        tags = SubElement(made, "vlan", {"trunk": "yes"} if trunk else {})
        for number in trunk or (vlan,):
            SubElement(tags, "tag", id=str(number))
    if filter:
        SubElement(made, "filterref", filter=filter)
    if device:
        SubElement(made, "target", dev=device)
    SubElement(made, "model", type="virtio")
    offers: Mapping[str, tuple[str, ...]] = _LEFT_TO_THE_HOST
    driver = SubElement(made, "driver", name="qemu")
    for side, words in offers.items():
        SubElement(driver, side, dict.fromkeys(words, "off"))
    SubElement(made, "rom", enabled="no")
    return made
