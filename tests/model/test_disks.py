"""What the model says of disk files, against numbers that were measured and against what must hold of any disk."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.host import Disk, HostError
from labkit.host.disks import FORMATS
from labkit.model.disks import SimulatedDisk, vhd

KIBI, MEBI, GIBI = 1 << 10, 1 << 20, 1 << 30

# Read off files that qemu-img and qemu-io 7.2.22 made: empty, and after one write of 4 KiB at the beginning.
MEASURED = {
    ("raw", None): (1073741824, 1073741824),
    ("qcow2", None): (196624, 393216),
    ("qcow2", 4 * KIBI): (16384, 24576),
    ("qcow2", 2 * MEBI): (6291464, 12582912),
    ("vmdk", None): (196608, 262144),
    ("vhd", None): (4608, 2102272),
    ("vhdx", None): (8388608, 16777216),
    ("vdi", None): (4608, 1053184),
    ("parallels", None): (1048576, 2097152),
}


def sizes(disk: SimulatedDisk) -> tuple[int, int]:
    return disk.file_bytes, disk.guest_bytes


@pytest.mark.parametrize(("format", "cluster"), MEASURED)
def test_one_write_to_a_disk_of_1_gib(format, cluster):
    disk = SimulatedDisk("data", "1 GiB", format, cluster=cluster)
    empty = disk.file_bytes
    disk.write(0, 4096)
    assert (empty, disk.file_bytes) == MEASURED[format, cluster]


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        (512, 34816),
        (64 * KIBI, 69632),
        (MEBI, 1079296),
        (64 * MEBI, 67125248),
        (GIBI, 1073995776),
        (130 * MEBI, 136339456),
        (496 * MEBI, 520224768),
        (100 * GIBI, 107374632960),
        (128 * GIBI, 137438953472),
        (2040 * GIBI, 2190433320960),
    ],
)
def test_a_vhd_is_as_large_as_its_geometry(asked, seen):
    """Virtual sizes that ``qemu-img info`` 7.2.22 gave for these."""
    assert SimulatedDisk("data", f"{asked} B", "vhd").size == seen


def test_a_fixed_vhd_is_the_whole_disk_and_a_footer():
    """The length of the file that ``qemu-img create -f vpc -o subformat=fixed`` 7.2.22 made."""
    assert vhd.fixed_bytes(GIBI) == 1073996288


@pytest.mark.parametrize(
    ("size", "empty", "one", "two"),
    [
        (GIBI, 8388608, 16777216, 25165824),
        (GIBI + MEBI, 8388608, 25165824, 41943040),
        (100 * GIBI, 8388608, 25165824, 41943040),
        (101 * GIBI, 8388608, 41943040, 75497472),
        (2048 * GIBI, 8388608, 41943040, 75497472),
        (4096 * GIBI, 9437184, 42991616, 76546048),
    ],
)
def test_the_blocks_of_a_vhdx_grow_with_the_disk(size, empty, one, two):
    """Lengths that files of qemu-img and qemu-io 7.2.22 had."""
    disk = SimulatedDisk("data", f"{size} B", "vhdx")
    lengths = [disk.file_bytes]
    for offset in (0, size - 1):
        disk.write(offset, 1)
        lengths.append(disk.file_bytes)
    assert lengths == [empty, one, two]
    assert disk.guest_bytes == size


def test_a_refcount_block_and_a_refcount_table_are_added_where_they_are_needed():
    """512-byte clusters: a block counts 128 KiB of the file, the first table 8 MiB; lengths from QEMU 7.2.22."""
    disk = SimulatedDisk("data", "1 MiB", cluster=512)
    lengths = []
    for number in range(1280):
        disk.write(number * 512, 512)
        if number + 1 in (64, 192, 320, 512, 1280):
            lengths.append(disk._file.file_bytes)  # without a look, which would close the file
    assert lengths == [35328, 101888, 168960, 269312, 670208]


@st.composite
def scenes(draw):
    """A disk and some writes to it."""
    format = draw(st.sampled_from(FORMATS))
    cluster = None
    if format in ("qcow2", "parallels"):
        cluster = draw(st.sampled_from([None, *(1 << bits for bits in range(9, 22))]))
    size = draw(st.integers(512, 64 * MEBI))
    offsets = st.integers(0, size - 1)
    lengths = st.one_of(st.integers(1, 5000), st.integers(1, 3 * MEBI))
    writes = [(at, min(length, size - at)) for at, length in draw(st.lists(st.tuples(offsets, lengths), max_size=12))]
    return format, cluster, size, writes


@settings(deadline=None)
@given(scenes())
def test_what_must_hold_of_any_disk(scene):
    format, cluster, size, writes = scene
    disk = SimulatedDisk("data", f"{size} B", format, cluster=cluster)
    assert isinstance(disk, Disk) and disk.size >= size and disk.size % 512 == 0
    before = sizes(disk)
    for offset, length in writes:
        disk.write(offset, length)
        assert all(new >= old for new, old in zip(sizes(disk), before, strict=True)), "a disk became smaller"
        before = sizes(disk)
    extents = disk.map()
    # The map tiles the disk, and all that was written lies in it as data.
    assert [extent.start for extent in extents] == [sum(e.length for e in extents[:i]) for i in range(len(extents))]
    assert sum(extent.length for extent in extents) == disk.size
    data = [(extent.start, extent.start + extent.length) for extent in extents if extent.data]
    for offset, length in writes:
        assert any(first <= offset and offset + length <= end for first, end in _joined(data))
    assert disk.guest_bytes == sum(end - first for first, end in data)
    # No two stretches share a byte of the file, and all of them lie in it.
    placed = sorted((e.offset, e.offset + e.length) for e in extents if e.offset is not None)
    assert all(end <= begin for (_, end), (begin, _) in zip(placed, placed[1:], strict=False))
    assert not placed or placed[-1][1] <= disk.file_bytes
    # What has its room needs none again.
    for offset, length in writes:
        disk.write(offset, length)
    assert sizes(disk) == before and disk.map() == extents


def _joined(ranges):
    joined = []
    for first, end in ranges:
        if joined and joined[-1][1] == first:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((first, end))
    return joined


@pytest.mark.parametrize("mode", ["slices", "fluid"])
def test_both_simulated_hosts_have_disks(mode):
    with labkit.simulated(mode=mode) as host:
        assert host.can("disks")
        disk = host.disk("data", "1 GiB", format="vmdk")
        disk.write(5, 1)
        seen = disk.observe()
        assert (seen.value("data", "file_bytes"), seen.value("data", "guest_bytes")) == (262144, 65536)
        assert seen.provenance.name == host.name
        with pytest.raises(HostError, match="data already"):
            host.disk("data", "1 GiB")
        disk.remove()
        disk.remove()
        host.disk("data", "2 GiB")
        assert any("vmdk" in line for line in host.journal())
    with pytest.raises(HostError, match="closed"):
        host.disk("more", "1 GiB")


@pytest.mark.parametrize(
    ("format", "size", "cluster"),
    [
        ("floppy", "1 MiB", None),
        ("qcow2", "1 MiB", 3000),
        ("qcow2", "1 MiB", 4 * MEBI),
        ("vmdk", "1 MiB", 65536),
        ("qcow2", "129 GiB", 512),
        ("vhd", "2041 GiB", None),
        ("parallels", "1024 GiB", None),
        ("raw", "5000 GiB", None),
    ],
)
def test_what_a_format_cannot_have(format, size, cluster):
    with pytest.raises(HostError) as refused:
        SimulatedDisk("data", size, format, cluster=cluster)
    assert refused.value.remedy


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 0), (0, MEBI + 1), (MEBI, 1), (5, -3)])
def test_a_write_beside_the_disk(offset, length):
    disk = SimulatedDisk("data", "1 MiB")
    with pytest.raises(HostError, match="do not lie on data"):
        disk.write(offset, length)
    disk.remove()
    with pytest.raises(HostError, match="removed"):
        disk.write(0, 1)
