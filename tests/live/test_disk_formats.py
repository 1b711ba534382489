"""The model's disks against files of qemu-img and qemu-io: length, data, and where in the file every part lies."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from labkit.experiments import disk_thin
from labkit.experiments.settings import from_text
from labkit.host import Disk, Extent, HostError, Provenance
from labkit.host.disks import FORMATS
from labkit.live import clean, disks
from labkit.live.journal import Journal
from labkit.model.disks import SimulatedDisk

pytestmark = [pytest.mark.live, pytest.mark.timeless]

KIBI, MEBI, GIBI = 1 << 10, 1 << 20, 1 << 30


@pytest.fixture
def shelf(tmp_path, live_required):
    """Real disks without any hypervisor."""
    found = disks.Shelf(tmp_path, "test", Journal(), lambda: Provenance("live", "a test"))
    if not found.ability:
        if live_required:
            pytest.fail(found.ability.reason)
        pytest.skip(found.ability.reason)
    yield found
    found.clear()
    assert not list(tmp_path.iterdir()), "a disk was left"


@st.composite
def scenes(draw):
    """A disk, writes to it, and after which of them somebody looks."""
    format = draw(st.sampled_from([*FORMATS, "qcow2", "qcow2"]))
    cluster = None
    if format in ("qcow2", "parallels"):
        cluster = draw(st.sampled_from([None, *(1 << bits for bits in range(9, 22))]))
    sizes = st.one_of(
        st.integers(512, 8 * MEBI), st.integers(512, 512 * MEBI), st.just(GIBI), st.integers(MEBI, 900 * GIBI)
    )
    size = draw(sizes)
    if cluster is not None and cluster < 4 * KIBI:
        size = min(size, 2 * GIBI)
    step = draw(st.sampled_from([1, 512, cluster or 65536]))
    offsets = st.integers(0, (size - 1) // step).map(lambda at: at * step)
    lengths = st.one_of(st.integers(1, 5000), st.just(512), st.integers(1, 400 * KIBI))
    writes = [(at, min(length, size - at)) for at, length in draw(st.lists(st.tuples(offsets, lengths), max_size=40))]
    return format, cluster, size, writes, draw(st.sets(st.integers(0, 40), max_size=2))


SINGLE_CLUSTERS = [(0, 7 * MEBI), *(((8 << 20) + at * 1024, 512) for at in range(2500))]
ACROSS_BLOCKS = [(at * 33000, 17000) for at in range(600)]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(("qcow2", 512, 16 * MEBI, [(0, 16 * MEBI)], set()))  # the refcount table must grow
@example(("qcow2", 512, 16 * MEBI, SINGLE_CLUSTERS, set()))  # and a single cluster takes the place of the old one
@example(("qcow2", 512, 16 * MEBI, SINGLE_CLUSTERS, {2000}))
@example(("qcow2", 512, 32 * MEBI, ACROSS_BLOCKS, {300}))
@example(("qcow2", 1024, 128 * MEBI, [(at * 90000, 80000) for at in range(1000)], set()))
@example(("qcow2", 512, 2 * GIBI, [(GIBI, 5000)], set()))  # an L1 table longer than a refcount block counts
@given(scenes())
def test_the_model_is_right_to_the_byte(shelf, scene):
    format, cluster, size, writes, looks = scene
    model = SimulatedDisk("data", f"{size} B", format, cluster=cluster)
    real = shelf.make("data", f"{size} B", format, cluster)
    try:
        assert isinstance(real, Disk) and real.size == model.size
        assert real.file_bytes == model.file_bytes
        for number, (offset, length) in enumerate(writes):
            model.write(offset, length)
            real.write(offset, length)
            if number in looks:
                assert real.file_bytes == model.file_bytes
        assert (real.file_bytes, real.guest_bytes) == (model.file_bytes, model.guest_bytes)
        assert joined(real.map()) == joined(model.map())
    finally:
        real.remove()


def joined(extents):
    """Neighbours that belong together as one: where QEMU cuts its map is no matter."""
    found: list[Extent] = []
    for extent in extents:
        last = found[-1] if found else None
        follows = None if last is None or last.offset is None else last.offset + last.length
        if last and last.data == extent.data and follows == extent.offset:
            found[-1] = Extent(last.start, last.length + extent.length, last.data, last.offset)
        else:
            found.append(extent)
    return found


@pytest.mark.parametrize("format", FORMATS)
def test_waiting_for_the_store_would_change_nothing(shelf, tmp_path, format):
    """labkit has qemu-io not wait for the store; with its defaults, and a process a write, the file is as long."""
    writes = [(at * 3_000_000 + 700, 5000 * at + 1) for at in range(20)]
    disk = shelf.make("data", "100 MiB", format)
    other, driver = tmp_path / "other", {"vhd": "vpc"}.get(format, format)
    subprocess.run(["qemu-img", "create", "-q", "-f", driver, str(other), "100M"], check=True)
    for offset, length in writes:
        disk.write(offset, length)
        command = ["qemu-io", "-f", driver, "-c", f"write -q -P 1 {offset} {length}", str(other)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    length = other.stat().st_size
    other.unlink()
    assert disk.file_bytes == length


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("words", ["0+4096,1048576+65536", "random:seed=7,count=60,length=4096,align=512"])
def test_disk_thin_is_the_same_on_both_hosts(host, format, words):
    chosen = from_text(disk_thin.Settings, {"format": format, "writes": words})
    seen = disk_thin.run(host, chosen)
    said = disk_thin.theory(chosen)
    assert {(row["machine"], row["quantity"]): row["value"] for row in seen.rows} == said
    assert seen.provenance.versions["qemu-img"] and seen.provenance.host == "live"
    assert any(line.startswith("qemu-img create") for line in host.journal())


def test_a_file_of_another_length_would_be_noticed(shelf):
    """The comparison can fail: one byte more in the file, and the two differ."""
    real, model = shelf.make("data", "1 MiB", "qcow2"), SimulatedDisk("data", "1 MiB")
    with real.path.open("ab") as file:
        file.write(b"\0")
    assert real.file_bytes == model.file_bytes + 1


def test_limits_are_refused_with_the_numbers(shelf, monkeypatch):
    disk = shelf.make("data", "2 GiB", "vdi")
    with pytest.raises(HostError, match=f"{256 * MEBI} bytes at the most"):
        disk.write(0, 256 * MEBI + 1)
    monkeypatch.setattr(disks, "MOST_WRITES", 1)
    disk.write(0, 1)
    with pytest.raises(HostError, match="1 writes"):
        disk.write(0, 1)
    disk.remove()
    monkeypatch.undo()
    disk = shelf.make("data", "20 GiB", "vdi")
    for block in range(4097):
        disk.write(block * MEBI, 1)
    with pytest.raises(HostError, match="may take 4097 MiB more.* disks have 0 MiB"):
        _ = disk.file_bytes
    monkeypatch.setattr(shutil, "disk_usage", lambda _where: shutil._ntuple_diskusage(GIBI, 0, GIBI))
    disk = shelf.make("data", "1 GiB", "qcow2")
    disk.write(0, 1)
    with pytest.raises(HostError, match="1024 MiB are free"):
        disk.observe()


def test_what_cannot_be_made_is_one_sentence(shelf):
    for arguments in (("data", "1 GiB", "floppy"), ("data", "1 GiB", "vmdk", 4096), ("data", "3000 GiB", "vhd")):
        with pytest.raises(HostError) as refused:
            shelf.make(*arguments)
        assert refused.value.remedy and "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="a name is"):
        shelf.make("../data", "1 GiB")
    shelf.make("data", "1 GiB")
    with pytest.raises(HostError, match="data already"):
        shelf.make("data", "1 GiB")
    shelf.clear()
    with pytest.raises(HostError, match="closed"):
        shelf.make("more", "1 GiB")


BUSY = """
import labkit
host = labkit.live()
disk = host.disk("data", "8 GiB", format="vdi")
for block in range(3000):
    disk.write(block * 2 << 20, 1)
print(host.root, flush=True)
print(disk.file_bytes, flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_while_it_writes_it_leaves_nothing(host, how):
    child = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    root = Path(child.stdout.readline().strip())
    until(lambda: any(file.stat().st_size > 10 * MEBI for file in root.glob("disks-*/data.vdi")), "it never wrote")
    assert not any(str(root) in line for line in clean(dry_run=True)), "a host in use would be swept away"
    child.send_signal(how)
    out, _err = child.communicate(timeout=30)
    assert out == "", "it had ended before it was interrupted"
    until(lambda: not root.exists(), "the disk was left")


def until(true, complaint, seconds=20):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, complaint
        time.sleep(0.05)
