"""`boot`: stages in order, none left out and none made up."""

import pytest

import labkit
from labkit.experiments import boot
from labkit.experiments.boot import Settings, bounds, run, theory

STAGES = ["hypervisor", "firmware", "kernel", "init", "agent"]


def seen(start):
    with labkit.simulated() as host:
        found = run(host, Settings(start=start))
        assert not host.machines
        return found


@pytest.mark.parametrize("start", ["cold", "saved"])
def test_the_stages_follow_each_other_and_add_up(start):
    found = seen(start)
    stages = [event for event in found.events if event.kind == "stage"]
    assert [e.detail for e in stages] == (STAGES if start == "cold" else ["hypervisor", "agent"])
    ends = 0.0
    for event in stages:
        assert event.time == pytest.approx(ends) and event.seconds > 0
        assert found.value("m1", event.detail) == pytest.approx(event.seconds)
        ends += event.seconds
    assert found.value("m1", "total") == pytest.approx(ends) == pytest.approx(found.seconds)


def test_a_saved_machine_leaves_out_what_theory_says():
    found, said = seen("saved"), theory(Settings(start="saved"))
    left_out = {quantity for (_machine, quantity), value in said.items() if value == 0}
    assert left_out == {"firmware", "kernel", "init"} == set(bounds(Settings(start="saved")))
    assert all(found.value("m1", quantity) == 0 for quantity in left_out)
    assert found.value("m1", "total") < seen("cold").value("m1", "total") / 2


def test_of_what_takes_time_theory_says_nothing():
    assert set(theory(Settings()).values()) == {None} and bounds(Settings()) == {} and boot.UNBOUNDED.endswith(".")


def test_whose_durations_they_are_is_said():
    said = seen("cold").provenance.mechanisms["boots"]
    assert all(word in said for word in ("TCG", "QEMU", "least of"))
