"""A panel about memory: what it says of a setting that cannot be, of sliders to begin with, and of no live host."""

from itertools import pairwise
from types import SimpleNamespace

import pytest

from labkit.experiments import load
from labkit.experiments.outcome import compare
from labkit.host import Provenance
from labkit.views import Panel, table
from labkit.views.commands import folded
from labkit.views.figures import figure
from labkit.views.frame import build
from labkit.views.memory import PARTS
from labkit.views.text import disturbed_line, live_line, together, untroubled

from . import remembering
from .fakes import FakeHost


def shown(panel):
    """The sliders that a person sees, by their settings' names."""
    hidden = [box for box in panel.children if getattr(box.layout, "display", None) == "none"]
    behind = {slider for box in hidden for slider in getattr(box, "children", ())}
    return [
        name
        for name, (slider, *_more) in panel.controls.by_setting.items()
        if slider not in behind and slider.layout.display != "none"
    ]


def test_a_setting_that_cannot_be_leaves_a_grey_picture_and_says_whose_it_is():
    panel = Panel("memory-balloon", target=96)
    target = panel.controls.by_setting["target"][0]
    target.value = 88
    before = panel.view.frame["serial"]
    target.value = 72
    assert "labkit-stale" in panel._dom_classes
    assert "target must be 82 MiB or more" in panel.alert.value
    assert "Not 72: the picture still shows target 88." in panel.alert.value
    assert panel.view.frame["serial"] == before
    target.value = 96
    assert "labkit-stale" not in panel._dom_classes and panel.alert.value == ""
    target.value = 72
    panel.reset_button.click()
    assert "labkit-stale" not in panel._dom_classes


def test_few_sliders_to_begin_with_and_the_others_behind_a_button():
    panel = Panel("memory-dynamic")
    assert shown(panel) == ["policy", "host", "high", "seed"]
    (more,) = (child for child in panel.children if getattr(child, "description", "") == "More settings")
    more.click()
    assert more.description == "Fewer settings"
    assert len(shown(panel)) == len(panel.controls.by_setting) - 5  # five act under other policies alone
    more.click()
    assert shown(panel) == ["policy", "host", "high", "seed"]


def test_what_is_never_live_has_no_switch_and_says_why():
    panel = Panel("memory-overcommit", seconds=2.0, memory=32.0)
    assert panel.switch not in panel.children[0].children
    assert "no disk to swap to" in panel.children[0].children[0].value
    assert panel._repr_mimebundle_()["text/plain"].endswith("host: Simulated")


def test_the_parts_of_pages_that_went_are_laid_out():
    for how, went in (("balloon", "ballooned"), ("swap", "swapped"), ("sharing", "shared")):
        panel = Panel("memory-overcommit", seconds=20.0, memory=32.0, reclaim=how)
        memory = panel.view.frame["memory"]
        assert memory["host"] == pytest.approx(4 * 32 / 1.5)
        rows = {(row["machine"], row["quantity"]): row["simulated"] for row in panel.outcome.rows}
        for row in memory["rows"]:
            assert sum(row["parts"].values()) == pytest.approx(32.0, abs=0.01)
            assert row["parts"][went] == pytest.approx(rows[f"m{row['machine'] + 1}", "reclaimed"], abs=0.01)
            if how == "sharing":  # what is still lacking the host swaps
                short = rows[f"m{row['machine'] + 1}", "short"]
                assert row["parts"]["swapped"] == pytest.approx(short, abs=0.01) and short > 1
        assert sum(row["host"] for row in memory["rows"]) <= memory["host"] + 0.1
        assert "memory of m1, simulated: working set" in panel._text


def test_what_the_host_holds_has_no_look_of_a_part():
    frame = build(compare(remembering.dynamic(16), remembering.Dynamic(), simulated=FakeHost), 1)
    held = frame["memory"]["held"]
    assert len({(one["colour"], one["pattern"]) for one in held}) == 16
    assert not {one["colour"] for one in held} & {part.colour for part in PARTS}
    assert not {one["colour"] for one in held} & {machine["colour"] for machine in frame["machines"]}


def test_what_all_have_together_is_the_last_row_where_the_experiment_says_so():
    module = remembering.dynamic(3, TOGETHER=("idle",))
    outcome = compare(module, module.Settings(), simulated=FakeHost)
    rows = [row for row in outcome.rows if row["quantity"] == "idle"]
    (last,) = together(module, "idle", rows)
    assert last["machine"] == "together" and last["simulated"] == 120.0 and last["live"] is None
    assert together(module, "shared", rows) == [] and together(module, "idle", rows[:1]) == []
    assert "\ntogether          –      120.0" in table(outcome)
    assert [entry["name"] for entry in build(outcome, 1)["quantities"] if entry["together"]] == ["idle"]


def test_memory_is_not_less_true_where_others_use_the_cpus():
    seen = SimpleNamespace(disturbed=0.4)
    assert "tell less" in disturbed_line(seen)
    said = disturbed_line(seen, untroubled(load("memory-balloon")))
    assert "40% of the time of the CPUs" in said
    assert "leaves the numbers as they are" in said and "tell less" not in said
    module = remembering.balloon()

    def live():
        return FakeHost(kind="live")

    import dataclasses

    outcome = compare(module, module.Settings(), live=live)
    outcome = dataclasses.replace(outcome, live=dataclasses.replace(outcome.live, disturbed=0.4))
    assert "<strong>Disturbed" in figure(outcome).html
    module.UNDISTURBED = "it is memory"
    assert "While it measured, others took up to 40%" in figure(outcome).html and "<strong>" not in figure(outcome).html


def test_an_experiment_may_say_by_what_in_sentences_of_its_own():
    mechanisms = {
        "shares": "a cgroup",
        "balloon": "a driver in the guest; of 256 MiB its kernel keeps 37.6 MiB, measured apart",
        "filling": "a program in the guest",
    }
    seen = SimpleNamespace(provenance=Provenance("live", "live host", "TCG", mechanisms))
    line = live_line(seen, needs=("balloon", "filling"), by_what=load("memory-balloon").BY_WHAT)
    assert line == (
        "live host, on TCG. The balloon: a driver in the guest. Of 256 MiB its kernel keeps 37.6 MiB, measured apart. "
        "Memory was filled by a program in the guest."
    )


def test_a_programs_text_does_not_bury_the_other_commands():
    program = 'virsh qemu-agent-command m1 \'{"execute": "guest-exec", "arguments": ' + "x" * 900 + "}'"
    written = folded(["# where", program, "virsh setmem m1 128MiB --live"])
    assert "virsh setmem m1 128MiB --live" in written and "x" * 200 not in written
    assert "letters more" in written and "(2 commands)" in written
    assert folded(["# nothing yet"]) == ""


@pytest.mark.parametrize(
    ("experiment", "begins"),
    [
        ("memory-balloon", "Simulated on the host, at the end: m1 "),
        ("memory-dynamic", "Simulated short, on average: m1 "),
    ],
)
def test_the_sentence_says_of_which_moment_it_is(experiment, begins):
    assert Panel(experiment).view.frame["reading"].startswith(begins)


def test_what_is_held_for_neighbours_differs_in_colour_and_in_pattern():
    held = Panel("memory-dynamic", machines=4).view.frame["memory"]["held"]
    for one, other in pairwise(held):
        assert one["colour"] != other["colour"] and one["pattern"] != other["pattern"]
