"""disk-thin: what its settings take, and its theory against measured numbers, a slow count, and the simulated host."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.experiments import disk_thin, load
from labkit.experiments.disk_thin import Settings, theory
from labkit.experiments.settings import SettingError, describe, from_text, validate
from labkit.host.disks import FORMATS

KIBI, MEBI, GIBI = 1 << 10, 1 << 20, 1 << 30

# Read off files that qemu-img and qemu-io 7.2.22 made with the writes 0+4096,1048576+65536 on a disk of 1 GiB.
MEASURED = {
    "raw": (1073741824, 69632),
    "qcow2": (458752, 131072),
    "vmdk": (327680, 131072),
    "vhd": (2102272, 2097152),
    "vhdx": (16777216, 1073741824),
    "vdi": (2101760, 2097152),
    "parallels": (3145728, 2097152),
}


def said(**chosen):
    found = theory(from_text(Settings, {name: str(value) for name, value in chosen.items()}))
    return found.get(("disk", "file_bytes")), found["disk", "guest_bytes"]


@pytest.mark.parametrize("format", FORMATS)
def test_theory_is_what_was_measured(format):
    assert said(format=format, size="1GiB", writes="0+4096,1048576+65536") == MEASURED[format]


@pytest.mark.parametrize(("cluster", "length"), [("4 KiB", 24576), ("64KiB", 393216), ("2097152", 12582912)])
def test_qcow2_after_one_write_of_4_kib(cluster, length):
    assert said(size="1GiB", writes="0+4096", cluster=cluster)[0] == length


def slow(format, unit, size, writes):
    """The bytes that lie in a touched unit, counted one sector after the other."""
    if format == "vhdx":
        return size
    kept = {
        at // unit for offset, length in writes for at in (*range(offset, offset + length, 512), offset + length - 1)
    }
    kept |= {0} if format == "raw" else set()
    return sum(512 for at in range(0, size, 512) if at // unit in kept)


@st.composite
def chosen(draw):
    """Settings whose disk is of whole sectors and small enough to count."""
    format = draw(st.sampled_from(FORMATS))
    cluster = "usual"
    if format in ("qcow2", "parallels"):
        cluster = draw(st.sampled_from(["usual", *disk_thin.CLUSTERS.values()]))
    size = 512 * draw(st.integers(2048, 16384))
    offsets = st.integers(0, size - 1)
    drawn = draw(st.lists(st.tuples(offsets, st.integers(1, MEBI)), min_size=1, max_size=8))
    writes = tuple(f"{at}+{min(length, size - at)}" for at, length in drawn)
    return validate(Settings(format, size / MEBI, writes, cluster))


@settings(deadline=None)
@given(chosen())
def test_data_is_every_touched_unit_to_the_end_of_the_disk(one):
    unit = {"raw": 4096, "vhd": 2 * MEBI, "vdi": MEBI, "parallels": MEBI}.get(one.format, 65536)
    with labkit.simulated() as host:
        size = host.disk("data", f"{one.asked} B", format=one.format, cluster=one.cluster_bytes).size
    expected = slow(one.format, one.cluster_bytes or unit, size, one.places())
    assert theory(one)["disk", "guest_bytes"] == expected


@settings(deadline=None)
@given(chosen())
def test_theory_and_the_allocator_agree(one):
    with labkit.simulated() as host:
        seen = disk_thin.run(host, one)
    expected = theory(one)
    for row in seen.rows:
        value = expected.get((row["machine"], row["quantity"]))
        assert value == row["value"] or (value is None and one.format == "qcow2" and row["quantity"] == "file_bytes")
    assert {row["quantity"]: row["unit"] for row in seen.rows} == disk_thin.QUANTITIES


@given(st.one_of(st.integers(512, 600 * MEBI), st.integers(512, 140 * GIBI), st.integers(512, 2040 * GIBI)))
def test_a_vhd_is_as_large_as_the_search_of_the_specification_finds(size):
    from labkit.experiments.disk_sizes import seen_size

    with labkit.simulated() as host:
        assert seen_size("vhd", size) == host.disk("data", f"{size} B", format="vhd").size


@pytest.mark.parametrize("value", ["4096", "4 KiB", "4KiB", "0.00390625 MiB", 4096])
def test_a_cluster_may_be_given_in_bytes_or_with_its_unit(value):
    assert validate(Settings(cluster=value)).cluster == "4 KiB"
    assert validate(Settings(cluster=value)).cluster_bytes == 4096


def test_theory_has_no_length_where_the_refcount_table_must_grow():
    whole = f"0+{9 * MEBI}"
    assert said(size="16 MiB", writes=whole, cluster="512")[0] is None
    assert said(size="16 MiB", writes=whole, cluster="1024")[0] is not None


def test_a_pattern_is_a_list_that_somebody_else_could_draw():
    draw = random.Random(3)
    by_hand = [(draw.randrange((GIBI - 700) // 512 + 1) * 512, 700) for _ in range(50)]
    one = from_text(Settings, {"writes": "random:seed=3,count=50,length=700,align=512"})
    assert one.places() == by_hand
    listed = from_text(Settings, {"writes": ",".join(f"{at}+{length}" for at, length in by_hand)})
    assert theory(one) == theory(listed) and listed.places() == by_hand
    row = from_text(Settings, {"writes": "sequential:count=3,length=10,offset=5,gap=2"})
    assert row.places() == [(5, 10), (17, 10), (29, 10)]
    assert one.writes == ("random:seed=3,count=50,length=700,align=512",)
    assert validate(one) == one and validate(listed) == listed


@pytest.mark.parametrize("value", [[(0, 4096), (1048576, 65536)], ["0+4096", "1048576+65536"], "0+4096, 1048576+65536"])
def test_writes_from_python_may_be_pairs_or_words(value):
    assert validate(Settings(writes=value)) == Settings()


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("cluster", {"format": "vmdk", "cluster": "65536"}),
        ("cluster", {"format": "raw", "cluster": "usual", "cluster ": "1"}),
        ("cluster", {"cluster": "3000"}),
        ("cluster", {"cluster": "4 MiB"}),
        ("cluster", {"cluster": "much"}),
        ("size", {"format": "vhd", "size": "2041 GiB"}),
        ("size", {"format": "parallels", "size": "1024 GiB"}),
        ("size", {"cluster": "512", "size": "129 GiB"}),
        ("size", {"size": "0.5 MiB"}),
        ("format", {"format": "vpc"}),
        ("writes", {"writes": ""}),
        ("writes", {"writes": "0"}),
        ("writes", {"writes": "0+0"}),
        ("writes", {"writes": "-1+5"}),
        ("writes", {"writes": "0+1,,5+1"}),
        ("writes", {"writes": "٣+1"}),
        ("writes", {"writes": f"{GIBI}+1"}),
        ("writes", {"writes": f"0+{GIBI}"}),
        ("writes", {"writes": "0+1," * 10000 + "0+1"}),
        ("writes", {"writes": "random:seed=1,count=10001,length=1"}),
        ("writes", {"writes": "random:seed=1,count=3"}),
        ("writes", {"writes": "random:seed=1,count=3,length=0"}),
        ("writes", {"writes": "random:seed=1,seed=1,count=3,length=5"}),
        ("writes", {"writes": "random:seed=1,count=3,length=5,align=0"}),
        ("writes", {"writes": "random:seed=1,count=1000,length=1048576"}),
        ("writes", {"writes": "wild:seed=1"}),
        ("writes", {"writes": "sequential:count=2,length=5,offset=1073741819"}),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name, pairs):
    with pytest.raises(SettingError) as refused:
        from_text(Settings, pairs)
    assert name in str(refused.value) and len(str(refused.value)) < 300


@pytest.mark.parametrize("value", [None, 5, [], [None], [(1, 2, 3)], [(0, -1)], [("x", 1)], {"a": 1}, [b"0+1"]])
def test_wrong_writes_from_python_are_refused_too(value):
    with pytest.raises(SettingError):
        validate(Settings(writes=value))


@given(st.text(max_size=60) | st.from_regex(r"(random|sequential):[a-z=0-9,+]{0,40}", fullmatch=True))
def test_any_text_is_read_or_refused(text):
    try:
        one = from_text(Settings, {"writes": text})
    except SettingError:
        return
    assert all(offset >= 0 and offset + length <= one.asked for offset, length in one.places())


def test_the_settings_can_be_told():
    told = json.loads(json.dumps(describe(Settings), allow_nan=False))
    assert {name: entry["type"] for name, entry in told.items()} == {
        "format": "choice",
        "size": "size",
        "writes": "list",
        "cluster": "choice",
    }
    assert load("disk-thin") is disk_thin
