"""A router between networks: who reaches whom through it, and what the outside gets to see."""

import pytest

import labkit
from labkit.host import HostError
from labkit.host.networks import Routing, Rule
from labkit.model.net import router


def reached(host, **how):
    return {row["machine"] for row in host.reach(**how).rows if row["value"]}


@pytest.fixture
def host():
    with labkit.simulated() as host:
        yield host


@pytest.fixture
def behind(host):
    """Two machines inside, one outside, and a router that translates."""
    lan, wan = host.network("lan"), host.network("wan")
    for name in ("a", "b"):
        host.create(name, nics=[lan.port()])
    host.create("x", nics=[wan.port()])
    host.router("gate", [lan.port(), wan.port(address="10.0.1.99/24")], nat=True)
    return host


@pytest.mark.parametrize("protocol", ["icmp", "tcp", "udp"])
def test_inside_reaches_outside_and_not_the_other_way(behind, protocol):
    for _ in range(2):
        assert reached(behind, protocol=protocol) == {"a>b", "b>a", "a>x", "b>x"}


def test_the_outside_sees_one_address(behind):
    seen = behind.reach([("a", "x"), ("b", "x")])
    outside = [event.detail for event in seen.events if "seen by x" in event.detail]
    assert outside and all("10.0.0." not in told for told in outside)
    assert any("echo request 10.0.1.99 to 10.0.1.1" in told for told in outside)


@pytest.mark.parametrize("protocol", ["icmp", "tcp", "udp"])
def test_a_refusal_finds_back_to_who_asked(host, protocol):
    lan, wan = host.network("lan"), host.network("wan")
    host.create("a", nics=[lan.port()])
    host.create("x", nics=[wan.port(rules=[Rule("reject")])])
    host.router("gate", [lan.port(), wan.port()], nat=True)
    seen = host.reach([("a", "x")], protocol)
    assert seen.value("a>x", "reachable") == 0 and seen.seconds < 0.1


def test_one_between_vlans_of_one_switch(host):
    lan = host.network("lan")
    host.create("a", nics=[lan.port(vlan=10, address="10.1.0.2/24")])
    host.create("b", nics=[lan.port(vlan=20, address="10.2.0.2/24")])
    host.create("c", nics=[lan.port(vlan=30, address="10.3.0.2/24")])
    assert reached(host) == set()
    host.router("gate", [lan.port(vlan=number * 10, address=f"10.{number}.0.1/24") for number in (1, 2)])
    assert isinstance(host, Routing)
    assert reached(host) == {"a>b", "b>a"}
    host.create("d", nics=[lan.port(vlan=20, address="10.2.0.3/24")])  # one that comes later learns of it too
    assert reached(host) == {"a>b", "b>a", "a>d", "d>a", "b>d", "d>b"}


def test_a_transfer_through_it(behind):
    assert behind.transfer("a", "x", 0.2).value("a>x", "rate") == pytest.approx(1000, rel=0.01)


def test_it_goes_with_its_network(behind):
    for name in ("a", "b", "x"):
        behind.machines[name].stop()
    lan = next(iter(behind._cabinet.networks.values()))
    lan.remove()
    behind.network("lan")
    behind.router("gate", [behind._cabinet.networks[name].port() for name in ("lan", "wan")])
    assert behind.journal()[-1] == "# simulated: router gate lan=10.0.2.1/24,wan=10.0.1.1/24"


def test_what_cannot_be_one(host):
    lan = host.network("lan")
    with pytest.raises(ValueError, match="two ports"):
        host.router("gate", [lan.port()])
    with pytest.raises(ValueError, match="trunk"):
        host.router("gate", [lan.port(), lan.port(trunk=(10,))])
    host.create("m1", nics=[lan.port()])
    with pytest.raises(HostError, match="machine or router m1"):
        host.router("m1", [lan.port(), lan.port()])
    host.router("gate", [lan.port(), lan.port()])
    with pytest.raises(HostError, match="a router gate already"):
        host.create("gate")


def test_a_ping_has_one_number_on_both_sides(behind):
    """RFC 792: it is told from others by its identifier alone, which NAT replaces (RFC 3022, 2.2)."""
    behind._cabinet.tape.start()
    x = behind._cabinet.gates["x"][0].stack
    asked = [behind._cabinet.gates[name][0].stack.probe("icmp", x.address, 7, 7) for name in ("a", "b")]
    behind.advance(behind.now + 1)
    pings = [line.frame.content for line in behind._cabinet.tape.stop() if hasattr(line.frame.content, "flow")]
    assert all(event.triggered for event in asked)
    assert all(ping.source_port == ping.port for ping in pings)
    assert len({ping.port for ping in pings if ping.source == "10.0.1.99"}) == 2


def test_it_leaves_alone_what_is_not_for_it(behind):
    """A flooded frame is for another's card; its own addresses are nowhere further out; x need not know of it."""
    behind._cabinet.networks["lan"].forget()
    assert {event.machine for event in behind.capture("a", "b").events} == {"a", "b"}
    a, x = (behind._cabinet.gates[name][0].stack for name in "ax")
    behind._cabinet.tape.start()
    a.probe("icmp", "10.0.1.99", 7, 7)
    x.probe("icmp", a.address, 7, 7)
    behind.advance(behind.now + 5)
    seen = behind._cabinet.tape.stop()
    assert not [line for line in seen if "x" in {name for name, _at in line.seen} | {line.sender}]


def test_under_a_number_only_who_was_spoken_to_may_answer(behind):
    """As with Linux's masquerading: neither another outside nor another port of the same gets in by it."""
    behind.create("y", nics=[behind._cabinet.networks["wan"].port()])
    a, x, y = (behind._cabinet.gates[name][0].stack for name in ("a", "x", "y"))
    x.listening.add(("udp", 53))
    behind.run_until(asked := a.probe("udp", x.address, 1000, 53), 1)
    assert asked.value
    number = 20_000  # the first that there is
    a.listening.add(("udp", 1000))
    for who, port, let_in in ((x, 53, True), (x, 54, False), (y, 53, False)):
        behind.run_until(knocked := who.probe("udp", "10.0.1.99", port, number), 1)
        assert bool(knocked.triggered and knocked.value) == let_in, (who.address, port)


def test_when_there_are_no_numbers_left_the_oldest_goes_to_another(behind, monkeypatch):
    monkeypatch.setattr(router, "LAST_NUMBER", router.FIRST_NUMBER + 1)
    lan, wan = behind._cabinet.networks["lan"], behind._cabinet.networks["wan"]
    behind._cabinet.routers.clear()
    behind.router("small", [lan.port(), wan.port(address="10.0.1.98/24")], nat=True)
    a, b, x = (behind._cabinet.gates[name][0].stack for name in ("a", "b", "x"))
    x.listening.add(("udp", 53))
    for stack, port in ((a, 1), (a, 2), (b, 3), (a, 1), (b, 4)):
        behind.run_until(asked := stack.probe("udp", x.address, port, 53), 1)
        assert asked.triggered and asked.value, port
    small = behind._cabinet.routers["small"]
    assert set(small._whose.values()) == {(a.address, 1), (b.address, 4)}
    assert len(small._given) == len(small._begun) == 2


def test_two_inside_may_ask_from_the_same_port(behind):
    """Both get their own number outside, so that each answer finds its way."""
    a, b, x = (behind._cabinet.gates[name][0].stack for name in ("a", "b", "x"))
    x.listening.add(("tcp", 80))
    asked = [stack.probe("tcp", x.address, 1000, 80) for stack in (a, b)]
    behind.advance(behind.now + 1)
    assert [event.triggered and event.value for event in asked] == [True, True]
