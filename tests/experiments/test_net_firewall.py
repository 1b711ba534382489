"""net-firewall: how rules are written, and theory against the simulated host and against answers by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.experiments import net_firewall, wall
from labkit.experiments.net_firewall import Settings, theory
from labkit.experiments.settings import SettingError, from_text, validate
from labkit.host.networks import Rule

SOURCES = ["", " from m1", " from m3", " from m2", " from 10.0.0.0/30", " from 10.9.9.9", " from 10.0.0.2/31"]
rules = st.lists(
    st.tuples(
        st.sampled_from(["accept", "drop", "reject"]),
        st.sampled_from(["any", "icmp", "tcp", "udp", "tcp 80", "tcp 22", "udp 53", "udp 80"]),
        st.sampled_from(["", " in", " out", " both"]),
        st.sampled_from(SOURCES),
    ).map(lambda parts: f"{parts[0]} {parts[1]}{parts[2]}{parts[3]}"),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=80)
@given(rules, st.sampled_from(["yes", "no"]), st.sampled_from(["allowed", "stopped"]))
def test_theory_and_the_doorkeeper_agree(listed, state, spoof):
    one = validate(Settings(", ".join(listed), state, spoof))
    with labkit.simulated() as host:
        seen = net_firewall.run(host, one)
        assert not host.machines
    assert {(row["machine"], row["quantity"]): row["value"] for row in seen.rows} == theory(one)


def said(pair, **chosen):
    found = theory(from_text(Settings, chosen))
    return [found[pair, quantity] for quantity in net_firewall.PROBES]


def test_by_hand():
    assert said("m1>m2", rules="none") == [1, 1, 1, 1]
    assert said("m1>m2", rules="accept tcp 80, drop tcp, accept icmp") == [1, 1, 0, 1]
    assert said("m1>m2", rules="drop tcp, accept tcp 80") == [1, 0, 0, 1]
    assert said("m1>m2", rules="accept tcp 80, drop any") == [0, 1, 0, 0]
    assert said("m2>m1", rules="accept tcp 80, drop any") == [1, 1, 1, 1]
    assert said("m2>m1", rules="accept tcp 80, drop any", state="no") == [0, 0, 0, 0]
    assert said("m1>m2", rules="accept tcp 80, drop any", state="no") == [0, 1, 0, 0]
    assert said("m2>m1", rules="drop tcp 22 out") == [1, 1, 0, 1]
    assert said("m3>m2", rules="accept icmp from m3, drop any") == [1, 0, 0, 0]
    assert said("m1>m2", rules="reject any from 10.0.0.0/31") == [0, 0, 0, 0]
    assert said("m3>m2", rules="reject any from 10.0.0.0/31") == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("listed", "spoof", "arrives"),
    [
        ("accept icmp from m3, drop icmp", "allowed", 1),
        ("accept icmp from m3, drop icmp", "stopped", 0),
        ("drop icmp from m3", "allowed", 0),
        ("drop icmp from m1", "allowed", 1),
        ("none", "stopped", 0),
    ],
)
def test_a_false_address_by_hand(listed, spoof, arrives):
    assert theory(from_text(Settings, {"rules": listed, "spoof": spoof}))["m1>m2", "spoofed"] == arrives


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("accept tcp 80", Rule("accept", "in", "tcp", 80)),
        ("  DROP   any ", Rule("drop", "in", "any")),
        ("reject udp 53 both from 10.0.0.0/24", Rule("reject", "both", "udp", 53, "10.0.0.0/24")),
        ("accept icmp out from m3", Rule("accept", "out", "icmp", None, "10.0.0.3")),
        ("drop any in from 10.0.0.5/32", Rule("drop", "in", "any", None, "10.0.0.5")),
    ],
)
def test_how_a_rule_is_written(text, read):
    one = from_text(Settings, {"rules": text})
    assert one.in_order() == (read,)
    assert validate(one) == one == from_text(Settings, {"rules": ", ".join(one.rules)})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "stands nothing; a rule begins with accept, drop or reject"),
        ("allow tcp", "A rule begins with accept, drop or reject, not 'allow tcp'"),
        ("accept", "After 'accept' say what: any, icmp, tcp or udp, as in 'accept any'"),
        ("accept tcp, ", "stands nothing"),
        ("accept arp", "After 'accept' comes any, icmp, tcp or udp, not 'arp'"),
        ("accept icmp 80", "does not know '80'"),
        ("accept tcp 80 to m3", "does not know 'to m3'"),
        ("accept tcp 0", "from 1 to 65535"),
        ("accept tcp 99999", "from 1 to 65535"),
        ("accept tcp 40000", "32767 at the most"),
        ("accept tcp from m4", "After 'from' comes m1, m2 or m3, or an address"),
        ("accept tcp from 10.0.0.1/24", "After 'from'"),
        (",".join(["drop any"] * 33), "32 rules"),
    ],
)
def test_what_is_no_rule(text, says):
    with pytest.raises(SettingError, match=says):
        from_text(Settings, {"rules": text})


def test_none_is_an_empty_list():
    assert from_text(Settings, {"rules": " none "}).in_order() == ()
    assert wall.read(["none"]) == ("none",)
