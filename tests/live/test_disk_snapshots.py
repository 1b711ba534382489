"""The model's snapshots inside a qcow2 file against those of qemu-img: how long the file is after any acts."""

import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from labkit.model.disks.branched import Branched
from labkit.model.disks.qcow2 import Qcow2

pytestmark = [pytest.mark.live, pytest.mark.timeless]

KIBI, MEBI = 1 << 10, 1 << 20


@st.composite
def scenes(draw):
    """Clusters of a size, a disk, and what is done to it."""
    cluster = draw(st.sampled_from([4 * KIBI, 64 * KIBI, 64 * KIBI]))
    size = draw(st.sampled_from([MEBI, 16 * MEBI]))
    acts = []
    for _ in range(draw(st.integers(1, 10))):
        what = draw(st.sampled_from(["write", "write", "keep", "back"]))
        if what == "write":
            at = draw(st.integers(0, size - 1))
            acts.append((what, at, min(draw(st.integers(1, 400 * KIBI)), size - at)))
        else:
            acts.append((what, draw(st.integers(0, 3)), 0))
    return cluster, size, acts


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(
    (
        64 * KIBI,
        16 * MEBI,
        [
            ("write", 0, 256 * KIBI),
            ("keep", 0, 0),
            ("write", 0, 64 * KIBI),
            ("keep", 0, 0),
            ("write", 0, 64 * KIBI),
            ("back", 0, 0),
            ("write", 0, 192 * KIBI),
        ],
    )
)
@given(scenes())
def test_the_file_is_as_long_after_any_acts(tmp_path, scene):
    cluster, size, acts = scene
    real, model, kept = tmp_path / "data.qcow2", Branched(Qcow2(size, cluster)), []
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"cluster_size={cluster}", str(real), str(size)]
    subprocess.run(words, check=True)
    lengths = [(real.stat().st_size, model.file_bytes)]
    for what, first, length in acts:
        model.reopen()
        if what == "write":
            words = ["qemu-io", "-f", "qcow2", "-c", f"write -q -P 7 {first} {length}", str(real)]
            model.write(first, length)
        elif what == "keep":
            words = ["qemu-img", "snapshot", "-c", f"s{len(kept)}", str(real)]
            kept.append(model.keep(f"s{len(kept)}"))
        elif kept:
            words = ["qemu-img", "snapshot", "-a", f"s{first % len(kept)}", str(real)]
            model.go_back(kept[first % len(kept)])
        else:
            continue
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        lengths.append((real.stat().st_size, model.file_bytes))
    real.unlink()
    assert [one for one, _other in lengths] == [other for _one, other in lengths]
