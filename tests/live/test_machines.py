"""Machines that really run: who they are, what they can be asked, and that they end."""

import time
from pathlib import Path

import pytest

from labkit.host import CpuLoad, Host, HostError, Machine

pytestmark = pytest.mark.live


def test_it_is_a_host_by_the_protocol(host):
    assert isinstance(host, Host)
    with host.create("one") as machine:
        assert isinstance(machine, Machine)


def test_a_word_from_inside(host):
    machine = host.create("word")
    assert machine.state == "running"
    said = machine.execute(["uname", "-s"])
    assert (said.status, said.output) == (0, "Linux\n")
    assert machine.execute(["sh", "-c", "exit 3"]).status == 3
    assert machine.execute(["hostname"]).output == "word\n"


def test_a_cold_boot_prints_on_its_console(host):
    machine = host.create("cold", cold=True)
    assert machine.started_from == "power-on"
    assert "labkit: init" in machine.console()


def test_clones_are_different_machines_with_the_right_time(host):
    """Three clones at a time, four times: name, uuid, address and random bytes differ, clocks are right within 1 s."""
    random_bytes, uuids, addresses = set(), set(), set()
    for _ in range(4):
        clones = [host.create(f"clone{number}") for number in range(3)]
        for clone in clones:
            assert clone.started_from == "saved boot"
            # The first bytes that the clone's kernel gives away, asked for as early as can be.
            random_bytes.add(clone.execute(["sh", "-c", "head -c 16 /dev/urandom | od -An -tx1"]).output)
            before = time.time()
            inside = int(clone.execute(["date", "+%s"]).output)
            after = time.time()
            assert before - 1 - 1 <= inside <= after + 1  # the second is cut off inside
            assert clone.execute(["hostname"]).output.strip() == clone.name
            address = clone.execute(["cat", "/sys/class/net/eth0/address"]).output.strip()
            assert f"address='{address}'" in clone.xml().replace('"', "'")
            addresses.add(address)
            uuids.add(clone.domain.UUIDString())
        for clone in clones:
            clone.stop()
    assert len(random_bytes) == len(uuids) == len(addresses) == 12


def test_changes_to_a_running_machine(host):
    machine = host.create("changing", shares=512, pin=[0])
    assert machine.pinned == (0,)
    affinity = {
        Path(f"/proc/{thread}/status").read_text().split("Cpus_allowed_list:\t")[1].split()[0]
        for thread in machine.vcpu_threads
    }
    assert affinity == {"0"}
    machine.set(shares=1024)
    assert machine.shares == 1024
    assert any("vcpupin changing 0 0" in line for line in host.journal())


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
def test_wrong_arguments_are_refused_with_the_range(host, wrong):
    with pytest.raises(ValueError, match=r"."):
        host.create(**({"name": "right"} | wrong))
    assert not host.machines


def test_a_cpu_that_is_not_there(host):
    with pytest.raises(HostError, match="CPU 999 is none of them"):
        host.create("far", pin=[999])
    assert not host.machines


def test_a_refused_change_leaves_things_as_they_were(host, monkeypatch):
    machine = host.create("steady", shares=512)

    def refuse(*_arguments):
        raise HostError("refused")

    with monkeypatch.context() as patched:
        patched.setattr(host.shares, "apply", refuse)
        with pytest.raises(HostError):
            machine.set(shares=256)
    assert machine.shares == 512


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


def test_no_more_than_this_computer_can_carry(host):
    with pytest.raises(HostError, match=r"needs \d+ MiB .* are free"):
        host.create("huge", memory="60 GiB")
    assert not host.machines


def test_two_of_a_name(host):
    host.create("twin")
    with pytest.raises(HostError, match="There is a machine twin already"):
        host.create("twin")


def test_a_load_runs_until_it_is_cancelled(host):
    machine = host.create("busy", pin=[0])
    job = machine.run(CpuLoad())

    def wanted() -> float:
        seen = host.observe(1.0)
        return seen.value("busy", "cpu") + seen.value("busy", "ready")

    assert wanted() > 0.9
    job.cancel()
    ends = time.monotonic() + 20
    while wanted() > 0.3:
        assert time.monotonic() < ends


def test_qemu_killed_in_the_middle_of_a_measurement(host):
    import os
    import signal
    import threading

    machine = host.create("victim", pin=[0])
    machine.run(CpuLoad())
    threading.Timer(2.0, os.kill, (machine.process, signal.SIGKILL)).start()
    with pytest.raises(HostError, match="victim ended while"):
        host.observe(30.0)
    assert machine.state == "stopped"
    machine.stop()
    assert not host.machines


def test_after_close_nothing_is_left(host):
    machine = host.create("last")
    process = machine.process
    host.close()
    host.close()
    assert not Path(f"/proc/{process}").exists()
    with pytest.raises(HostError, match="closed"):
        host.create("late")
