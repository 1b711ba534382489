"""What a machine does at its end of the cable, what a port looks at, and how long a frame is: by hand from the RFCs."""

import pytest
import simpy

import labkit
from labkit.host.networks import Rule, Shape
from labkit.model.net.frames import BROADCAST, Arp, Frame, Packet
from labkit.model.net.switch import Socket, Switch

FALSE = "52:54:00:00:00:99"


@pytest.fixture
def host():
    with labkit.simulated() as host:
        yield host


def plugged(host, count=3, **how):
    """The cards of some machines at one switch; `how` is for the port of the first."""
    lan = host.network("lan")
    for number in range(1, count + 1):
        host.create(f"m{number}", nics=[lan.port(**(how if number == 1 else {}))])
    return [host._cabinet.gates[f"m{number}"][0].stack for number in range(1, count + 1)]


def passing(host, seconds=5.0):
    """What is sent from now on: when, by whom, and what is in it."""
    began = host.now
    host._cabinet.tape.start()
    host.advance(began + seconds)
    return [(line.sent - began, line.sender, line.frame) for line in host._cabinet.tape.stop()]


def known_to(stack, address):
    """The hardware address that a machine would send to; None where it would ask."""
    return stack._neighbours.get(address, (None, None))[0]


def test_lengths_as_the_counters_of_a_tap_have_them():
    """IEEE 802.3, 802.1Q, RFC 826, RFC 792: 14 around it, 4 for a tag, 28 for ARP, 20 + 8 + 56 for a ping."""
    ping = Packet("icmp", "echo request", "10.0.0.1", "10.0.0.2", 1, 1, 84)
    ask = Arp(True, FALSE, "10.0.0.1", "10.0.0.2")
    lengths = [Frame(1, "a", "b", content, tag).length for content in (ping, ask) for tag in (None, 10)]
    assert lengths == [98, 102, 42, 46]


def test_nobody_is_asked_for_three_times_a_second_apart(host):
    one, *_ = plugged(host)
    one.probe("icmp", "10.0.0.200", 1, 1)
    seen = passing(host)
    assert [(round(at, 3), frame.content.target, frame.destination) for at, _who, frame in seen] == [
        (1.0, "10.0.0.200", BROADCAST),
        (2.0, "10.0.0.200", BROADCAST),
    ]  # after the first, which was sent at once


def test_who_writes_down_whose_address(host):
    """RFC 826, "Packet Reception": who is asked, and who knew the sender before; nobody else."""
    one, two, three = plugged(host)
    host.reach([("m1", "m2")])
    assert (known_to(two, one.address), known_to(three, one.address)) == (one.mac, None)
    three._frame(BROADCAST, Arp(True, three.mac, one.address, "10.0.0.99"), None)
    host.advance(host.now + 0.1)
    assert known_to(two, one.address) == three.mac, "this is how addresses are forged (ARP spoofing)"


def test_a_port_stops_false_addresses_of_each_kind(host):
    one, two, _three = plugged(host, spoof=False)
    own = Packet("icmp", "echo request", one.address, two.address, 1, 1, 84)
    false = Packet("icmp", "echo request", "10.0.0.77", two.address, 1, 1, 84)
    for number, (let_in, source, content) in enumerate(
        (
            (True, one.mac, own),
            (False, FALSE, own),
            (False, one.mac, false),
            (True, one.mac, Arp(True, one.mac, one.address, two.address)),
            (False, one.mac, Arp(True, FALSE, one.address, two.address)),
            (False, one.mac, Arp(True, one.mac, "10.0.0.77", two.address)),
        ),
        90_001,
    ):
        host._cabinet.tape.start()
        one._send(Frame(number, source, two.mac, content))
        host.advance(host.now + 0.1)
        seen = [line.seen for line in host._cabinet.tape.stop() if line.frame.number == number]
        assert bool(seen[0]) == let_in, (source, content)


@pytest.mark.parametrize(("protocol", "says"), [("tcp", "TCP RST"), ("udp", "ICMP unreachable")])
def test_where_nobody_listens_that_is_said(host, protocol, says):
    one, two, _ = plugged(host)
    assert host.reach([("m1", "m2")], protocol, 80).value("m1>m2", "reachable") == 1
    asked = one.probe(protocol, two.address, 1000, 80)  # nobody listens there any more
    told = [str(frame.content) for _at, _who, frame in passing(host, 0.5)]
    assert asked.triggered and asked.value is False
    assert len(told) == 1 and told[0].startswith(says)


@pytest.mark.parametrize(("protocol", "says"), [("tcp", "TCP RST"), ("udp", "ICMP unreachable")])
def test_a_refusal_is_the_protocols_own(host, protocol, says):
    lan = host.network("lan")
    host.create("m1", nics=[lan.port()])
    host.create("m2", nics=[lan.port(rules=[Rule("reject", protocol=protocol)])])
    events = host.reach([("m1", "m2")], protocol).events
    assert says in events[-1].detail


def test_a_connection_is_three_packets(host):
    plugged(host)
    details = [event.detail for event in host.reach([("m1", "m2")], "tcp", 80).events]
    assert [word for told in details for word in ("SYN-ACK", "SYN ", "ACK ") if f"TCP {word}" in told] == [
        "SYN ",
        "SYN-ACK",
        "ACK ",
    ]


def test_who_is_refused_at_a_trunk_hears_of_it(host):
    lan = host.network("lan")
    host.create("auditor", nics=[lan.port(trunk=(10, 20), rules=[Rule("reject", protocol="icmp")])])
    host.create("m1", nics=[lan.port(vlan=20)])
    seen = host.reach([("m1", "auditor")])
    assert seen.value("m1>auditor", "reachable") == 0 and seen.seconds < 0.1


def test_what_comes_to_a_machine_is_not_held_back(host):
    lan = host.network("lan")
    host.create("m1", nics=[lan.port()])
    host.create("m2", nics=[lan.port(shape=Shape(100))])
    assert host.transfer("m1", "m2", 0.2).value("m1>m2", "rate") == pytest.approx(1000, rel=0.02)


def test_what_a_card_cannot_hold_is_lost_and_counted(host):
    """One leaves, a thousand wait (Linux's txqueuelen), and the others are lost."""
    one, two, _ = plugged(host)
    host.reach([("m1", "m2")])
    for number in range(1200):
        one.send(Packet("udp", "data", one.address, two.address, 1000, number, 1500))
    assert host._cabinet.gates["m1"][0].lost == 199


def test_others_frames_are_not_counted(host):
    """m3 asks for somebody who is not there, and asks again just while m1 pings; and m1 answers a question of m3's."""
    one, _two, three = plugged(host)
    three.probe("icmp", "10.0.0.200", 1, 1)
    host.advance(host.now + 0.9999)
    three.probe("icmp", one.address, 2, 2)
    seen = host.capture("m1", "m2")
    assert len([event for event in seen.events if event.machine == "m3"]) >= 2
    assert any(event.machine == "m1" and "is at" in event.detail for event in seen.events)
    assert [row["value"] for row in seen.rows] == [1, 1, 1]


def test_nobody_is_learnt_to_be_everybody():
    """IEEE 802.1D-2004, 7.8: an address of a group is no sender's."""
    switch, seen = Switch(simpy.Environment()), []
    for name in "123":
        switch.plug(Socket(name, lambda _frame, name=name: seen.append(name)))
    ask = Arp(True, FALSE, "10.0.0.1", "10.0.0.2")
    switch.enter(switch.sockets[0], Frame(1, BROADCAST, "b", ask))
    assert switch.table() == {}
    seen.clear()
    switch.enter(switch.sockets[1], Frame(2, "a", BROADCAST, ask))
    assert seen == ["1", "3"]
