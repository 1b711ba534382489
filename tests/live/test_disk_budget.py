"""What all disks of a host together may take, and names of appliances: refused before anything is written."""

import shutil

import pytest

from labkit.experiments import snapshot_chain
from labkit.host import HostError, Provenance, mebibytes
from labkit.live import budget, capacity, disks
from labkit.live.journal import Journal

pytestmark = [pytest.mark.live, pytest.mark.timeless]

MEBI = 1 << 20


@pytest.fixture
def shelf(tmp_path, live_required):
    """Real disks without any hypervisor."""
    found = disks.Shelf(tmp_path / "own", "test", Journal(), lambda: Provenance("live", "a test"))
    (tmp_path / "own").mkdir()
    if not found.ability:
        if live_required:
            pytest.fail(found.ability.reason)
        pytest.skip(found.ability.reason)
    yield found
    found.clear()


class Holder:
    """As much of a machine as a disk asks for."""

    name = "web"
    state = "stopped"


def test_the_most_is_the_same_for_settings_and_disks():
    assert snapshot_chain.MOST_HELD == budget.MOST_HELD


def test_machines_are_promised_no_more_than_all_disks_may_take(shelf):
    first, second = shelf.make("one", "3 GiB"), shelf.make("two", "2 GiB")
    first.settle()
    second.settle()  # each by itself may be
    first.machine = Holder()
    with pytest.raises(HostError, match="two may take 2047 MiB more.*come to take 3071 MiB more"):
        second.settle()
    shelf.make("three", "1000 MiB").settle()
    first.machine = None
    second.settle()


def test_writes_that_wait_and_files_that_are_there_count_for_all(shelf, monkeypatch):
    first, second = shelf.make("one", "1 GiB", "vdi"), shelf.make("two", "1 GiB", "vdi")
    for block in range(6):
        first.write(block * MEBI, 1)
        second.write(block * MEBI, 1)
    monkeypatch.setattr(budget, "MOST_HELD", 10 * MEBI)
    with pytest.raises(HostError, match="for all together"):
        _ = second.file_bytes
    assert first.file_bytes > 6 * MEBI  # the other is gone, and nothing waits any more
    beside = first.path.with_name("kept.memory")
    beside.write_bytes(b"?" * 8 * MEBI)
    first.write(20 * MEBI, 1)
    with pytest.raises(HostError, match="have 1[4-9] MiB"):
        _ = first.file_bytes


def test_where_the_store_is_memory_that_is_asked_too(shelf, monkeypatch):
    disk = shelf.make("one", "1 GiB")
    monkeypatch.setattr(capacity, "free_memory", lambda: 1000.0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _where: shutil._ntuple_diskusage(1 << 40, 0, 1 << 40))
    monkeypatch.setattr(budget, "in_memory", lambda _where: False)
    disk.settle()
    monkeypatch.setattr(budget, "in_memory", lambda _where: True)
    with pytest.raises(HostError, match="1000 MiB are free and 768 MiB of that"):
        disk.settle()


def test_a_file_system_in_memory_is_known_by_its_device(tmp_path):
    import os

    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    line = "28 25 {} / /tmp rw,nosuid shared:9 - {} tmpfs rw\n"
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts.write_text(line.format("999:1", "tmpfs") + line.format(number, "ext4"))
    assert not budget.in_memory(tmp_path, mounts)
    mounts.write_text(line.format("999:1", "ext4") + line.format(number, "tmpfs"))
    assert budget.in_memory(tmp_path, mounts)
    mounts.write_text("")
    assert not budget.in_memory(tmp_path, mounts)


@pytest.mark.parametrize(
    "stem", ["a" * 244, "\u00e4" * 60, "a\udce4", "a\nb", "a\x01", "a(b)", " a", "-a", "a\n", "a\u2028b"]
)
def test_a_name_that_an_appliance_cannot_have_is_refused(shelf, tmp_path, stem):
    disk = shelf.make("data", "1 MiB")
    with pytest.raises(HostError, match="cannot be that of a machine"):
        disk.export(tmp_path / f"{stem}.ova")
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


@pytest.mark.parametrize(
    "wrong", [{"vcpus": 0}, {"vcpus": 65}, {"vcpus": True}, {"vcpus": 1.5}, {"memory": 0.1}, {"memory": "65 GiB"}]
)
def test_an_appliance_has_vcpus_and_memory(shelf, tmp_path, wrong):
    with pytest.raises(ValueError, match="whole number from 1 to"):
        shelf.make("data", "1 MiB").export(tmp_path / "web.ova", **wrong)


@pytest.mark.parametrize("stem", ["\u00e4" * 40, "a" * 80, "Web server 2.1_x+y-z"])
def test_names_that_it_can_have(shelf, tmp_path, stem):
    path = shelf.make("data", "1 MiB").export(tmp_path / f"{stem}.ova", vcpus=64, memory="64 GiB")
    assert path.exists()


def test_a_size_may_be_in_tebibytes():
    assert mebibytes("2 TiB") == mebibytes("2048 GiB") == 2 << 20
    with pytest.raises(ValueError, match="a size looks like"):
        mebibytes("2 PiB")
