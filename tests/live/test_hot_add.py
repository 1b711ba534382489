"""A vCPU more for a running guest."""

import functools
from pathlib import Path
from types import SimpleNamespace

import pytest

from labkit.host import CpuLoad, HostError
from labkit.live.machine import LiveMachine

pytestmark = pytest.mark.live


@pytest.fixture
def growing(host):
    return host.create("growing", maximum_vcpus=2, pin=[0])


def test_from_a_saved_boot_a_machine_gets_a_second_vcpu(growing, host, measured):
    assert growing.started_from == "saved boot"
    assert (growing.vcpus, growing.maximum_vcpus) == (1, 2)
    assert growing.execute(["nproc"]).output == "1\n"
    growing.run(CpuLoad())
    seen, room = measured(lambda: host.observe(2.0))
    assert seen.value("growing", "cpu") == pytest.approx(1.0, abs=0.05 + room)
    assert seen.value("growing", "ready") == pytest.approx(0.0, abs=0.05 + room)
    growing.set(vcpus=2)
    assert growing.vcpus == 2
    assert growing.execute(["nproc"]).output == "2\n"
    # On one CPU two spinning vCPUs get no more than one does, and each waits half its time.
    seen, room = measured(lambda: host.observe(3.0))
    assert seen.value("growing", "cpu") == pytest.approx(1.0, abs=0.05 + room)
    assert seen.value("growing", "ready") == pytest.approx(0.5, abs=0.05 + room)
    threads = growing.vcpu_threads
    assert len(threads) == 2
    for thread in threads:
        assert "Cpus_allowed_list:\t0\n" in Path(f"/proc/{thread}/status").read_text()
    assert any("setvcpus growing 2 --live" in line for line in host.journal())


def test_a_cap_is_divided_anew(host):
    if not (able := host.can("cap")):
        pytest.skip(able.reason)
    machine = host.create("capped", maximum_vcpus=2, cap=0.4)
    machine.set(vcpus=2)
    assert machine.domain.schedulerParameters()["vcpu_quota"] == 20000
    assert machine.cap == 0.4
    host.observe(0.5)
    assert len(machine.throttle_counters) == 2


def test_vcpu_seconds_are_counted_from_moment_to_moment():
    growing = SimpleNamespace(sizes=[(100.0, 1), (110.0, 2)])
    counted = functools.partial(LiveMachine.vcpu_seconds, growing)
    assert counted(100.0, 110.0) == pytest.approx(10)
    assert counted(108.0, 113.0) == pytest.approx(2 + 6)
    assert counted(120.0, 121.0) == pytest.approx(2)


def test_a_maximum_below_what_it_has(host):
    with pytest.raises(ValueError, match="maximum_vcpus"):
        host.create("odd", vcpus=2, maximum_vcpus=1)
    assert not host.machines


def test_what_is_refused_leaves_the_number(growing, monkeypatch):
    """What cannot be, what libvirt refuses, and that a vCPU is taken away again."""
    import libvirt

    for vcpus in (0, 3, True, 1.5):
        with pytest.raises(ValueError, match="from 1 to 2"):
            growing.set(vcpus=vcpus)
        assert growing.vcpus == 1

    def refuse(*_arguments):
        raise libvirt.libvirtError("refused")

    with monkeypatch.context() as patched:
        patched.setattr(growing.domain, "setVcpusFlags", refuse)
        with pytest.raises(HostError, match="2 vCPUs"):
            growing.set(vcpus=2)
    assert growing.vcpus == 1
    growing.set(vcpus=2)
    with pytest.raises(ValueError, match="from 2 to 2"):
        growing.set(vcpus=1)
    assert growing.vcpus == 2
