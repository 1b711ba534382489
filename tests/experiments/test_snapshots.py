"""snapshot-revert and snapshot-consistency: their settings, their theory against what was read off real files, and both
hosts' columns against counts that know nothing of either."""

import random

import pytest

import labkit
from labkit.experiments import snapshot_consistency, snapshot_revert
from labkit.experiments.settings import SettingError, from_text, validate

KIBI, MEBI = 1 << 10, 1 << 20

# Read off the files of a guest with QEMU 7.2.22, after the default writes.
GREW = {"internal": 327680, "external": 589824, "disk-only": 589824}
# Seen on copies of a guest's ext4 disk (Linux 6.1), by freeze and synced: lost of log and of table, recovery, damaged.
FOUND = {
    ("no", "log"): (0, 50, 1, 0),
    ("no", "none"): (50, 50, 1, 0),
    ("yes", "log"): (0, 0, 0, 0),
}


def ran(module, settings):
    with labkit.simulated() as host:
        seen = module.run(host, settings)
        assert not host.machines
    return {(row["machine"], row["quantity"]): row["value"] for row in seen.rows}


@pytest.mark.parametrize("kind", GREW)
def test_the_growth_is_what_was_measured(kind):
    settings = snapshot_revert.Settings(kind=kind)
    assert snapshot_revert.theory(settings)["disk", "grown"] == GREW[kind]
    assert ran(snapshot_revert, settings)["disk", "grown"] == GREW[kind]


@pytest.mark.parametrize("kind", GREW)
def test_the_growth_is_that_of_a_slow_count(kind):
    rng = random.Random(kind)
    for _ in range(20):
        drawn = {}
        for when in ("before", "after"):
            places = []
            for _ in range(rng.randint(1, 12)):
                length = rng.randint(1, 64) * 4096
                places.append((rng.randint(0, (8 * MEBI - length) // 4096) * 4096, length))
            drawn[when] = places
        said = {when: ",".join(f"{at}+{length}" for at, length in places) for when, places in drawn.items()}
        settings = from_text(snapshot_revert.Settings, {"kind": kind, **said})
        touched = {at // (64 * KIBI) for start, length in drawn["after"] for at in range(start, start + length, 4096)}
        # Besides the clusters one table of their places; a new file also has its header, two of its counts, and the L1.
        expected = (len(touched) + (1 if kind == "internal" else 5)) * 64 * KIBI
        assert snapshot_revert.theory(settings)["disk", "grown"] == expected
        assert ran(snapshot_revert, settings)["disk", "grown"] == expected


@pytest.mark.parametrize("kind", GREW)
def test_what_was_in_it_comes_back_and_no_more(kind):
    values = ran(snapshot_revert, snapshot_revert.Settings(kind=kind))
    assert (values["memory", "same_harmed"], values["disk", "same_harmed"]) == (0, 0)
    assert (values["memory", "same_back"], values["disk", "same_back"]) == (kind != "disk-only", 1)
    assert (values["web", "state"] > 0) == (kind != "disk-only")


def test_more_in_memory_takes_more_room_and_time():
    less, more = (ran(snapshot_revert, snapshot_revert.Settings(held=held)) for held in (1.0, 16.0))
    assert more["web", "state"] - less["web", "state"] == 15
    assert all(more["web", quantity] > less["web", quantity] for quantity in ("take", "stopped", "back"))


def test_the_hosts_clock_runs_through_it():
    with labkit.simulated() as host:
        seen = snapshot_revert.run(host, snapshot_revert.Settings(kind="disk-only"))
        values = {row["quantity"]: row["value"] for row in seen.rows}
        assert seen.seconds == pytest.approx(host.now) == pytest.approx(values["take"] + values["back"] + 0.2)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        (
            "after",
            ("0 and more",),
            "each write of 'after' is an offset, '+' and a length of 1 or more, such as 0+4096; or all of it is one",
        ),
        ("before", "8388608+4096", "'before' has 4096 bytes at 8388608, and the disk has 8388608 bytes."),
        ("after", "random:seed=1", "'after': the pattern random needs count, as in count=1."),
        ("after", (), "'after' looks like 0+4096"),
        ("before", "0+512", "'before' takes up to 100 writes"),
    ],
)
def test_complaints_have_the_settings_name_and_no_tuples(name, given, said):
    with pytest.raises(SettingError) as told:
        validate(snapshot_revert.Settings(**{name: given}))
    assert str(told.value).startswith(said) and "writes is" not in str(told.value)


@pytest.mark.parametrize("places", ["0+512", "1+4096", "8388608+4096"])
def test_writes_that_no_guest_makes_are_refused(places):
    with pytest.raises((SettingError, ValueError)):
        from_text(snapshot_revert.Settings, {"after": places})


@pytest.mark.parametrize("chosen", FOUND)
def test_what_is_found_is_what_was_found(chosen):
    settings = snapshot_consistency.Settings(freeze=chosen[0], synced=chosen[1])
    keys = [("log", "lost"), ("table", "lost"), ("disk", "recovery"), ("disk", "damaged")]
    assert tuple(snapshot_consistency.theory(settings)[key] for key in keys) == FOUND[chosen]
    values = ran(snapshot_consistency, settings)
    assert tuple(values[key] for key in keys) == FOUND[chosen]


@pytest.mark.parametrize("records", [1, 7, 200])
@pytest.mark.parametrize("freeze", ["no", "yes"])
def test_nothing_synced_is_ever_lost(records, freeze):
    for synced, safe in {"both": ("log", "table"), "log": ("log",), "none": ()}.items():
        values = ran(snapshot_consistency, snapshot_consistency.Settings(freeze, records, synced))
        for file in ("log", "table"):
            assert values[file, "lost"] == (0 if freeze == "yes" or file in safe else records)
