"""A disk plugged into a machine that runs, and pulled out again.

A saved boot knows nothing of disks: it has empty slots (PCI Express root ports), and after the start of its clone each
disk is plugged into one, as `virsh attach-disk` does. The guest's kernel sees it come; it finds it by its serial
number, which is the disk's name.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from labkit.host import HostError
from labkit.live.disks import LiveDisk, driver_of
from labkit.live.errors import translated

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["MOST_CARDS", "MOST_DISKS", "attach", "checked_disks", "detach", "device_of", "release", "slots_for"]

MOST_DISKS = 8
MOST_CARDS = 4  # network cards
UNKNOWN = ("vhdx", "parallels")  # QEMU knows them, and libvirt 9.0 has no word for them
SLOTS = 3  # of a machine with a disk or two
PATIENCE = 30.0  # seconds for the guest to see a disk come or go; beside others on a busy CPU it is slow
LIVE = 1  # VIR_DOMAIN_AFFECT_LIVE

# Prints the disk's device; $1 is its serial number, a line that the kernel does not end.
_FIND = """
while :; do
	for disk in /sys/block/vd*; do
		read -r serial <"$disk/serial"
		[ "$serial" = "$1" ] && echo "/dev/${disk##*/}" && exit
	done
	usleep 20000
done
"""


def checked_disks(host: LiveHost, disks: Sequence[LiveDisk], *, plugged: bool = True) -> tuple[LiveDisk, ...]:
    """The disks to give to a machine; `plugged` in by libvirt, or there from the start.

    Raises
    ------
    HostError
        Where one is no disk of this host's or is another machine's, or there are too many.
    """
    disks = tuple(disks)
    if not all(isinstance(disk, LiveDisk) for disk in disks):
        raise HostError("disks takes disks that this host has made.", "Make them with host.disk.")
    if len(disks) > MOST_DISKS or len(set(map(id, disks))) < len(disks):
        raise HostError(f"A machine has {MOST_DISKS} disks at most, each of them once.", "Give it fewer.")
    for disk in disks:
        host.shelf.require_free(disk)
        if plugged and disk.format in UNKNOWN:
            raise HostError(
                f"libvirt gives no running machine a disk in the format {disk.format}.",
                f'Convert it: disk.convert("{disk.name[:15]}-copy", "qcow2"); or boot from it: host.boot_from.',
            )
    return disks


def slots_for(disks: Sequence[LiveDisk], nics: Sequence[object] = ()) -> int:
    """How many slots a machine with these disks and network cards has: a few more, so that few shapes are saved."""
    wanted = len(disks) + len(nics)
    return next(slots for slots in (0, SLOTS, MOST_DISKS, MOST_DISKS + MOST_CARDS) if wanted <= slots)


def description(disk: LiveDisk, target: str) -> str:
    """The disk as libvirt describes it; the guest is stopped, and not told, where the store has no space left."""
    element = Element("disk", type="file", device="disk")
    SubElement(element, "driver", name="qemu", type=driver_of(disk.format), discard="unmap", error_policy="enospace")
    SubElement(element, "source", file=str(disk.path))
    SubElement(element, "target", dev=target, bus="virtio")
    SubElement(element, "serial").text = disk.name
    return ElementTree.tostring(element, encoding="unicode")


def attach(host: LiveHost, machine: LiveMachine, disk: LiveDisk) -> None:
    """Plug a disk into a running machine, and return when its kernel has seen it.

    Raises
    ------
    HostError
        Where the disk is not free, the machine has no slot left, or its kernel does not see it.
    """
    host.shelf.require_free(disk)
    disk.settle()
    used = {target.get("dev") for target in ElementTree.fromstring(machine.xml()).iterfind("devices/disk/target")}
    target = next(name for name in (f"vd{letter}" for letter in "bcdefghijklmnop") if name not in used)
    with translated(f"plug {disk.name} into {machine.name}"):
        machine.domain.attachDeviceFlags(description(disk, target), LIVE)
    disk.machine = machine
    machine.disks[disk.name] = disk
    host.note(
        "attach-disk", machine.name, disk.path.name, target, "--targetbus", "virtio",
        "--subdriver", driver_of(disk.format), "--serial", disk.name, "--live",
    )  # fmt: skip
    device_of(machine, disk.name)


def detach(host: LiveHost, machine: LiveMachine, disk: LiveDisk) -> None:
    """Pull a disk out of a running machine, and return when it is free again.

    Raises
    ------
    HostError
        Where the machine does not have it, or does not let go of it.
    """
    if machine.disks.get(disk.name) is not disk:
        raise HostError(f"{machine.name} does not have the disk {disk.name}.", "Look at its disks.")
    target = target_of(machine, disk)
    with translated(f"pull {disk.name} out of {machine.name}"):
        machine.domain.detachDeviceFlags(description(disk, target), LIVE)
        host.note("detach-disk", machine.name, target, "--live")
        ends = time.monotonic() + PATIENCE
        while target_of(machine, disk):  # the guest lets go of it in its own time
            if time.monotonic() > ends:
                raise HostError(f"{machine.name} does not let go of {disk.name}.", "Unmount it in the guest first.")
            time.sleep(0.02)
    release(machine, disk)


def release(machine: LiveMachine, disk: LiveDisk) -> None:
    """Note that a disk is free again."""
    machine.disks.pop(disk.name, None)
    disk.machine = None


def target_of(machine: LiveMachine, disk: LiveDisk) -> str:
    """Under which name libvirt knows a disk of a machine, such as ``vdb``; empty where it has not got it."""
    for found in ElementTree.fromstring(machine.xml()).iterfind("devices/disk"):
        if found.findtext("serial") == disk.name:
            target = found.find("target")
            return "" if target is None else target.get("dev", "")
    return ""


def device_of(machine: LiveMachine, name: str) -> str:
    """The device that a disk is inside the guest, such as ``/dev/vdb``.

    Raises
    ------
    HostError
        Where its kernel has not seen the disk.
    """
    with contextlib.suppress(TimeoutError):
        ended = machine.agent.run(["/bin/sh", "-c", _FIND, "sh", name], PATIENCE)
        if device := ended.output.strip():
            return device
    raise HostError(f"{machine.name} has not seen its disk {name}.", "Stop the machine and create it again.")
