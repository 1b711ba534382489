"""A disk that a machine boots from all by itself: firmware, boot record, boot loader, kernel, all read from the disk.

The course's other guests are handed their kernel by QEMU. This one is a plain PC: its firmware (SeaBIOS) reads the
first sector of the disk, the code there finds the active partition, the boot loader in that (SYSLINUX) reads its
configuration, the kernel and the first file system from a FAT file system, and starts them. As nothing but the disk
takes part, the same disk boots after it was converted into any format, here or in somebody else's hypervisor.

The disk is made without root and without mounting: mtools formats and fills the partition inside the file, and
SYSLINUX installs itself there. Both come from the distribution's signed packages, as the guest image does, and so does
the kernel, in the wrapping that boot loaders take (https://docs.kernel.org/arch/x86/boot.html). What was made is kept
in labkit's cache, and belongs to one guest image.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from labkit.host import HostError, mebibytes
from labkit.live import attaching, capacity, changing, starting
from labkit.live import domain as domains
from labkit.live.disk_tools import driver_of
from labkit.live.domain import Shape
from labkit.live.errors import explained
from labkit.live.image_packages import Packages
from labkit.live.places import cache_root

if TYPE_CHECKING:
    from labkit.live.disks import LiveDisk
    from labkit.live.image import Image
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["BootsFromDisks", "boot_from", "first_lines", "system_disk"]

SECTOR = 512
SIZE = 64 << 20  # bytes of the disk
FIRST = 2048  # the sector at which the partition begins: 1 MiB, as every partitioning program has it today
FAT16_LBA = 0x0E  # the partition's type
CODE = 440  # bytes of the first sector that are program; then come a signature and the partition table
LEAST_MEMORY = (
    160  # MiB; the boot loader puts the first file system beside the packed kernel, which then unpacks itself
)
PATIENCE = 240.0  # seconds; firmware and boot loader are slow under emulation, beside others far more so
# libvirt has Parallels' format under the name of its later variant, and does not have VHDX at all.
IN_LIBVIRT = {"parallels": "ploop"}
UNKNOWN_TO_LIBVIRT = ("vhdx",)
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
# What the console shows of a boot, from the last step to the first, and what is being done from there on.
_STEPS = (
    ("labkit: init", "The kernel runs and starts the guest's programs"),
    ("SYSLINUX", "The boot loader reads the kernel from the disk and starts it"),
    ("SeaBIOS", "The firmware looks for a disk to boot from"),
)
# On a slow emulated board the kernel may find its first timer late. It says "bug", takes another one, and goes on.
_HARMLESS = "MP-BIOS bug"
_CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|c)")
REMEDY = "Look at the network, or run 'sudo apt-get update'."
CONFIGURATION = """SERIAL 0 115200
DEFAULT linux
LABEL linux
  SAY labkit: the boot loader reads the kernel from the disk
  KERNEL vmlinuz
  INITRD initrd
  APPEND {cmdline}
"""


def system_disk(host: LiveHost, name: str, format: str = "raw") -> LiveDisk:
    """Make a disk with a small Linux on it that a machine can boot from; see `boot_from`.

    Parameters
    ----------
    host : LiveHost
        Whose disk it is to be.
    name : str
        As in `labkit.host.Host.disk`.
    format : str
        One of `labkit.host.FORMATS`.

    Raises
    ------
    HostError
        Where the packages that it is made from cannot be had, or the store has no room.
    """
    return host.shelf.make(name, f"{SIZE} B", format, source=_template(host))


def boot_from(
    host: LiveHost, name: str, disk: LiveDisk, *, vcpus: int = 1, memory: str | float = "256 MiB"
) -> LiveMachine:
    """Switch on a machine that has nothing but a disk to boot from, and return when the agent in it answers.

    Parameters
    ----------
    host : LiveHost
        Where it is to run.
    name, vcpus, memory
        As in `labkit.host.Host.create`.
    disk : LiveDisk
        One made by `system_disk`, or by `labkit.host.Disk.convert` from such a one.

    Raises
    ------
    HostError
        Where the disk is not free, or nothing on it boots.
    """
    size = round(mebibytes(memory))
    changing.within("vcpus", vcpus, 1, 64)
    changing.within("memory in MiB", size, LEAST_MEMORY, 65536)
    (disk,) = attaching.checked_disks(host, [disk], plugged=False)
    disk.settle()
    host._reserve(name, size)
    machine = None
    try:
        shape = Shape(vcpus, size, host.accelerator.name)
        xml = _describe(host, name, shape, disk)
        host.progress(_powered(name), 0.0)
        host.note("create", f"{name}.xml")
        # A daemon ends the machine when our connection to it ends; in our own process the guardian does.
        machine = starting._switched_on(host, name, shape, lambda: host.connection.createXML(xml, 0), _wait)
        disk.machine = machine
        machine.disks[disk.name] = disk
        with host._lock:
            host._machines[name] = machine
        host.progress(f"{name} is up", 1.0)
        return machine
    except BaseException:
        if machine is not None:
            host.remove(machine)
        raise
    finally:
        host._reserved.discard(name)


def first_lines(machine: LiveMachine, most: int = 8) -> list[str]:
    """What firmware, boot loader and guest said first, without the signs that move a terminal's cursor.

    What the kernel says of the emulated board's timer is left out: it sounds like an error, and is none.

    Parameters
    ----------
    machine : LiveMachine
        One made by `boot_from`.
    most : int
        How many lines at the most.
    """
    plain = _CONTROL.sub("", machine.console())
    lines = (line.strip() for line in plain.splitlines())
    return [line for line in lines if line and _HARMLESS not in line][:most]


class BootsFromDisks:
    """What a live host does with disks that boot by themselves."""

    system_disk = system_disk
    boot_from = explained("start the machine")(boot_from)

    def first_lines(self, machine: LiveMachine, most: int = 8) -> list[str]:
        """What a machine said first on its console; see `labkit.live.bootable.first_lines`."""
        return first_lines(machine, most)


def _powered(name: str) -> str:
    return f"Switching {name} on, with nothing but a disk"


def _wait(machine: LiveMachine) -> None:
    # How long each step takes here is not known; the bar of one nears its end as half-lives of 8 s pass.
    begun, doing = time.monotonic(), _powered(machine.name)

    def tell(_part: float) -> None:
        nonlocal begun, doing
        seen, before = machine.console(), doing
        doing = next((words for sign, words in _STEPS if sign in seen), doing)
        if doing != before:
            begun = time.monotonic()
        machine.host.progress(doing, 1 - 0.5 ** ((time.monotonic() - begun) / 8))

    machine.agent.wait_until_up(PATIENCE, tell)
    machine.moments["answered"] = time.monotonic()
    starting._introduce(machine, domains.mac_of(machine.xml()))


def _describe(host: LiveHost, name: str, shape: Shape, disk: LiveDisk) -> str:
    """The domain XML: that of any machine of the course, but for where its kernel comes from."""
    console = host.console_file(name)
    owner = os.getpid()
    xml = domains.describe(host.domain_name(name), shape, host.image, console, host=host.driver.id, owner=owner)
    domain = ElementTree.fromstring(xml)
    system, devices = domain.find("os"), domain.find("devices")
    assert system is not None and devices is not None
    for handed in ("kernel", "initrd", "cmdline"):
        element = system.find(handed)
        if element is not None:
            system.remove(element)
    SubElement(system, "bios", useserial="yes")  # so that the console shows the firmware, too
    if disk.format in UNKNOWN_TO_LIBVIRT:
        _hand_to_qemu(domain, disk)
    else:
        own = ElementTree.fromstring(attaching.description(disk, "vdb"))
        driver = own.find("driver")
        assert driver is not None
        driver.set("type", IN_LIBVIRT.get(disk.format, driver_of(disk.format)))
        SubElement(own, "boot", order="1")
        devices.append(own)
    return ElementTree.tostring(domain, encoding="unicode")


def _hand_to_qemu(domain: Element, disk: LiveDisk) -> None:
    """Give QEMU a disk past libvirt, by words of its command line that libvirt passes on unread."""
    ElementTree.register_namespace("qemu", QEMU)
    own = {"driver": driver_of(disk.format), "node-name": "own", "file": {"driver": "file", "filename": str(disk.path)}}
    device = (
        f"virtio-blk-pci,drive=own,serial={disk.name},bootindex=0,bus=pcie.0,addr=0x10"  # libvirt gives 1 to another
    )
    line = SubElement(domain, f"{{{QEMU}}}commandline")
    for word in ("-blockdev", json.dumps(own), "-device", device):
        SubElement(line, f"{{{QEMU}}}arg", value=word)


def _template(host: LiveHost) -> Path:
    """The disk as a raw file, made once for each guest image."""
    home = cache_root() / "boot"
    file = home / f"{host.image.digest}.raw"
    if file.exists():
        return file
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise HostError("A disk to boot from is made of Debian's packages, and there is no apt here.", "Use a Debian.")
    capacity.require_disk(400, str(cache_root()))
    home.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".making-") as place:
        work = Path(place)
        packages = Packages(work, lambda text: host.progress(text, 0.2))
        packages.fetch(["mtools", "syslinux", "syslinux-common"])
        made = _fill(work, packages, host.image, _kernel(packages, host.image))
        for old in home.glob("*.raw"):
            old.unlink()
        made.replace(file)
    return file


def _kernel(packages: Packages, image: Image) -> Path:
    """The kernel of the image, packed: its modules fit no other."""
    release = json.loads(image.manifest.read_text())["kernel"]
    return packages.program(f"linux-image-{release}", f"boot/vmlinuz-{release}")


def _fill(work: Path, packages: Packages, image: Image, kernel: Path) -> Path:
    """Make the file: boot record, partition, file system, boot loader."""
    file, sectors = work / "system.raw", SIZE // SECTOR - FIRST
    code = packages.program("syslinux-common", "usr/lib/syslinux/mbr/mbr.bin").read_bytes()
    with file.open("wb") as disk:
        disk.write(boot_record(code, sectors))
        disk.truncate(SIZE)
    mtools = packages.program("mtools", "usr/bin/mtools").parent
    syslinux = packages.program("syslinux", "usr/bin/syslinux")
    configuration = work / "syslinux.cfg"
    configuration.write_text(CONFIGURATION.format(cmdline=image.cmdline))
    partition = f"{file}@@{FIRST * SECTOR}"
    # No clock and no chance in it: the volume's number is given, and every file has the same date.
    shape = ["-T", str(sectors), "-h", "16", "-s", "63", "-H", str(FIRST), "-N", "4c41424b", "-v", "LABKIT"]
    _run(mtools, [str(mtools / "mformat"), "-i", partition, *shape, "::"])
    for source, target in ((configuration, "syslinux.cfg"), (kernel, "vmlinuz"), (image.initrd, "initrd")):
        _run(mtools, [str(mtools / "mcopy"), "-i", partition, str(source), f"::{target}"])
    _run(mtools, [str(syslinux), "--install", "--offset", str(FIRST * SECTOR), str(file)])
    return file


def boot_record(code: bytes, sectors: int) -> bytes:
    """The first sector of a disk with one active partition.

    Parameters
    ----------
    code : bytes
        The program that finds the active partition and goes on there, 440 bytes at the most.
    sectors : int
        How many sectors of 512 bytes the partition has.

    Returns
    -------
    bytes
        512 of them: the program, the table of four entries, and the mark 55 AA, as every PC's firmware looks for it.
    """
    nowhere = b"\xfe\xff\xff"  # in cylinders, heads and sectors, which nobody uses any more
    entry = struct.pack("<B3sB3sII", 0x80, nowhere, FAT16_LBA, nowhere, FIRST, sectors)
    return code[:CODE].ljust(446, b"\0") + entry + bytes(48) + b"\x55\xaa"


def _run(programs: Path, command: list[str]) -> None:
    """Run one of the programs; SYSLINUX finds mtools on the search path."""
    environment = {**os.environ, "PATH": f"{programs}:{os.environ.get('PATH', '')}", "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise HostError(f"{Path(command[0]).name} could not make the disk: {said}", REMEDY)
