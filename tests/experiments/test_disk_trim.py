"""disk-trim: its settings, its theory against a slow count, and the simulated host against both."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.experiments import disk_trim
from labkit.experiments.disk_trim import Settings, theory
from labkit.experiments.settings import SettingError, from_text

MEBI = 1 << 20
TABLES = 200704 + 65536  # of a qcow2 file of 128 MiB, by du: as it is made, and its L2 table
UNIT = {"qcow2": 65536, "raw": 4096}


def seen(chosen):
    with labkit.simulated() as host:
        found = disk_trim.run(host, chosen)
        assert not host.machines
    return {(row["machine"], row["quantity"]): row["value"] for row in found.rows}


def counted(chosen):
    """What the store holds before and after, block by block: one is given back only with all of its cluster."""
    unit, blocks = UNIT[chosen.format] // 4096, {}
    for offset, length in chosen.files:
        for block in range(offset // 4096, (offset + length) // 4096):
            blocks[block] = True
    gone = {block for offset, length in chosen.gone for block in range(offset // 4096, (offset + length) // 4096)}
    held = {block // unit for block in blocks} | ({0} if chosen.format == "raw" else set())
    whole = {cluster for cluster in held if all(block in gone for block in range(cluster * unit, (cluster + 1) * unit))}
    given = len(whole) if chosen.discard == "yes" else 0
    tables = TABLES if chosen.format == "qcow2" else 0
    return tables + len(held) * unit * 4096, tables + (len(held) - given) * unit * 4096


@settings(deadline=None, max_examples=60)
@given(
    format=st.sampled_from(["qcow2", "raw"]),
    blocks=st.sampled_from([4, 5, 16, 24, 48, 100]),
    written=st.integers(1, 6),
    part=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
    order=st.sampled_from(["together", "scattered"]),
    discard=st.sampled_from(["yes", "no"]),
)
def test_theory_and_the_model_are_what_is_counted(format, blocks, written, part, order, discard):
    chosen = Settings(
        format=format, written=written, file=blocks / 256, deleted=written * part, order=order, discard=discard
    )
    found = seen(chosen)
    assert found == theory(chosen)
    before, after = counted(chosen)
    assert found["before", "store_bytes"] == found["again", "store_bytes"] == before
    assert found["after", "store_bytes"] == after
    assert found["after", "file_bytes"] == found["before", "file_bytes"] == found["again", "file_bytes"]


def test_small_files_give_back_nothing_of_large_clusters():
    small = Settings(written=4, file=1 / 64, deleted=2, order="scattered")
    assert seen(small)["after", "store_bytes"] == seen(small)["before", "store_bytes"]
    alike = Settings(format="raw", written=4, file=1 / 64, deleted=2, order="scattered")
    assert seen(alike)["before", "store_bytes"] - seen(alike)["after", "store_bytes"] == 2 * MEBI


def test_neighbours_are_discarded_in_one():
    assert Settings(written=4, file=1, deleted=3).runs == [(0, 3 * MEBI)]
    assert Settings(written=4, file=1, deleted=2, order="scattered").runs == [(MEBI, MEBI), (3 * MEBI, MEBI)]
    assert Settings(written=4, file=1, deleted=0).runs == []


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"file": "16385 B"}, "multiple of 4096"),
        ({"deleted": "33MiB"}, "no more than written, 32 MiB, not 33"),
        ({"written": "96MiB", "file": "16KiB"}, "1 to 4096 files, not 6144"),
        ({"written": "1MiB", "deleted": "1MiB", "file": "2MiB"}, "1 to 4096 files, not 0"),
    ],
)
def test_settings_that_do_not_fit(chosen, said):
    with pytest.raises(SettingError, match=said):
        from_text(Settings, chosen)
