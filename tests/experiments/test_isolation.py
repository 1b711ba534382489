"""`isolation`: who is alive, what the service feels, and what was seen from inside."""

import math

import pytest

import labkit
from labkit.experiments import SettingError, isolation
from labkit.experiments.arrivals import AHEAD, poisson
from labkit.experiments.isolation import Settings, bounds, needs, run, theory
from labkit.experiments.settings import validate
from labkit.host import Ability, HostError

from .oracles import spread


def seen(**given_settings):
    asked = validate(Settings(**given_settings))
    with labkit.simulated(cpus=asked.cpus) as host:
        found = run(host, asked)
        assert not host.machines
        return found


def in_line(asked):
    """The mean response in ms of the very requests, one after the other, on a CPU of their own."""
    load = poisson(asked.arrival_rate, asked.service_time / 1000, asked.seed, "service", asked.seconds + AHEAD)
    free, waited = 0.0, []
    for comes, work in zip(load.arrivals, load.work, strict=True):
        if comes >= asked.seconds:
            break
        free = max(free, comes) + work
        waited.append(min(free, asked.seconds) - comes)
    return 1000 * math.fsum(waited) / len(waited)


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("harm", ["none", "spin", "panic", "memory"])
def test_who_is_alive(harm, cpus):
    for found in (seen(harm=harm, cpus=cpus).value, lambda *key: theory(Settings(harm=harm, cpus=cpus))[key]):
        assert found("noisy", "alive") == (0 if harm == "panic" else 1)
        assert found("service", "alive") == 1


@pytest.mark.parametrize(("harm", "cpus"), [("none", 1), ("panic", 1), ("spin", 2), ("memory", 2), ("panic", 2)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_service_with_a_cpu_to_itself_feels_nothing(harm, cpus, seed):
    asked = Settings(harm=harm, cpus=cpus, seed=seed)
    # Where a machine begins to spin there are a few turns on the other's CPU until the queues are balanced.
    slack = 4.0 if harm in ("spin", "memory") else 0.1
    found = seen(harm=harm, cpus=cpus, seed=seed).value("service", "response")
    assert found == pytest.approx(in_line(asked), abs=slack)


@pytest.mark.parametrize("harm", ["spin", "memory"])
def test_on_one_cpu_it_has_to_share_and_theory_is_silent(harm):
    calm, shared = (seen(harm=each).value("service", "response") for each in ("none", harm))
    assert shared > 1.5 * calm
    assert theory(Settings(harm=harm))["service", "response"] is None
    assert "response" not in bounds(Settings(harm=harm))


def test_theory_is_a_queue_in_the_long_run():
    asked = Settings(harm="none", seconds=60.0, arrival_rate=40.0)
    said = theory(asked)["service", "response"]
    assert said == pytest.approx(1000 / (1 / 0.015 - 40))
    found = seen(harm="none", seconds=60.0, arrival_rate=40.0).value("service", "response")
    assert found == pytest.approx(said, abs=3000 * spread(1, 40, 0.015, 2400, 30))


def test_too_many_requests_have_no_mean_and_no_bound():
    asked = Settings(harm="none", arrival_rate=100.0, service_time=20.0)
    assert theory(asked)["service", "response"] is None and bounds(asked) == {"alive": 0.0}


def test_bounds():
    # 1.96 s (1 + rho) / (1 - rho)^2 / sqrt(n), with rho = 0.3 and n = 120
    width = 1.959964 * 15 * 1.3 / 0.7**2 / math.sqrt(120)
    assert bounds(Settings()) == {"alive": 0.0, "response": pytest.approx(width)}


def test_what_each_machine_sees_is_kept_and_when_the_harm_was_done():
    found = seen(harm="panic", seconds=3.0, arrival_rate=40.0)
    inside = [(event.machine, event.time) for event in found.events if event.kind == "inside"]
    assert inside == [("noisy", 0), ("service", 0), ("service", 3)]
    assert all("CPU: 1, memory: 128 MiB" in e.detail for e in found.events if e.kind == "inside")
    (harm,) = [event for event in found.events if event.kind == "harm"]
    assert (harm.machine, harm.time) == ("noisy", pytest.approx(1.0)) and harm.detail.startswith("panic: ")
    assert not [event for event in seen(harm="none").events if event.kind == "harm"]


def test_only_harm_from_inside_needs_a_host_that_can():
    assert needs(Settings(harm="spin")) == isolation.NEEDS and needs(Settings()) == (*isolation.NEEDS, "harm")


def test_too_few_requests_are_refused():
    with pytest.raises(SettingError, match="20 requests"):
        validate(Settings(arrival_rate=1.0))


def test_a_host_without_harm_says_so():
    with labkit.simulated(mode="fluid") as host:
        with pytest.raises(HostError, match="fluid"):
            run(host, Settings())
        host.can = lambda _what: Ability(True)
        with pytest.raises(HostError, match="No harm"):
            run(host, Settings())
        assert not host.machines
