"""A disk packed up as a virtual appliance: one ``.ova`` file that other hypervisors import.

An OVA is a tar file. In it are a description of the machine in XML (OVF, the *Open Virtualization Format*), a list of
checksums, and the disk as a *stream-optimised* VMDK: compressed, and read once from the beginning to the end. The
description says what the machine needs, in words that no hypervisor owns: vCPUs, memory, a disk, a network card.

After DMTF DSP0243, "Open Virtualization Format Specification" 1.1.1 (2013), whose schema of the envelope is DSP8023.
The numbers for kinds of devices are those of the CIM class ResourceAllocationSettingData.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from labkit.host import HostError, mebibytes
from labkit.live.disk_tools import driver_of, run_tool

if TYPE_CHECKING:
    from labkit.live.disks import LiveDisk

__all__ = ["describe", "export"]

OVF = "http://schemas.dmtf.org/ovf/envelope/1"
_CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_"
RASD = f"{_CIM}ResourceAllocationSettingData"
VSSD = f"{_CIM}VirtualSystemSettingData"
STREAM = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
LINUX_64 = "101"  # CIM_OperatingSystem.OsType
MEBI = 1 << 20
MOST_NAME = 80  # bytes; with its ending, a name in a tar file (POSIX.1-1988, ustar) has 100
_STEM = re.compile(r"\w[\w .+-]*")  # letters of any script; what ends a line of the list of checksums is not in it

for _prefix, _space in (("ovf", OVF), ("rasd", RASD), ("vssd", VSSD)):
    ElementTree.register_namespace(_prefix, _space)


def _ovf(name: str) -> str:
    return f"{{{OVF}}}{name}"


def _section(parent: Element, name: str, information: str) -> Element:
    section = SubElement(parent, _ovf(name))
    SubElement(section, _ovf("Info")).text = information
    return section


def _setting(parent: Element, space: str, **values: str | int) -> None:
    """The properties of a device or machine; the schema wants them in the order of the alphabet."""
    for name, value in sorted(values.items()):
        SubElement(parent, f"{{{space}}}{name}").text = str(value)


def describe(name: str, file: str, file_bytes: int, capacity: int, vcpus: int, memory: int) -> str:
    """The OVF description of a machine with one disk and one network card.

    Parameters
    ----------
    name : str
        What the machine is to be called where it is imported.
    file : str
        The disk's file beside the description.
    file_bytes, capacity : int
        The length of that file, and the size of the disk as the guest sees it, in bytes.
    vcpus, memory : int
        The machine's; memory in MiB.

    Returns
    -------
    str
        XML that the schema DSP8023 1.1 accepts.
    """
    envelope = Element(_ovf("Envelope"))
    references = SubElement(envelope, _ovf("References"))
    SubElement(references, _ovf("File"), {_ovf("id"): "file1", _ovf("href"): file, _ovf("size"): str(file_bytes)})
    disk = {"diskId": "disk1", "fileRef": "file1", "capacity": str(capacity), "format": STREAM}
    disk["capacityAllocationUnits"] = "byte"
    SubElement(
        _section(envelope, "DiskSection", "The disks of the machine"),
        _ovf("Disk"),
        {_ovf(key): value for key, value in disk.items()},
    )
    network = SubElement(
        _section(envelope, "NetworkSection", "The networks that it wants to be connected to"),
        _ovf("Network"),
        {_ovf("name"): "network"},
    )
    SubElement(network, _ovf("Description")).text = "Any network of the host"
    system = SubElement(envelope, _ovf("VirtualSystem"), {_ovf("id"): name})
    SubElement(system, _ovf("Info")).text = "A virtual machine"
    SubElement(system, _ovf("Name")).text = name
    guest = _section(system, "OperatingSystemSection", "The operating system in it")
    guest.set(_ovf("id"), LINUX_64)
    SubElement(guest, _ovf("Description")).text = "Linux, 64 bits"
    hardware = _section(system, "VirtualHardwareSection", "What the machine needs")
    _setting(
        SubElement(hardware, _ovf("System")),
        VSSD,
        ElementName="Virtual Hardware Family",
        InstanceID=0,
        VirtualSystemIdentifier=name,
        VirtualSystemType="vmx-10 virtualbox-2.2",
    )
    devices: tuple[dict[str, str | int], ...] = (
        {"ElementName": f"{vcpus} virtual CPU", "ResourceType": 3, "VirtualQuantity": vcpus},
        {
            "ElementName": f"{memory} MiB of memory",
            "ResourceType": 4,
            "VirtualQuantity": memory,
            "AllocationUnits": "byte * 2^20",
        },
        {"ElementName": "IDE controller", "ResourceType": 5, "ResourceSubType": "PIIX4", "Address": 0},
        {
            "ElementName": "Disk",
            "ResourceType": 17,
            "Parent": 3,
            "AddressOnParent": 0,
            "HostResource": "ovf:/disk/disk1",
        },
        {
            "ElementName": "Network card",
            "ResourceType": 10,
            "ResourceSubType": "E1000",
            "Connection": "network",
            "AutomaticAllocation": "true",
        },
    )
    for number, device in enumerate(devices, 1):
        _setting(SubElement(hardware, _ovf("Item")), RASD, InstanceID=number, **device)
    ElementTree.indent(envelope)
    text = ElementTree.tostring(envelope, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def export(disk: LiveDisk, path: str | Path, *, vcpus: int = 1, memory: str | float = "256 MiB") -> Path:
    """Write an OVA file: a machine with this disk, for any hypervisor that imports such files.

    Parameters
    ----------
    disk : LiveDisk
        The machine's disk; no machine may have it meanwhile.
    path : str or pathlib.Path
        Where to, ending in ``.ova``. Nothing that is there is overwritten, and its directory must exist.
    vcpus : int
        How many virtual CPUs the machine is to have.
    memory : str or float
        Its memory; a number is in MiB.

    Returns
    -------
    pathlib.Path
        The file, which is yours: nothing of labkit's removes it.

    Raises
    ------
    HostError
        Where the name cannot be one in such a file, there is something at that place, it cannot be written to, or it
        has no room.
    ValueError
        Where `vcpus` or `memory` is outside its range.
    """
    from labkit.live import changing  # late: these need this file
    from labkit.live.disks import LEFT_FREE

    path, size = Path(path).expanduser().absolute(), round(mebibytes(memory))
    changing.within("vcpus", vcpus, 1, 64)
    changing.within("memory in MiB", size, 1, 65536)
    if path.suffix != ".ova":
        raise HostError(f"{path.name} does not end in .ova.", "Give the file a name such as web.ova.")
    if not _STEM.fullmatch(path.stem) or len(path.stem.encode()) > MOST_NAME:
        raise HostError(
            f"The name {path.name!r:.60} cannot be that of a machine: it takes letters, digits, spaces and . + - _, "
            f"{MOST_NAME} bytes at most.",
            "Give the file a name such as web.ova.",
        )
    if path.exists() or path.is_symlink():
        raise HostError(f"There is a {path.name} already, and nothing is overwritten.", "Take another name.")
    if not path.parent.is_dir():
        raise HostError(f"There is no directory {path.parent}.", "Make it first, or take another place.")
    if disk.machine is not None:
        raise HostError(f"{disk.machine.name} has the disk {disk.name}.", "Stop that machine first.")
    held = sum(extent.length for extent in disk.map() if extent.data)
    needed = (min(held, disk.file_bytes) if disk.format == "vhdx" else held) + MEBI
    for place in {disk.path.parent, path.parent}:
        free = shutil.disk_usage(place).free
        if needed > free - LEFT_FREE:
            raise HostError(
                f"To export {disk.name} may take {needed // MEBI} MiB of {place}, where {free // MEBI} MiB are free, "
                f"of which {LEFT_FREE // MEBI} MiB are left alone.",
                "Free some space, or take another place.",
            )
    stream = disk.path.with_name(f"{disk.name}.stream.vmdk")
    words = ["qemu-img", "convert", "-q", "-f", driver_of(disk.format), "-O", "vmdk", "-o", "subformat=streamOptimized"]
    try:
        disk.note([*words, disk.path.name, f"{path.stem}-disk1.vmdk"])
        run_tool(*words, str(disk.path), str(stream))
        with _appearing(path) as file:
            _pack(file, path.stem, stream, disk.size, vcpus, size)
        disk.note(["tar", "--format=ustar", "-cf", path.name, *(f"{path.stem}{end}" for end in ENDS)])
    except FileExistsError as error:
        raise HostError(f"There is a {path.name} already, and nothing is overwritten.", "Take another name.") from error
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}.", "Take another place.") from error
    finally:
        stream.unlink(missing_ok=True)
    return path


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """A file that has no name until it is complete: should this process be killed, nothing of it is left.

    To give a file a name by a link, unlike renaming one, never replaces what somebody put there meanwhile. A file
    system that has no files without names (open(2), O_TMPFILE) gets the file under its own name from the beginning.
    """
    try:
        number = os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o644)
    except OSError:
        with path.open("xb") as file:
            try:
                yield file
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return
    with os.fdopen(number, "w+b") as file:
        yield file
        file.flush()
        # Named by a directory too, so that Python calls linkat(2), which follows the link in /proc.
        here = os.open("/proc/self/fd", os.O_RDONLY)
        try:
            os.link(str(number), path, src_dir_fd=here, follow_symlinks=True)
        finally:
            os.close(here)


ENDS = (".ovf", ".mf", "-disk1.vmdk")  # of the files in an OVA, in the order that the specification wants


def _pack(part: BinaryIO, name: str, stream: Path, capacity: int, vcpus: int, memory: int) -> None:
    """Write the tar file: description, checksums, disk."""
    description, checksums, disk = (f"{name}{end}" for end in ENDS)
    text = describe(name, disk, stream.stat().st_size, capacity, vcpus, memory).encode()
    with stream.open("rb") as file:
        # SHA-1 is what version 1 of the specification has; it guards against damage, not against malice.
        of_disk = hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()
    of_text = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    sums = f"SHA1({description})= {of_text}\nSHA1({disk})= {of_disk}\n".encode()
    with tarfile.open(fileobj=part, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, content in ((description, text), (checksums, sums)):
            archive.addfile(_member(member, len(content)), io.BytesIO(content))
        with stream.open("rb") as file:
            archive.addfile(_member(disk, stream.stat().st_size), file)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member
