"""Conversions in the model, against lengths that were read off real files and against what must hold of any."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.host import HostError
from labkit.host.disks import FORMATS
from labkit.model.disks import SimulatedDisk

MEBI, GIBI = 1 << 20, 1 << 30

# Read off files that qemu-img 7.2.22 made of a qcow2 disk of 1 GiB with 4096 bytes at 0 and 65536 at 1 MiB.
MEASURED = {
    "raw": 1073741824,
    "qcow2": 458752,
    "vmdk": 327680,
    "vhd": 2102272,
    "vhdx": 16777216,
    "vdi": 2101760,
    "parallels": 3145728,
}


@pytest.mark.parametrize("format", FORMATS)
def test_what_a_disk_becomes(format):
    disk = SimulatedDisk("data", "1 GiB")
    disk.write(0, 4096)
    disk.write(MEBI, 65536)
    assert disk.convert("copy", format).file_bytes == MEASURED[format]


def test_a_file_grown_in_disorder_is_put_in_order():
    """Clusters lie in the file as they were first written; a copy has them as the disk has them."""
    disk = SimulatedDisk("data", "1 GiB", "vmdk")
    for number in reversed(range(10)):
        disk.write(number * MEBI, 1)
    offsets = [extent.offset for extent in disk.map() if extent.data]
    assert offsets == sorted(offsets, reverse=True)
    copy = disk.convert("copy", "vmdk")
    offsets = [extent.offset for extent in copy.map() if extent.data]
    assert offsets == sorted(offsets) and copy.file_bytes == disk.file_bytes


def test_zeros_that_were_only_room_are_left_behind():
    """A byte in a block of 2 MiB takes the whole block in VHD, and 64 KiB in qcow2."""
    disk = SimulatedDisk("data", "1 GiB", "vhd")
    disk.write(5 * MEBI, 1)
    assert (disk.guest_bytes, disk.convert("copy", "qcow2").guest_bytes) == (2 * MEBI, 65536)


@st.composite
def scenes(draw):
    size = draw(st.integers(512, 32 * MEBI))
    places = draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(1, 2 * MEBI)), max_size=10))
    return (
        size,
        [(at, min(length, size - at)) for at, length in places],
        *draw(st.tuples(*[st.sampled_from(FORMATS)] * 2)),
    )


@settings(deadline=None)
@given(scenes())
def test_what_must_hold_of_any_conversion(scene):
    size, places, before, after = scene
    disk = SimulatedDisk("data", f"{size} B", before)
    for offset, length in places:
        disk.write(offset, length)
    copy = disk.convert("copy", after)
    assert copy.size >= disk.size and copy.same_as(disk) and not copy.needs_backing
    data = [(extent.start, extent.start + extent.length) for extent in copy.map() if extent.data]
    for offset, length in places:
        covered = sum(max(0, min(end, offset + length) - max(start, offset)) for start, end in data)
        assert covered == length, "what was written is not in the copy"
    again = copy.convert("again", after)
    assert (again.file_bytes, again.guest_bytes) == (copy.file_bytes, copy.guest_bytes), "a copy of a copy differs"


def test_a_copy_is_a_disk_of_the_host_and_an_overlay_needs_nothing_afterwards():
    with labkit.simulated() as host:
        base = host.disk("base", "1 GiB")
        base.write(0, 1)
        upper = host.disk("upper", backing=base)
        upper.write(MEBI, 1)
        copy = upper.convert("copy", "qcow2")
        assert upper.needs_backing and not copy.needs_backing
        assert copy.same_as(upper) and not copy.same_as(base)
        with pytest.raises(HostError, match="copy already"):
            base.convert("copy", "raw")
        base_copy = base.convert("base-copy", "raw")
        base.remove() if not base.overlays else upper.remove()
        assert base_copy.file_bytes == GIBI
