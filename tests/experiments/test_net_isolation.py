"""`net-isolation`: who reaches whom by hand, what holds for any VLANs, and the simulated host."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import labkit
from labkit.experiments import live_host, net_isolation
from labkit.experiments.net_isolation import Settings, bounds, run, theory
from labkit.experiments.settings import SettingError, from_text, validate

BY_HAND = {  # written down from the ports, pair by pair
    ((10, 10, 20), "none"): {"m1>m2", "m2>m1"},
    ((10, 20, 10, 20), "none"): {"m1>m3", "m3>m1", "m2>m4", "m4>m2"},
    ((0, 0, 30), "none"): {"m1>m2", "m2>m1"},
    ((10, 20), "trunk"): {"m1>auditor", "auditor>m1", "m2>auditor", "auditor>m2"},
    ((0, 30), "trunk"): {"m2>auditor", "auditor>m2"},
}


def reached(found) -> set[str]:
    assert set(found.values()) <= {0.0, 1.0}
    return {pair for (pair, quantity), value in found.items() if value and quantity == "reachable"}


@pytest.mark.parametrize(("vlans", "auditor"), BY_HAND)
def test_by_hand(vlans, auditor):
    settings = validate(Settings(vlans, auditor))
    found = theory(settings)
    assert reached(found) == BY_HAND[vlans, auditor]
    count = len(vlans) + (auditor == "trunk")
    assert len(found) == count * (count - 1) and net_isolation.machines(settings) == count


@pytest.mark.parametrize(("vlans", "auditor"), BY_HAND)
def test_simulated_frames_go_where_they_should(vlans, auditor):
    with labkit.simulated() as host:
        seen = run(host, Settings(vlans, auditor))
        assert not host.machines
        host.network("lan").remove()  # it was taken away, so its name is free
    assert {row["machine"] for row in seen.rows if row["value"]} == BY_HAND[vlans, auditor]


@given(st.lists(st.integers(0, 3), min_size=2, max_size=6))
def test_it_is_the_same_both_ways_and_goes_by_the_vlan_alone(vlans):
    found = theory(Settings(tuple(vlans)))
    for (one, its), (other, others) in permutations(enumerate(vlans, 1), 2):
        assert found[f"m{one}>m{other}", "reachable"] == (its == others)


def test_wrong_settings_are_told():
    with pytest.raises(SettingError, match="a VLAN to carry"):
        from_text(Settings, {"vlans": "0,0", "auditor": "trunk"})
    with pytest.raises(SettingError, match="4094"):
        from_text(Settings, {"vlans": "10,4095"})


def test_the_live_host_is_one_with_networks():
    from labkit.experiments import cpu_shares

    assert live_host(Settings()) == {"networks": True}
    assert live_host(cpu_shares.Settings()) == {}
    assert bounds(Settings()) == {"reachable": 0.0}


def test_every_vlan_that_is_offered_is_one_that_can_be_set():
    offered = net_isolation.OFFERED["vlans"]
    assert {0, 10, 20, 30} <= set(offered)
    for vlan in (*offered, 1, 4094):
        assert validate(Settings((vlan, 10))).vlans == (vlan, 10)
