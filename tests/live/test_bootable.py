"""A disk that boots by itself, after a conversion too, and the appliance made of it."""

import hashlib
import struct
import subprocess
import tarfile
from xml.etree import ElementTree

import pytest

from labkit.host import HostError
from labkit.live import appliance, bootable

pytestmark = [pytest.mark.live, pytest.mark.timeless]


@pytest.fixture
def system(host):
    """A disk with a boot loader and a Linux on it."""
    try:
        return host.system_disk("system")
    except HostError as error:
        if "downloaded" in error.message or "no apt" in error.message:
            pytest.skip(error.message)
        raise


def test_the_boot_record_is_what_firmware_looks_for():
    """The layout of a PC's first sector: program, four entries of 16 bytes from byte 446, 55 AA."""
    record = bootable.boot_record(b"\xeb\xfe" * 300, 4096)
    assert len(record) == 512 and record[510:] == b"\x55\xaa" and record[440:446] == bytes(6)
    active, kind, first, sectors = struct.unpack("<B3xB3xII", record[446:462])
    assert (active, kind, first, sectors) == (0x80, 0x0E, 2048, 4096)
    assert record[462:510] == bytes(48)


def test_the_first_lines_are_without_what_only_sounds_bad():
    class Machine:
        def console(self):
            complaint = "[    0.07] ..MP-BIOS bug: 8254 timer not connected to IO-APIC"
            return f"\x1bcSeaBIOS (version 1)\n\n{complaint}\nlabkit: init 1\n"

    assert bootable.first_lines(Machine()) == ["SeaBIOS (version 1)", "labkit: init 1"]


@pytest.mark.parametrize("format", ["vmdk", "vhdx"])  # through libvirt, and past it; the others as vmdk
def test_a_converted_disk_boots_through_firmware_and_boot_loader(host, system, format):
    moved = system.convert("moved", format)
    assert moved.same_as(system)
    with host.boot_from("web", moved) as machine:
        console = machine.console()
        found = [console.find(words) for words in ("SeaBIOS", "SYSLINUX", "labkit: ready")]
        assert -1 not in found and found == sorted(found), "firmware, boot loader and guest, in this order"
        assert "<kernel>" not in machine.xml() and "<initrd>" not in machine.xml()
        lines = host.first_lines(machine, 20)
        assert lines[0].startswith("SeaBIOS") and not any("\x1b" in line for line in lines)
        told = machine.agent.run(["/bin/cat", "/proc/cmdline"]).output
        assert "BOOT_IMAGE=vmlinuz" in told, "it was not the boot loader that started the kernel"
        with pytest.raises(HostError, match="web has the disk"):
            moved.convert("more", "raw")
        with pytest.raises(HostError, match="web has the disk"):
            host.boot_from("other", moved)
    assert moved.machine is None and "web" not in host.machines


def test_an_appliance_is_written_once_and_holds_the_same_disk(host, system, tmp_path):
    path = system.export(tmp_path / "web.ova", vcpus=2, memory="300 MiB")
    with tarfile.open(path) as archive:
        assert archive.getnames() == ["web.ovf", "web.mf", "web-disk1.vmdk"]
        parts = {name: archive.extractfile(name).read() for name in archive.getnames()}
    for name in ("web.ovf", "web-disk1.vmdk"):
        assert f"SHA1({name})= {hashlib.sha1(parts[name]).hexdigest()}\n" in parts["web.mf"].decode()
    disk = tmp_path / "disk.vmdk"
    disk.write_bytes(parts["web-disk1.vmdk"])
    assert b'createType="streamOptimized"' in parts["web-disk1.vmdk"][:4096]
    subprocess.run(["qemu-img", "compare", "-F", "raw", str(disk), str(system.path)], check=True)
    tells_of_the_machine(parts["web.ovf"], disk.stat().st_size, system.size)
    before = path.read_bytes()
    with pytest.raises(HostError, match="nothing is overwritten"):
        system.export(path)
    assert path.read_bytes() == before
    for wrong, why in ((tmp_path / "no" / "web.ova", "no directory"), (tmp_path / "web.zip", "end in .ova")):
        with pytest.raises(HostError, match=why):
            system.export(wrong)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["disk.vmdk", "web.ova"]
    assert not list(system.path.parent.glob("*.stream*"))


def test_an_appliance_that_is_interrupted_is_not_there(system, tmp_path, monkeypatch):
    """Neither half a file nor somebody else's file replaced, whenever it ends."""
    with monkeypatch.context() as patched:
        patched.setattr(appliance, "_member", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            system.export(tmp_path / "web.ova")
    assert not list(tmp_path.iterdir())
    with monkeypatch.context() as patched:
        patched.setattr(appliance, "_pack", lambda *_: (tmp_path / "web.ova").write_text("somebody's"))
        with pytest.raises(HostError, match="nothing is overwritten"):
            system.export(tmp_path / "web.ova")
    assert (tmp_path / "web.ova").read_text() == "somebody's"


OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
CIM = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_"
RASD, VSSD = f"{CIM}ResourceAllocationSettingData}}", f"{CIM}VirtualSystemSettingData}}"


def tells_of_the_machine(description, file_bytes, capacity):
    """The rules of DSP0243 1.1.1 for the parts that are used, read from it and not from the code."""
    envelope = ElementTree.fromstring(description)
    assert envelope.tag == f"{OVF}Envelope"
    assert [child.tag.removeprefix(OVF) for child in envelope] == [
        "References", "DiskSection", "NetworkSection", "VirtualSystem",
    ]  # fmt: skip
    references, disks, networks, system = envelope
    (file,) = references
    assert (file.get(f"{OVF}href"), file.get(f"{OVF}size")) == ("web-disk1.vmdk", str(file_bytes))
    disk = disks.find(f"{OVF}Disk")
    assert disk.get(f"{OVF}fileRef") == file.get(f"{OVF}id") and disk.get(f"{OVF}capacity") == str(capacity)
    for section in (disks, networks, system, *system.findall(f"{OVF}VirtualHardwareSection")):
        assert section[0].tag == f"{OVF}Info", "every section begins with what it is"
    assert [child.tag.removeprefix(OVF) for child in system] == [
        "Info", "Name", "OperatingSystemSection", "VirtualHardwareSection",
    ]  # fmt: skip
    hardware = system.find(f"{OVF}VirtualHardwareSection")
    assert [child.tag for child in hardware] == [f"{OVF}Info", f"{OVF}System", *[f"{OVF}Item"] * 5]
    devices = {}
    for item in hardware.findall(f"{OVF}Item"):
        names = [child.tag.removeprefix(RASD) for child in item]
        assert names == sorted(names) and {"ElementName", "InstanceID", "ResourceType"} <= set(names)
        devices[item.findtext(f"{RASD}ResourceType")] = item
    assert [child.tag.removeprefix(VSSD) for child in hardware.find(f"{OVF}System")][:2] == [
        "ElementName",
        "InstanceID",
    ]
    assert devices["3"].findtext(f"{RASD}VirtualQuantity") == "2"
    assert devices["4"].findtext(f"{RASD}VirtualQuantity") == "300"
    assert devices["4"].findtext(f"{RASD}AllocationUnits") == "byte * 2^20"
    assert devices["17"].findtext(f"{RASD}HostResource") == f"ovf:/disk/{disk.get(f'{OVF}diskId')}"
    assert devices["17"].findtext(f"{RASD}Parent") == devices["5"].findtext(f"{RASD}InstanceID")
    assert devices["10"].findtext(f"{RASD}Connection") == networks.find(f"{OVF}Network").get(f"{OVF}name")
    assert len({item.findtext(f"{RASD}InstanceID") for item in devices.values()}) == len(devices)
