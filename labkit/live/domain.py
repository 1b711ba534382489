"""A machine as libvirt describes it: the domain XML, made and changed.

The format is libvirt's, https://libvirt.org/formatdomain.html.
"""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from labkit.live.image import Image
from labkit.live.ownership import EXPIRES_AFTER

__all__ = ["MARK", "Shape", "describe", "fresh_mac", "mac_of", "reshape"]

MARK = "https://labkit.example/machine/1"
"""The XML namespace of the mark that every domain made by labkit carries in its metadata."""

ElementTree.register_namespace("labkit", MARK)


@dataclass(frozen=True)
class Shape:
    """What decides whether one saved guest can stand for another: its size and what runs it."""

    vcpus: int
    memory: int  # MiB
    accelerator: str  # "KVM" or "TCG"
    more_vcpus: int = 0  # that it can come to have while it runs
    slots: int = 0  # for disks and cards that can be plugged in while it runs


def _mark(domain: Element, host: str, owner: int) -> None:
    metadata = domain.find("metadata")
    metadata = SubElement(domain, "metadata") if metadata is None else metadata
    for old in list(metadata):
        metadata.remove(old)
    now = int(time.time())
    marks = {"host": host, "owner": str(owner), "created": str(now), "expires": str(now + EXPIRES_AFTER)}
    SubElement(metadata, f"{{{MARK}}}machine", marks)


def fresh_mac() -> str:
    """An address from the range that QEMU and KVM guests use, 52:54:00, with 24 random bits."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


def _text(parent: Element, tag: str, text: str, **attributes: str) -> Element:
    child = SubElement(parent, tag, attributes)
    child.text = text
    return child


FIRST_SLOT = 8
"""Where the slots for what is plugged in later begin on the first PCI bus, on which nothing can be plugged in."""


def _place(device: Element, slot: int) -> None:
    """Put a device on the first PCI bus; behind root ports, where libvirt would put it, a boot takes 0.2 s longer."""
    SubElement(device, "address", type="pci", domain="0x0000", bus="0x00", slot=f"0x{slot:02x}", function="0x0")


def describe(name: str, shape: Shape, image: Image, console: Path | None, *, host: str, owner: int) -> str:
    """The domain XML of a machine that boots the course's guest from power-on.

    Parameters
    ----------
    name : str
        The domain's name.
    shape : Shape
        Its size and accelerator.
    image : Image
        The guest.
    console : pathlib.Path or None
        The file that keeps what the machine prints; None where the host is not this computer.
    host, owner : str, int
        For the mark: the host's id and the owning process.
    """
    domain = Element("domain", type=shape.accelerator.lower().replace("tcg", "qemu"))
    _text(domain, "name", name)
    _text(domain, "uuid", str(uuid.uuid4()))
    _mark(domain, host, owner)
    _text(domain, "memory", str(shape.memory), unit="MiB")
    # A machine that never gets more has no empty sockets: its guest would prepare for them at every start.
    current = {"current": str(shape.vcpus)} if shape.more_vcpus else {}
    _text(domain, "vcpu", str(shape.vcpus + shape.more_vcpus), **current)
    system = SubElement(domain, "os")
    _text(system, "type", "hvm", arch="x86_64", machine="q35")
    _text(system, "kernel", str(image.kernel))
    _text(system, "initrd", str(image.initrd))
    _text(system, "cmdline", image.cmdline)
    SubElement(SubElement(domain, "features"), "acpi")
    SubElement(domain, "clock", offset="utc")
    for end in ("on_poweroff", "on_reboot", "on_crash"):
        _text(domain, end, "destroy")
    devices = SubElement(domain, "devices")
    tools = SubElement(devices, "disk", type="file", device="disk")
    SubElement(tools, "driver", name="qemu", type="raw")
    SubElement(tools, "source", file=str(image.tools))
    SubElement(tools, "target", dev="vda", bus="virtio")
    SubElement(tools, "readonly")
    _text(tools, "serial", "tools")
    _place(tools, 2)
    SubElement(devices, "controller", type="usb", model="none")
    for number in range(shape.slots):
        port = SubElement(devices, "controller", type="pci", index=str(number + 1), model="pcie-root-port")
        _place(port, FIRST_SLOT + number)
    _place(SubElement(devices, "controller", type="virtio-serial", index="0"), 3)
    # A card without a cable: it has its address, and nothing goes in or out.
    card = SubElement(devices, "interface", type="user")
    SubElement(card, "mac", address=fresh_mac())
    SubElement(card, "model", type="virtio")
    SubElement(card, "link", state="down")
    SubElement(card, "rom", enabled="no")
    _place(card, 4)
    serial = SubElement(devices, "serial", type="pty")
    if console:
        SubElement(serial, "log", file=str(console), append="on")
    channel = SubElement(devices, "channel", type="unix")
    SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    _place(SubElement(devices, "memballoon", model="virtio"), 5)
    random = SubElement(devices, "rng", model="virtio")
    _text(random, "backend", "/dev/urandom", model="random")
    _place(random, 6)
    return ElementTree.tostring(domain, encoding="unicode")


def reshape(xml: str, name: str, console: Path, *, host: str, owner: int) -> str:
    """A saved guest's domain XML as that of another machine: its own name, uuid, address, console and mark.

    The devices stay as they are, since the saved memory is that of a guest with just these devices.
    """
    domain = ElementTree.fromstring(xml)
    for tag, text in (("name", name), ("uuid", str(uuid.uuid4()))):
        found = domain.find(tag)
        assert found is not None
        found.text = text
    _mark(domain, host, owner)
    for address in domain.iterfind("devices/interface/mac"):
        address.set("address", fresh_mac())
    for log in domain.iterfind("devices/*/log"):
        log.set("file", str(console))
    for serial in domain.iterfind("devices/*[@type='pty']"):
        serial.attrib.pop("tty", None)
        for source in serial.findall("source"):
            serial.remove(source)
    for channel in domain.iterfind("devices/channel"):
        for source in channel.findall("source"):
            channel.remove(source)
    return ElementTree.tostring(domain, encoding="unicode")


def mac_of(xml: str) -> str:
    """The address of a domain's first network card, or an empty string."""
    found = ElementTree.fromstring(xml).find("devices/interface/mac")
    return "" if found is None else found.get("address", "")
