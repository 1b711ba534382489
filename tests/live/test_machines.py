"""Machines that really run: who they are, what they can be asked, and that they end."""

import time
from pathlib import Path

import pytest

from labkit.host import CpuLoad, Host, HostError, Machine

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def guest(shared_host):
    """A guest for all tests that leave it as it is, or change it while it runs."""
    with shared_host.create("word", shares=512, pin=[0]) as machine:
        yield machine


def test_it_is_a_host_by_the_protocol(shared_host, guest):
    assert isinstance(shared_host, Host)
    assert isinstance(guest, Machine)
    with shared_host.create("one") as machine:
        assert machine.state == "running"
    assert machine.state == "stopped"


def test_a_word_from_inside(guest):
    assert guest.state == "running"
    said = guest.execute(["uname", "-s"])
    assert (said.status, said.output) == (0, "Linux\n")
    assert guest.execute(["sh", "-c", "exit 3"]).status == 3
    assert guest.execute(["hostname"]).output == "word\n"


def test_a_cold_boot_prints_on_its_console(host):
    machine = host.create("cold", cold=True)
    assert machine.started_from == "power-on"
    assert "labkit: init" in machine.console()


def test_clones_are_different_machines_with_the_right_time(host):
    """Three clones at a time, twice: name, uuid, address and random bytes differ, and clocks are right.

    They are set when a clone is introduced, and asked then and there; on a busy computer that takes a second or two. A
    clock that was not set is late by as long as the saved boot is old.
    """
    random_bytes, uuids, addresses = set(), set(), set()
    for _ in range(2):
        clones = [host.create(f"clone{number}") for number in range(3)]
        for clone in clones:
            assert clone.started_from == "saved boot"
            # The first bytes that the clone's kernel gives away, asked for as early as can be.
            random_bytes.add(clone.execute(["sh", "-c", "head -c 16 /dev/urandom | od -An -tx1"]).output)
            before = time.time()
            inside = int(clone.execute(["date", "+%s"]).output)
            after = time.time()
            assert before - 5 <= inside <= after + 1
            assert clone.execute(["hostname"]).output.strip() == clone.name
            address = clone.execute(["cat", "/sys/class/net/eth0/address"]).output.strip()
            assert f"address='{address}'" in clone.xml().replace('"', "'")
            addresses.add(address)
            uuids.add(clone.domain.UUIDString())
        for clone in clones:
            clone.stop()
    assert len(random_bytes) == len(uuids) == len(addresses) == 6


def test_changes_to_a_running_machine(shared_host, guest):
    machine = guest
    assert machine.pinned == (0,)
    affinity = {
        Path(f"/proc/{thread}/status").read_text().split("Cpus_allowed_list:\t")[1].split()[0]
        for thread in machine.vcpu_threads
    }
    assert affinity == {"0"}
    machine.set(shares=1024)
    assert machine.shares == 1024
    assert any("vcpupin word 0 0" in line for line in shared_host.journal())


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "1st"},
        {"name": "a b"},
        {"name": "x" * 21},
        {"name": "../up"},
        {"name": "ünïcode"},
        {"vcpus": 0},
        {"vcpus": True},
        {"memory": "0 MiB"},
        {"memory": "12 parsecs"},
        {"memory": 1},
        {"shares": 1},
        {"shares": 262145},
        {"pin": []},
        {"pin": [-1]},
    ],
)
def test_wrong_arguments_are_refused_with_the_range(shared_host, guest, wrong):
    with pytest.raises(ValueError, match=r"."):
        shared_host.create(**({"name": "right"} | wrong))
    assert set(shared_host.machines) == {guest.name}


def test_a_cpu_that_is_not_there(shared_host, guest):
    with pytest.raises(HostError, match="CPU 999 is none of them"):
        shared_host.create("far", pin=[999])
    assert set(shared_host.machines) == {guest.name}


def test_a_refused_change_leaves_things_as_they_were(shared_host, guest, monkeypatch):
    machine = guest
    before = machine.shares

    def refuse(*_arguments):
        raise HostError("refused")

    with monkeypatch.context() as patched:
        patched.setattr(shared_host.shares, "apply", refuse)
        with pytest.raises(HostError):
            machine.set(shares=256)
    assert machine.shares == before != 256


def test_a_clone_from_a_copied_file_as_later_libvirts_need_it(host, monkeypatch):
    from labkit.live import saved

    host.create("first").stop()
    clone = saved.clone
    monkeypatch.setattr(saved, "clone", lambda *words, by_pipe: clone(*words, by_pipe=False))
    machine = host.create("copied")
    assert machine.started_from == "saved boot"
    assert not list(host.root.glob("*.restoring"))


def test_a_full_disk_takes_only_speed(host, monkeypatch):
    from labkit.live import capacity

    monkeypatch.setattr(capacity.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 8 << 20}))
    machine = host.create("slow")
    assert machine.started_from == "power-on"
    assert any("8 MiB are free" in line for line in host.journal())


def test_no_more_than_this_computer_can_carry(shared_host, guest):
    with pytest.raises(HostError, match=r"needs \d+ MiB .* are free"):
        shared_host.create("huge", memory="60 GiB")
    assert set(shared_host.machines) == {guest.name}


def test_two_of_a_name(shared_host, guest):
    with pytest.raises(HostError, match="There is a machine word already"):
        shared_host.create("word")


def test_a_load_runs_until_it_is_cancelled(host):
    machine = host.create("busy", pin=[0])
    job = machine.run(CpuLoad())

    def wanted() -> float:
        seen = host.observe(1.0)
        return seen.value("busy", "cpu") + seen.value("busy", "ready")

    # It wants all of its vCPU's time, or next to nothing. A wait is counted when it is over, which takes its time where
    # others are at work, so all is not asked for.
    assert wanted() > 0.6
    job.cancel()
    ends = time.monotonic() + 60
    while wanted() > 0.3:
        assert time.monotonic() < ends


def test_after_close_nothing_is_left(host):
    machine = host.create("last")
    process = machine.process
    host.close()
    host.close()
    assert not Path(f"/proc/{process}").exists()
    with pytest.raises(HostError, match="closed"):
        host.create("late")
