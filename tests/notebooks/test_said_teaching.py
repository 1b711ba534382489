"""The numbers that TEACHING.md gives for lessons 04, 05 and 06 are those that the simulated host gives.

An instructor reads them from a page while people read theirs from a screen. Where the model, an experiment or its
default settings change, this fails, and the plan has to be looked at again. Rows of tables are held as a whole.
"""

from pathlib import Path

import pytest

import labkit
from labkit import views
from labkit.course.checks import pool as tidy
from labkit.course.checks.network import FAST, shop_goal
from labkit.course.checks.pool import below_goal, full_pool
from labkit.course.checks.restore import LIMIT, restored_goal
from labkit.course.content import content
from labkit.experiments import snapshot_chain
from labkit.live import budget, capacity
from labkit.views.chain import layers_of

TEXT = (Path(__file__).resolve().parents[2] / "TEACHING.md").read_text(encoding="utf-8")
MEBI = 1 << 20
ANYWHERE = "random:seed=1,count=100,length=4096"
HALF = "0+4194304"


def row(*cells):
    """A row of a table as it stands in the text."""
    return f"\n| {' | '.join(str(cell) for cell in cells)} |\n"


def both(outcome, machine, quantity):
    """A number that theory and simulated agree on, which the text says of it."""
    theory, simulated = (outcome.value(machine, quantity, column) for column in ("theory", "simulated"))
    assert theory == simulated
    return simulated


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("anywhere, qcow2: the first prediction", {}),
        ("Explore 2: in a row", {"writes": "sequential:count=100,length=4096"}),
        ("Explore 3: vmdk", {"format": "vmdk"}),
        ("vdi", {"format": "vdi"}),
        ("parallels", {"format": "parallels"}),
        ("vhd", {"format": "vhd"}),
        ("vhdx", {"format": "vhdx"}),
        ("Explore 4: clusters of 4 KiB", {"cluster": "4 KiB"}),
        ("clusters of 2 MiB", {"cluster": "2 MiB"}),
        ("Explore 5: raw", {"format": "raw"}),
        (
            "the second prediction: vdi, other places",
            {"format": "vdi", "writes": "random:seed=2,count=100,length=4096"},
        ),
    ],
)
def test_lengths_are_as_said(name, settings):
    seen = views.run("disk-thin", host="simulated", **{"writes": ANYWHERE, **settings})
    length, data = (both(seen, "disk", quantity) for quantity in ("file_bytes", "guest_bytes"))
    assert row(name, f"{length:,.0f}", f"{length / MEBI:,.2f}", f"{data / MEBI:,.2f}") in TEXT


def test_the_pieces_on_the_board_are_as_said():
    seen = views.run("disk-thin", host="simulated", writes=ANYWHERE)
    touched = both(seen, "disk", "guest_bytes") / 65536
    assert f"Work out {touched:.0f} × 64 KiB on the board: {touched * 65536 / MEBI:.1f} MiB" in TEXT
    each, all_twenty = 25_000 * 65536 / 1e9, 20 * 25_000 * 65536 / 1e9
    assert f"25,000 × 64 KiB are {each:.1f} GB in each machine and {all_twenty:.0f} GB in twenty" in TEXT
    assert f"some {all_twenty * (1 - 480 / 2000):.0f}, as a quarter of each disk is taken already" in TEXT


def test_the_last_message_comes_as_late_as_said():
    seen = views.run("disk-pool", host="simulated")
    left = both(seen, "pool", "time_to_full") - both(seen, "pool", "time_to_90")
    assert f"{left:.3f} s after the message at 90%" in TEXT


def trimmed(values, names):
    """What the check of lesson 04 says when these machines have trimmed, and how full the pool is then."""
    parts = []

    def change(host, pool):
        for name in names:
            host.machines[name].volume(f"{name}-data").trim()
        parts.append(pool.used / pool.size)

    return below_goal(values, change, where="simulated").done, parts[0]


def test_what_a_trim_gives_back_is_as_said():
    enough = []
    values = content("04").exercises["tidy"].values
    for one in values:
        with full_pool(one, "simulated") as (place, _said):
            assert f"every pool begins at {place.pool.used / place.pool.size:.0%}" in TEXT
        results = [trimmed(one, names) for names in (("web",), ("mail",), ("web", "mail"))]
        assert row(f"{one['web']} and {one['mail']}", *(f"{part:.0%}" for _done, part in results)) in TEXT
        assert all(done == (part < 0.8) for done, part in results) and results[-1][0]
        enough.append([done for done, _part in results[:-1]])
    assert sum(any(one) for one in enough) > len(enough) / 2 and not all(any(one) for one in enough)
    assert "`trim()` in one machine is enough for most, and not for all" in TEXT


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("internal: the first prediction", {}),
        ("Explore 3: external", {"kind": "external"}),
        ("Explore 4: disk-only", {"kind": "disk-only"}),
        ("Explore 5: internal, 16 MiB held", {"held": 16}),
    ],
)
def test_snapshots_cost_and_bring_back_what_is_said(name, settings):
    seen = views.run("snapshot-revert", host="simulated", **{"before": HALF, "after": "0+1048576", **settings})
    grown = both(seen, "disk", "grown")
    times = [f"{seen.value('web', quantity):.3f}" for quantity in ("take", "stopped", "back")]
    back = [f"{both(seen, part, 'same_back'):.0f}" for part in ("memory", "disk")]
    state = f"{seen.value('web', 'state'):.0f}"
    assert row(name, f"{grown:,.0f}", f"{grown / MEBI:.2f}", state, *times, *back) in TEXT


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        ("0+1048576", "Work out (16 + 1) × 64 KiB on the board: {0:.2f} MiB"),
        (",".join(["0+1048576"] * 3), "the same MiB three times over {0:.2f} MiB"),
        ("random:seed=1,count=40,length=4096", "forty records anywhere {0:.2f}."),
    ],
)
def test_growth_is_as_said(after, sentence):
    seen = views.run("snapshot-revert", host="simulated", before=HALF, after=after)
    grown = both(seen, "disk", "grown")
    assert sentence.format(grown / MEBI, grown) in TEXT


def test_two_snapshots_cost_what_is_said():
    thrice = ",".join(["0+1048576"] * 3)
    days = views.run("snapshot-chain", host="simulated", depth=2, size="8 MiB", pattern=thrice)
    grown = both(days, "chain", "file_bytes") - both(days, "m1", "file_bytes")
    each = both(days, "m2", "file_bytes") / MEBI
    assert f"The second prediction: {grown / MEBI:.2f} ({grown:,.0f} B), `chain` less `m1`, {each:.2f} for each" in TEXT


def friday(kind, took):
    """An upgrade that goes wrong, after a snapshot of that kind; `took` gets the seconds until it is undone."""

    def steps(shop):
        snap = shop.machine.snapshot("before", kind=kind)
        shop.upgrade()
        shop.machine.revert(snap)
        took.append(shop.now - shop.upgraded)

    return steps


def test_the_shop_opens_as_said():
    assert LIMIT == 10 and "baskets in memory, ten seconds" in TEXT
    values = content("05").exercises["restore"].values
    assert len(values) == 5 and "for all five sets of numbers" in TEXT
    for one in values:
        took = []
        assert restored_goal(one, friday("external", took), where="simulated").done
        assert f"`external` has the shop open {took[0]:.1f} s after the upgrade" in TEXT
        refused = restored_goal(one, friday("internal", []), where="simulated")
        assert not refused.done and "is raw" in refused.said and "is refused, as the disk is raw" in TEXT
        half = restored_goal(one, friday("disk-only", []), where="simulated")
        assert not half.done and "its baskets" in half.said and "its orders" not in half.said


def test_the_chain_and_the_database_are_as_said():
    year = views.run("snapshot-chain", host="simulated")
    together, looked = both(year, "chain", "file_bytes") / MEBI, both(year, "chain", "lookups")
    with labkit.simulated() as host:
        layers = layers_of(snapshot_chain.build(host, snapshot_chain.Settings())[-1])
        hidden = sum(layer.hidden_bytes for layer in layers) / MEBI
    assert len(layers) == 9 and f"the nine layers of the chain have {together:.1f} MiB together" in TEXT
    alone = both(year, "flat", "file_bytes") / MEBI
    assert f"one disk with the same written to it {alone:.1f}, a byte is found" in TEXT
    assert f"a byte is found in the {looked:.1f}rd layer on average, {hidden:.1f} MiB are hidden" in TEXT
    crash, frozen = (views.run("snapshot-consistency", host="simulated", freeze=freeze) for freeze in ("no", "yes"))
    assert f"without a freeze {both(crash, 'table', 'lost'):.0f} of 50 records are missing from the table" in TEXT
    assert not any([both(crash, "log", "lost"), both(frozen, "log", "lost"), both(frozen, "table", "lost")])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("10, 10, 20: the first prediction", {}),
        ("Explore 2: 10, 10, 10", {"vlans": (10, 10, 10)}),
        ("Explore 2: 0, 10, 10 (`m2` and `m3` still have each other)", {"vlans": (0, 10, 10)}),
        ("Explore 3: 10, 10, 20 and the auditor at a trunk", {"auditor": "trunk"}),
        (
            "10, 20, 20, 20 and the auditor at a trunk: the second prediction",
            {"vlans": (10, 20, 20, 20), "auditor": "trunk"},
        ),
        ("the same, and one more in 10", {"vlans": (10, 20, 20, 20, 10), "auditor": "trunk"}),
        ("the same four without her", {"vlans": (10, 20, 20, 20)}),
    ],
)
def test_calls_are_answered_as_said(name, settings):
    seen = views.run("net-isolation", host="simulated", **settings)
    answered = seen.total("reachable")
    assert answered["theory"] == answered["simulated"]
    machines = len(settings.get("vlans", (10, 10, 20))) + ("auditor" in settings)
    assert row(name, machines * (machines - 1), f"{answered['simulated']:.0f}") in TEXT


RIGHT = {"web": "accept tcp 80, drop tcp", "database": "accept tcp 5432 from web, drop any"}
FORBIDDING = {
    "web": "drop tcp 22 from wifi",
    "database": "drop tcp 5432 from wifi, drop tcp 5432 from internet",
}


def audited(rules, rate, **rates):
    plan = {name: {"rules": its} for name, its in rules.items()}
    for name, its in rates.items():
        plan.setdefault(name, {})["rate"] = its
    return shop_goal({"rate": rate}, plan, where="simulated")


def test_the_auditor_is_content_as_said():
    assert f"`web` has `{RIGHT['web']}`, `database` has `{RIGHT['database']}`" in TEXT
    assert f"`{FORBIDDING['web']}` and so on, passes too" in TEXT
    for values in content("06").exercises["auditor"].values:
        assert audited(RIGHT, values["rate"], wifi=values["rate"]).done
    assert audited(FORBIDDING, 4, wifi=4).done
    begun = audited({"web": "accept tcp 80"}, 4).said
    for wrong in ("wifi reaches port 22 of web", "wifi reaches port 5432 of database", "internet reaches port 5432"):
        assert wrong in begun
    assert begun.count(" reaches port ") == 3 and "fails in three lines of the list" in TEXT
    slow = audited(RIGHT, 4, wifi=4, web=4)
    assert (
        not slow.done and f"it is to have {FAST:g} Mbit/s or more" in TEXT and f"{FAST:g} Mbit/s or more" in slow.said
    )


def test_rules_and_frames_are_as_said():
    for rules, through in (("drop tcp, accept tcp 80", 0), ("accept tcp 80, drop tcp", 1)):
        seen = views.run("net-firewall", host="simulated", rules=rules)
        assert [both(seen, call, "tcp_80") for call in ("m1>m2", "m3>m2")] == [through, through]
    assert "with `drop tcp, accept tcp 80` nobody gets to port 80, the other way round both do" in TEXT
    seen = views.run("net-switch", host="simulated")
    asking, before, after = (both(seen, "m3", f"frames_{phase}") for phase in ("asking", "before", "after"))
    assert (
        f"`m3` sees {asking:.0f} frame, before the switch has learnt {before:.0f}, and after that {after:.0f}" in TEXT
    )


@pytest.mark.parametrize(
    ("lesson", "words", "guests", "memory", "pool"),
    [
        ("01", "two of 128 MiB", 2, 128, 0),
        ("02", "four of 128 MiB", 4, 128, 0),
        ("03", "two of 192 MiB", 2, 192, 0),
        ("04", "two of 128 MiB, and a pool of 64 MiB in memory", 2, 128, round(tidy.SIZE)),
        ("05", "one of 128 MiB", 1, 128, 0),
        ("06", "five of 128 MiB", 5, 128, 0),
    ],
)
def test_the_room_needs_what_is_said(lesson, words, guests, memory, pool):
    wanted = capacity.RESERVE + guests * (memory + capacity.OVERHEAD) + pool
    assert row(lesson, words, f"{wanted / 1024:.1f}") in TEXT


def test_limits_are_as_said():
    assert f"{capacity.OVERHEAD + 128} MiB each, and {capacity.RESERVE} MiB that labkit keeps" in TEXT
    grown = capacity.RESERVE + 4 * (128 + capacity.OVERHEAD) + 128
    assert f"a pool that grows to 128 MiB, which makes {grown / 1024:.1f} GiB" in TEXT
    held, left = (limit / (1 << 30) for limit in (budget.MOST_HELD, budget.LEFT_FREE))
    assert f"labkit leaves {left:g} GiB of it alone, and lets the disks of a notebook take {held:g} GiB in all" in TEXT
    assert f"it wants {1 + left:g} GiB free" in TEXT, "the disk of 1 GiB, and what is left alone"
