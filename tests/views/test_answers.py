"""Yes or no, bytes by the million, and rows that are no machines: told and drawn as what they are."""

import dataclasses
import re

import pytest

from labkit.experiments import load
from labkit.experiments.outcome import Outcome
from labkit.host import Observation, Provenance, Row
from labkit.views import figure, frame, run, text
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
        (back(1, 1), "yes (1) for memory and disk; live and simulated agree."),
        (back(0, 1), "yes (1) for disk, no (0) for memory; live and simulated differ for memory."),
        (back(0, 0), "no (0) for memory and disk; live and simulated differ for memory and disk."),
    ],
)
def test_a_yes_or_no_is_read_as_one(live, said):
    sentence = text.reading(outcome("snapshot-revert", back(1, 1), live))
    assert sentence == f"Live, as it was, after going back: {said}"
    assert "bound" not in sentence


def test_without_live_nothing_agrees():
    assert text.reading(outcome("snapshot-revert", back(1, 0))).endswith("yes (1) for memory, no (0) for disk.")


def test_many_bytes_are_told_in_mebibytes_too():
    words = quantity(load("snapshot-loss"), "readable")
    assert beside(6_881_280, words) == " B (6.6 MiB)" and beside(4096, words) == " B"
    assert beside(6_881_280, quantity(load("snapshot-revert"), "state")) == " MiB"
    values = {("m1", "readable"): 4096.0, ("copy", "readable"): 6_881_280.0}
    assert "m1 4096 B, copy 6,881,280 B (6.6 MiB)." in text.reading(outcome("snapshot-loss", values))


@pytest.mark.parametrize(
    ("name", "head"), [("snapshot-revert", "part"), ("snapshot-chain", "layer"), ("cpu-shares", "machine")]
)
def test_rows_have_the_name_of_what_they_are(name, head):
    result = run(name, host="simulated")
    heads = {line.split()[0] for line in result.text.splitlines() if re.search(r"\btheory +simulated +live\b", line)}
    assert heads == {head} == {rows_of(result.outcome.experiment)}
    assert f'<th scope="col" style="text-align:left">{head}</th>' in result.html
    assert frame.build(result.outcome, 1)["rows"] == head


def ticks(drawn, panel):
    """What stands below the axis of a panel, in its order."""
    svg = drawn.html.split("<svg ")[panel + 1].split("</svg>")[0]
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    return [one for one in texts if re.fullmatch(r"[0-9][0-9,.]*( \((?:yes|no)\))?", one)], texts


def test_the_axis_of_a_yes_or_no_has_two_ticks_and_the_bars_have_words():
    drawn = figure(outcome("snapshot-revert", back(1, 0), back(1, 0)))
    found, texts = ticks(drawn, 0)
    assert found == ["0 (no)", "1 (yes)"]
    assert [one for one in texts if one.endswith("live")] == ["yes live", "no live"]


def test_the_axis_of_many_bytes_is_in_mebibytes_and_its_numbers_are_exact():
    values = {("m1", "readable"): 66_912_256.0}
    found, texts = ticks(figure(outcome("snapshot-loss", values, values)), 0)
    assert found == ["0", "20", "40", "60", "80"]
    assert "66,912,256 simulated" in texts and "66,912,256 live" in texts
    assert any("numbers in B, axis in MiB" in one for one in texts) and not any("1e" in one for one in texts)


def test_the_longest_number_has_room():
    """A letter of the figure's text is at most seven tenths as wide as high; the page's font may be a wide one."""
    values = {("m1", "readable"): 66_912_256.0, ("copy", "readable"): 1.0}
    svg = figure(outcome("snapshot-loss", values, values)).html
    wide = float(re.search(r'viewBox="0 0 ([0-9.]+) ', svg)[1])
    for at, said in re.findall(r"<text[^>]*translate\(([0-9.]+) [^>]*>(66,912,256 \w+)</text>", svg) or re.findall(
        r'<text[^>]* x="([0-9.]+)"[^>]*>(66,912,256 \w+)</text>', svg
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
