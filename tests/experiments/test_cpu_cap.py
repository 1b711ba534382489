"""`cpu-cap`: its theory against machines walked through their periods step by step, and the simulated host."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import labkit
from labkit.experiments import cpu_cap
from labkit.experiments.cpu_cap import Settings, bounds, run, theory

from .oracles import capped_turns, poured

CAPS = st.lists(st.integers(1, 100), min_size=1, max_size=5)


def as_seen(found, name):
    return [found[name, quantity] for quantity in ("cpu", "ready", "throttled")]


def test_the_flagship():
    found = theory(Settings())
    assert as_seen(found, "m1") == pytest.approx([0.25, 0.5, 0.25])
    assert as_seen(found, "m2") == pytest.approx([0.375, 0.625, 0.0])
    assert as_seen(found, "m3") == pytest.approx([0.375, 0.625, 0.0])


@given(CAPS, st.integers(1, 6))
def test_cpu_is_max_min_fairness_with_limits(caps, cpus):
    found = theory(Settings(caps=tuple(caps), cpus=cpus))
    expected = poured([cap / 100 for cap in caps], [1] * len(caps), cpus)
    assert [found[f"m{number}", "cpu"] for number in range(1, len(caps) + 1)] == pytest.approx(expected, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 999)), min_size=1, max_size=5), st.integers(0, 3))
@example([(1, 0), (27, 0), (70, 299)], 1)
@example([(10, 448), (1, 528), (34, 744), (54, 30)], 1)
def test_what_is_said_of_waiting_holds_wherever_the_periods_begin(machines, crowded):
    caps, offsets = zip(*machines, strict=True)
    cpus = 1 if crowded else len(caps)
    found = theory(Settings(caps=tuple(caps), cpus=cpus))
    walked = capped_turns([cap / 100 for cap in caps], cpus, offsets)
    for number, seen in enumerate(walked, 1):
        for said, was in zip(as_seen(found, f"m{number}"), seen, strict=True):
            assert said is None or said == pytest.approx(was, abs=0.006)


def test_where_the_beginning_of_the_periods_decides_nothing_is_said():
    found = theory(Settings(caps=(20, 20)))
    assert as_seen(found, "m1")[1:] == [None, None]
    together, in_turns = capped_turns([0.2, 0.2], 1, [0, 0])[0], capped_turns([0.2, 0.2], 1, [0, 500])[0]
    assert together[1:] == pytest.approx([0.2, 0.6], abs=0.01) and in_turns[1:] == pytest.approx([0, 0.8], abs=0.01)


@pytest.mark.parametrize("caps", [(25, 50, 100), (10, 100), (60,), (100, 100), (30, 100, 100, 100)])
def test_simulated_is_as_theory_says(caps):
    asked = Settings(caps=caps)
    with labkit.simulated(cpus=1) as host:
        seen = run(host, asked)
    for key, said in theory(asked).items():
        # A turn of 4 ms in a period of 100 ms may fall before the quota is used up or after it; over all
        # periods the turns even out, and of the whole only the last ones are left.
        allowed = 0.01 if key[1] == "cpu" else 0.04
        assert said is None or seen.value(*key) == pytest.approx(said, abs=allowed), key
    for name in {row["machine"] for row in seen.rows}:
        assert sum(seen.value(name, quantity) for quantity in ("cpu", "ready", "throttled")) == pytest.approx(
            1, abs=1e-6
        )


def test_a_cap_is_changed_while_machines_run():
    with labkit.simulated(cpus=1) as host:
        machines = cpu_cap.prepare(host, Settings(caps=(25, 100)))
        host.observe(seconds=2)
        cpu_cap.adjust(machines, Settings(caps=(75, 10)))
        host.observe(seconds=0.2)
        seen = host.observe(seconds=4)
    assert [seen.value(name, "cpu") for name in ("m1", "m2")] == pytest.approx([0.75, 0.10], abs=0.01)


def test_all_stay_on_the_cpus_that_they_share():
    with labkit.simulated(cpus=8) as host:
        found = run(host, Settings())
    assert {event.cpu for event in found.events if event.kind == "run"} == {0}
    assert sum(found.value(f"m{number}", "cpu") for number in (1, 2, 3)) == pytest.approx(1, abs=0.01)


def test_its_bound_is_for_what_it_was_derived_for():
    assert bounds(Settings()) == {"cpu": 0.03}
    assert not bounds(Settings(cpus=2)) and not bounds(Settings(seconds=5)) and not bounds(Settings(caps=(5,) * 17))
