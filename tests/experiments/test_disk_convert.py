"""disk-convert: theory and the simulated host tell the same, by computations that share nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.experiments import SettingError, disk_convert
from labkit.experiments.settings import from_text
from labkit.host.disks import FORMATS


def rows(**words):
    chosen = from_text(disk_convert.Settings, words)
    with labkit.simulated() as host:
        seen = disk_convert.run(host, chosen)
    return chosen, {(row["machine"], row["quantity"]): row["value"] for row in seen.rows}


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(FORMATS),
    st.sampled_from(FORMATS),
    st.booleans(),
    st.integers(1, 40),
    st.integers(1, 70_000),
    st.sampled_from([1, 512, 4096]),
    st.integers(0, 8),
)
def test_theory_and_simulation_agree(source, target, backing, count, length, align, snapshots):
    snapshots = str(snapshots if source == "qcow2" else 0)
    backing = "yes" if backing and source in ("qcow2", "vmdk") else "no"
    pattern = f"random:seed={count},count={count},length={length},align={align}"
    chosen, found = rows(
        source=source, target=target, size="40 MiB", writes=pattern, backing=backing, snapshots=snapshots
    )
    assert found == disk_convert.theory(chosen)


def test_a_vhd_is_larger_than_what_was_asked_for():
    _chosen, found = rows(target="vhd")
    assert found["source", "disk_bytes"] == 1073741824
    assert found["target", "disk_bytes"] == 1073995776  # as qemu-img info 7.2.22 says


def test_the_backing_is_left_behind_and_its_content_is_not():
    _chosen, found = rows(backing="yes")
    assert (found["source", "needs_backing"], found["target", "needs_backing"]) == (1, 0)
    assert found["source", "guest_bytes"] == 65536 and found["target", "guest_bytes"] == 131072
    assert found["target", "identical"] == 1


@pytest.mark.parametrize("source", sorted(set(FORMATS) - {"qcow2", "vmdk"}))
def test_a_format_without_backing_says_so(source):
    with pytest.raises(SettingError, match="backing=yes"):
        from_text(disk_convert.Settings, {"source": source, "backing": "yes"})


def test_snapshots_stay_behind():
    _chosen, found = rows(snapshots="2", target="qcow2")
    assert (found["source", "snapshots"], found["target", "snapshots"]) == (2, 0)
    assert found["source", "file_bytes"] > found["target", "file_bytes"]
    with pytest.raises(SettingError, match="qcow2 only"):
        from_text(disk_convert.Settings, {"source": "vmdk", "snapshots": "1"})
