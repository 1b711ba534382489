"""Machines whose demand moves, under four policies, on the simulated host."""

import math
from itertools import groupby

import pytest

import labkit
from labkit.bench.memory import plain_day
from labkit.experiments import memory_dynamic
from labkit.experiments.memory_published import published
from labkit.experiments.settings import SettingError, validate
from labkit.experiments.wanting import wanted
from labkit.host import HostError
from labkit.host.policies import POLICIES

Settings = memory_dynamic.Settings


def seen(settings):
    with labkit.simulated() as host:
        observation = memory_dynamic.run(host, settings)
        assert not host.machines
    return observation


def series(observation, quantity):
    return {line.machine: line.values for line in observation.series if line.quantity == quantity}


# What the course's guest keeps, added up by hand from its measurement: 33.246 + 70/4096 of its memory for the kernel,
# 28.2 in use, 5.3 of files; 16 have to stay free, and 8 are left for the program that fills memory.
def room(size, promised):
    return size - (33.24609375 + promised * 70 / 4096 + 28.2 + 5.3) - 24


def test_fixed_parts_by_hand():
    """640 MiB for four: 160 each, whatever they want."""
    settings = Settings(steps=8)
    observation = seen(settings)
    for name, amounts in settings.wanted.items():
        has = [min(amount, int(room(160, 240))) for amount in amounts]
        idle = [max(0.0, room(160, 240) - amount) for amount in has]
        short = [amount - got for amount, got in zip(amounts, has, strict=True)]
        assert observation.value(name, "idle") == pytest.approx(sum(idle) / 8, abs=0.01)
        assert observation.value(name, "short") == pytest.approx(sum(short) / 8, abs=0.01)
        # 256 pages a second, and half a turn of a disk of 7,200 turns a minute for each that is missing
        longer = [1 + 256 * lack / amount * (60 / 7200 / 2) for lack, amount in zip(short, amounts, strict=True)]
        assert observation.value(name, "slowdown") == pytest.approx(sum(longer) / 8, abs=NOISE)


# A program comes to 4,000 pages and more at random; of what is missing in those the standard error is √(1/4/4000) at
# most, and each missing one costs 256 × half a turn of the disk. Four times that:
NOISE = 4 * math.sqrt(0.25 / 4000) * 256 * (60 / 7200 / 2)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(seed=7, steps=5),
        Settings(host=960),
        Settings(promised=150, host=500, high=60),
        Settings(machines=2, host=300, high=200),
    ],
)
def test_theory_and_simulation_agree_on_fixed_parts(settings):
    settings = validate(settings)
    observation, theory = seen(settings), memory_dynamic.theory(settings)
    for (machine, quantity), value in theory.items():
        assert observation.value(machine, quantity) == pytest.approx(
            value, abs=NOISE if quantity == "slowdown" else 0.01
        )


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_never_more_than_there_is_nor_less_than_the_minimum(policy, seed):
    settings = validate(Settings(policy=policy, seed=seed))
    sizes = series(seen(settings), "size")
    for step in zip(*sizes.values(), strict=True):
        assert sum(step) <= settings.host + 1e-6
        assert min(step) >= settings.minimum - 1
        assert max(step) <= settings.promised


@pytest.mark.parametrize("policy", ["static", "hyper-v", "esxi"])
def test_with_enough_for_all_nobody_is_short_for_long(policy):
    settings = validate(Settings(policy=policy, host=1100, machines=4))
    observation = seen(settings)
    for name, lacks in series(observation, "short").items():
        # After a change a policy that gives what is committed needs a look to see it.
        wants = settings.wanted[name]
        held = [lack for lack, now, before in zip(lacks[6:], wants[6:], wants[5:], strict=False) if now == before]
        assert held and not any(held), (name, held)
    if policy in ("static", "esxi"):
        assert all(observation.value(name, "short") == 0 for name in settings.names)


def test_rules_that_move_memory_leave_machines_less_short_on_average():
    """What the lesson concludes, of the mean of seeds: each can do worse in one."""
    short = dict.fromkeys(POLICIES, 0.0)
    idle = dict.fromkeys(POLICIES, 0.0)
    for seed in range(1, 13):
        for policy in POLICIES:
            found = seen(validate(Settings(policy=policy, seed=seed, touches=0)))
            short[policy] += sum(found.value(f"m{number}", "short") for number in range(1, 5)) / 12
            idle[policy] += sum(found.value(f"m{number}", "idle") for number in range(1, 5)) / 12
    assert short["hyper-v"] < short["dynamic"] < short["esxi"] < short["static"]
    assert short["hyper-v"] < 0.6 * short["static"] and short["dynamic"] < 0.85 * short["static"]
    assert all(idle[policy] < 0.75 * idle["static"] for policy in POLICIES if policy != "static")


def test_the_simulated_slowdown_is_not_reckoned(monkeypatch):
    """Theory's arithmetic has no part in it."""
    monkeypatch.setattr(memory_dynamic, "_mean_slowdown", None)
    observation = seen(Settings())
    assert observation.value("m1", "slowdown") == 1.0 < 1.05 < observation.value("m4", "slowdown")
    assert {seen(Settings(steps=3, touches=0)).value(f"m{number}", "slowdown") for number in range(1, 5)} == {1.0}


def test_looking_at_what_is_used_leaves_less_idle_than_fixed_parts():
    for seed in (1, 2, 3):
        fixed, moved = (seen(validate(Settings(policy=policy, seed=seed))) for policy in ("static", "dynamic"))
        idle, less = (sum(found.value(f"m{number}", "idle") for number in range(1, 5)) for found in (fixed, moved))
        assert less < 0.8 * idle


@pytest.mark.parametrize("policy", ["static", "dynamic"])
@pytest.mark.parametrize("seed", [1, 5])
def test_a_loop_without_clock_and_balloons_comes_to_the_same(policy, seed):
    """The loop that ``labkit bench`` times beside the model."""
    settings = validate(Settings(policy=policy, seed=seed, machines=6, host=900))
    observation = seen(settings)
    for name, (idle, short) in plain_day(settings).items():
        assert observation.value(name, "idle") == pytest.approx(idle, abs=1e-6)
        assert observation.value(name, "short") == pytest.approx(short, abs=1e-6)


def test_theory_says_nothing_of_what_has_no_closed_form():
    for policy in ("dynamic", "hyper-v", "esxi"):
        assert set(memory_dynamic.theory(Settings(policy=policy)).values()) == {None}


def test_what_is_wanted_is_drawn_once_and_for_each():
    first = wanted(["a", "b"], 90, 10, 100, 3)
    assert first == wanted(["b", "a"], 90, 10, 100, 3) and first != wanted(["a", "b"], 90, 10, 100, 4)
    assert first["a"] != first["b"]
    for amounts in first.values():
        assert len(amounts) == 90 and min(amounts) >= 10 and max(amounts) <= 100
        runs = [len(list(group)) for _amount, group in groupby(amounts)]
        assert 4 < len(runs) < 12 and min(runs[:-1]) >= 8
    assert wanted(["a"], 5, 10, 100, 3)["a"] == first["a"][:5]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"low": 100, "high": 50}, "low must be at most high"),
        ({"machines": 9}, "host must be at least .* for 9 machines"),
        ({"promised": 65536, "machines": 16, "host": 700000, "steps": 20}, "would take minutes: at most 9 steps"),
    ],
)
def test_settings_that_do_not_fit(changed, says):
    with pytest.raises(SettingError, match=says):
        validate(Settings(**changed))


def test_esx_charges_for_what_is_held_and_not_touched():
    """Who holds most has less where it touches little of that; the others have what it lost."""

    def largest(idle_share):
        settings = validate(Settings(policy="esxi", idle_share=idle_share, seed=4))
        sizes, wants = series(seen(settings), "size"), settings.wanted
        greedy = max(wants, key=lambda name: wants[name][-1])
        assert wants[greedy][-1] > 100
        return sizes[greedy][-1]

    assert largest(0.9) < largest(0.0) - 20


def test_what_hyper_v_lets_one_set():
    """A machine alone that wants 60 MiB has what it has committed and the buffer; never less than the least."""

    def sizes(**changed):
        asked = Settings(policy="hyper-v", host=960, low=60, high=60, steps=4, touches=0, **changed)
        return [values[-1] for values in series(seen(validate(asked)), "size").values()]

    committed = 240 - room(240, 240) + 60
    assert sizes(buffer=0.05) == pytest.approx([1.05 * committed] * 4, abs=1)
    assert sizes(buffer=0.2) == pytest.approx([1.2 * committed] * 4, abs=1)
    assert sizes(buffer=0.05, least=220) == [220] * 4
    with pytest.raises(SettingError, match="at least 250 MiB, as least says"):
        validate(Settings(least=250))


def test_a_machine_starts_with_its_start_up_memory_whatever_it_wants():
    """In the first step; from the second look on the rule knows what its programs want."""
    asked = validate(Settings(policy="hyper-v", host=960, low=100, high=100, steps=4, touches=0, startup=140))
    observation = seen(asked)
    committed = 240 - room(240, 240) + 100
    for name, sizes in series(observation, "size").items():
        assert sizes[0] == 140 and sizes[1:] == pytest.approx([1.2 * committed] * 3, abs=1)
        short = series(observation, "short")[name]
        assert short[0] == 100 - int(room(140, 240)) > 0 and not any(short[1:])
    assert {sizes[0] for sizes in series(seen(Settings(policy="hyper-v", least=150, steps=1)), "size").values()} == {
        150
    }
    for policy in ("static", "dynamic", "esxi"):
        early, late = (seen(Settings(policy=policy, steps=2, startup=size)) for size in (100, 160))
        assert series(early, "size") == series(late, "size")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"startup": 250}, "startup must be at most promised, 240 MiB, not 250"),
        ({"startup": 161}, "startup must be at most 160 MiB, or 4 machines do not start on a host of 640; not 161"),
    ],
)
def test_machines_that_do_not_start(changed, says):
    with pytest.raises(SettingError, match=says):
        validate(Settings(policy="hyper-v", **changed))
    assert validate(Settings(policy="esxi", **changed))


# The paper's four states, section 6.3, by hand: which part has to be free to be in one, and to come back to it.
FREE = {"high": 0.06, "soft": 0.04, "hard": 0.02, "low": 0.01}


@pytest.mark.parametrize("seed", [1, 7, 16, 20])
def test_the_host_s_states_follow_from_what_nobody_has(seed):
    asked = Settings(policy="esxi", seed=seed, interval=0.5, touches=0)
    observation = seen(asked)
    free = [1 - sum(sizes) / 640 for sizes in zip(*series(observation, "size").values(), strict=True)]
    states, now, names = [], "high", list(FREE)
    for part in free:
        worst = max([place for place, name in enumerate(names) if place and part < FREE[name]], default=0)
        if worst > names.index(now):
            now = names[worst]
        while now != "high" and part >= FREE[names[names.index(now) - 1]]:
            now = names[names.index(now) - 1]
        states.append(now)
    told = [event for event in observation.events if event.kind == "state"]
    assert {event.machine for event in told} == {"host"}
    assert [event.detail for event in told] == [name for name, _those in groupby(states)]
    begins = [index * 0.5 for index, name in enumerate(states) if not index or states[index - 1] != name]
    assert [event.time for event in told] == pytest.approx(begins)
    assert [event.time + event.seconds for event in told] == pytest.approx([*begins[1:], 12.0])
    times = [event.time for event in observation.events]
    assert times == sorted(times)


def test_only_esx_has_states():
    for policy in ("static", "dynamic", "hyper-v"):
        assert not [event for event in seen(Settings(policy=policy, steps=2)).events if event.kind == "state"]


@pytest.mark.parametrize("policy", ["dynamic", "hyper-v", "esxi"])
def test_who_weighs_more_is_less_short(policy):
    short = [
        seen(validate(Settings(policy=policy, low=100, high=100, steps=8, weight=weight, touches=0))).value(
            "m1", "short"
        )
        for weight in (1, 3)
    ]
    assert short[1] < short[0] - 3


def test_esx_does_not_run_live():
    with labkit.simulated() as host:
        host.kind = "live"
        with pytest.raises(HostError, match="which pages a guest has touched"):
            memory_dynamic.run(host, Settings(policy="esxi"))
        assert not host.machines
    assert memory_dynamic.bounds(Settings(policy="esxi")) == {}
    assert memory_dynamic.bounds(Settings()) == {"idle": 12, "short": 12}


def test_the_published_table():
    """What can be reckoned comes out as published; what could not be read is not printed unless asked for."""
    rows = published()
    assert {row.checked for row in rows} == {"text", ""} and all(row.source for row in rows)
    for row in rows:
        assert (row.published == "") == (row.checked == "")
        if row.published and row.ours is not None:
            assert float(row.published) == pytest.approx(row.ours)
    two = {row.what: row.ours for row in rows if row.what.startswith("Two machines")}
    assert list(two.values()) == pytest.approx([180, 180, 104, 256])
    error = next(row for row in rows if row.what.startswith("Standard error"))
    assert error.ours == pytest.approx(5.0)
    more = published(text_only=False)
    assert len(more) == len(rows) + 3 and {row.checked for row in more} == {"text", "readers", ""}
