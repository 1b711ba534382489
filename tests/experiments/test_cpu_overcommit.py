"""`cpu-overcommit`: equal parts, and who waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import labkit
from labkit.experiments import SettingError
from labkit.experiments.cpu_overcommit import Settings, bounds, run, theory
from labkit.experiments.settings import validate

from .oracles import poured


def seen(**given_settings):
    asked = validate(Settings(**given_settings))
    with labkit.simulated(cpus=asked.cpus) as host:
        return asked, run(host, asked)


@given(st.integers(1, 16), st.integers(1, 16), st.integers(1, 16), st.floats(0.01, 1))
def test_cpu_is_max_min_fairness(machines, vcpus, cpus, load):
    found = theory(Settings(machines=machines, vcpus=vcpus, cpus=cpus, load=load))
    expected = poured([load * vcpus] * machines, [1] * machines, cpus)
    assert [found[f"m{number}", "cpu"] for number in range(1, machines + 1)] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"machines": 8, "cpus": 2},
        {"machines": 3, "vcpus": 2, "cpus": 2},
        {"machines": 2, "vcpus": 2, "cpus": 4},
        {"machines": 2, "vcpus": 2, "cpus": 4, "load": 0.3},
        {"machines": 4, "load": 0.5, "seconds": 30.0},
        {"machines": 3, "load": 0.2, "seconds": 10.0},
    ],
)
def test_simulated_is_as_theory_says(how):
    asked, found = seen(**how)
    for key, said in theory(asked).items():
        # 16 turns of 4 ms are 0.011 of 6 s; where work piles up first, that takes less than a second of the 30 s.
        assert said is None or found.value(*key) == pytest.approx(said, abs=0.03), key


def test_below_what_there_is_nothing_is_said_about_waiting():
    assert theory(Settings(machines=3, load=0.3))["m1", "ready"] is None
    assert theory(Settings(machines=4, load=0.25))["m1", "ready"] is None
    assert theory(Settings(machines=5, load=0.25))["m1", "ready"] == pytest.approx(0.8)
    assert theory(Settings(machines=2, load=0.3, cpus=2))["m1", "ready"] == 0


def test_more_load_means_more_waiting():
    waited = [seen(machines=4, load=load)[1].value("m1", "ready") for load in (0.1, 0.2, 0.6, 1.0)]
    assert waited == sorted(waited) and waited[0] < 0.2 < 0.6 < waited[-1]


def test_all_stay_on_the_cpus_that_they_share():
    with labkit.simulated(cpus=8) as host:
        found = run(host, Settings(cpus=2))
    assert {event.cpu for event in found.events} == {0, 1}
    assert sum(found.value(f"m{number}", "cpu") for number in range(1, 5)) == pytest.approx(2, abs=0.01)


def test_too_many_vcpus_are_refused_with_the_numbers():
    with pytest.raises(SettingError, match="64 x 16"):
        validate(Settings(machines=64, vcpus=16))


def test_its_bound_is_for_what_it_was_derived_for():
    assert bounds(Settings()) == {"cpu": 0.03, "ready": 0.05}
    assert not bounds(Settings(load=0.9)) and not bounds(Settings(vcpus=2)) and not bounds(Settings(machines=17))
