"""Disks plugged into real guests: what the guest sees, who may write, and what is left when the machine has gone."""

import pytest

from labkit.host import HostError

pytestmark = [pytest.mark.live, pytest.mark.timeless]


def test_a_guest_sees_its_disks_and_they_outlive_it(host):
    log, data = host.disk("log", "32 MiB", format="raw"), host.disk("data", "64 MiB")
    data.write(0, 4096)  # waits to be carried out; the machine finds it done
    machine = host.create("m1", disks=[log, data])
    assert list(machine.disks) == ["log", "data"]
    assert machine.execute(["hexdump", "-v", "-n", "2", "-e", '1/1 "%x"', machine.device("data")]).output.startswith(
        "a5a5"
    )
    before = data.guest_bytes
    assert machine.execute(["dd", "if=/dev/urandom", f"of={machine.device('data')}", "bs=1M", "count=8", "seek=8"])
    assert data.guest_bytes == before + (8 << 20)
    with pytest.raises(HostError, match="m1 has the disk data"):
        data.write(0, 512)
    with pytest.raises(HostError, match="m1 has the disk data"):
        data.remove()
    with pytest.raises(HostError, match="m1 has the disk data"):
        host.create("m2", disks=[data])
    assert list(host.machines) == ["m1"]
    machine.stop()
    assert not machine.disks
    data.write(4096, 512)  # it is ours again, and what the guest wrote is still there
    assert data.guest_bytes == before + (8 << 20)
    log.remove()
    assert not log.path.exists()


def test_a_disk_of_another_host_is_refused(host):
    with pytest.raises(HostError, match="made"):
        host.create("m1", disks=["/dev/sda"])
    taken = host.disk("data", "8 MiB")
    taken.remove()
    with pytest.raises(HostError, match="not one of this host's"):
        host.create("m1", disks=[taken])
    assert not host.machines


def test_what_the_store_could_not_hold_is_refused(host):
    with pytest.raises(HostError, match="huge may take 2097151 MiB more"):
        host.create("m1", disks=[host.disk("huge", "2097152 MiB")])
    assert not host.machines


def test_closing_leaves_neither_machine_nor_disk(host):
    disk = host.disk("data", "16 MiB")
    host.create("m1", disks=[disk])
    host.close()
    assert not disk.path.exists()


@pytest.mark.parametrize("format", ["vhdx", "parallels"])
def test_formats_that_libvirt_has_no_word_for(host, format):
    with pytest.raises(HostError, match=f"format {format}") as caught:
        host.create("m1", disks=[host.disk("data", "16 MiB", format=format)])
    assert "convert" in caught.value.remedy and not host.machines
