"""Networks of the simulated host: what it promises, who sees what, what it refuses, and what it leaves behind."""

import pytest

import labkit
from labkit.host import HostError
from labkit.host.networks import Network, Networked, Port, Rule, Shape


@pytest.fixture
def host():
    with labkit.simulated() as host:
        yield host


def plugged(host, count=3, **how):
    lan = host.network("lan")
    for number in range(1, count + 1):
        host.create(f"m{number}", nics=[lan.port(**how)])
    return lan


def frames(seen):
    return [row["value"] for row in seen.rows]


def test_it_keeps_the_protocol(host):
    assert isinstance(host, Networked) and isinstance(host.network("lan"), Network)
    for ability in ("networks", "firewall", "shaping", "routers"):
        assert host.can(ability).mechanism
    with labkit.simulated(mode="fluid") as fluid:
        assert "slices" in fluid.can("networks").remedy


def test_addresses_are_given_one_after_the_other(host):
    lan = plugged(host, 2)
    host.create("m3", nics=[lan.port(address="10.0.0.3/24")])
    host.create("m4", nics=[lan.port()])
    assert [gate.port.address for gate in host._cabinet.all_gates()] == [f"10.0.0.{n}/24" for n in (1, 2, 3, 4)]
    with pytest.raises(HostError, match=r"10.0.0.3/24 is taken in lan"):
        host.create("m5", nics=[lan.port(address="10.0.0.3/24")])
    assert "m5" not in host.machines
    host.create("m6", nics=[lan.port(address="10.0.0.3/24", vlan=10)])  # in another VLAN nobody has it
    host.machines["m2"].stop()
    host.create("m7", nics=[lan.port()])
    assert host._cabinet.gates["m7"][0].port.address == "10.0.0.2/24"


def test_it_tells_who_is_plugged_in(host):
    lan, shape = host.network("lan"), Shape(8)
    host.create("m1", nics=[lan.port(vlan=10, shape=shape)])
    host.create("m2", nics=[host.network("other").port(), lan.port(trunk=(10, 20))])
    assert host.networks["lan"] is lan and list(host.networks) == ["lan", "other"]
    assert lan.plugged() == (
        ("m1", Port("lan", 10, (), "10.0.0.1/24", (), shape), "52:54:00:00:00:01"),
        ("m2", Port("lan", None, (10, 20), "10.0.0.2/24"), "52:54:00:00:00:03"),
    )


def test_who_sees_a_frame_before_and_after_learning(host):
    lan = plugged(host, 4)
    assert lan.table() == {}
    assert frames(host.capture("m1", "m2", known=False)) == [2, 2, 1, 1]
    assert set(lan.table().values()) == {"m1", "m2"}
    lan.forget()
    assert lan.table() == {}
    assert frames(host.capture("m1", "m2")) == [1, 1, 1, 1]
    assert frames(host.capture("m1", "m2", 5)) == [5, 5, 0, 0]
    assert frames(host.capture("m3", "m1")) == [1, 0, 1, 0]


def test_an_address_that_was_long_silent_is_flooded_to_again(host):
    plugged(host)
    host.capture("m1", "m2")
    host.advance(host.now + 299)
    assert frames(host.capture("m1", "m2")) == [1, 1, 0]
    host.advance(host.now + 301)
    assert frames(host.capture("m1", "m2")) == [1, 1, 1]


def test_frames_are_told_as_events(host):
    plugged(host)
    events = host.capture("m1", "m2", known=False).events
    assert [event.kind for event in events] == ["frame"] * 4
    assert [(event.machine, event.detail) for event in events] == [
        ("m1", "to all; seen by m2, m3; who has 10.0.0.2?"),
        ("m2", "to m1; seen by m1; 10.0.0.2 is at 52:54:00:00:00:02"),
        ("m1", "to m2; seen by m2; ICMP echo request 10.0.0.1 to 10.0.0.2"),
        ("m2", "to m1; seen by m1; ICMP echo reply 10.0.0.2 to 10.0.0.1"),
    ]
    assert all(event.seconds > 0 for event in events)
    assert sorted(event.time for event in events) == [event.time for event in events]


def test_two_networks_do_not_meet(host):
    for name in ("one", "two"):
        lan = host.network(name)
        for number in (1, 2):
            host.create(f"{name}{number}", nics=[lan.port(address=f"10.0.0.{number}/24")])
    reached = {row["machine"] for row in host.reach().rows if row["value"]}
    assert reached == {"one1>one2", "one2>one1", "two1>two2", "two2>two1"}
    with pytest.raises(HostError, match="no network together"):
        host.capture("one1", "two1")


def test_a_machine_with_two_cards_is_in_both(host):
    one, two = host.network("one"), host.network("two")
    host.create("a", nics=[one.port()])
    host.create("b", nics=[one.port(), two.port()])
    host.create("c", nics=[two.port()])
    assert {row["machine"] for row in host.reach().rows if not row["value"]} == {"a>c", "c>a"}


def test_a_closed_port_refuses_and_a_transfer_finds_a_wall(host):
    lan = host.network("lan")
    host.create("m1", nics=[lan.port()])
    host.create("m2", nics=[lan.port(rules=[Rule("drop", protocol="tcp")])])
    seen = host.transfer("m1", "m2", 1)
    assert (seen.value("m1>m2", "rate"), seen.value("m1>m2", "bytes")) == (0, 0)
    assert "firewall" in seen.provenance.mechanisms and "shaping" not in seen.provenance.mechanisms


def test_the_same_twice():
    told = []
    for _ in range(2):
        with labkit.simulated() as host:
            plugged(host, shape=Shape(2, 4, 0.05))
            told.append((host.reach().events, host.transfer("m1", "m2", 2).series, host.journal()))
    assert told[0] == told[1]


def test_what_a_network_leaves_behind(host):
    lan = plugged(host, 2)
    with pytest.raises(HostError, match="m1, m2 has a cable in lan"):
        lan.remove()
    for machine in list(host.machines.values()):
        machine.stop()
    lan.remove()
    lan.remove()
    assert host.network("lan").name == "lan"
    assert repr(lan) == "<network lan: nobody, removed>"


def test_what_it_refuses(host):
    lan = plugged(host, 2)
    host.create("none")
    for wrong, says in (
        (lambda: host.network("lan"), "a network lan already"),
        (lambda: host.reach([("m1", "none")]), "none has no network card"),
        (lambda: host.reach([("m1", "who")]), "no machine 'who'"),
        (lambda: host.capture("m1", "m1"), "reach itself"),
        (lambda: host.create("m3", nics=[Port("elsewhere")]), "no port of this host's networks"),
        (lambda: host.create("m3", nics=[lan.port()] * 9), "8 cards at the most"),
    ):
        with pytest.raises(HostError, match=says):
            wrong()
    for wrong in (
        lambda: host.reach(protocol="smtp"),
        lambda: host.reach(protocol="tcp", port=70000),
        lambda: host.reach(claim="nobody"),
        lambda: host.capture("m1", "m2", 0),
        lambda: host.transfer("m1", "m2", 0),
        lambda: host.network("9"),
    ):
        with pytest.raises(ValueError, match="."):
            wrong()
    assert "m3" not in host.machines


def test_switches_do_not_form_a_ring(host):
    one, two, three = (host.network(name) for name in ("one", "two", "three"))
    one.join(two)
    two.join(three)
    for pair in ((one, two), (three, one), (one, one)):
        with pytest.raises(HostError, match="ring"):
            pair[0].join(pair[1])


def test_a_switch_that_is_taken_away_joins_nothing_any_more(host):
    one, two, three = (host.network(name) for name in ("one", "two", "three"))
    one.join(two)
    two.join(three)
    host.create("a", nics=[one.port(address="10.0.0.1/24")])
    host.create("b", nics=[three.port(address="10.0.0.2/24")])
    probe = host._cabinet.gates["a"][0].stack.probe
    host.run_until(there := probe("icmp", "10.0.0.2", 1, 1), 1)
    assert there.triggered and there.value
    two.remove()
    host.run_until(gone := probe("icmp", "10.0.0.2", 2, 2), 1)
    assert not gone.triggered
    with pytest.raises(HostError, match="was removed"):
        one.join(two)
    again = host.network("two")
    one.join(again)
    again.join(three)
    host.run_until(there := probe("icmp", "10.0.0.2", 3, 3), 1)
    assert there.triggered and there.value


def test_who_sees_a_ping_from_a_trunk(host):
    lan = host.network("lan")
    host.create("auditor", nics=[lan.port(trunk=(10, 20))])
    for name, vlan in (("ten", 10), ("twenty", 20), ("other", 20)):
        host.create(name, nics=[lan.port(vlan=vlan)])
    assert frames(host.capture("auditor", "twenty")) == [1, 0, 1, 1]
    assert frames(host.capture("auditor", "twenty")) == [1, 0, 1, 0]
    assert frames(host.capture("ten", "auditor")) == [1, 1, 0, 0]


def test_after_closing_it_says_so():
    host = labkit.simulated()
    lan = plugged(host, 2)
    host.close()
    for call in (lambda: host.network("x"), host.reach, lambda: host.transfer("m1", "m2", 1), lan.forget):
        with pytest.raises(HostError, match="closed"):
            call()


def test_who_answers_for_another_with_the_same_address_is_not_reached(host):
    lan = host.network("lan")
    host.create("m1", nics=[lan.port(vlan=10, address="10.0.0.1/24")])
    host.create("m2", nics=[lan.port(vlan=10, address="10.0.0.2/24")])
    host.create("m3", nics=[lan.port(vlan=20, address="10.0.0.2/24")])
    assert frames(host.reach([("m1", "m2"), ("m1", "m3")])) == [1, 0]
