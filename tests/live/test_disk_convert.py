"""Conversions by the model against qemu-img: length, data, place of every part, and what a guest reads."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.experiments import disk_convert
from labkit.experiments.settings import from_text
from labkit.host import Disk, Extent, HostError, Provenance
from labkit.host.chains import OVER
from labkit.host.disks import FORMATS
from labkit.live import budget, disks
from labkit.live.journal import Journal
from labkit.model.disks import SimulatedDisk, SimulatedOverlay

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
def clusters(draw, format):
    if format not in ("qcow2", "parallels"):
        return None
    return draw(st.sampled_from([None, *(1 << bits for bits in range(9, 22))]))


@st.composite
def writes(draw, size):
    """Writes here and there, and perhaps a row of sectors with narrow gaps, which decide what is copied as zeros."""
    step = draw(st.sampled_from([1, 512, 4096, 65536]))
    offsets = st.integers(0, (size - 1) // step).map(lambda at: at * step)
    lengths = st.one_of(st.integers(1, 5000), st.just(512), st.integers(1, 400 * KIBI), st.integers(1, 3 * MEBI))
    found = draw(st.lists(st.tuples(offsets, lengths), max_size=12))
    start, pitch, count = draw(
        st.tuples(st.integers(0, size), st.sampled_from([1024, 1536, 3072, 4096, 8192]), st.integers(0, 100))
    )
    found += [(start + number * pitch, 512) for number in range(count)]
    return [(at, min(length, size - at)) for at, length in found if at < size]


@st.composite
def scenes(draw):
    """A disk, perhaps another over it, what is written to both, and what it becomes."""
    format = draw(st.sampled_from(FORMATS))
    cluster = draw(clusters(format))
    size = draw(st.one_of(st.integers(512, 8 * MEBI), st.integers(512, 200 * MEBI), st.just(GIBI)))
    if cluster is not None and cluster < 4 * KIBI:
        size = min(size, 256 * MEBI)
    over = draw(st.sampled_from([None, None, *(upper for upper, lower in OVER.items() if format in lower)]))
    upper = (over, draw(clusters(over)), draw(writes(size))) if over else None
    return (format, cluster, draw(writes(size))), upper, size, draw(st.sampled_from(FORMATS))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scenes())
def test_a_conversion_is_right_to_the_byte(shelf, scene):
    (format, cluster, below), upper, size, becomes = scene
    if upper and upper[1] is not None and upper[1] < 4 * KIBI and size > 256 * MEBI:
        upper = (upper[0], None, upper[2])
    model = SimulatedDisk("data", f"{size} B", format, cluster=cluster)
    real = shelf.make("data", f"{size} B", format, cluster)
    made = [real]
    try:
        write(below, model, real)
        if upper:
            model = SimulatedOverlay("upper", model, upper[0], cluster=upper[1])
            real = shelf.make("upper", None, upper[0], upper[1], real)
            made.append(real)
            write(upper[2], model, real)
        copied, copy = model.convert("copy", becomes), real.convert("copy", becomes)
        made.append(copy)
        assert isinstance(copy, Disk) and copy.size == copied.size
        assert (copy.file_bytes, copy.guest_bytes) == (copied.file_bytes, copied.guest_bytes)
        assert joined(copy.map()) == joined(copied.map())
        assert copy.same_as(real) and copied.same_as(model)
        assert not copy.needs_backing and real.needs_backing == model.needs_backing == bool(upper)
    finally:
        for disk in reversed(made):
            disk.remove()


def write(places, *both):
    for disk in both:
        for offset, length in places:
            disk.write(offset, length)


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


@pytest.mark.parametrize("becomes", FORMATS)
def test_disk_convert_is_the_same_on_both_hosts(host, becomes):
    chosen = from_text(
        disk_convert.Settings,
        {
            "target": becomes,
            "size": "100 MiB",
            "backing": "yes",
            "writes": "random:seed=7,count=30,length=4096,align=512",
        },
    )
    seen = disk_convert.run(host, chosen)
    assert {(row["machine"], row["quantity"]): row["value"] for row in seen.rows} == disk_convert.theory(chosen)
    assert any(line.startswith("qemu-img convert") for line in host.journal())
    assert any(line.startswith("qemu-img compare") for line in host.journal())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    clusters("qcow2"),
    st.integers(512, 100 * MEBI).flatmap(lambda size: st.tuples(st.just(size), writes(size))),
    st.integers(1, 5),
)
def test_snapshots_inside_a_file_are_right_to_the_byte(shelf, cluster, scene, count):
    size, places = scene
    model, real = SimulatedDisk("data", f"{size} B", cluster=cluster), shelf.make("data", f"{size} B", "qcow2", cluster)
    try:
        write(places, model, real)
        for number in range(count):
            for disk in (model, real):
                disk.keep(f"s{number + 1}")
            assert (real.file_bytes, real.guest_bytes) == (model.file_bytes, model.guest_bytes)
        assert real.snapshots == model.snapshots and len(real.snapshots) == count
        with pytest.raises(HostError, match="snapshot s1 already"):
            real.keep("s1")
    finally:
        real.remove()


def test_a_byte_that_differs_would_be_noticed(shelf):
    real = shelf.make("data", "1 MiB", "vmdk")
    real.write(0, 4096)
    copy = real.convert("copy", "vdi")
    assert copy.same_as(real)
    copy.write(5000, 1)
    assert not copy.same_as(real) and not real.same_as(copy)


def test_what_cannot_be_converted_is_one_sentence(shelf, monkeypatch):
    disk = shelf.make("data", "64 MiB", "raw")
    disk.write(0, 32 * MEBI)
    for name, format, why in (("data", "vdi", "data already"), ("more", "floppy", "no disk format")):
        with pytest.raises(HostError, match=why) as refused:
            disk.convert(name, format)
        assert refused.value.remedy
    disk.map()
    monkeypatch.setattr(budget, "MOST_HELD", 8 * MEBI)
    with pytest.raises(HostError, match="may take 32 MiB"):
        disk.convert("more", "vdi")
    assert not list(shelf.directory.glob("more*")), "a refused copy was left"
