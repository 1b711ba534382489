"""The model's chains against files of qemu-img and qemu-io: length, and which layer has every part at which byte."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from labkit.experiments import snapshot_chain, snapshot_loss
from labkit.experiments.settings import from_text
from labkit.host import Disk, Extent, HostError, Provenance
from labkit.host.chains import Overlay
from labkit.live import disks
from labkit.live.journal import Journal
from labkit.model.disks import SimulatedDisk, SimulatedOverlay

pytestmark = [pytest.mark.live, pytest.mark.timeless]

KIBI, MEBI = 1 << 10, 1 << 20
CLUSTERS = [None, *(1 << bits for bits in range(9, 22))]


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


def joined(extents):
    """Neighbours that belong together as one: where QEMU cuts its map is no matter."""
    found: list[Extent] = []
    for extent in extents:
        last = found[-1] if found else None
        follows = None if last is None or last.offset is None else last.offset + last.length
        if last and (last.data, last.depth, follows) == (extent.data, extent.depth, extent.offset):
            found[-1] = Extent(last.start, last.length + extent.length, last.data, last.offset, last.depth)
        else:
            found.append(extent)
    return found


def without_places(extents):
    return joined(Extent(extent.start, extent.length, extent.data, None, extent.depth) for extent in extents)


@st.composite
def scenes(draw):
    """A chain from its base up: the format, the cluster and the writes of each layer."""
    base = draw(st.sampled_from(["qcow2", "qcow2", "qcow2", "raw", "vmdk", "vhd", "vhdx", "vdi", "parallels"]))
    over = draw(st.sampled_from(["qcow2", "vmdk"])) if base == "vmdk" else "qcow2"
    size = draw(st.one_of(st.integers(512, 8 * MEBI), st.integers(512, 256 * MEBI)))
    step = draw(st.sampled_from([1, 512, 65536]))
    offsets = st.integers(0, (size - 1) // step).map(lambda at: at * step)
    lengths = st.one_of(st.integers(1, 5000), st.just(512), st.integers(1, 400 * KIBI))
    layers = []
    for number in range(draw(st.integers(2, 5))):
        format = over if number else base
        cluster = draw(st.sampled_from(CLUSTERS)) if format in ("qcow2", "parallels") else None
        drawn = draw(st.lists(st.tuples(offsets, lengths), max_size=12))
        layers.append((format, cluster, [(at, min(length, size - at)) for at, length in drawn]))
    return size, layers


def made(shelf, scene):
    """The same chain in the model and in files."""
    size, layers = scene
    model, real = [], []
    for number, (format, cluster, writes) in enumerate(layers):
        if number == 0:
            model.append(SimulatedDisk("l0", f"{size} B", format, cluster=cluster))
            real.append(shelf.make("l0", f"{size} B", format, cluster))
        else:
            model.append(SimulatedOverlay(f"l{number}", model[-1], format, cluster=cluster))
            real.append(shelf.make(f"l{number}", None, format, cluster, real[-1]))
        for offset, length in writes:
            model[-1].write(offset, length)
            real[-1].write(offset, length)
    return model, real


def same(model, real, places=True):
    """Whether lengths, data and maps agree, layer by layer."""
    assert [disk.file_bytes for disk in real] == [disk.file_bytes for disk in model]
    assert [disk.guest_bytes for disk in real] == [disk.guest_bytes for disk in model]
    one = joined if places else without_places
    for its, ours in zip(real, model, strict=True):
        assert one(its.map()) == one(ours.map())


each = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@each
@given(scenes())
def test_a_chain_is_right_to_the_byte(shelf, scene):
    model, real = made(shelf, scene)
    try:
        assert isinstance(real[-1], Overlay) and isinstance(model[-1], Overlay) and isinstance(real[0], Disk)
        same(model, real)
        assert real[-1].intact()
    finally:
        for disk in reversed(real):
            disk.remove()


@each
@example((4 * MEBI, [("qcow2", 512, [(0, 3 * MEBI)]), ("qcow2", 2 * MEBI, [(0, 1)])]), [])
@given(scenes(), st.lists(st.tuples(st.integers(0, MEBI), st.integers(1, 90000)), max_size=4))
def test_flattened_to_the_byte(shelf, scene, more):
    model, real = made(shelf, scene)
    try:
        if real[-1].format != "qcow2":
            with pytest.raises(HostError, match="qcow2"):
                real[-1].flatten()
            return
        for disk in (model[-1], real[-1]):
            disk.flatten()
            assert disk.backing is None
            for offset, length in more:
                if offset + length <= disk.size:
                    disk.write(offset, length)
        same(model, real)
        for disk in reversed(real[:-1]):
            disk.remove()
        assert real[-1].intact()
    finally:
        for disk in reversed(real):
            disk.remove()


@each
@given(scenes())
def test_committed_to_the_length(shelf, scene):
    model, real = made(shelf, scene)
    try:
        if real[-1].format != "qcow2" or real[0].format == "parallels":
            for disk in (model[-1], real[-1]):
                with pytest.raises(HostError, match="QEMU cannot"):
                    disk.commit()
            return
        for disk in (model[-1], real[-1]):
            disk.commit()
        # Several pieces are on their way at once: which comes first in the file is chance.
        same(model, real, places=False)
        assert real[-1].intact() and real[-2].intact()
    finally:
        for disk in reversed(real):
            disk.remove()


@pytest.mark.parametrize("operation", snapshot_chain.OPERATIONS)
def test_snapshot_chain_is_the_same_on_both_hosts(host, operation):
    chosen = from_text(snapshot_chain.Settings, {"depth": "3", "size": "16 MiB", "operation": operation})
    said = snapshot_chain.theory(chosen)
    seen = snapshot_chain.run(host, chosen)
    assert {(row["machine"], row["quantity"]) for row in seen.rows} == set(said)
    for row in seen.rows:
        expected = said[row["machine"], row["quantity"]]
        assert row["value"] > 0 if expected is None else row["value"] == pytest.approx(expected, rel=1e-12), row
    assert not list(Path(host.root).glob("disks-*/*")), "a layer was left"
    assert any(line.startswith("qemu-img bench") for line in host.journal())


@pytest.mark.parametrize("lost", [1, 3])
def test_who_loses_a_layer_loses_all_above_it_but_not_the_copy(host, lost):
    chosen = from_text(snapshot_loss.Settings, {"lost": str(lost)})
    seen = snapshot_loss.run(host, chosen)
    found = {(row["machine"], row["quantity"]): row["value"] for row in seen.rows}
    assert found == snapshot_loss.theory(chosen)
    assert [event.machine for event in seen.events] == [f"m{number}" for number in range(lost, 5)]
    for event in seen.events[1:]:  # QEMU's own words, and nobody's directory
        assert f"Could not open 'm{lost}.qcow2'" in event.detail and str(host.root) not in event.detail
    assert f"rm m{lost}.qcow2" in host.journal()


def test_one_byte_that_has_changed_below_is_noticed(shelf):
    base = shelf.make("base", "1 MiB", "raw")
    base.write(0, 4096)
    top = shelf.make("top", None, "qcow2", None, base)
    top.write(65536, 10)
    assert top.intact()
    with base.path.open("r+b") as file:
        file.seek(100)
        file.write(b"?")
    assert not top.intact()
    top.remove()


def test_what_qemu_refuses_is_refused_in_one_sentence(shelf):
    below = {name: shelf.make(name, "1 MiB", format) for name, format in (("a", "qcow2"), ("b", "vhd"))}
    for disk, format in ((below["a"], "vmdk"), (below["b"], "vhd"), (below["a"], "raw")):
        with pytest.raises(HostError, match="cannot lie over") as refused:
            shelf.make("top", None, format, None, disk)
        assert refused.value.remedy == "Take format=qcow2."
    shelf.make("left", None, "qcow2", None, below["a"])
    right = shelf.make("right", None, "qcow2", None, below["a"])
    with pytest.raises(HostError, match="left lies over a"):
        below["a"].write(0, 1)
    with pytest.raises(HostError, match="Another disk lies over a"):
        right.commit()
    with pytest.raises(ValueError, match="and not both"):
        shelf.make("next", "1 MiB", "qcow2", None, right)
