"""Networks of real guests: who reaches whom, who sees which frame, what a list of rules and a bucket let through."""

import os
import signal
import subprocess
import sys
import time
from itertools import permutations
from pathlib import Path

import psutil
import pytest

from labkit.host import HostError
from labkit.host.networks import Rule, Shape
from labkit.live import attaching, guardian
from labkit.live.net import cables
from labkit.live.private import shared, switch
from labkit.live.private.watching import Capture

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def host(open_live):
    """A host with networks, and three guests in one of them: two in VLAN 10, one in VLAN 20."""
    with open_live(networks=True) as opened:
        lan = opened.network("lan")
        for name, vlan in (("m1", 10), ("m2", 10), ("m3", 20)):
            opened.create(name, nics=[lan.port(vlan=vlan)])
        yield opened
    assert not what_is_left(opened), "closing it left something"


def what_is_left(host) -> list[str]:
    """What of a host is still in its private host: machines, filters, switches, network devices, control groups."""
    driver = host.driver
    names = [domain.name() for domain in driver.connection.listAllDomains()]
    found = [name for name in names if name.startswith(host.domain_name(""))]
    found += [one.name() for one in driver.connection.listAllNWFilters() if one.name().startswith(host.id)]
    found += [word for word in driver.run(["ovs-vsctl", "list-br"]).stdout.split() if word.startswith(host.id)]
    devices = Path(f"/proc/{driver.room.first}/net/dev").read_text().splitlines()[2:]
    found += [line.partition(":")[0].strip() for line in devices if line.strip().startswith(f"{host.id}-")]
    return found + [str(group) for group in guardian.control_groups_of(host.domain_name(""))]


def seen(observation) -> dict[str, float]:
    return {row["machine"]: row["value"] for row in observation.rows}


def test_it_says_what_it_is(host):
    assert "a private host on this computer" in host.name
    for ability in ("networks", "firewall", "shaping"):
        assert host.can(ability), ability
    assert "Open vSwitch" in host.provenance().mechanisms["networks"]


def test_a_machine_reaches_those_in_its_vlan_and_nobody_else(host):
    expected = {f"{a}>{b}": float({a, b} == {"m1", "m2"}) for a, b in permutations(("m1", "m2", "m3"), 2)}
    assert seen(host.reach()) == expected
    plugged = host.networks["lan"].plugged()
    assert [(name, port.vlan, port.address) for name, port, _ in plugged] == [
        (f"m{n}", vlan, f"10.0.0.{n}/24") for n, vlan in ((1, 10), (2, 10), (3, 20))
    ]
    assert host.networks["lan"].table() == {mac: name for name, _, mac in plugged}
    assert "# in m1: ping -c 1 -I eth0 10.0.0.2" in host.journal()


def test_a_switch_floods_until_it_has_learnt_and_no_vlan_hears_another(host):
    host.networks["lan"].forget()
    assert host.networks["lan"].table() == {}
    asked = host.capture("m1", "m2", 2, known=False)
    assert seen(asked) == {"m1": 3, "m2": 3, "m3": 0}
    said = [(event.machine, *event.detail.split("; ")[:2]) for event in asked.events]
    assert said == [("m1", "to all", "seen by m2"), ("m2", "to m1", "seen by m1")] + 2 * [
        ("m1", "to m2", "seen by m2"),
        ("m2", "to m1", "seen by m1"),
    ]
    port = host.machines["m3"].cables[0].tap
    host.driver.run(["ovs-vsctl", "set", "port", port, "tag=10"])
    try:
        host.networks["lan"].forget()
        assert seen(host.capture("m1", "m2")) == {"m1": 1, "m2": 1, "m3": 1}
        assert seen(host.capture("m1", "m2", 3)) == {"m1": 3, "m2": 3, "m3": 0}
    finally:
        host.driver.run(["ovs-vsctl", "set", "port", port, "tag=20"])


def test_a_trunk_a_list_and_a_bucket(host):
    """One more machine after another, as each takes a second: an auditor at a trunk, then a guest with rules."""
    lan = host.networks["lan"]
    with host.create("auditor", nics=[lan.port(trunk=(10, 20), shape=Shape(50))]):
        to_all = host.reach([("auditor", "m1"), ("auditor", "m3"), ("m3", "auditor")])
        lan.forget()
        flooded = host.capture("m2", "m1")  # what stands between her and the switch learns nothing of its own
        alone = host.capture("m3", "auditor")
    assert list(seen(to_all).values()) == [1, 1, 1]
    assert seen(flooded) == {"m1": 1, "m2": 1, "m3": 0, "auditor": 1}
    assert seen(alone) == {"m1": 0, "m2": 0, "m3": 1, "auditor": 1}
    rules = (Rule("accept", protocol="tcp", port=80), Rule("drop", protocol="tcp"), Rule("drop", protocol="icmp"))
    shape = Shape(average=4, peak=8, burst=0.2)
    with host.create("web", nics=[lan.port(vlan=10, rules=rules, shape=shape, spoof=False)]) as web:
        pairs = [("m1", "web"), ("web", "m1")]
        assert list(seen(host.reach(pairs)).values()) == [0, 1]
        assert list(seen(host.reach(pairs[:1], "tcp", 80)).values()) == [1]
        assert list(seen(host.reach(pairs, "tcp", 81)).values()) == [0, 1]
        assert seen(host.reach([("web", "m1")], claim="10.0.0.77")) == {"web>m1": 0}
        assert seen(host.reach([("m2", "m1")], claim="10.0.0.77")) == {"m2>m1": 1}
        sent = host.transfer("web", "m1", 3.0)
        passed, took = sent.value("web>m1", "bytes"), sent.seconds
        most = shape.burst * 1e6 + shape.average * 1e6 / 8 * took
        assert 0.5 * most < passed <= most  # the bucket's bound, and more than half of it
        assert len(web.vcpu_threads) == 1
        assert web.vcpu_threads[0] in {thread.id for thread in psutil.Process(web.process).threads()}
        left = what_is_left(host)
    gone = {name for name in left if "web" in name}
    assert {f"{host.id}-web", f"{host.id}-web-br"} <= gone and not gone & set(what_is_left(host))


SENDS = """
import _socket, sys
here = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
here.bind(("0.0.0.0", 4000))
here.sendto(b"labkit", (sys.argv[1], 4000))
"""


def test_a_new_list_does_not_know_whom_an_old_one_let_in(host):
    """The same address and the same ports, a moment later: in the kernel's own book they would still be expected."""
    lan, arrived = host.networks["lan"], []

    def send(machine, address):
        done = machine.agent.run(["/tools/bin/python3", "-I", "-S", "-c", SENDS, address], 20)
        assert done.status == 0, done.errors

    for action in ("accept", "drop"):
        port = lan.port(vlan=10, address="10.0.0.9/24", rules=[Rule(action, protocol="udp")])
        with host.create(f"door-{action}", nics=[port]) as machine:
            with Capture(host.driver.room, machine.cables[0].tap, "udp and src host 10.0.0.1") as seen:
                send(host.machines["m1"], "10.0.0.9")
            arrived.append(len(seen.frames))
            if action == "accept":
                send(machine, "10.0.0.1")  # an answer, with which the conversation is one
    assert arrived == [1, 0]
    assert host.id not in host.driver.run(["iptables", "-t", "raw", "-S"]).stdout


def test_what_is_refused(host):
    lan = host.networks["lan"]
    with pytest.raises(HostError, match="a network lan already"):
        host.network("lan")
    with pytest.raises(HostError, match="machines plugged into lan"):
        lan.remove()
    with pytest.raises(HostError, match="tag"):
        host.create("no", nics=[lan.port(trunk=(10,), rules=[Rule("drop")])])
    with pytest.raises(HostError, match="4 network cards at most"):
        host.create("no", nics=[lan.port()] * 5)
    with pytest.raises(HostError, match="ports of this host's networks"):
        host.create("no", nics=["lan"])
    with pytest.raises(ValueError, match="VLAN is a whole number"):
        lan.port(vlan=4095)
    with pytest.raises(HostError, match="no machine nobody"):
        host.reach([("m1", "nobody")])
    assert "no" not in host.machines


def test_an_interrupted_creation_leaves_nothing(host, monkeypatch):
    before = what_is_left(host)

    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cables, "_introduce", interrupted)  # when all that belongs to a cable is there
    lan = host.networks["lan"]
    with pytest.raises(KeyboardInterrupt):
        host.create("cut", nics=[lan.port(rules=[Rule("drop", protocol="udp")], shape=Shape(5))])
    assert what_is_left(host) == before and "cut" not in host.machines
    assert [cable.machine.name for cable in lan.cables] == ["m1", "m2", "m3"]


def test_an_embedded_host_says_where_networks_are(shared_host):
    no = shared_host.can("networks")
    assert not no and "labkit.live(networks=True)" in no.remedy
    with pytest.raises(HostError, match="no networks"):
        shared_host.network("lan")


@pytest.mark.parametrize(("disks", "cards", "slots"), [(0, 0, 0), (0, 1, 3), (2, 1, 3), (3, 1, 8), (8, 4, 12)])
def test_slots_for_disks_and_cards(disks, cards, slots):
    assert attaching.slots_for([None] * disks, [None] * cards) == slots


OPENS = """
import time
import labkit
from labkit.host.networks import Rule
host = labkit.live(networks=True)
lan = host.network("lan")
machine = host.create("left", nics=[lan.port(rules=[Rule("drop", protocol="udp")])])
print(host.driver.root, host.driver.room.first, machine.process, flush=True)
time.sleep(600)
"""


def test_a_killed_owner_leaves_nothing(host):
    child = subprocess.Popen([sys.executable, "-c", OPENS], stdout=subprocess.PIPE, text=True)
    try:
        root, *numbers = child.stdout.readline().split()
        first = psutil.Process(int(numbers[0]))
        inside = [psutil.Process(int(numbers[1])), first, *first.children(recursive=True)]
        assert {"libvirtd", "ovs-vswitchd"} <= {process.name() for process in inside}
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    mark = f"lk-{Path(root).name}-"
    ends = time.monotonic() + 10
    while Path(root).exists() or any(process.is_running() for process in inside) or guardian.control_groups_of(mark):
        assert time.monotonic() < ends, f"{root}, {inside} or a control group stays"
        time.sleep(0.05)
    assert shared() is host.driver and switch.learnt(host.driver.room, host.networks["lan"].switch) is not None
    assert os.getpid() == host.driver.opened_by
