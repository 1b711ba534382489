"""`cpu-sizing`: Erlang's formula, its confidence interval, and the simulated host, each by other means."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.experiments import SettingError, cpu_sizing, simulated_host
from labkit.experiments.arrivals import count
from labkit.experiments.cpu_sizing import Settings, bounds, run, theory
from labkit.experiments.queueing import erlang_c, half_width, mean_response
from labkit.experiments.settings import from_text, validate
from labkit.host import CpuLoad, RequestLoad

from .oracles import birth_and_death, spread


def seen(**given_settings):
    asked = validate(Settings(**given_settings))
    with labkit.simulated(**simulated_host(asked)) as host:
        return asked, run(host, asked)


@settings(deadline=None)
@given(st.integers(1, 16), st.floats(0.01, 0.97), st.floats(0.001, 1))
def test_response_is_that_of_the_birth_and_death_chain(servers, load, service):
    rate = load * servers / service
    assert mean_response(servers, rate, service) == pytest.approx(birth_and_death(servers, rate, service), rel=1e-6)


def test_published_values():
    # L. Kleinrock, Queueing Systems: M/M/1 waits with probability rho; M/M/2 with 2 rho^2 / (1 + rho).
    assert erlang_c(1, 0.7) == pytest.approx(0.7)
    assert erlang_c(2, 1.2) == pytest.approx(2 * 0.6**2 / 1.6)


def test_the_flagship():
    found = theory(Settings())
    assert found["m1", "response"] == pytest.approx(1 / (40 - 10))
    assert found["m2", "response"] == pytest.approx(0.025 / (1 - 0.45**2))  # M/M/2: s / (1 - rho^2)
    assert (found["m1", "throughput"], found["m2", "throughput"]) == (10, 36)


def test_too_many_requests_have_no_response_time():
    found = theory(Settings(vcpus=(1, 1), arrival_rate=(40.0, 50.0)))
    assert found["m1", "response"] is None and found["m2", "response"] is None
    assert found["m2", "throughput"] == pytest.approx(40)
    assert set(bounds(Settings(vcpus=(1, 2), arrival_rate=(50.0,)))) == {("m2", "response")}


@pytest.mark.parametrize(("servers", "rate", "requests"), [(1, 10, 2000), (1, 28, 5000), (2, 36, 2000), (4, 120, 1000)])
def test_the_interval_is_as_wide_as_independent_runs_scatter(servers, rate, requests):
    # 80 runs know a standard deviation to 8%, both sides do; four times both together is allowed.
    expected = 1.96 * spread(servers, rate, 0.025, requests, 80)
    assert half_width(servers, rate, 0.025, requests) == pytest.approx(expected, rel=0.45)


def test_its_closed_form_is_no_third_too_narrow():
    # 2000 runs know a standard deviation to 1.6%. The queue began empty, which at this load costs 1% of the width.
    expected = 1.96 * spread(1, 20, 0.025, 1000, 2000)
    assert half_width(1, 20, 0.025, 1000) == pytest.approx(expected, rel=0.1)


def test_of_few_requests_near_the_full_load_it_is_not_that_of_a_very_long_run():
    expected = 1.96 * spread(1, 36, 0.025, 200, 1000)
    # Both know a standard deviation of such lopsided means to about 5%.
    assert half_width(1, 36, 0.025, 200) == pytest.approx(expected, rel=0.2)
    assert expected < 0.3 < 1.96 * 0.025 * 1.9 / 0.1**2 / math.sqrt(200)


def test_each_machine_has_a_bound_of_its_own():
    asked = Settings(vcpus=(1, 1, 2), arrival_rate=(10.0, 50.0, 36.0))
    assert bounds(asked) == {
        ("m1", "response"): half_width(1, 10.0, 0.025, 200),
        ("m3", "response"): half_width(2, 36.0, 0.025, 200),
    }
    assert bounds(asked)["m1", "response"] < 1.3 * 1.96 * spread(1, 10.0, 0.025, 200, 400)


def test_the_interval_where_nobody_waits_is_that_of_the_work_alone():
    # With 16 clerks and little to do responses are independent and exponential; each width is known to 8%.
    assert half_width(16, 10, 0.025, 2000) == pytest.approx(1.96 * 0.025 / math.sqrt(2000), rel=0.3)


def test_four_times_the_requests_halve_it():
    for servers, rate in ((1, 10.0), (2, 36.0)):
        assert half_width(servers, rate, 0.025, 80_000) == pytest.approx(half_width(servers, rate, 0.025, 20_000) / 2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_simulated_is_as_theory_says(seed):
    asked, found = seen(vcpus=(1, 2, 4), arrival_rate=(20.0, 60.0, 120.0), requests=10_000, seed=seed)
    for name, servers, rate in (("m1", 1, 20), ("m2", 2, 60), ("m3", 4, 120)):
        chance = 4 * spread(servers, rate, 0.025, 2500, 20) / 2  # of 10,000 requests half as much as of 2500
        assert found.value(name, "response") == pytest.approx(theory(asked)[name, "response"], abs=chance)
        # 10,000 gaps: their sum is known to 1%, and four times that is allowed.
        assert found.value(name, "throughput") == pytest.approx(rate, rel=0.04)


def test_a_server_that_is_too_small_does_what_it_can():
    asked, found = seen(vcpus=(1,), arrival_rate=(80.0,), requests=4000)
    assert found.value("m1", "throughput") == pytest.approx(theory(asked)["m1", "throughput"], rel=4 / math.sqrt(4000))
    assert found.value("m1", "response") > 1


def test_a_single_rate_goes_for_all():
    found = theory(Settings(vcpus=(1, 2, 3), arrival_rate=(20.0,)))
    assert [found[f"m{number}", "throughput"] for number in (1, 2, 3)] == [20, 20, 20]


def test_each_machine_is_alone_and_has_its_own_requests():
    both = seen()[1]
    first = seen(vcpus=(1,), arrival_rate=(10.0,))[1]
    assert both.value("m1", "response") == pytest.approx(first.value("m1", "response"), rel=1e-6)
    assert [(row["machine"], row["quantity"], row["unit"]) for row in both.rows] == [
        (name, *what) for name in ("m1", "m2") for what in (("throughput", "1/s"), ("response", "s"))
    ]


def test_it_is_pinned_to_as_many_cpus_as_it_has_vcpus():
    alone = seen(vcpus=(1,), arrival_rate=(10.0,))[1]
    with labkit.simulated(cpus=8, mode="fluid") as host:
        host.create("other", pin=[0]).run(CpuLoad())
        beside = run(host, Settings(vcpus=(1,), arrival_rate=(10.0,)))
    # Whoever is on that CPU has half of it, and a request takes twice as long or more.
    assert beside.value("m1", "response") > 2 * alone.value("m1", "response")


def test_throughput_is_exact_where_nothing_is_left_to_chance(monkeypatch):
    evenly = RequestLoad(tuple(0.1 * (number + 1) for number in range(20)), (0.01,) * 20)
    monkeypatch.setattr(cpu_sizing, "count", lambda *_drawn: evenly)
    found = seen(vcpus=(1,), arrival_rate=(10.0,), requests=20)[1]
    assert found.value("m1", "throughput") == pytest.approx(10, rel=1e-9)
    assert found.value("m1", "response") == pytest.approx(0.01, rel=1e-9)


def test_each_machine_is_watched_as_long_as_requests_come():
    found = seen()[1]
    last = [count(200, rate, 0.025, 1, name).arrivals[-1] for name, rate in (("m1", 10.0), ("m2", 36.0))]
    assert found.seconds == pytest.approx(sum(last))
    assert found.series[0].times[-1] == pytest.approx(last[0], abs=0.2)


def test_many_requests_take_seconds():
    started = time.process_time()
    seen(vcpus=(2,), arrival_rate=(36.0,), requests=100_000)
    assert time.process_time() - started < 20


def test_lists_with_a_fraction_are_read_from_words():
    asked = from_text(Settings, {"arrival_rate": "10.5,36", "vcpus": "1,2"})
    assert asked.arrival_rate == (10.5, 36.0) and asked.vcpus == (1, 2)


@pytest.mark.parametrize(
    "words",
    [
        {"arrival_rate": ""},
        {"arrival_rate": "1,,2"},
        {"arrival_rate": "nan,1"},
        {"arrival_rate": "inf,1"},
        {"arrival_rate": "-1,1"},
        {"arrival_rate": "1e999,1"},
        {"arrival_rate": "٣,٤"},
        {"arrival_rate": "1_0,2"},
        {"arrival_rate": "1,2,3"},
        {"arrival_rate": ",".join(["1"] * 20_000)},
        {"arrival_rate": "0x10,2"},
        {"vcpus": "1.5,2"},
        {"vcpus": "1,17"},
        {"vcpus": "1,1,1,1,1,1,1,1", "arrival_rate": "10", "requests": "100000"},
        {"arrival_rate": "0.1", "requests": "100000"},
        {"service_time": "1", "vcpus": "1", "arrival_rate": "500", "requests": "100000"},
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(words):
    with pytest.raises(SettingError) as refused:
        from_text(Settings, words)
    assert len(str(refused.value)) < 300


@given(st.text(alphabet="0123456789.,eE+-naif٣ _", max_size=30))
def test_any_text_is_either_within_range_or_refused(text):
    try:
        asked = from_text(Settings, {"arrival_rate": text})
    except SettingError:
        return
    assert all(0.1 <= rate <= 1000 for rate in asked.arrival_rate) and len(asked.arrival_rate) in (1, 2)


def test_a_width_does_not_hang_on_how_a_number_is_written():
    assert half_width.__wrapped__(1, 36, 0.025, 200) == half_width.__wrapped__(1, 36.0, 0.025, 200)
