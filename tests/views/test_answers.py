"""Yes or no, bytes by the million, and rows that are no machines: told and drawn as what they are."""

import dataclasses
import re

import pytest

from labkit.experiments import load
from labkit.experiments.outcome import Outcome
from labkit.host import Observation, Provenance, Row
from labkit.views import figure, frame, run, text
from labkit.views.scales import scale_of
from labkit.views.words import beside, quantity, rows_of

MEBI = 1 << 20
ORIGIN = Provenance(host="live", name="live host", mechanisms={"snapshots": "a camera"}, versions={})


def outcome(name, simulated, live=None, **settings):
    """An experiment's columns with numbers of our own: by row and quantity."""
    module = load(name)

    def seen(values):
        rows = tuple(
            Row(machine=machine, quantity=what, unit=module.QUANTITIES[what], value=value)
            for (machine, what), value in values.items()
        )
        return Observation(1.0, rows, (), (), ORIGIN)

    both = {"simulated": None, "live": None}
    asked = module.Settings(**settings)
    return Outcome(module, asked, seen(simulated), seen(live) if live else None, both)


def back(memory, disk):
    return {("memory", "same_back"): float(memory), ("disk", "same_back"): float(disk)}


@pytest.mark.parametrize(
    ("live", "said"),
    [
        (back(1, 1), "yes (1) for memory and disk; in this live and simulated agree."),
        (back(0, 1), "yes (1) for disk, no (0) for memory; in this live and simulated differ for memory."),
        (back(0, 0), "no (0) for memory and disk; in this live and simulated differ for memory and disk."),
    ],
)
def test_a_yes_or_no_is_read_as_one(live, said):
    sentence = text.reading(outcome("snapshot-revert", back(1, 1), live))
    assert sentence == f"Live, as it was, after going back: {said}"
    assert "bound" not in sentence


def test_that_they_agree_is_not_said_of_what_has_no_bound():
    """1.26 s against 5.42 s stood above "live and simulated agree"."""
    times = {("web", "take"): 0.5, ("web", "back"): 1.26}
    simulated = back(1, 1) | times
    sentence = text.reading(outcome("snapshot-revert", simulated, simulated | {("web", "back"): 5.42}))
    assert "; in this live and simulated agree; for “Taking the snapshot” and “Going back” no bound is set." in sentence


def disturbed(found, part=0.4):
    return dataclasses.replace(found, live=dataclasses.replace(found.live, disturbed=part))


def test_what_is_counted_holds_where_others_use_the_cpus():
    values = back(1, 1) | {("disk", "grown"): 4096.0, ("web", "back"): 5.0}
    found = disturbed(outcome("snapshot-revert", values, values))
    said = text.notice(found)
    assert said.startswith("disturbed: while it measured, others took up to 40% of the time of the CPUs that it ran on")
    assert "all other live numbers tell less" in said and said.endswith("hold all the same.")
    assert "“As it was, after going back”" in said and "“Going back”" not in said
    assert said in text.table(found) and said in frame.build(found, 1)["where"]
    assert text.notice(outcome("snapshot-revert", values, values)) == ""


@pytest.mark.parametrize("name", ["disk-convert", "snapshot-loss", "snapshot-consistency", "net-isolation"])
def test_where_all_is_counted_nothing_tells_less(name):
    what = next(iter(load(name).QUANTITIES))
    said = text.notice(disturbed(outcome(name, {("m1", what): 1.0}, {("m1", what): 1.0})))
    assert "leaves the numbers as they are" in said and "tell less" not in said


@pytest.mark.parametrize("name", ["cpu-shares", "boot", "disk-throttle"])
def test_times_and_rates_tell_less(name):
    what = next(iter(load(name).QUANTITIES))
    said = text.notice(disturbed(outcome(name, {("m1", what): 1.0}, {("m1", what): 1.0})))
    assert "so the live numbers tell less" in said and "hold" not in said


def test_without_live_nothing_agrees():
    assert text.reading(outcome("snapshot-revert", back(1, 0))).endswith("yes (1) for memory, no (0) for disk.")


def test_many_bytes_are_told_in_mebibytes_too():
    words = quantity(load("snapshot-loss"), "readable")
    assert beside(6_881_280, words) == " B (6.56 MiB)" and beside(4096, words) == " B"
    assert beside(6_881_280, quantity(load("snapshot-revert"), "state")) == " MiB"
    values = {("m1", "readable"): 4096.0, ("copy", "readable"): 6_881_280.0}
    assert "m1 4096 B, copy 6,881,280 B (6.56 MiB)." in text.reading(outcome("snapshot-loss", values))


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("snapshot-revert", "part"),
        ("snapshot-chain", "layer"),
        ("cpu-shares", "machine"),
        ("disk-thin", "disk"),
        ("disk-convert", "disk"),
        ("disk-trim", "moment"),
        ("net-isolation", "pair"),
    ],
)
def test_rows_have_the_name_of_what_they_are(name, head):
    result = run(name, host="simulated")
    heads = {line.split()[0] for line in result.text.splitlines() if re.search(r"\btheory +simulated +live\b", line)}
    assert heads == {head} == {rows_of(result.outcome.experiment)}
    assert re.search(rf'<th scope="col" style="[^"]*text-align:left[^"]*">{head}</th>', result.html)
    assert frame.build(result.outcome, 1)["rows"] == head


def test_what_is_the_same_everywhere_is_said_of_rows_and_not_of_machines():
    moments = {(moment, "file_bytes"): 33_820_672.0 for moment in ("before", "after", "again")}
    said = text.reading(outcome("disk-trim", {(m, "store_bytes"): n for (m, _), n in moments.items()} | moments))
    assert ": the same for before, after and again, 33,820,672 B (32.25 MiB)." in said and "machine" not in said
    layers = {(f"m{number}", "readable"): 4096.0 for number in range(1, 7)}
    assert ": the same for every layer, 4096 B." in text.reading(outcome("snapshot-loss", layers))
    alike = {(f"m{number}", "cpu"): 0.5 for number in (1, 2)}
    assert "all machines get the same, 0.500 CPU." in text.reading(outcome("cpu-shares", alike))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("disk-convert", "simulated host"),
        ("snapshot-consistency", "simulated host"),
        ("net-switch", "simulated host"),
        ("disk-throttle", "simulated host, 6 s of its own clock"),
        ("cpu-shares", "simulated host, 1 CPU, Linux's rules, 6 s of its own clock"),
        ("memory-balloon", "simulated host, 2 CPUs, Linux's rules, 1.75 s of its own clock"),
    ],
)
def test_the_host_is_described_by_what_has_a_part_in_the_numbers(name, line):
    assert text.host_lines(run(name, host="simulated").outcome)[0] == line


def ticks(drawn, panel):
    """What stands below the axis of a panel, in its order."""
    svg = drawn.html.split("<svg ")[panel + 1].split("</svg>")[0]
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    return [one for one in texts if re.fullmatch(r"[0-9][0-9,.]*( \((?:yes|no)\))?", one)], texts


def test_the_axis_of_a_yes_or_no_has_two_ticks_and_the_bars_have_words():
    drawn = figure(outcome("snapshot-revert", back(1, 0), back(1, 0)))
    found, texts = ticks(drawn, 0)
    assert found == ["0 (no)", "1 (yes)"]
    assert [one for one in texts if one.startswith("live")] == ["live: yes", "live: no"]
    assert not any(re.search(r"\bno (theory|simulated|live)\b", one) for one in texts)


def test_a_figure_of_many_bytes_is_in_mebibytes_and_its_table_has_each_byte():
    values = {("m1", "readable"): 66_912_256.0}
    picture = figure(outcome("snapshot-loss", values, values))
    found, texts = ticks(picture, 0)
    assert found == ["0", "20", "40", "60", "80"]
    assert "63.81 MiB simulated" in texts and "63.81 MiB live" in texts  # 66,912,256 / 2**20 = 63.8125
    assert any("(MiB; bytes in the table)" in one for one in texts) and not any("1e" in one for one in texts)
    assert "66,912,256" in picture.text


@pytest.mark.parametrize(
    ("longest", "value", "said"),
    [
        (65_536, 65_536, "64 KiB"),
        (65_536, 6500, "6.35 KiB"),
        (1000, 17, "17 B"),
        (2**30, 2**30, "1,024 MiB"),
        (2**30, 2**30 + 253_952, "1,024.24 MiB"),
        (2**30, 4096, "0.0039 MiB"),
        (2**30, 0, "0 MiB"),
    ],
)
def test_all_numbers_of_a_chart_of_bytes_are_in_one_unit(longest, value, said):
    assert scale_of(longest, quantity(load("snapshot-loss"), "readable")).told(float(value)) == said


@pytest.mark.parametrize("lost", [0.0, 1.0, 3.0])
def test_what_is_counted_has_whole_numbers_on_its_axis(lost):
    values = {("log", "lost"): lost, ("table", "lost"): 0.0}
    found, _texts = ticks(figure(outcome("snapshot-consistency", values)), 0)
    assert len(found) > 1 and all(re.fullmatch(r"\d+", mark) for mark in found)
    (card,) = frame.build(outcome("snapshot-consistency", values), 1)["quantities"]
    assert card["counted"]


def test_the_longest_number_has_room():
    """A letter of the figure's text is at most seven tenths as wide as high; the page's font may be a wide one."""
    values = {("m1", "readable"): 66_912_256_000.0, ("copy", "readable"): 1.0}
    svg = figure(outcome("snapshot-loss", values, values)).html
    wide = float(re.search(r'viewBox="0 0 ([0-9.]+) ', svg)[1])
    for at, said in re.findall(r"<text[^>]*translate\(([0-9.]+) [^>]*>(63,812.50 MiB \w+)</text>", svg) or re.findall(
        r'<text[^>]* x="([0-9.]+)"[^>]*>(63,812.50 MiB \w+)</text>', svg
    ):
        assert float(at) + len(said) * 7.5 * 0.6 < wide
        break
    else:
        pytest.fail("the number is not there")


def test_a_card_without_numbers_is_left_out():
    names = {one["name"] for one in frame.build(run("snapshot-chain", host="simulated").outcome, 1)["quantities"]}
    assert "copied" not in names
    shortened = run("snapshot-chain", host="simulated", operation="flatten", depth=2).outcome
    assert "copied" in {one["name"] for one in frame.build(shortened, 1)["quantities"]}


def test_the_frame_says_which_are_answers_and_which_are_bytes():
    found = {one["name"]: one for one in frame.build(outcome("snapshot-revert", back(1, 1)), 1)["quantities"]}
    assert found["same_back"]["answer"] and found["same_back"]["top"] == 1.0 and not found["same_back"]["bytes"]
    chain = {one["name"]: one for one in frame.build(run("snapshot-loss", host="simulated").outcome, 1)["quantities"]}
    assert chain["readable"]["bytes"] and not chain["readable"]["answer"]


def test_mechanisms_in_a_sentence_of_the_experiment():
    seen = dataclasses.replace(outcome("snapshot-revert", back(1, 1), back(1, 1)))
    assert text.host_lines(seen)[1] == "live host. The snapshots: a camera."
