"""What libvirt is told of a list of rules, and what is refused of a port; no guest takes part."""

import subprocess
from xml.etree import ElementTree

import pytest

from labkit.host import HostError
from labkit.host.networks import Port, Rule, Shape
from labkit.host.ports import checked_name, checked_port, checked_rules
from labkit.live.net.filters import describe
from labkit.live.private import bridged
from labkit.live.private.cards import card

WEB = (
    Rule("accept", protocol="tcp", port=80, source="10.0.0.0/24"),
    Rule("drop", "both", "any"),
    Rule("drop", "out", "arp"),
)


def told(rules, **more) -> list[tuple[str, str, str, dict[str, str]]]:
    """The rules of the port's filter: action, direction, element, and what it looks at, in order of priority."""
    filter = ElementTree.fromstring(describe("p", rules, **more)[-1])
    found = sorted(filter.iterfind("rule"), key=lambda rule: int(rule.get("priority")))
    return [(rule.get("action"), rule.get("direction"), rule[0].tag, dict(rule[0].attrib)) for rule in found]


def test_with_books_only_what_begins_is_looked_at():
    expected = {"state": "ESTABLISHED,RELATED"}
    source = {"srcipaddr": "10.0.0.0", "srcipmask": "24"}
    assert told(WEB) == [
        ("accept", "in", "all", expected),
        ("accept", "out", "all", expected),
        ("accept", "in", "tcp", {"state": "NEW", "dstportstart": "80", **source}),
        ("drop", "in", "all", {"state": "NEW"}),
        ("drop", "out", "all", {"state": "NEW"}),
        ("drop", "out", "arp", {}),
    ]


def test_without_books_each_frame_is():
    source = {"srcipaddr": "10.0.0.0", "srcipmask": "24"}
    assert told(WEB, stateful=False) == [
        ("accept", "in", "ip", {"protocol": "tcp", "dstportstart": "80", **source}),
        ("drop", "in", "ip", {}),
        ("drop", "out", "ip", {}),
        ("drop", "out", "arp", {}),
    ]


def test_an_own_address_alone_is_three_guards():
    described = [ElementTree.fromstring(xml) for xml in describe("p", (), own="10.0.0.5")]
    assert [one.get("name") for one in described] == ["p-ipv4", "p-arp", "p"]
    assert [one.get("filter") for one in described[-1].iterfind("filterref")] == ["p-ipv4", "p-arp"]
    assert [rule.get("srcmacaddr") for rule in described[-1].iterfind("rule/mac")] == ["$MAC"]
    # No one rule with both attributes: it would let through what has one address right and the other wrong.
    looks = [{key: value for key, value in rule.attrib.items() if key != "match"} for rule in described[1].iter("arp")]
    assert looks == [{"arpsrcipaddr": "10.0.0.5"}, {"arpsrcmacaddr": "$MAC"}]
    for one in described:
        assert {rule.get("action") for rule in one.iterfind("rule")} == {"drop"}
        assert {rule[0].get("match") for rule in one.iterfind("rule")} == {"no"}


def test_a_port_as_it_is_asked_for():
    port = checked_port("lan", vlan=10, address="10.0.0.5/24", rules=[Rule("drop")], shape=Shape(8, 16, 1), spoof=False)
    assert port == Port("lan", 10, (), "10.0.0.5/24", (Rule("drop"),), Shape(8, 16, 1), False)
    assert checked_port("lan", trunk=[20, 10, 20]).trunk == (20, 10)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"vlan": 0}, "VLAN is a whole number"),
        ({"vlan": True}, "VLAN is a whole number"),
        ({"trunk": [4095]}, "VLAN is a whole number"),
        ({"vlan": 1, "trunk": [2]}, "not both"),
        ({"address": "10.0.0"}, "an address is one like"),
        ({"address": 7}, "an address is one like"),
        ({"shape": Shape(8, 8, 1)}, "peak above its average"),
        ({"shape": Shape(0)}, "average > 0"),
        ({"shape": 8}, "made with Shape"),
        ({"rules": ["drop"]}, "made with Rule"),
        ({"rules": [Rule("forget")]}, "accepts, drops or rejects"),
        ({"rules": [Rule("drop", protocol="sctp")]}, "protocol is any"),
        ({"rules": [Rule("drop", protocol="icmp", port=7)]}, "only tcp and udp"),
        ({"rules": [Rule("drop", protocol="tcp", port=0)]}, "from 1 to 65535"),
        ({"rules": [Rule("drop", source="10.0.0.1/24")]}, "an address is one like"),
    ],
)
def test_what_no_port_can_be(asked, why):
    with pytest.raises(ValueError, match=why):
        checked_port("lan", **asked)


def test_names_and_lists():
    assert checked_name("shop-1") == "shop-1" and checked_rules(()) == ()
    for wrong in ("1shop", "a b", "", "x" * 21, None):
        with pytest.raises(ValueError, match="a name is a letter"):
            checked_name(wrong)


def test_a_port_of_no_vlan_is_in_none_from_the_first_moment():
    """Without a tag Open vSwitch would take it for a trunk of all VLANs."""
    assert [tag.get("id") for tag in card("52:54:00:00:00:01", switch="lan", vlan=0).iter("tag")] == ["0"]


def test_a_firewall_leaves_the_computers_own_bridges_alone(monkeypatch, tmp_path):
    """br_netfilter is loaded for the whole computer, and then the frames of its bridges meet its iptables."""
    settings, links = tmp_path / "bridge", tmp_path / "net"
    monkeypatch.setattr(bridged, "SETTINGS", settings)
    monkeypatch.setattr(bridged, "LINKS", links)
    (links / "eth0").mkdir(parents=True)
    bridged.require_harmless()
    (links / "docker0" / "bridge").mkdir(parents=True)
    with pytest.raises(HostError, match="docker0") as caught:
        bridged.require_harmless()
    assert "modprobe br_netfilter" in caught.value.remedy and "bridge-nf-call-iptables=0" in caught.value.remedy
    settings.mkdir()
    bridged.require_harmless()


@pytest.mark.parametrize("said", ["0\n", ""])
def test_rules_that_nobody_asks_are_not_taken_for_a_firewall(said):
    class Room:
        def run(self, command, check):
            return subprocess.CompletedProcess(command, 0 if said else 1, said, "")

    with pytest.raises(HostError, match="let everything through"):
        bridged.require_in_force(Room())
