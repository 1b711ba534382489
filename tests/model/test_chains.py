"""Chains of disks in the model: what must hold of any, and what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.host import HostError
from labkit.host.chains import OVER, Overlay
from labkit.host.disks import FORMATS
from labkit.model.disks import SimulatedDisk, SimulatedOverlay

KIBI, MEBI = 1 << 10, 1 << 20


@pytest.fixture(params=["slices", "fluid"])
def host(request):
    with labkit.simulated(mode=request.param) as opened:
        yield opened


@st.composite
def chains(draw):
    """Layers from the base up, each with writes."""
    size = draw(st.integers(4 * KIBI, 8 * MEBI))
    offsets = st.integers(0, size - 1)
    layers = []
    for number in range(draw(st.integers(1, 5))):
        if number:
            cluster = draw(st.sampled_from([None, 4 * KIBI, 2 * MEBI]))
            layers.append(SimulatedOverlay(f"l{number}", layers[-1], cluster=cluster))
        else:
            layers.append(SimulatedDisk("l0", f"{size} B"))
        for at, length in draw(st.lists(st.tuples(offsets, st.integers(1, 200 * KIBI)), max_size=5)):
            layers[-1].write(at, min(length, layers[-1].size - at))
    return layers


def owner(layers, at):
    """Which layer is asked last for a byte, counted down from the top; by asking one after the other."""
    for depth, disk in enumerate(reversed(layers)):
        if at // disk._file.unit in disk._file.places:
            return depth, True
    return len(layers) - 1, False


@settings(deadline=None, max_examples=80)
@given(chains(), st.lists(st.floats(0, 0.999), min_size=5, max_size=5))
def test_the_map_covers_the_disk_and_names_the_layer(layers, places):
    top = layers[-1]
    extents = top.map()
    at = 0
    for extent in extents:
        assert extent.start == at and extent.length > 0 and (extent.offset is not None) == extent.data
        at += extent.length
    assert at == top.size
    for place in places:
        byte = int(place * top.size)
        found = next(one for one in extents if one.start <= byte < one.start + one.length)
        assert (found.depth, found.data) == owner(layers, byte)
    assert 1 <= top.read().lookups <= len(layers)


def sectors(extents):
    """The sectors of all data."""
    return {at for one in extents if one.data for at in range(one.start // 512, -(-(one.start + one.length) // 512))}


@settings(deadline=None, max_examples=40)
@given(chains())
def test_commit_and_flatten_lose_nothing(layers):
    top = layers[-1]
    if top.backing is None:
        return
    written: set[int] = set()
    for start, length in (write for disk in layers for write in disk.writes):
        written.update(range(start // 512, -(-(start + length) // 512)))
    before = sectors(top.map())
    assert written <= before
    top.commit()
    assert top.guest_bytes == 0 and before <= sectors(top.map())
    assert sectors(top.map()) == sectors(layers[-2].map())
    top.flatten()
    assert top.backing is None and top.read().lookups == 1
    assert written <= sectors(top.map())


def test_both_hosts_of_the_model_have_them(host):
    base = host.disk("base", "1 MiB")
    top = host.disk("top", backing=base)
    assert isinstance(top, Overlay) and top.size == base.size and top.backing is base
    assert any("backing=base" in line for line in host.journal())
    with pytest.raises(ValueError, match="leave size out"):
        host.disk("other", "1 MiB", backing=base)
    with pytest.raises(ValueError, match="needs a size"):
        host.disk("other")
    with labkit.simulated() as another, pytest.raises(HostError, match="not one of this host"):
        another.disk("top", backing=base)


def test_nobody_writes_to_what_another_lies_on():
    base = SimulatedDisk("base", "1 MiB")
    left, right = SimulatedOverlay("left", base), SimulatedOverlay("right", base)
    with pytest.raises(HostError, match="left lies over base"):
        base.write(0, 1)
    left.write(0, 1)
    with pytest.raises(HostError, match="Another disk lies over base"):
        left.commit()
    right.flatten()
    left.commit()
    with pytest.raises(HostError, match="nothing to commit"):
        right.commit()
    left.remove()
    base.write(0, 1)


@pytest.mark.parametrize("below", FORMATS)
@pytest.mark.parametrize("format", FORMATS)
def test_which_format_lies_over_which(format, below):
    base = SimulatedDisk("base", "4 MiB", below)
    if below in OVER.get(format, ()):
        assert SimulatedOverlay("top", base, format).size == base.size
    else:
        with pytest.raises(HostError, match=f"{format} file cannot lie over a {below}"):
            SimulatedOverlay("top", base, format)


def test_without_its_base_a_layer_says_what_is_missing():
    base = SimulatedDisk("base", "1 MiB")
    middle = SimulatedOverlay("middle", base)
    top = SimulatedOverlay("top", middle)
    base.remove()
    for look in (top.map, top.read, top.intact, top.commit, top.flatten, lambda: top.write(0, 1)):
        with pytest.raises(HostError, match="top cannot be opened: it needs base"):
            look()
    with pytest.raises(HostError, match="it needs base"):
        SimulatedOverlay("next", top)
