"""The numbers that lesson 02 says in its *Go further* sections are those that the simulated host gives.

A learner reads "42.7 ms" beside a panel that has just shown a number. Where the model, an experiment or its default
settings change, this fails, and the sentence has to be looked at again.
"""

from pathlib import Path

import pytest

from labkit import views

SOURCE = Path(__file__).resolve().parents[2] / "notebooks" / "source" / "02-vcpu-allocation.md"

SAID = [
    # section, experiment, settings, machine, quantity, column, and the sentence with the place of the number
    ("A limit that holds", "cpu-cap", {}, "m2", "cpu", "theory", "{:.3f} CPU each"),
    ("A limit that holds", "cpu-cap", {"caps": (25,)}, "m1", "cpu", "simulated", "the report gets {:.2f} CPU"),
    ("Promising", "cpu-overcommit", {"load": 0.25}, "m1", "cpu", "simulated", "gets its {:.2f} CPU"),
    ("Promising", "cpu-overcommit", {}, "m1", "ready", "theory", "At 1.0 it is {:.2f}"),
    ("Promising", "cpu-overcommit", {"machines": 2}, "m1", "ready", "theory", "at 1.0, it is {:.1f}"),
    ("The greedy", "cpu-monopoly", {"greedy": 1}, "web", "response", "simulated", "a request takes {:.1f} ms"),
    ("The greedy", "cpu-monopoly", {}, "web", "response", "simulated", "it takes {:.1f} ms"),
    ("The greedy", "cpu-monopoly", {}, "web", "cpu", "simulated", "({:.3f} CPU and not 0.6"),
    ("The greedy", "cpu-monopoly", {"control": "shares"}, "web", "response", "simulated", "bring it to {:.1f} ms"),
    (
        "The greedy",
        "cpu-monopoly",
        {"control": "cap"},
        "web",
        "response",
        "simulated",
        "notice nothing of it: {:.1f} ms",
    ),
    (
        "The greedy",
        "cpu-monopoly",
        {"control": "cap", "cap": 50},
        "web",
        "response",
        "simulated",
        "at 50% of a CPU it is {:.1f} ms",
    ),
    ("How many", "cpu-sizing", {"vcpus": (2, 1)}, "m1", "response", "theory", "answers in {:.3f} s"),
    ("How many", "cpu-sizing", {"vcpus": (2, 1)}, "m2", "response", "theory", "the database in {:.3f} s"),
    ("How many", "cpu-sizing", {"vcpus": (2, 1)}, "m2", "response", "simulated", "before the swap, {:.3f} s"),
    ("How many", "cpu-sizing", {}, "m1", "response", "theory", "the web server takes {:.3f} s"),
    ("How many", "cpu-sizing", {}, "m2", "response", "theory", "and the database {:.3f} s"),
    ("A spike", "cpu-spike", {}, "spike", "response_during", "simulated", "waited {:.0f} ms"),
    ("A spike", "cpu-spike", {"control": "shares"}, "spike", "response_during", "simulated", "shares {:.0f} ms"),
    ("A spike", "cpu-spike", {"control": "hot-add"}, "spike", "response_during", "simulated", "wait for {:.0f} ms"),
    ("A spike", "cpu-spike", {"control": "hot-add"}, "spike", "cpu_during", "simulated", "It uses {:.1f} CPU"),
]


def section(title):
    """The source of one section."""
    after = SOURCE.read_text(encoding="utf-8").split(f"### {title}", 1)[1]
    return after.split("\n### ", 1)[0].split("\n## ", 1)[0]


@pytest.mark.parametrize("said", SAID, ids=lambda said: f"{said[1]}-{said[-1]}")
def test_what_is_said_is_what_is_seen(said):
    title, experiment, settings, machine, quantity, column, sentence = said
    value = views.run(experiment, host="simulated", **settings).value(machine, quantity, column)
    assert sentence.format(value) in section(title)


def test_overcommitted_machines_wait_as_said():
    def ready(load):
        rows = views.run("cpu-overcommit", host="simulated", load=load).rows
        return [row["simulated"] for row in rows if row["quantity"] == "ready"]

    text = section("Promising")
    light, full = ready(0.05), ready(0.25)
    assert "between 0 and 0.05" in text and max(light) <= 0.05
    assert f"the mean ready time is {sum(full) / len(full):.2f}" in text


@pytest.mark.parametrize(
    ("seeds", "requests", "said"), [(12, 200, "from {:.3f} to {:.3f} s"), (4, 20_000, "between {:.3f} and {:.3f} s")]
)
def test_afternoons_differ_as_said(seeds, requests, said):
    means = [
        views.run("cpu-sizing", host="simulated", vcpus=(2, 1), seed=seed, requests=requests).value("m2", "response")
        for seed in range(1, seeds + 1)
    ]
    assert said.format(min(means), max(means)) in section("How many")


def test_the_swap_costs_and_gains_what_is_said():
    before = views.run("cpu-sizing", host="simulated", vcpus=(2, 1))
    after = views.run("cpu-sizing", host="simulated")
    costs, gains = (
        1000 * (after.value(name, "response", "theory") - before.value(name, "response", "theory"))
        for name in ("m1", "m2")
    )
    assert f"suffers by {costs:.0f} ms, the other gains {-gains:.0f} ms" in section("How many")
