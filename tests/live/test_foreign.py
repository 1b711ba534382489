"""Somebody's host: read freely, changed by name and with consent, and nothing believed that is not read back.

All of it on libvirt's own test driver, which needs nothing and keeps its books in this process alone.
"""

import gc
import os

import pytest

import labkit
from labkit.host import CpuLoad, Host, HostError, Machine
from labkit.live.foreign import ForeignHost

libvirt = pytest.importorskip("libvirt")
pytestmark = [
    pytest.mark.timeless,
    pytest.mark.skipif("LABKIT_NO_LIVE" in os.environ, reason="live hosts are switched off by LABKIT_NO_LIVE"),
]
URI = "test:///default"


@pytest.fixture
def raw():
    """The same books, by libvirt itself: connections of one process share them, and they are gone with the last."""
    gc.collect()
    connection = libvirt.open(URI)
    yield connection
    connection.close()


@pytest.fixture
def readable(raw):
    with labkit.live(URI) as host:
        yield host


@pytest.fixture
def host(raw):
    with labkit.live(URI, allow_changes=True) as host:
        yield host


def test_it_is_a_host_with_machines(readable, raw):
    assert isinstance(readable, Host) and readable.kind == "live"
    assert list(readable.machines) == [domain.name() for domain in raw.listAllDomains()] == ["test"]
    machine = readable.machines["test"]
    assert isinstance(machine, Machine)
    state, most, now, vcpus, _time = raw.lookupByName("test").info()
    assert (machine.state, state) == ("running", libvirt.VIR_DOMAIN_RUNNING)
    assert (machine.memory, machine.maximum_memory) == (now / 1024, most / 1024)
    assert machine.vcpus == vcpus and machine.shares == 50 and not machine.marked
    assert "keeps books and runs nothing" in repr(readable) and "test: running" in repr(readable)
    assert "<name>test</name>" in machine.xml()


def changes(machine):
    return {
        "start": machine.start,
        "stop": machine.stop,
        "pull the plug": lambda: machine.stop(force=True),
        "memory": lambda: machine.set(memory="1 GiB"),
        "shares": lambda: machine.set(shares=512),
        "pin": lambda: machine.set(pin=[0]),
        "vcpus": lambda: machine.set(vcpus=2),
        "snapshot": lambda: machine.snapshot("before"),
        "revert": lambda: machine.revert("before"),
    }


@pytest.mark.parametrize("what", ["start", "stop", "pull the plug", "memory", "shares", "pin", "vcpus", "snapshot"])
def test_without_consent_nothing_changes(readable, raw, what):
    domain = raw.lookupByName("test")
    before = (domain.info()[:4], domain.vcpuPinInfo(), domain.snapshotListNames(), domain.XMLDesc())
    with pytest.raises(HostError, match=r"nobody has allowed that.*allow_changes=True"):
        changes(readable.machines["test"])[what]()
    assert (domain.info()[:4], domain.vcpuPinInfo(), domain.snapshotListNames(), domain.XMLDesc()) == before
    assert readable.journal() == []


def test_memory_is_set_and_kept(host, raw):
    host.machines["test"].set(memory="1 GiB")
    assert raw.lookupByName("test").info()[2] == 1024 * 1024
    assert host.machines["test"].memory == 1024
    assert host.journal() == ["virsh -c test:///default setmem test 1048576"]


def test_what_is_accepted_and_ignored_is_said(host, raw):
    with pytest.raises(HostError, match=r"accepted shares = 512 for test and did not keep it: it reads back 50\."):
        host.machines["test"].set(shares=512)
    assert raw.lookupByName("test").schedulerParameters() == {"weight": 50}
    can = host.can("shares")
    assert not can and "does not keep" in can.reason and can.remedy


def test_pinning_is_kept(host, raw):
    host.machines["test"].set(pin=[1])
    assert {tuple(cpu for cpu, may in enumerate(row) if may) for row in raw.lookupByName("test").vcpuPinInfo()} == {
        (1,)
    }
    with pytest.raises(ValueError, match="CPUs of this host"):
        host.machines["test"].set(pin=[host.cpus])


def test_vcpus_are_added_never_removed(host, raw):
    raw.lookupByName("test").setVcpus(1)
    machine = host.machines["test"]
    assert (machine.vcpus, machine.maximum_vcpus) == (1, 2)
    machine.set(vcpus=2)
    assert raw.lookupByName("test").info()[3] == 2
    with pytest.raises(HostError, match="never removed"):
        machine.set(vcpus=1)
    with pytest.raises(HostError, match="exceeds maximum"):
        machine.set(vcpus=3)


@pytest.mark.parametrize("force", [False, True])
def test_stop_and_start(host, raw, force):
    machine = host.machines["test"]
    machine.stop(force=force)
    assert machine.state == "stopped" and not raw.lookupByName("test").isActive()
    assert "test" in host.machines, "it stays known to its host"
    machine.start()
    assert machine.state == "running"
    assert host.journal()[0].endswith(" destroy test" if force else " shutdown test")
    with pytest.raises(HostError, match="Could not start test"):
        machine.start()


def test_a_paused_machine_is_paused(readable, raw):
    raw.lookupByName("test").suspend()
    assert readable.machines["test"].state == "paused" and readable.machines["test"].active


def test_a_transient_machine_is_not_made_to_vanish(host, raw):
    raw.createXML("<domain type='test'><name>passing</name><memory>1024</memory><os><type>hvm</type></os></domain>", 0)
    for force in (False, True):
        with pytest.raises(HostError, match="transient"):
            host.machines["passing"].stop(force=force)
    assert raw.lookupByName("passing").isActive()


def test_snapshots(host, raw):
    machine = host.machines["test"]
    assert machine.snapshots == []
    assert machine.snapshot("before & <after>") == "before & <after>"
    assert raw.lookupByName("test").snapshotListNames() == ["before & <after>"] == machine.snapshots
    machine.stop()
    machine.revert("before & <after>")
    assert machine.state == "running", "as it was when the snapshot was taken"
    with pytest.raises(HostError, match="Could not revert test"):
        machine.revert("none such")


def test_labkits_mark_is_seen(readable, raw):
    domain = raw.lookupByName("test")
    assert not readable.machines["test"].marked
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<machine host='x'/>", "labkit", "https://labkit.example/machine/1"
    )
    assert readable.machines["test"].marked


def test_what_labkit_leaves_to_the_owner(host):
    for what in (
        lambda: host.create("web"),
        lambda: host.observe(1.0),
        lambda: host.machines["test"].run(CpuLoad()),
        lambda: host.machines["test"].set(cap=0.5),
    ):
        with pytest.raises(HostError) as caught:
            what()
        assert caught.value.message
    for ability in ("cap", "consolidate", "migration", "a dream"):
        assert not host.can(ability) and host.can(ability).reason
    assert host.can("memory").mechanism == "libvirt's test driver, virDomainSetMemory"


def test_closing_changes_nothing(raw):
    host = labkit.live(URI, allow_changes=True)
    machine = host.machines["test"]
    host.close()
    host.close()
    assert raw.lookupByName("test").isActive()
    for what in (lambda: host.machines, lambda: machine.state, machine.start):
        with pytest.raises(HostError, match="closed"):
            what()


def test_the_way_in():
    with pytest.raises(HostError, match=r"Could not reach nonesuch:///x"):
        labkit.live("nonesuch:///x")
    with pytest.raises(ValueError, match="name its address"):
        labkit.live(allow_changes=True)


def test_the_environment_names_one_too(raw, monkeypatch):
    monkeypatch.setenv("LABKIT_URI", URI)
    with labkit.live() as host:
        assert list(host.machines) == ["test"]


@pytest.mark.live
def test_a_real_guest_keeps_what_it_is_given(live_required):
    """A guest of labkit's own, looked at as somebody else's: QEMU's driver keeps what the test driver forgets."""
    try:
        own = labkit.live()
    except HostError as error:
        if live_required:
            raise
        pytest.skip(str(error))
    with own:
        guest = own.create("web", memory="256 MiB")
        foreign = ForeignHost(own.driver, allow_changes=True)
        machine = foreign.machines[guest.domain_name]
        assert machine.marked and machine.state == "running" and machine.memory == 256
        machine.set(memory="160 MiB", pin=[0])
        assert guest.domain.info()[2] == 160 * 1024
        assert [may for row in guest.domain.vcpuPinInfo() for may in row].count(True) == 1
        if machine.shares is not None:  # as an ordinary user QEMU's driver has none
            machine.set(shares=512)
            assert guest.domain.schedulerParameters()["cpu_shares"] == 512
        with pytest.raises(HostError, match="transient"):
            machine.stop()
        assert guest.state == "running"
