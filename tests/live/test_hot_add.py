"""A vCPU more for a running guest."""

from pathlib import Path

import pytest

from labkit.host import CpuLoad, HostError

pytestmark = pytest.mark.live


@pytest.fixture
def growing(host):
    host.create("first", maximum_vcpus=2).stop()  # makes the saved boot
    return host.create("growing", maximum_vcpus=2, pin=[0])


def test_from_a_saved_boot_a_machine_gets_a_second_vcpu(growing, host, quiet_cpu):
    assert growing.started_from == "saved boot"
    assert (growing.vcpus, growing.maximum_vcpus) == (1, 2)
    assert growing.execute(["nproc"]).output == "1\n"
    growing.run(CpuLoad())
    before = host.observe(3.0)
    growing.set(vcpus=2)
    assert growing.vcpus == 2
    assert growing.execute(["nproc"]).output == "2\n"
    after = host.observe(4.0)
    for seen in (before, after):
        quiet_cpu(seen)
    # On one CPU two spinning vCPUs get no more than one does, and each waits half its time.
    assert before.value("growing", "cpu") == pytest.approx(1.0, abs=0.05)
    assert before.value("growing", "ready") == pytest.approx(0.0, abs=0.05)
    assert after.value("growing", "cpu") == pytest.approx(1.0, abs=0.05)
    assert after.value("growing", "ready") == pytest.approx(0.5, abs=0.05)
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


def test_vcpu_seconds_are_counted_from_moment_to_moment(growing):
    begun = growing.sizes[0][0]
    growing.sizes += [(begun + 10, 2)]
    assert growing.vcpu_seconds(begun, begun + 10) == pytest.approx(10)
    assert growing.vcpu_seconds(begun + 8, begun + 13) == pytest.approx(2 + 6)
    assert growing.vcpu_seconds(begun + 20, begun + 21) == pytest.approx(2)


@pytest.mark.parametrize("vcpus", [0, 3, True, 1.5])
def test_what_cannot_be_is_refused(growing, vcpus):
    with pytest.raises(ValueError, match="from 1 to 2"):
        growing.set(vcpus=vcpus)
    assert growing.vcpus == 1


def test_no_vcpu_is_taken_away(growing):
    growing.set(vcpus=2)
    with pytest.raises(ValueError, match="from 2 to 2"):
        growing.set(vcpus=1)


def test_a_maximum_below_what_it_has(host):
    with pytest.raises(ValueError, match="maximum_vcpus"):
        host.create("odd", vcpus=2, maximum_vcpus=1)
    assert not host.machines


def test_a_refusal_of_libvirt_s_leaves_the_number(growing, monkeypatch):
    import libvirt

    def refuse(*_arguments):
        raise libvirt.libvirtError("refused")

    with monkeypatch.context() as patched:
        patched.setattr(growing.domain, "setVcpusFlags", refuse)
        with pytest.raises(HostError, match="2 vCPUs"):
            growing.set(vcpus=2)
    assert growing.vcpus == 1
