"""The doorkeeper against a list that is read from the end, and what state and false addresses change."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.host.networks import Rule
from labkit.model.net.doorkeeper import Doorkeeper
from labkit.model.net.frames import Arp, Packet

HOSTS = ["10.0.0.1", "10.0.0.2", "10.0.0.77", "10.0.1.1"]
SOURCES = ["", *HOSTS, "10.0.0.0/24", "10.0.0.0/30", "10.0.0.0/23"]
kinds = st.sampled_from(["any", "icmp", "tcp", "udp", "arp"])
rules = st.lists(
    st.builds(
        lambda action, direction, kind, port, source: Rule(
            action, direction, kind, port if kind in ("tcp", "udp") else None, source
        ),
        st.sampled_from(["accept", "drop", "reject"]),
        st.sampled_from(["in", "out", "both"]),
        kinds,
        st.sampled_from([None, 22, 80]),
        st.sampled_from(SOURCES),
    ),
    max_size=8,
)


def whole(address):
    """An IPv4 address as one number, by hand."""
    a, b, c, d = map(int, address.split("."))
    return ((a * 256 + b) * 256 + c) * 256 + d


def within(address, source):
    if not source:
        return True
    network, _, length = source.partition("/")
    free = 32 - int(length or 32)
    return whole(address) >> free == whole(network) >> free


def decided(listed, direction, kind, port, source):
    """What becomes of a packet: from the last rule to the first, each that fits overrules those after it."""
    action = "accept"
    for rule in reversed(listed):
        about = kind == "arp" if rule.protocol == "arp" else kind != "arp" and rule.protocol in ("any", kind)
        there = rule.direction == "both" or rule.direction == direction
        if about and there and (rule.port is None or rule.port == port) and within(source, rule.source):
            action = rule.action
    return action


@given(
    rules,
    st.sampled_from(["in", "out"]),
    st.sampled_from(["icmp", "tcp", "udp", "arp"]),
    st.sampled_from([22, 80, 443]),
    st.sampled_from(HOSTS),
    st.booleans(),
)
def test_the_first_that_fits_decides(listed, direction, kind, port, source, stateful):
    content = Packet(kind, "data", source, "10.0.0.9", 50000, port, 100)
    if kind == "arp":
        content = Arp(True, "52:54:00:00:00:01", source, "10.0.0.9")
    found = Doorkeeper(listed, stateful).judge(content, direction, 0.0)
    assert found == decided(listed, direction, kind, None if kind in ("icmp", "arp") else port, source)


@given(st.sampled_from(HOSTS), st.sampled_from(SOURCES[1:]))
def test_the_oracles_own_networks(address, source):
    assert within(address, source) == (ipaddress.IPv4Address(address) in ipaddress.IPv4Network(source))


def walled(listed, *, stateful=True, spoof=True, **how):
    """Who of m1 and m2 reaches whom, where m2 has the rules."""
    with labkit.simulated() as host:
        lan = host.network("lan", stateful=stateful)
        host.create("m1", nics=[lan.port(address="10.0.0.1/24", spoof=spoof)])
        host.create("m2", nics=[lan.port(address="10.0.0.2/24", rules=listed)])
        return [row["value"] for row in host.reach([("m1", "m2"), ("m2", "m1")], **how).rows]


@settings(deadline=None, max_examples=60)
@given(rules, st.sampled_from(["icmp", "tcp", "udp"]), st.sampled_from([22, 80]), st.booleans())
def test_who_reaches_whom_follows_from_the_question_and_the_answer(listed, protocol, port, stateful):
    listed = [rule for rule in listed if rule.protocol != "arp"]  # so that all know each other's address
    asked, answer = (None, None) if protocol == "icmp" else (port, 50000)
    expected = []
    for there, back, one, other in (("in", "out", *HOSTS[:2]), ("out", "in", *HOSTS[1::-1])):
        question = decided(listed, there, protocol, asked, one) == "accept"
        expected.append(question and (stateful or decided(listed, back, protocol, answer, other) == "accept"))
    assert walled(listed, stateful=stateful, protocol=protocol, port=asked) == expected


def test_who_cannot_ask_for_an_address_reaches_nobody():
    assert walled([Rule("drop", "in", "arp")]) == [0, 0]
    # Who is asked writes down who asks (RFC 826), so that m1 could answer; it is m2 that never hears of m1.
    assert walled([Rule("drop", "out", "arp")]) == [0, 0]


ACCEPT_WEB = (Rule("accept", protocol="tcp", port=80), Rule("drop", protocol="tcp"))


def test_order_matters():
    assert walled(ACCEPT_WEB, protocol="tcp", port=80) == [1, 1]
    assert walled(ACCEPT_WEB[::-1], protocol="tcp", port=80) == [0, 1]


def test_state_matters():
    assert walled(ACCEPT_WEB, protocol="tcp", port=22) == [0, 1]
    assert walled(ACCEPT_WEB, protocol="tcp", port=22, stateful=False) == [0, 0]
    closed = (Rule("drop", "out"),)
    assert walled(closed) == [1, 0]
    assert walled(closed, stateful=False) == [0, 0]


BACK = {"icmp": ("10.0.0.1", 7, 7), "udp": ("10.0.0.1", 53, 4000), "tcp": ("10.0.0.1", 80, 4000)}


@pytest.mark.parametrize(("protocol", "kept"), [("icmp", 30), ("udp", 30), ("tcp", 432_000)])
def test_a_conversation_is_expected_for_as_long_as_conntrack_has_it(protocol, kept):
    """nf_conntrack-sysctl.rst: 30 s, 30 s and five days, from the last packet on."""
    who, port, own = BACK[protocol]
    question = Packet(protocol, "data", "10.0.0.2", who, own, port, 100)
    answer = Packet(protocol, "data", who, "10.0.0.2", port, own, 100)
    other = Packet(protocol, "data", "10.0.0.3", "10.0.0.2", port, own, 100)
    door = Doorkeeper([Rule("drop", "in")])
    assert door.judge(answer, "in", 0) == "drop"
    assert door.judge(answer, "in", 1) == "drop", "what was thrown away is no conversation"
    assert door.judge(question, "out", 2) == "accept"
    last = 2
    for _ in range(3):
        last += kept - 1
        assert door.judge(answer, "in", last) == "accept"
        assert door.judge(other, "in", last) == "drop"
    assert door.judge(answer, "in", last + kept + 1) == "drop"


def test_an_error_belongs_to_what_it_is_about():
    question = Packet("udp", "request", "10.0.0.2", "10.0.0.1", 4000, 53, 33)
    error = Packet("icmp", "unreachable", "10.0.0.1", "10.0.0.2", 53, 4000, 112, about=question.flow)
    of_nothing = Packet("icmp", "unreachable", "10.0.0.1", "10.0.0.2", 53, 4000, 112, about=error.flow)
    door = Doorkeeper([Rule("drop", "in")])
    assert door.judge(error, "in", 0) == "drop"
    door.judge(question, "out", 0)
    assert (door.judge(error, "in", 1), door.judge(of_nothing, "in", 1)) == ("accept", "drop")


def test_a_network_rule_stands_before_a_ports():
    with labkit.simulated() as host:
        lan = host.network("lan", rules=[Rule("accept", "both", "icmp")])
        host.create("m1", nics=[lan.port(rules=[Rule("drop", "both", "icmp"), Rule("drop", "both", "udp")])])
        host.create("m2", nics=[lan.port()])
        assert host.reach().value("m1>m2", "reachable") == 1
        assert host.reach(protocol="udp", port=53).value("m1>m2", "reachable") == 0


@pytest.mark.parametrize("protocol", ["icmp", "tcp", "udp"])
def test_a_refusal_is_told_and_a_drop_is_waited_for(protocol):
    took = {}
    for action in ("drop", "reject"):
        with labkit.simulated() as host:
            lan = host.network("lan")
            host.create("m1", nics=[lan.port()])
            host.create("m2", nics=[lan.port(rules=[Rule(action, protocol=protocol)])])
            seen = host.reach([("m1", "m2")], protocol)
            assert seen.value("m1>m2", "reachable") == 0
            back = [event.detail for event in seen.events if event.machine == "m2" and "is at" not in event.detail]
            assert ["to m1; seen by m1; " in told for told in back] == [True] * (action == "reject")
            took[action] = seen.seconds
    assert took["reject"] < 0.01 < 0.5 < took["drop"]


@pytest.mark.parametrize("protocol", ["icmp", "tcp", "udp"])
@pytest.mark.parametrize("spoof", [True, False])
def test_a_false_address_passes_a_rule_about_addresses_and_no_look_at_the_sender(protocol, spoof):
    friends = (Rule("accept", protocol=protocol, source="10.0.0.3"), Rule("drop", protocol=protocol))
    assert walled(friends, spoof=spoof, protocol=protocol)[0] == 0
    assert walled(friends, spoof=spoof, protocol=protocol, claim="10.0.0.3")[0] == spoof
    assert walled(friends, spoof=spoof, protocol=protocol, claim="10.0.0.4")[0] == 0
