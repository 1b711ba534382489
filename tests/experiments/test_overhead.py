"""`overhead`: the formula by hand, the play against it, where the time goes, and what every number rests on."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import labkit
from labkit.experiments import overhead
from labkit.experiments.overhead import Settings, bounds, needs, run, theory
from labkit.experiments.settings import validate
from labkit.host import HostError
from labkit.host.costs import COSTS
from labkit.views.words import quantity

# By hand, from the papers: seconds at 2.93 GHz.
EXIT = 2000 / 2.93e9
KNOCK = 20e-6
HOST = 25.7e-6 * 733 / 2930
TICKS = 500


def seen(**given_settings):
    asked = validate(Settings(**given_settings))
    with labkit.simulated() as host:
        return run(host, asked)


def by_hand(uses):
    """The slowdown in each place for a program that uses a device so many times in a native second."""
    return {
        "native": 1.0,
        "guest": 1 + TICKS * EXIT + uses * KNOCK,
        "hosted": 1 + TICKS * 3 * EXIT + uses * (KNOCK + 2 * EXIT + HOST),
        "nested": 1 + TICKS * 14 * EXIT + uses * (KNOCK + 13 * EXIT),
    }


@given(st.sampled_from(["disk", "network"]), st.floats(10, 1e6))
def test_the_formula_is_that_of_the_papers(kind, rate):
    found = theory(Settings(kind=kind, rate=rate))
    assert found == {(place, "slowdown"): pytest.approx(value) for place, value in by_hand(rate).items()}


@pytest.mark.parametrize("kind", ["compute", "system-call"])
def test_what_uses_no_device_is_left_only_for_the_clock(kind):
    found = theory(Settings(kind=kind, rate=1e6))
    emulated = found.pop(("emulated", "slowdown"), None)
    assert found == {(place, "slowdown"): pytest.approx(value) for place, value in by_hand(0).items()}
    assert emulated == (8.0 if kind == "compute" else None)


@pytest.mark.parametrize("kind", ["compute", "system-call"])
def test_without_chance_play_and_formula_agree(kind):
    played = seen(kind=kind, seconds=2.0, repeats=1)
    for place, value in by_hand(0).items():
        # A tick more or less at the end, and ticks that come in time and not in work: 0.5% of 0.5%.
        assert played.value(place, "slowdown") == pytest.approx(value, abs=2 * 14 * EXIT / 2.0 + 5e-5)


@pytest.mark.parametrize("rate", [100.0, 2000.0, 50_000.0])
def test_uses_of_a_device_come_by_chance_and_cost_what_they_cost(rate):
    played = seen(kind="disk", rate=rate, seconds=0.4, repeats=1)
    number = min(0.4 * rate, 20_000)  # no more are played
    for place, value in by_hand(rate).items():
        scatter = 4 / math.sqrt(number) * (value - 1)  # of a Poisson number, four standard deviations
        assert played.value(place, "slowdown") == pytest.approx(value, abs=scatter + 14 * EXIT)


def test_more_floors_take_longer():
    played = seen(kind="network", rate=20_000)
    values = [played.value(place, "slowdown") for place in ("native", "guest", "hosted", "nested")]
    assert values == sorted(values) and values[0] == 1 and values[1] > 1.3


def test_where_the_time_went_adds_up():
    played = seen(kind="disk", seconds=0.2, repeats=1)
    for place in ("guest", "hosted", "nested"):
        spent = {e.detail.split(":")[0]: e.seconds for e in played.events if e.machine == place}
        assert {"guest", "exit", "device"} <= set(spent)
        assert ("world switch" in spent) == ("host" in spent) == (place == "hosted")
        assert sum(spent.values()) == pytest.approx(0.2 * played.value(place, "slowdown"))
        # The device is the same in all; what differs is the way to it.
        assert spent["device"] / spent["guest"] == pytest.approx((KNOCK - EXIT) * 10_000, rel=0.1)


def test_every_number_has_a_source_and_what_nobody_published_is_marked():
    numbers = {field.name: getattr(COSTS, field.name) for field in dataclasses.fields(COSTS)}
    assert all(number.source and number.unit and number.value > 0 for number in numbers.values())
    made_of_others = {"host_path", "exits_per_nested_exit"}
    assumed = {"ticks", "exits_per_tick", "world_switch"} | made_of_others
    assert {name for name, number in numbers.items() if number.assumed} == assumed
    published = [number.source for number in numbers.values() if not number.assumed]
    assert all(any(year in source for year in ("20", "ibid")) for source in published)
    with pytest.raises(dataclasses.FrozenInstanceError):
        COSTS.exit = None


def test_what_is_supposed_is_said():
    said = seen().provenance.mechanisms
    assert "hardware assistance" in said["guest"] and "translated" in said["emulated"]


def test_no_bound_and_a_reason():
    assert bounds(Settings()) == {} and overhead.UNBOUNDED.endswith(".")


def test_a_network_program_asks_for_more():
    assert needs(Settings(kind="network")) == ("programs", "network programs") and needs(Settings()) == ("programs",)


def test_a_slowdown_is_not_told_as_a_fraction():
    assert quantity(overhead, "slowdown").heading == "Slowdown (times as long)"


def test_the_fluid_host_says_no():
    with labkit.simulated(mode="fluid") as host, pytest.raises(HostError, match="slices"):
        run(host, Settings())
