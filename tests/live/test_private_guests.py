"""Real guests on a private host: what VLANs keep apart, what a filter lets through, what a bucket lets pass."""

import json
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
from labkit.live import attaching, guardian, private
from labkit.live.image import load
from labkit.live.livehost import LiveHost
from labkit.live.private import cards, plugging, shaping, switch, watching

pytestmark = pytest.mark.live

VLANS = {"m1": 10, "m2": 10, "m3": 20}
MACS = {name: f"52:54:00:00:00:0{number}" for number, name in enumerate(VLANS, 1)}
ADDRESSES = {name: f"10.0.0.{number}" for number, name in enumerate(VLANS, 1)}


@pytest.fixture(scope="module")
def driver(live_required):
    try:
        opened = private.open_private()
    except HostError as error:
        if live_required:
            raise
        pytest.skip(str(error))
    yield opened
    opened.close()
    assert not opened.root.exists()


@pytest.fixture(scope="module")
def machines(driver):
    """Three machines on one switch, in two VLANs."""
    switch.start(driver.room)
    switch.add(driver.room, "lan")
    with pytest.MonkeyPatch.context() as patch, LiveHost(driver, load()) as host:
        patch.setattr(attaching, "slots_for", lambda _disks: attaching.SLOTS)
        made = {name: host.create(name) for name in VLANS}
        for name, machine in made.items():
            card = cards.card(MACS[name], switch="lan", vlan=VLANS[name], device=f"{name}-eth0")
            assert plugging.plug(machine, card, address=f"{ADDRESSES[name]}/24") == f"{name}-eth0"
        yield made


def reached(machine, address: str, *options: str) -> bool:
    """Whether one of three pings is answered."""
    return machine.execute(["ping", "-c", "3", "-i", "0.2", "-W", "1", *options, address]).status == 0


def test_a_machine_reaches_those_in_its_vlan_and_nobody_else(driver, machines):
    script = "for at in {}; do ping -c 3 -i 0.2 -W 1 $at >/dev/null 2>&1 && echo $at; done; true"
    asked = {}
    for name, machine in machines.items():  # all at once
        others = " ".join(address for other, address in ADDRESSES.items() if other != name)
        asked[name] = machine.agent.start(["/bin/sh", "-c", script.format(others)], capture=True)
    answers: dict[str, set[str]] = {}
    ends = time.monotonic() + 60
    while len(answers) < len(asked) and time.monotonic() < ends:
        for name, process in asked.items():
            if name not in answers and (finished := machines[name].agent.finished(process)):
                answers[name] = set(finished.output.split())
        time.sleep(0.05)
    found = {(a, b): ADDRESSES[b] in answers[a] for a, b in permutations(VLANS, 2)}
    assert found == {(a, b): VLANS[a] == VLANS[b] for a, b in permutations(VLANS, 2)}
    table = {entry.mac: (entry.port, entry.vlan) for entry in switch.learnt(driver.room, "lan")}
    assert table == {MACS[name]: (f"{name}-eth0", VLANS[name]) for name in VLANS}


def test_a_switch_floods_what_it_does_not_know_and_sends_the_rest_to_one(driver, machines):
    driver.run(["ovs-vsctl", "set", "port", "m3-eth0", "tag=10"])
    try:
        before = watching.counted(driver.room, "m2-eth0")
        bystander = watching.Capture(driver.room, "m3-eth0", "arp or icmp")
        partner = watching.Capture(driver.room, "m2-eth0", "icmp")
        with bystander, partner:
            # A question to all, also where the machine knows the answer, as it may from a question put to itself.
            machines["m1"].execute(["arping", "-c", "1", "-w", "3", "-I", "eth0", ADDRESSES["m2"]])
            assert reached(machines["m1"], ADDRESSES["m2"])
        after = watching.counted(driver.room, "m2-eth0")
        assert reached(machines["m3"], ADDRESSES["m1"]), "moved to another VLAN, it meets those who are there"
    finally:
        driver.run(["ovs-vsctl", "set", "port", "m3-eth0", "tag=20"])
    # The bystander may have frames of its own: its pings of before waited in it for an answer to "who has".
    pair = set(permutations((MACS["m1"], MACS["m2"])))
    assert {(frame.source, frame.destination) for frame in partner.frames} >= pair
    asked = [frame for frame in bystander.frames if frame.source == MACS["m1"]]
    assert [(frame.kind, frame.destination) for frame in asked[:1]] == [("ARP", "ff:ff:ff:ff:ff:ff")]
    overheard = [frame for frame in bystander.frames if (frame.source, frame.destination) in pair]
    assert not overheard, "a bystander saw what two others said to each other"
    assert after.received - before.received >= 2 and after.sent - before.sent >= 2
    assert after.dropped == before.dropped


@pytest.mark.parametrize("side", ["what it receives", "what another sends"])
def test_a_bucket_lets_pass_its_burst_and_its_rate_and_no_more(driver, machines, side):
    average, burst = 4.0, 0.1  # Mbit/s, MB
    sender, receiver = machines["m1"], machines["m2"]
    receiver.execute(["sh", "-c", "pidof iperf3 || iperf3 -s -D"])
    room = driver.room
    if side == "what it receives":
        shaping.shape(room, "m2-eth0", average, burst=burst)
    else:
        shaping.police(room, "lan", "m1-eth0", average, burst=burst)
    try:
        before, began = watching.counted(room, "m2-eth0"), time.monotonic()
        sent = sender.execute(["iperf3", "-c", ADDRESSES["m2"], "-u", "-b", "12M", "-t", "3", "--json"], timeout=60)
        after, took = watching.counted(room, "m2-eth0"), time.monotonic() - began
        offered = json.loads(sent.output)["end"]["sum"]["bytes"]
    finally:
        shaping.unshape(room, "m2-eth0")
        shaping.unpolice(room, "lan", "m1-eth0")
    passed = after.bytes_received - before.bytes_received
    # The bucket's bound: bytes in any t <= burst + rate * t. It was offered far more than that in 3 s.
    assert passed <= burst * 1e6 + average * 1e6 / 8 * took
    assert passed >= 0.5 * (burst * 1e6 + average * 1e6 / 8 * 3)
    assert passed < offered


SHOP = "<network><name>shop</name><bridge name='lk-shop' stp='off' delay='0'/></network>"
WEB = """<filter name='web' chain='root'>
<rule action='accept' direction='in' priority='100'><tcp dstportstart='80'/></rule>
<rule action='drop' direction='in' priority='500'><tcp/></rule>
<rule action='accept' direction='inout' priority='600'><all/></rule></filter>"""
OWN = """<filter name='own-address' chain='ipv4'>
<rule action='drop' direction='out' priority='500'><ip match='no' srcipaddr='$IP'/></rule></filter>"""


def test_a_filter_of_libvirts_lets_one_port_through_and_no_false_address(driver, machines):
    driver.connection.networkCreateXML(SHOP)
    for xml in (WEB, OWN):
        driver.connection.nwfilterDefineXML(xml)
    asks, serves = machines["m1"], machines["m3"]
    honest = cards.card("52:54:00:00:01:01", network="shop", filter="own-address", addresses=("10.1.0.1",))
    plugging.plug(asks, honest, "eth1", "10.1.0.1/24")
    plugging.plug(serves, cards.card("52:54:00:00:01:03", network="shop", filter="web"), "eth1", "10.1.0.3/24")
    for port in (80, 81):
        serves.execute(["sh", "-c", f"(while :; do echo served | nc -l -p {port}; done) >/dev/null 2>&1 &"])

    def answer(port: int) -> str:
        return asks.execute(["sh", "-c", f"nc -w 3 10.1.0.3 {port} </dev/null"]).output.strip()

    assert reached(asks, "10.1.0.3")
    assert (answer(80), answer(81)) == ("served", "")
    asks.execute(["ip", "addr", "add", "10.1.0.77/24", "dev", "eth1"])
    assert not reached(asks, "10.1.0.3", "-I", "10.1.0.77"), "a false address got out"
    assert reached(asks, "10.1.0.3", "-I", "10.1.0.1")


def test_the_guests_threads_by_their_numbers_out_here(driver, machines):
    machine = machines["m1"]
    assert f"guest={machine.domain_name}," in " ".join(psutil.Process(machine.process).cmdline())
    known = driver.room.threads(machine.process)
    names = {inside: Path(f"/proc/{machine.process}/task/{out}/comm").read_text() for inside, out in known.items()}
    assert sum(name.startswith("CPU 0/") for name in names.values()) == 1
    assert set(known.values()) == {thread.id for thread in psutil.Process(machine.process).threads()}


OPENS = """
import time
from labkit.live import private
from labkit.live.image import load
from labkit.live.livehost import LiveHost
driver = private.open_private()
machine = LiveHost(driver, load()).create("left")
print(driver.root, driver.room.first, machine.process, flush=True)
time.sleep(600)
"""


def test_a_killed_owners_guests_go_with_it(driver):
    child = subprocess.Popen([sys.executable, "-c", OPENS], stdout=subprocess.PIPE, text=True)
    try:
        root, *numbers = child.stdout.readline().split()
        processes = [psutil.Process(int(number)) for number in numbers]
        mark = f"lk-{Path(root).name}-"
        assert os.geteuid() or not Path("/sys/fs/cgroup/cpu").exists() or guardian.control_groups_of(mark)
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait(10)
    ends = time.monotonic() + 10
    while Path(root).exists() or any(process.is_running() for process in processes) or guardian.control_groups_of(mark):
        assert time.monotonic() < ends, f"{root}, {processes} or a control group stays"
        time.sleep(0.05)
