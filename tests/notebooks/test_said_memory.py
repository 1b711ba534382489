"""The numbers that lesson 03 says are those that the simulated host gives, as in `test_said_numbers`."""

import re
from pathlib import Path
from random import Random

import pytest

import labkit
from labkit import views
from labkit.experiments import load
from labkit.experiments.governing import SPARE
from labkit.experiments.memory_published import published
from labkit.experiments.settings import SettingError
from labkit.host.memory import GUEST
from labkit.host.policies import ESXI

TEACHING = Path(__file__).resolve().parents[2] / "TEACHING.md"
SOURCE = Path(__file__).resolve().parents[2] / "notebooks" / "source" / "03-memory.md"
BALLOON, DYNAMIC, OVERCOMMIT, SHARING = "memory-balloon", "memory-dynamic", "memory-overcommit", "memory-sharing"

SAID = [
    # experiment, settings, machine, quantity, column, and the sentence with the place of the number
    (BALLOON, {"target": 256}, "m1", "guest_free", "simulated", "{:.0f} MiB are free in the guest"),
    (BALLOON, {"target": 256}, "m1", "host_resident", "simulated", "the host holds {:.0f} of the 256 MiB"),
    (BALLOON, {"target": 128}, "m1", "host_resident", "simulated", "as the balloon grows, to {:.0f} MiB"),
    (BALLOON, {"target": 128, "memory": 128}, "m1", "guest_total", "simulated", "has {:.1f} MiB to deal out"),
    (BALLOON, {"target": 128}, "m1", "guest_total", "simulated", "the ballooned one {:.1f} MiB"),
    (BALLOON, {"target": 176}, "m1", "guest_free", "theory", "says that {:.1f} MiB are free"),
    (BALLOON, {"target": 176}, "m1", "guest_free", "theory", "33.5 in use, {:.1f} free"),
    (BALLOON, {"target": 176}, "m1", "host_resident", "theory", "256 − 80 = {:.0f} MiB"),
    (BALLOON, {"target": 176}, "m1", "host_resident", "simulated", "(The simulation says {:.0f}, for the 6 MiB"),
    (OVERCOMMIT, {}, "m1", "slowdown", "theory", "With `balloon` the programs take {:.2f} times as long"),
    (OVERCOMMIT, {"reclaim": "swap"}, "m1", "slowdown", "simulated", "With `swap` it is {:.2f} times"),
    (OVERCOMMIT, {"reclaim": "sharing"}, "m1", "slowdown", "simulated", "so it is {:.2f} times with `sharing`"),
    (OVERCOMMIT, {"reclaim": "sharing"}, "m1", "reclaimed", "simulated", "gets back less: {:.0f} MiB"),
    (OVERCOMMIT, {"reclaim": "sharing"}, "m1", "short", "simulated", "The other {:.0f} MiB are *short*"),
    (OVERCOMMIT, {}, "m1", "reclaimed", "theory", "of {:.0f} that are lacking"),
    (OVERCOMMIT, {"ratio": 3.0}, "m1", "slowdown", "simulated", "and it is {:.2f} times"),
    (SHARING, {}, "host", "saved", "theory", "{:.0f} MiB: of the 24 MiB"),
]


@pytest.fixture(scope="module")
def source():
    return SOURCE.read_text(encoding="utf-8")


@pytest.mark.parametrize("said", SAID, ids=lambda said: f"{said[0]}-{said[-1]}")
def test_what_is_said_is_what_is_seen(source, said):
    experiment, settings, machine, quantity, column, sentence = said
    value = views.run(experiment, host="simulated", **settings).value(machine, quantity, column)
    assert sentence.format(value) in source


def of_all(policy, quantity):
    rows = views.run(DYNAMIC, host="simulated", policy=policy).rows
    return {row["machine"]: row["simulated"] for row in rows if row["quantity"] == quantity}


def test_the_policies_leave_as_much_short_as_said(source):
    short, idle = of_all("static", "short"), of_all("static", "idle")
    worst, best = max(short, key=short.get), max(idle, key=idle.get)
    assert f"short of {sum(short.values()):.0f} MiB on average, while {sum(idle.values()):.0f} MiB lie idle:" in source
    assert f"`{worst}` is short of {short[worst]:.0f}, and `{best}` has {idle[best]:.0f} to spare" in source
    assert f"the mean of {load(DYNAMIC).Settings().steps} steps of a second each" in source
    others = [sum(of_all(policy, "short").values()) for policy in ("dynamic", "hyper-v", "esxi")]
    said = "With `dynamic` it is {:.1f}, with `hyper-v` {:.1f}, with `esxi` {:.1f} MiB"
    assert said.format(*others) in source
    assert min(others) > 0.5  # "None of them comes to nothing"


FORTY = range(1, 41)  # 160 runs take 2 s of CPU time: without `touches`, on which what is short does not hang
MOVING = ("dynamic", "hyper-v", "esxi")


def short_in_forty():
    """What the four are short of together, by policy, in each of forty draws."""

    def together(policy, seed):
        with labkit.simulated() as host:
            seen = module.run(host, module.Settings(policy=policy, seed=seed, touches=0.0))
        return sum(row["value"] for row in seen.rows if row["quantity"] == "short")

    module = load(DYNAMIC)
    return {policy: [together(policy, seed) for seed in FORTY] for policy in ("static", *MOVING)}


def means_of(short):
    return [sum(draws) / len(draws) for draws in short.values()]


def test_forty_draws_come_to_what_is_said(source):
    short = short_in_forty()
    means = means_of(short)
    said = "are short of {:.0f} MiB with `static`, {:.0f} with `dynamic`, {:.0f} with `hyper-v` and {:.0f} with `esxi`"
    assert said.format(*means) in source
    worse = [sum(a > b for a, b in zip(short[one], short["static"], strict=True)) for one in MOVING]
    assert "`dynamic` in {} of the forty, `hyper-v` in {}, `esxi` in {}.".format(*worse) in source
    assert short["static"][0] < means[0]  # "a mild one"


def test_programs_that_stay_for_a_short_while_are_as_said(source, monkeypatch):
    """The same draw, but for how long programs stay."""

    def brief(names, steps, low, high, seed):
        found = {}
        for name in names:
            draw, amounts = Random(f"wanted/{seed}/{name}"), []
            while len(amounts) < steps:
                amounts += [round(low + (high - low) * draw.random() ** 2)] * (3 + int(4 * draw.random()))
            found[name] = amounts[:steps]
        return found

    monkeypatch.setattr(load(DYNAMIC), "wanted", brief)
    fixed, *moved = means_of(short_in_forty())
    said = "after three to six, it would be {:.0f} with `static`, and {:.0f}, {:.0f} and {:.0f} with the others"
    assert said.format(fixed, *moved) in source and "for eight to sixteen looks" in source
    assert [mean > fixed for mean in moved] == [False, False, True]  # "ESX's rule would then do worse than walls"


def test_the_states_of_esx_are_as_said(source):
    seen = views.run(DYNAMIC, host="simulated", policy="esxi", seed=20, touches=0.0).outcome.simulated
    (soft,) = [event for event in seen.events if event.kind == "state" and event.detail == "soft"]
    said = f"with `seed` 20 the host was soft from {soft.time:.0f} s to {soft.time + soft.seconds:.0f} s"
    assert said in source
    least = dict(ESXI.states)
    assert f"below {least['soft']:.0%} free it is in the state *soft*" in source
    assert f"below {least['hard']:.0%} *hard*" in source


def test_what_hyper_v_starts_with_is_as_said(source):
    start = load(DYNAMIC).Settings(policy="hyper-v").start
    assert f"*start-up memory*, here {start:.0f} MiB" in source
    seen = views.run(DYNAMIC, host="simulated", policy="hyper-v", touches=0.0).outcome.simulated
    sizes = [line.values for line in seen.series if line.quantity == "size"]
    assert {values[0] for values in sizes} == {start}
    assert all(values[1] != start for values in sizes)  # "at the second look"


def test_the_least_that_a_guest_is_left_is_as_said(source):
    with pytest.raises(SettingError) as refused:
        views.run(BALLOON, host="simulated", target=64)
    least = str(refused.value).split("target must be ")[1].split(" ")[0]
    assert f"says that {least} MiB or more would do" in source
    kept, used = GUEST.kept(256.0), GUEST.used + GUEST.files
    assert f"Nor would {kept + used:.1f} do" in source
    assert f"{GUEST.reserve:.0f} MiB have to stay free" in source
    assert f"{GUEST.files:.1f} of the {used:.1f} are copies of files" in source
    assert f"{kept:.1f} + {GUEST.used:.1f} + {GUEST.reserve:.0f}, which makes {least}" in source


def test_the_second_prediction_is_shown_nowhere_before_it_is_asked(source):
    """Its answer is what the balloon leaves, and no number of the text or of a cell until its own fold."""
    before, fold = source.split("Open this when you have locked your second prediction")
    held = views.run(BALLOON, host="simulated", target=256 - 80).value("m1", "host_resident", "theory")
    assert "its balloon takes 80 MiB and holds them" in before and "target=256 - 80)" in before
    assert f"{held:.0f}" not in before and f"{held:.0f}" in fold


def test_the_clock_of_the_balloon_is_as_said(source):
    seen = views.run(BALLOON, host="simulated", target=128).outcome.simulated
    looks = (seen.seconds - load(BALLOON).Settings().seconds) / load(BALLOON).LOOK
    assert looks == 3 and f"clock says {seen.seconds:.2f} s: it looked three times" in source


def test_the_pages_that_a_guest_swaps_itself_are_as_said(source):
    (row, *_others) = views.run(OVERCOMMIT, host="simulated", ratio=3.0).outcome.simulated.rows
    settings = load(OVERCOMMIT).Settings(ratio=3.0)
    works, left = settings.working * settings.memory, settings.memory - settings.lacking
    assert row["machine"] == "m1"
    assert f"Of the {works:.0f} MiB that its programs work through the bar has {left:.0f} left." in source
    assert f"The other {works - left:.0f} the guest has swapped" in source


def test_the_forty_draws_can_all_be_set(source):
    assert "(the setting `seed`, 1 to 40)" in source
    lowest, highest = load(DYNAMIC).SHOWN["seed"]
    assert lowest <= 1 and highest >= 40


def test_what_stays_free_in_each_guest_is_as_said(source):
    floor, program = GUEST.reserve, SPARE - GUEST.reserve
    said = f"In each guest {SPARE:.0f} MiB stay free: the {floor:.0f} that have to, and {program:.0f}"
    assert said in source
    short = {line.machine: line.values[-1] for line in dynamic_lines() if line.quantity == "short"}
    assert {name for name, value in short.items() if value > 0} == {"m3", "m4"}
    assert "when `m3` and `m4` are short" in source


def dynamic_lines():
    return views.run(DYNAMIC, host="simulated").outcome.simulated.series


def test_the_instructor_has_the_numbers_of_the_second_prediction():
    lesson = TEACHING.read_text(encoding="utf-8").split("## Lesson 03")[1].split("## Lesson 04")[0]
    seen = views.run(BALLOON, host="simulated", target=176)
    total, free, held = (seen.value("m1", name) for name in ("guest_total", "guest_free", "host_resident"))
    theory = seen.value("m1", "host_resident", "theory")
    assert f"(`target` 176): {total:.0f}, {int(total - free)}, {free:.0f}, and {held:.0f} ({theory:.0f})" in lesson


def test_what_is_in_use_is_as_said(source):
    seen = views.run(BALLOON, host="simulated", target=256)
    used = seen.value("m1", "guest_total") - seen.value("m1", "guest_free")
    said = re.findall(r"([\d.]+) MiB (?:now|in use)", source) + re.findall(r"in the balloon, ([\d.]+) in use", source)
    assert said == [f"{used:.1f}"] * 4
    kept = 256 - seen.value("m1", "guest_total")
    assert f"64 − {kept:.1f} for its kernel − {said[0]} in use" in source


def test_the_balloon_that_was_let_out_leaves_what_is_said(source):
    module = load(BALLOON)
    way = [module.Settings(target=target) for target in (256.0, 160.0, 96.0)]
    held = module.theory_after(module.Settings(target=256.0), way)["m1", "host_resident"]
    assert "to 160, to 96, and back to 256" in source
    assert f"theory stays at {held:.0f}, the smallest target that there was" in source


def test_m3_is_short_although_some_is_free_as_said(source):
    seen = views.run(DYNAMIC, host="simulated").outcome.simulated
    last = {line.quantity: line.values[-1] for line in seen.series if line.machine == "m3"}
    said = f"At the end `m3` is short of {last['short']:.0f} although {last['guest_free']:.0f} are free in it"
    assert said in source


def test_the_bound_is_as_said(source):
    module = load(BALLOON)
    assert f"by less than {module.bounds(module.Settings())['host_resident']:.1f} MiB" in source


def test_the_two_machines_of_the_paper_are_as_said(source):
    rows = [row.ours for row in published() if "Two machines" in row.what]
    assert [round(value) for value in rows] == [180, 180, 104, 256]
    assert "each gets half, 180 MB" in source and "104 MB for it, all 256 MB for the busy one" in source
