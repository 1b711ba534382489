"""snapshot-chain and snapshot-loss: theory against a slow count and the simulated host, and what settings they take."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.experiments import chain_sizes, snapshot_chain, snapshot_loss
from labkit.experiments.settings import SettingError, describe, from_text, validate
from labkit.experiments.snapshot_chain import Settings, theory

KIBI, MEBI = 1 << 10, 1 << 20
EXACT = ("file_bytes", "guest_bytes", "lookups", "copied")

# Read off files of qemu-img and qemu-io 7.2.22: a chain of three layers on 64 MiB, its base written at 0+70000 and
# 1000000+70000, and each of the others at 5000+4096.
MEASURED = {"m1": (589824, 262144), "m2": (393216, 65536), "m3": (393216, 65536)}


@pytest.fixture
def three(monkeypatch):
    """That chain: its base is not filled from the beginning on."""
    chosen = from_text(Settings, {"depth": "2", "pattern": "5000+4096", "filled": "0"})
    layers = [[(0, 70000), (1000000, 70000)], *chosen.layers()[1:]]
    monkeypatch.setattr(Settings, "layers", lambda _self: layers)
    return chosen


def test_theory_is_what_was_measured(three):
    said = theory(three)
    for machine, sizes in MEASURED.items():
        assert (said[machine, "file_bytes"], said[machine, "guest_bytes"]) == sizes
    assert said["chain", "file_bytes"] == 589824 + 2 * 393216
    # What was written above lies in a cluster that the base has: one disk has the base's clusters, and no more.
    assert said["flat", "file_bytes"] == 589824
    # The top has one cluster of 1024; for all others three layers are asked, whether they have them or not.
    assert said["chain", "lookups"] == pytest.approx((1 + 1023 * 3) / 1024)


def slow(layers, unit, size):
    """For each unit of the disk the layers that have it, by marking unit after unit; and how many layers are asked."""
    owners = [[] for _ in range(-(-size // unit))]
    for number, writes in enumerate(layers):
        for offset, length in writes:
            for at in range(offset // unit, (offset + length - 1) // unit + 1):
                if number not in owners[at]:
                    owners[at].append(number)
    asked = 0
    for index, having in enumerate(owners):
        bytes = min(unit, size - index * unit)
        asked += bytes * (len(layers) - max(having, default=0))
    return owners, asked / size


@st.composite
def chosen(draw):
    """Settings of chains small enough to count."""
    cluster = draw(st.sampled_from(["usual", "4 KiB", "16 KiB", "2 MiB"]))
    size = 512 * draw(st.integers(2048, 16384))
    pattern = draw(
        st.one_of(
            st.integers(0, 99).map(lambda seed: (f"random:seed={seed},count=12,length=3000,align=512",)),
            st.lists(st.integers(0, size - 9000), min_size=1, max_size=6).map(lambda at: [f"{one}+9000" for one in at]),
            st.just(("sequential:count=20,length=4096,gap=30000",)),
        )
    )
    filled, operation = draw(st.sampled_from([0.0, 0.3, 1.0])), draw(st.sampled_from(snapshot_chain.OPERATIONS))
    return validate(Settings(draw(st.integers(0, 7)), tuple(pattern), size / MEBI, filled, cluster, operation))


@settings(deadline=None, max_examples=60)
@given(chosen())
def test_theory_is_a_count_and_what_the_simulated_host_sees(one):
    said = theory(one)
    with labkit.simulated() as host:
        seen = snapshot_chain.run(host, one)
        assert not [row for row in seen.rows if row["value"] < 0]
    for row in seen.rows:
        if row["quantity"] in EXACT:
            assert said[row["machine"], row["quantity"]] == pytest.approx(row["value"], rel=1e-12), row
    unit, layers = one.cluster_bytes or 65536, one.layers()
    owners, asked = slow(layers, unit, one.asked)
    if one.operation == "none":
        assert said["chain", "lookups"] == pytest.approx(asked)
        for number in range(len(layers)):
            mine = sum(min(unit, one.asked - at * unit) for at, having in enumerate(owners) if number in having)
            assert said[f"m{number + 1}", "guest_bytes"] == mine
    else:
        assert said["chain", "lookups"] == 1
    shown = sum(min(unit, one.asked - at * unit) for at, having in enumerate(owners) if having)
    assert said["chain", "guest_bytes"] == shown


def test_a_chain_reads_no_faster_than_one_disk_and_commit_and_flatten_mend_it():
    found = {}
    for operation in snapshot_chain.OPERATIONS:
        with labkit.simulated() as host:
            seen = snapshot_chain.run(host, validate(Settings(operation=operation)))
        found[operation] = seen.value("chain", "read") / seen.value("flat", "read")
    assert found["none"] > 1.2 and found["commit"] == pytest.approx(1) == found["flatten"]


def test_the_expected_number_of_lookups_is_that_of_many_seeds():
    """60 writes to random blocks of 4 KiB of 1024 clusters, eight times, on an empty base."""
    part = 1 - (1 - 1 / 1024) ** 60
    seen = []
    for seed in range(200):
        one = Settings(pattern=(f"random:seed={1000 * seed},count=60,length=4096",), filled=0.0)
        seen.append(chain_sizes.lookups(one.layers(), one.asked, None))
    assert sum(seen) / len(seen) == pytest.approx(chain_sizes.expected_lookups(8, part), rel=0.002)


def test_the_seed_of_a_random_pattern_rises_from_snapshot_to_snapshot():
    first = validate(Settings(depth=2, pattern="random:seed=4,count=9,length=4096")).layers()
    later = validate(Settings(depth=1, pattern="random:seed=5,count=9,length=4096")).layers()
    assert first[2] == later[1] and first[1] != first[2]
    same = validate(Settings(depth=2, pattern="0+9,77+5")).layers()
    assert same[1] == same[2] == [(0, 9), (77, 5)]


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("depth", {"depth": "33"}),
        ("pattern", {"pattern": "0"}),
        ("pattern", {"pattern": f"{64 * MEBI}+1"}),
        ("pattern", {"pattern": "random:seed=1,count=4000,length=512"}),
        ("size", {"size": "4096 MiB", "filled": "1"}),
        ("filled", {"filled": "2"}),
        ("cluster", {"cluster": "512"}),
        ("operation", {"operation": "merge"}),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name, pairs):
    with pytest.raises(SettingError) as refused:
        from_text(Settings, pairs)
    assert name in str(refused.value) and len(str(refused.value)) < 300


def test_the_settings_can_be_told():
    for module in (snapshot_chain, snapshot_loss):
        assert json.loads(json.dumps(describe(module.Settings), allow_nan=False))


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
def test_who_loses_a_layer_loses_all_above_it_but_not_the_copy(lost):
    one = validate(snapshot_loss.Settings(lost=lost))
    with labkit.simulated() as host:
        seen = snapshot_loss.run(host, one)
    readable = {row["machine"]: row["value"] for row in seen.rows}
    assert {(machine, "readable"): value for machine, value in readable.items()} == snapshot_loss.theory(one)
    assert [bool(readable[f"m{number}"]) for number in range(1, 5)] == [number < lost for number in range(1, 5)]
    assert readable["copy"] and [event.machine for event in seen.events] == [f"m{n}" for n in range(lost, 5)]
    assert all(event.detail.endswith(".") for event in seen.events)


def test_a_layer_that_is_not_there_cannot_be_lost():
    with pytest.raises(SettingError, match="lost must be 3 at the most"):
        from_text(snapshot_loss.Settings, {"depth": "2", "lost": "4"})


def test_small_writes_to_large_clusters_are_counted_in_whole_clusters():
    large = {"depth": "8", "size": "4 GiB", "cluster": "2 MiB", "filled": "0"}
    with pytest.raises(SettingError, match=str(snapshot_chain.MOST_HELD)):
        from_text(Settings, large | {"pattern": "random:seed=1,count=250,length=4096"})
    from_text(Settings, large | {"pattern": "random:seed=1,count=100,length=4096"})
    with pytest.raises(SettingError, match="in 2 layers"):  # 2046 MiB in the layer, and as much in the flat disk
        from_text(Settings, large | {"depth": "1", "pattern": "sequential:count=1025,length=4096,gap=2093056"})
    from_text(Settings, large | {"depth": "1", "pattern": "sequential:count=1024,length=4096,gap=2093056"})
