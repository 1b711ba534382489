"""Where rules of the disk formats begin and end: at the last byte on one side, and the first on the other."""

import pytest

from labkit.experiments import disk_thin
from labkit.experiments.settings import SettingError, from_text
from labkit.host import HostError
from labkit.model.disks import SimulatedDisk, SimulatedOverlay
from labkit.model.disks.branched import Branched
from labkit.model.disks.qcow2 import Qcow2

KIBI, MEBI, GIBI = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize("cluster", [512, 1024])
def test_a_parallels_file_has_as_many_clusters_as_qemu_opens(cluster):
    """QEMU 7.2.22 opens a file of 536,870,768 clusters, and says "Input/output error" of one with one more."""
    most = 536_870_768 * cluster
    assert SimulatedDisk("data", f"{most} B", "parallels", cluster=cluster).size == most
    with pytest.raises(HostError, match=str(most)):
        SimulatedDisk("data", f"{most + 512} B", "parallels", cluster=cluster)
    over = {"format": "parallels", "cluster": f"{cluster} B", "size": f"{most // MEBI + 1} MiB", "writes": "0+512"}
    with pytest.raises(SettingError, match=str(most)):
        from_text(disk_thin.Settings, over)
    assert from_text(disk_thin.Settings, {**over, "size": f"{most // MEBI} MiB"}).asked <= most


def test_a_parallels_file_s_header_counts_before_its_table():
    """64 bytes and four a cluster: 112 clusters of 512 bytes fill the first one, and the 113th needs a second."""
    lengths = [
        SimulatedDisk("data", f"{count * 512} B", "parallels", cluster=512).file_bytes for count in (111, 112, 113)
    ]
    assert lengths == [512, 512, 1024]


# As ``qemu-img create -f vpc`` and ``qemu-img info`` of version 7.2.22 say: asked for, and seen.
GEOMETRIES = {
    35651584: 35686400,
    35652096: 35686400,
    142606336: 142721024,
    142606848: 142721024,
    260046848: 260112384,
    260047360: 260112384,
    33822350848: 33822351360,
    33822351360: 33822351360,
    33822351872: 33824440320,
    136899993088: 136899993088,
    136899993600: 136899993600,
    136899994112: 136899994112,
}


@pytest.mark.parametrize("asked", GEOMETRIES)
def test_a_vhd_at_the_edges_of_its_geometry(asked):
    assert SimulatedDisk("data", f"{asked} B", "vhd").size == GEOMETRIES[asked]


@pytest.mark.parametrize("end", [MEBI, MEBI - 512, MEBI - 60 * KIBI])
def test_the_short_last_cluster_of_a_disk_is_discarded_as_a_whole(end):
    """A disk that ends within a cluster: what reaches to its end covers that one, what stops before does not."""
    file = Qcow2(end)
    file.write(0, end)
    assert len(file.places) == 16
    last = 15 * 64 * KIBI
    if end > last + 4096:
        file.discard(last, end - last - 512)
        assert len(file.places) == 16
    file.discard(last, end - last)
    assert sorted(file.places) == list(range(15))
    kept = Branched(Qcow2(end))
    kept.write(0, end)
    leaf = kept.keep("s")
    kept.discard(last, end - last)
    assert sorted(kept.places) == list(range(15))
    assert leaf.places[15] // kept.unit in kept._used  # it is the snapshot's still


def test_a_program_that_opens_the_file_again_looks_for_free_clusters_from_the_front():
    """With clusters of 512 bytes: 8 MiB make the refcount table grow, and the old one's cluster becomes free.

    Whoever has the file open goes on behind all that is used only where nothing was given back in front.
    """
    file = Qcow2(MEBI, 4096)
    file.write(0, 16 * 4096)
    hole = file.places[3]
    file._used.discard(hole // 4096)  # as if another program had given it back
    del file.places[3]
    file.write(20 * 4096, 4096)
    assert file.places[20] != hole
    file.reopen()
    file.write(21 * 4096, 4096)
    assert file.places[21] == hole


# Written from the beginning on, and the length of the file then.
GROWN = {
    8000000: 8162816,
    8100000: 8265216,
    8200000: 8366592,
    8300000: 8521216,
    12000000: 12270080,
    MEBI * 16: 17143808,
}


def test_a_longer_refcount_table_when_the_first_is_full():
    """Clusters of 512 bytes: a block counts 256 of them, the table's cluster names 64 blocks, which is 8 MiB of file.

    The lengths are those of files that qemu-img and qemu-io 7.2.22 made.
    """
    for writes, length in GROWN.items():
        disk = SimulatedDisk("data", "16 MiB", cluster=512)
        disk.write(0, writes)
        assert disk.file_bytes == length


def test_a_flattened_disk_takes_whole_sectors_from_below():
    """One byte written below is one sector copied: beside a cluster's edge that is one cluster, and never two."""
    base = SimulatedDisk("base", "1 MiB")
    base.write(64 * KIBI - 1, 1)
    base.write(128 * KIBI + 511, 2)
    top = SimulatedOverlay("top", base, cluster=512)
    top.flatten()
    assert sorted(top._file.places) == [127, 256, 257]


def test_what_is_converted_is_read_in_pieces_of_two_mebibytes():
    """3 MiB + 1 sector in one stretch: the second piece ends where the stretch does."""
    from labkit.model.disks.converting import requests

    disk = SimulatedDisk("data", "16 MiB", "vhdx")
    disk.write(512, 3 * MEBI)
    assert list(requests(disk)) == [(0, 2 * MEBI), (2 * MEBI, 3 * MEBI + 4096)]
