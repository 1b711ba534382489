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
        ({}, "{:.2f} is right, and 1 near enough"),
    ],
)
def test_growth_is_as_said(settings, sentence):
    assert sentence.format(grown(**settings)) in TEXT


def test_little_records_cost_as_much_as_large_ones():
    assert grown() == 17 * 65536 / MEBI and "16 of them, and one for the table" in TEXT
    little = grown(after="random:seed=1,count=40,length=4096")
    assert f"Forty little records, {40 * 4096 / MEBI:.2f} MiB in all, cost {little:.2f} MiB" in TEXT


def test_two_snapshots_cost_what_is_said():
    days = views.run("snapshot-chain", host="simulated", depth=2, size="8 MiB", pattern=",".join(["0+1048576"] * 3))
    base, chain, *layers = (days.columns(name, "file_bytes", per=MEBI) for name in ("m1", "chain", "m2", "m3"))
    for column in ("theory", "simulated"):
        each = [layer[column] for layer in layers]
        assert each == [grown(kind="external")] * 2 and sum(each) == chain[column] - base[column]
        assert f"{sum(each):.2f} MiB, {each[0]:.2f} for each of the two days" in TEXT
    assert grown(after=",".join(["0+1048576"] * 3), kind="external") == each[0]
    assert 3 * 2 * 1048576 / MEBI == 6 and "That makes 6 MiB in all" in TEXT
    assert 1048576 / 65536 == 16 and "On Monday sixteen clusters" in TEXT


def test_what_comes_back_is_as_said():
    everything, disk_only = reverted(), reverted(kind="disk-only")
    assert [everything.value(name, "same_back") for name in ("memory", "disk")] == [1, 1]
    assert [everything.value(name, "same_harmed") for name in ("memory", "disk")] == [0, 0]
    assert [disk_only.value(name, "same_back") for name in ("memory", "disk")] == [0, 1]
    assert disk_only.value("web", "take") < everything.value("web", "take")
    back = {kind: reverted(kind=kind).value("web", "back") for kind in ("internal", "external", "disk-only")}
    assert max(back, key=back.get) == "disk-only" and "takes longer than with either of the other kinds" in TEXT


def test_memory_takes_what_is_in_it():
    more = reverted(held=16).value("web", "state") - reverted(held=4).value("web", "state")
    assert more == pytest.approx(12, abs=0.5) and "It grows by just that, 12 MiB" in TEXT


def test_the_chain_is_as_said():
    year = views.run("snapshot-chain", host="simulated")
    assert f"{year.value('chain', 'file_bytes') / MEBI:.0f} MiB: 32 for the base, and nearly 4 for each" in TEXT
    assert f"*Layers asked for a byte*, {year.value('chain', 'lookups'):.1f} on average" in TEXT
    assert 8 * 60 * 4096 / MEBI < 2 and "Written were less than 2" in TEXT
    assert f"`flat`, has come to {year.value('flat', 'file_bytes') / MEBI:.0f} MiB" in TEXT
    assert f"{year.value('chain', 'read') / year.value('flat', 'read'):.1f} times as long" in TEXT
    twice = year.value("chain", "file_bytes") / year.value("m1", "file_bytes")
    assert twice == pytest.approx(2, abs=0.1) and "twice the room that it had begun with" in TEXT
    with labkit.simulated() as host:
        hidden = sum(
            layer.hidden_bytes for layer in layers_of(snapshot_chain.build(host, snapshot_chain.Settings())[-1])
        )
    assert f"{hidden / MEBI:.1f} MiB nobody sees any more" in TEXT


def test_getting_rid_of_the_chain_is_as_said():
    moved, left = {}, set()
    for operation in ("commit", "flatten"):
        seen = views.run("snapshot-chain", host="simulated", operation=operation)
        moved[operation] = seen.value("chain", "copied") / MEBI
        left.add(seen.value("chain", "file_bytes") / MEBI)
    assert f"`commit` moves {moved['commit']:.0f} MiB" in TEXT and f"`flatten` moves {moved['flatten']:.0f}." in TEXT
    assert f"Either leaves one file of {left.pop():.0f} MiB" in TEXT and not left
    shorter = [views.run("snapshot-chain", host="simulated", depth=depth) for depth in (4, 1, 0)]
    four, one, none = (seen.value("chain", "lookups") for seen in shorter)
    assert f"With 4 snapshots {four:.1f} layers are asked, with one {one:.1f}, and with none just the one" in TEXT
    four, one, nothing = (
        (seen.value("chain", "file_bytes") - seen.value("flat", "file_bytes")) / MEBI for seen in shorter
    )
    assert none == 1 and nothing == 0
    assert f"`chain` has {four:.1f} MiB more than `flat`, then {one:.1f}, then nothing" in TEXT


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
