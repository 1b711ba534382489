"""The numbers that lesson 01 says are those that the simulated host gives, or that follow from what was published."""

import re
from pathlib import Path

import pytest

from labkit import views

SOURCE = Path(__file__).resolve().parents[2] / "notebooks" / "source" / "01-what-a-hypervisor-is.md"
TEXT = SOURCE.read_text(encoding="utf-8")


def response(**settings):
    return views.run("isolation", host="simulated", **settings).value("service", "response")


def slowdown(place, **settings):
    return views.run("overhead", host="simulated", **settings).value(place, "slowdown")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"harm": "panic"}, "alive and as quick as before: {:.1f} ms"),
        ({"harm": "none"}, "in the place of {:.1f} ms: 2.7 times"),
        ({"harm": "spin"}, "2. {:.1f} ms in the place"),
        ({"harm": "memory"}, "2. {:.1f} ms in the place"),
        ({"harm": "spin", "arrival_rate": 30.0}, "At 30 requests in a second it is {:.1f} ms"),
        ({"harm": "none", "arrival_rate": 30.0}, "instead of {:.1f} ms, at 50"),
        ({"harm": "spin", "arrival_rate": 50.0}, "at 50 it is {:.1f} ms"),
        ({"harm": "none", "arrival_rate": 50.0}, "608.5 ms instead of {:.1f} ms"),
    ],
)
def test_response_times_are_as_said(settings, sentence):
    assert sentence.format(response(**settings)) in TEXT


def test_a_busy_neighbour_costs_as_many_times_as_said():
    assert f"{response(harm='spin') / response(harm='none'):.1f} times as long" in TEXT


def test_other_seconds_differ_as_said():
    means = [f"{response(harm='none', seed=seed):.1f}" for seed in range(1, 5)]
    assert f"seeds 1 to 4 give {', '.join(means[:3])} and {means[3]} ms" in TEXT


def test_on_two_cpus_nobody_is_there():
    """ "As though nobody were there", and the answer to the second prediction."""
    assert response(harm="memory", cpus=2) == response(harm="none", cpus=1)


def test_theory_is_the_formula_that_is_written():
    """M/M/1: 1 / (1/15 ms − 20/s)."""
    said = float(re.search(r"− 20/s\) = ([0-9.]+) ms", TEXT)[1])
    assert said == pytest.approx(1000 / (1 / 0.015 - 20), abs=0.05)


@pytest.mark.parametrize(
    ("place", "settings", "sentence"),
    [
        ("guest", {"kind": "compute"}, "that is {:.4f} in type 1"),
        ("hosted", {"kind": "compute"}, "two world switches each {:.4f} in type 2"),
        ("guest", {"kind": "disk"}, "{:.2f} in type 1, 1.28 in type 2"),
        ("hosted", {"kind": "disk"}, "1.20 in type 1, {:.2f} in type 2"),
        ("hosted", {"kind": "disk", "rate": 500.0}, "more than most builds need, {:.2f} for both"),
        ("guest", {"kind": "disk", "rate": 500.0}, "more than most builds need, {:.2f} for both"),
        ("emulated", {"kind": "compute"}, "**{:.0f} times.**"),
    ],
)
def test_slowdowns_are_as_said(place, settings, sentence):
    assert sentence.format(slowdown(place, **settings)) in TEXT


def test_half_as_long_again_comes_at_the_rate_that_is_said():
    said = float(re.search(r"at about ([0-9,]+): 0.5", TEXT)[1].replace(",", ""))
    assert slowdown("hosted", kind="disk", rate=said) == pytest.approx(1.5, abs=0.02)


def test_a_system_call_costs_no_more_than_computing():
    assert slowdown("hosted", kind="system-call") == slowdown("hosted", kind="compute")


def test_a_start_takes_as_long_as_said():
    cold, saved = (views.run("boot", host="simulated", start=start) for start in ("cold", "saved"))
    assert f"{cold.value('m1', 'kernel'):.2f} s of {cold.value('m1', 'total'):.2f} s" in TEXT
    assert cold.value("m1", "kernel") > cold.value("m1", "total") / 2
    assert f"reading its memory back: {saved.value('m1', 'total'):.2f} s" in TEXT
