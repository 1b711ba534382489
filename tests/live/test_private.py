"""A private host: nothing outside changes, nothing gets out, and however it ends nothing stays."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from labkit.host import HostError
from labkit.live import guardian, private, reaping
from labkit.live.ownership import clean
from labkit.live.private import programs, shaping, switch
from labkit.live.private.room import Room, end

pytestmark = [pytest.mark.live, pytest.mark.timeless, pytest.mark.usefixtures("driver")]

NETWORK = """<network><name>{name}</name><bridge name='lk-{name}'/>{forward}
<ip address='10.9.{third}.1' netmask='255.255.255.0'><dhcp><range start='10.9.{third}.2' end='10.9.{third}.9'/></dhcp>
</ip></network>"""


@pytest.fixture(scope="module")
def driver(live_required):
    """A private host for all tests of this file that leave it as they found it.

    It is opened by a process that adopts orphans, as every process does that has an embedded host too.
    """
    reaping.adopt_orphans()
    try:
        opened = private.open_private()
    except HostError as error:
        if live_required:
            raise
        pytest.skip(str(error))
    yield opened
    opened.close()
    assert not opened.root.exists()


def told(*command: str) -> str:
    """What a program says about the computer's own network; empty where it is not installed."""
    if (program := programs.find(command[0])) is None:
        return ""
    # An ordinary user may not read the rules of a firewall, nor change any; whoever may is not to see nothing.
    return subprocess.run([program, *command[1:]], capture_output=True, text=True, check=os.geteuid() == 0).stdout


def the_computers_own() -> dict[str, object]:
    """The computer's network, mounts and settings; without counters, and without the time that addresses have left."""
    addresses = json.loads(told("ip", "-j", "addr"))
    for link in addresses:
        for address in link["addr_info"]:
            address.pop("valid_life_time", None)
            address.pop("preferred_life_time", None)
    seen: dict[str, object] = {"addresses": addresses}
    for version in ("-4", "-6"):
        seen[f"rules {version}"] = told("ip", version, "rule")
        routes = json.loads(told("ip", "-j", version, "route", "show", "table", "all"))
        seen[f"routes {version}"] = [{k: v for k, v in route.items() if k != "expires"} for route in routes]
    seen["links"] = [
        {k: v for k, v in link.items() if not k.startswith("stats")} for link in json.loads(told("ip", "-j", "link"))
    ]
    seen["queues"] = told("tc", "qdisc", "show")
    for filtering in (NFT, ("iptables-save",), ("ip6tables-save",), ("ebtables-save",)):
        lines = told(*filtering).splitlines()
        seen[filtering[0]] = [line.partition("[")[0] for line in lines if not line.startswith("#")]
    # Of the mounts those that a private host covers inside; elsewhere others may mount what they like meanwhile.
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    seen["mounts"] = [
        point for point in points if point.startswith(("/run", "/etc", "/var", "/proc")) or point == "/sys"
    ]
    switches = [Path("/proc/sys/net/ipv4", name) for name in ("ip_forward", "conf/all/rp_filter")]
    switches += [Path("/proc/sys/net/ipv6/conf", name, "disable_ipv6") for name in ("all", "default")]
    switches += Path("/proc/sys/net/bridge").glob("*")
    seen["settings"] = {str(switch): switch.read_text() for switch in switches if switch.exists()}
    seen["libvirt's"] = [Path(name).exists() for name in ("/etc/libvirt", "/var/lib/libvirt", "/run/libvirt")]
    return seen


NFT = ("nft", "--stateless", "list", "ruleset")  # all of the kernel's packet filter; iptables' rules too, no counters


def runs(process: psutil.Process) -> bool:
    """Whether it still runs; one that has ended and has not been collected does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def wait_for(condition, seconds: float, what: str) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, what
        time.sleep(0.05)


def test_the_computers_own_network_stays_as_it_is(live_required):
    assert programs.find("nft") or not live_required, "nftables is not installed, so that its rules go unseen"
    before = the_computers_own()
    opened = private.open_private()
    try:
        for third, forward in enumerate(("", "<forward mode='nat'/>")):
            xml = NETWORK.format(name=f"n{third}", third=third, forward=forward)
            opened.connection.networkCreateXML(xml)
        switch.start(opened.room)
        switch.add(opened.room, "lan")
        shaping.shape(opened.room, "lan", 8, peak=16, burst=1)
        opened.run(["iptables", "-A", "INPUT", "-j", "DROP"])
        inside = opened.run(["ip", "-br", "link"]).stdout
        assert "lk-n0" in inside and "lan" in inside, "nothing was made, so nothing could have leaked"
        if (nft := programs.find("nft")) and "nf_tables" in opened.run(["iptables", "--version"]).stdout:
            rules = opened.run([nft, *NFT[1:]]).stdout
            assert "chain INPUT" in rules and "drop" in rules, "nft does not see what was made, so it would see no leak"
        assert the_computers_own() == before
    finally:
        opened.close()
    assert the_computers_own() == before


def test_no_traffic_leaves_it(driver):
    own = json.loads(told("ip", "-j", "addr"))
    outside = {link["ifname"] for link in own} - {"lo"}
    inside = {link["ifname"] for link in json.loads(driver.run(["ip", "-j", "link"]).stdout)}
    assert inside.isdisjoint(outside)
    assert all(route["dev"] != "eth0" for route in json.loads(driver.run(["ip", "-j", "route"]).stdout))
    reach = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.77', 9))"
    found = driver.run([sys.executable, "-I", "-c", reach], check=False)
    assert "unreachable" in found.stderr
    for address in (a["local"] for link in own for a in link["addr_info"] if a["scope"] == "global"):
        family = "AF_INET6" if ":" in address else "AF_INET"
        reach = f"import socket; socket.socket(socket.{family}, socket.SOCK_DGRAM).connect(('{address}', 9))"
        assert driver.run([sys.executable, "-I", "-c", reach], check=False).returncode, f"{address} can be reached"


def test_a_program_inside_and_what_it_says(driver):
    assert driver.run(["cat", "/proc/1/comm"]).stdout == "labkit-private\n"
    with pytest.raises(HostError, match="nowhere0"):
        driver.run(["ip", "link", "show", "nowhere0"])
    assert driver.run(["false"], check=False).returncode == 1


def test_processes_have_two_numbers(driver):
    program = driver.room.start(["sleep", "60"])
    try:
        wait_for(lambda: "sleep" in driver.run(["ps", "-e", "-o", "comm"]).stdout, 5, "it did not start")
        within = int(driver.run(["ps", "-C", "sleep", "-o", "pid="]).stdout)
        outside = driver.room.outside(within)
        assert Path(f"/proc/{outside}/comm").read_text() == "sleep\n"
        assert driver.threads_here(outside, [within]) == [outside]
    finally:
        end(program)
    wait_for(lambda: not Path(f"/proc/{outside}").exists(), 5, "ended is only its door")


def test_the_number_of_one_that_has_ended_leads_nowhere(driver):
    """Another process may have the number by then, such as one of the computer's own with its network."""
    for room in (
        dataclasses.replace(driver.room, born="1"),
        dataclasses.replace(driver.room, first=os.getpid()),
        Room(os.getpid(), driver.room.environment),
    ):
        with pytest.raises(HostError, match="has ended"):
            room.run(["true"])
    driver.room.run(["true"])


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_switch_starts_where_an_interrupt_left_it(driver, after, monkeypatch):
    driver.run(["sh", "-c", "cd /run/openvswitch && kill $(cat *.pid) && sleep 0.2"], check=False)
    begun = []

    def interrupted(room, command, **more):
        if Path(command[0]).name in ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd"):
            if len(begun) == after:
                raise KeyboardInterrupt
            begun.append(command)
        return run(room, command, **more)

    run = Room.run
    with monkeypatch.context() as patched:
        patched.setattr(Room, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            switch.start(driver.room)
    switch.start(driver.room)
    switch.add(driver.room, f"again{after}")


def test_a_switch_and_its_table_start_empty(driver):
    switch.start(driver.room)
    switch.start(driver.room)
    switch.add(driver.room, "empty")
    assert switch.learnt(driver.room, "empty") == ()


@pytest.mark.parametrize("whom", ["the owner", "libvirt's daemon", "the first program", "unshare"])
def test_killed(whom):
    child = subprocess.Popen([sys.executable, "-c", OPENS], stdout=subprocess.PIPE, text=True)
    root = Path(child.stdout.readline().strip())
    first = int(child.stdout.readline())
    try:
        inside = [psutil.Process(first), *psutil.Process(first).children(recursive=True)]
        assert any(process.name() == "libvirtd" for process in inside)
        assert any(process.name() == "dnsmasq" for process in inside)
        assert any(process.name() == "ovs-vswitchd" for process in inside)
        victims = {
            "the owner": child.pid,
            "libvirt's daemon": next(process.pid for process in inside if process.name() == "libvirtd"),
            "the first program": first,
            "unshare": psutil.Process(first).ppid(),
        }
        os.kill(victims[whom], signal.SIGKILL)
        wait_for(lambda: not any(map(runs, inside)), 5, f"{inside} went on")
    finally:
        child.kill()
        child.wait(10)
    wait_for(lambda: not root.exists(), 10, "the guardian did not clear up")


OPENS = f"""
import time
from labkit.live import private
from labkit.live.private import switch
driver = private.open_private()
driver.connection.networkCreateXML({NETWORK.format(name="n", third=0, forward="")!r})
switch.start(driver.room)
print(driver.root, flush=True)
print(driver.room.first, flush=True)
time.sleep(600)
"""


def test_clean_shows_and_sweeps_what_even_the_guardian_left():
    child = subprocess.Popen([sys.executable, "-c", OPENS], stdout=subprocess.PIPE, text=True)
    try:
        root, first = Path(child.stdout.readline().strip()), int(child.stdout.readline())
        words = {process: process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])}
        (its,) = (one for one, said in words.items() if str(root) in said and guardian.__file__ in said)
        its.kill()
        os.kill(first, signal.SIGSTOP)  # it does not even hear that its owner is gone
    finally:
        child.kill()
        child.wait(10)
    shown = clean(dry_run=True)
    assert f"directory {root}" in shown and f"process {first}" in shown
    assert root.exists() and psutil.pid_exists(first), "a dry run changed something"
    assert f"directory {root}" in clean()
    wait_for(lambda: not root.exists() and not psutil.pid_exists(first), 5, "it was not swept")


def test_two_do_not_meet(driver):
    other = private.open_private()
    try:
        for one in (driver, other):
            one.connection.networkCreateXML(NETWORK.format(name="same", third=7, forward="")).destroy()
        assert driver.connection.getHostname() == other.connection.getHostname()
        networks = [Path(f"/proc/{one.room.first}/ns/net").stat().st_ino for one in (driver, other)]
        assert networks[0] != networks[1]
    finally:
        other.close()


def test_a_closed_one_says_so_and_shared_opens_another():
    one = private.shared()
    assert private.shared() is one
    os.kill(one.room.first, signal.SIGKILL)
    wait_for(lambda: not one.open, 5, "its launcher goes on")
    another = private.shared()
    try:
        assert another is not one and another.open
        assert not one.root.exists()
    finally:
        another.close()
    with Path(os.devnull).open() as next_file:  # it has the number of a pipe of the closed one's, or one near it
        files = [os.dup(next_file.fileno()) for _ in range(8)]
        another.close()
        one.close()
        assert all(os.fstat(file) for file in files), "closing twice closed somebody else's file"
        for file in files:
            os.close(file)


def test_an_ordinary_user_has_one_too(as_nobody, tmp_path):
    """What the system of a test need not have comes from a mount namespace of the test's own.

    `nobody` is lent spare ids and a /dev/net/tun; libvirt's account, which ./course makes for root only, is hidden.
    """
    lent = {"subuid": "nobody:100000:65536\n", "subgid": "nobody:100000:65536\n"}
    for name in ("passwd", "group"):
        lines = Path("/etc", name).read_text().splitlines(keepends=True)
        lent[name] = "".join(line for line in lines if not line.startswith("libvirt"))
    for name, text in lent.items():
        (tmp_path / name).write_text(text)
    binds = [f"mount --bind {tmp_path / name} /etc/{name}" for name in lent]
    tun = ["mount -t tmpfs lent /mnt", "mknod -m 666 /mnt/tun c 10 200", "mount --bind /mnt/tun /dev/net/tun"]
    lend = " && ".join([*binds, *tun, 'exec "$@"'])
    before = the_computers_own()
    said = as_nobody(["-c", AS_USER], before=["unshare", "--mount", "sh", "-c", lend, "sh"]).splitlines()
    assert said == ["0", "n", "gone"]
    assert the_computers_own() == before


AS_USER = f"""
from labkit.live import private
driver = private.open_private()
print(driver.run(["id", "-u"]).stdout.strip())
network = driver.connection.networkCreateXML({NETWORK.format(name="n", third=0, forward="<forward mode='nat'/>")!r})
print(network.name())
root = driver.root
driver.close()
print("left" if root.exists() else "gone")
"""


def test_a_cache_below_run_is_seen_inside(monkeypatch):
    if not os.access("/run", os.W_OK):
        pytest.skip("only root may make a directory in /run")
    with tempfile.TemporaryDirectory(prefix="labkit-try-", dir="/run") as cache:
        monkeypatch.setenv("LABKIT_CACHE", cache)
        (Path(cache) / "accelerator.json").write_text("{}")
        opened = private.open_private()
        try:
            assert opened.run(["cat", f"{cache}/accelerator.json"]).stdout == "{}"
            assert len(opened.run(["ls", "/run/"]).stdout.split()) <= 6, "the computer's own sockets are in there"
        finally:
            opened.close()
        assert (Path(cache) / "accelerator.json").exists()
