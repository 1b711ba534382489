"""Limits on real guests' disks, and fio in them."""

import math

import pytest

from labkit.host import DiskLoad, HostError

pytestmark = pytest.mark.live


def test_a_limit_is_held_and_lifted(host):
    """A count per second by QEMU's own timer, and so not a matter of how fast the guest is: it asks for far more."""
    data = host.disk("data", "64 MiB")
    machine = host.create("m1", memory="192 MiB", disks=[data])
    machine.throttle("data", 50)
    job = machine.run(DiskLoad("data", depth=8))
    assert job.wait(1.0) is None and job.progress == 0
    assert host.observe(2.0).value("m1", "iops") == pytest.approx(50, rel=0.1)
    assert any("blkdeviotune m1 vdb --total-iops-sec 50" in line for line in host.journal())
    machine.throttle("data", math.inf)
    assert host.observe(2.0).value("m1", "iops") > 75
    job.cancel()
    assert host.observe(0.5).value("m1", "iops") < 10  # at most what was under way
    machine.stop()
    assert data.guest_bytes > 0


def test_a_machine_too_small_for_fio(host):
    machine = host.create("m1", disks=[host.disk("data", "64 MiB")])
    with pytest.raises(HostError, match="fio needs a machine of 192 MiB"):
        machine.run(DiskLoad("data"))
    with pytest.raises(HostError, match="has no disk"):
        machine.throttle("other", 100)
