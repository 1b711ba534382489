"""The numbers that lesson 05 says are those that the simulated host gives, or follow from what is there."""

from pathlib import Path

import pytest

import labkit
from labkit import views
from labkit.experiments import snapshot_chain
from labkit.views.chain import layers_of

SOURCE = Path(__file__).resolve().parents[2] / "notebooks" / "source" / "05-snapshots.md"
TEXT = SOURCE.read_text(encoding="utf-8")
MEBI = 1 << 20
HALF = "0+4194304"


def reverted(**settings):
    return views.run("snapshot-revert", host="simulated", **{"before": HALF, "after": "0+1048576", **settings})


def grown(**settings):
    return reverted(**settings).columns("disk", "grown", per=MEBI)["simulated"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "1. By {:.2f} MiB. The old MiB must be kept"),
        ({"after": ",".join(["0+1048576"] * 3)}, "2. Three times over is the same {:.2f} MiB"),
        ({"kind": "external"}, "by {:.2f} MiB: the new file has a header"),
        ({"after": ",".join(["0+524288"] * 4)}, "{:.2f} MiB: eight clusters, and one for the table"),
        ({}, "{:.2f} is right, and 1 near enough"),
    ],
)
def test_growth_is_as_said(settings, sentence):
    assert sentence.format(grown(**settings)) in TEXT


def test_little_records_cost_as_much_as_large_ones():
    assert grown() == 17 * 65536 / MEBI and "16 of them, and one for the table" in TEXT
    little = grown(after="random:seed=1,count=40,length=4096")
    assert f"Forty little records, {40 * 4096 / MEBI:.2f} MiB in all, cost {little:.2f} MiB" in TEXT


def test_what_comes_back_is_as_said():
    everything, disk_only = reverted(), reverted(kind="disk-only")
    assert [everything.value(name, "same_back") for name in ("memory", "disk")] == [1, 1]
    assert [everything.value(name, "same_harmed") for name in ("memory", "disk")] == [0, 0]
    assert [disk_only.value(name, "same_back") for name in ("memory", "disk")] == [0, 1]
    assert disk_only.value("web", "take") < everything.value("web", "take")


def test_memory_takes_what_is_in_it():
    more = reverted(held=16).value("web", "state") - reverted(held=4).value("web", "state")
    assert more == pytest.approx(12, abs=0.5) and "It grows by just that, 12 MiB" in TEXT


def test_the_chain_is_as_said():
    year = views.run("snapshot-chain", host="simulated")
    assert f"{year.value('chain', 'file_bytes') / MEBI:.0f} MiB: 32 for the base, and nearly 4 for each" in TEXT
    assert f"*Layers asked for a byte*, {year.value('chain', 'lookups'):.1f} on average" in TEXT
    assert 8 * 60 * 4096 / MEBI < 2 and "Written were less than 2" in TEXT
    with labkit.simulated() as host:
        hidden = sum(
            layer.hidden_bytes for layer in layers_of(snapshot_chain.build(host, snapshot_chain.Settings())[-1])
        )
    assert f"{hidden / MEBI:.1f} MiB nobody sees any more" in TEXT
    for operation, sentence in (("commit", "and {:.0f} MiB are moved"), ("flatten", "topmost file, {:.0f} MiB)")):
        copied = views.run("snapshot-chain", host="simulated", operation=operation).value("chain", "copied")
        assert sentence.format(copied / MEBI) in TEXT


def test_what_a_database_loses_is_as_said():
    crash = views.run("snapshot-consistency", host="simulated", freeze="no")
    frozen = views.run("snapshot-consistency", host="simulated", freeze="yes")
    assert [crash.value(name, "lost") for name in ("log", "table")] == [0, 50] and "all 50 are in the log" in TEXT
    assert [frozen.value(name, "lost") for name in ("log", "table")] == [0, 0]
    assert [seen.value("disk", "recovery") for seen in (crash, frozen)] == [1, 0]
    assert [seen.value("disk", "damaged") for seen in (crash, frozen)] == [0, 0]


def test_what_a_lost_layer_leaves_is_as_said():
    base, third = (views.run("snapshot-loss", host="simulated", lost=lost) for lost in (1, 3))
    assert [base.value(f"m{layer}", "readable") for layer in range(1, 5)] == [0] * 4
    assert f"The copy has all {base.value('copy', 'readable') / MEBI:.1f} MiB" in TEXT
    assert [third.value(f"m{layer}", "readable") > 0 for layer in range(1, 5)] == [True, True, False, False]
