"""net-switch: theory against the simulated host and against a count by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.experiments import net_switch
from labkit.experiments.net_switch import Settings, theory


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 16), st.integers(1, 20))
def test_theory_and_the_switch_agree(machines, pings):
    one = Settings(machines, pings)
    with labkit.simulated() as host:
        seen = net_switch.run(host, one)
        assert not host.machines
    assert {(row["machine"], row["quantity"]): row["value"] for row in seen.rows} == theory(one)


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [("frames_asking", [2, 2, 1, 1]), ("frames_before", [1, 1, 1, 1]), ("frames_after", [7, 7, 0, 0])],
)
def test_by_hand(quantity, expected):
    found = theory(Settings(machines=4, pings=7))
    assert [found[f"m{number}", quantity] for number in (1, 2, 3, 4)] == expected


def test_the_events_of_all_three_phases_follow_each_other():
    with labkit.simulated() as host:
        seen = net_switch.run(host, Settings())
    assert len(seen.events) == 4 + 2 + 6
    assert [event.time for event in seen.events] == sorted(event.time for event in seen.events)
    assert seen.events[-1].time < seen.seconds
