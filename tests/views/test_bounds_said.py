"""The sentence that is read aloud says whether live is within each machine's bound, and how far chance scatters."""

from types import SimpleNamespace

import pytest

import labkit
from labkit.experiments import load, simulated_host
from labkit.experiments.cpu_sizing import Settings, intervals
from labkit.experiments.outcome import bound_of, compare
from labkit.views import text


def outcome(simulated, live, bounds, scatter=None):
    """An outcome of a made-up experiment: response times of machines, in s."""
    rows = [
        {"machine": f"m{number}", "quantity": "response", "unit": "s", "theory": None, "simulated": one, "live": other}
        for number, (one, other) in enumerate(zip(simulated, live, strict=True), 1)
    ]
    module = SimpleNamespace(QUANTITIES={"response": "s"}, bounds=lambda _: bounds)
    if scatter:
        module.intervals = lambda _: scatter
    return SimpleNamespace(rows=rows, experiment=module, settings=None, live=any(live))


def test_a_bound_may_be_a_machines_own():
    bounds = {"response": 0.5, ("m2", "response"): 0.1}
    assert bound_of(bounds, {"machine": "m1", "quantity": "response"}) == 0.5
    assert bound_of(bounds, {"machine": "m2", "quantity": "response"}) == 0.1
    assert bound_of(bounds, {"machine": "m2", "quantity": "cpu"}) is None


OWN = {("m1", "response"): 0.01, ("m2", "response"): 0.3}


@pytest.mark.parametrize(
    ("live", "bounds", "words"),
    [
        ((0.035, 0.3), OWN, "at most 0.100 s apart (on m2), each within its bound."),
        ((0.055, 0.3), OWN, "at most 0.100 s apart (on m2), m1 beyond its bound."),
        ((0.055, 0.6), OWN, "at most 0.400 s apart (on m2), m1 and m2 beyond their bounds."),
        ((0.035, 0.3), {"response": 0.15}, "at most 0.100 s apart (on m2), within the bound of 0.15."),
        ((0.035, 0.3), {"response": 0.05}, "at most 0.100 s apart (on m2), beyond the bound of 0.05."),
        ((0.035, 0.3), {}, "at most 0.100 s apart (on m2)."),
        ((0.033, 0.2), {"response": 0.0}, "; live and simulated are the same, within the bound of 0."),
        ((0.033, 0.2), {}, "; live and simulated are the same."),
    ],
)
def test_it_says_whether_live_is_within_the_bounds(live, bounds, words):
    assert text.reading(outcome((0.033, 0.2), live, bounds)).endswith(words)


def test_it_says_how_far_chance_scatters():
    said = text.reading(outcome((0.033, 0.2), (None, None), {}, {("m2", "response"): 0.1234}))
    assert said.endswith("m1 0.033, m2 0.200 s; 95% interval: m2 ± 0.123 s.")


def test_so_does_cpu_sizing():
    asked = Settings(vcpus=(2, 1))
    sizing = load("cpu-sizing")
    found = compare(sizing, asked, simulated=lambda: labkit.simulated(**simulated_host(asked)))
    assert f"m2 ± {intervals(asked)['m2', 'response']:.3f} s" in text.reading(found)
