"""The balloon in real guests: what moves, what stays, what is refused, and the numbers the model was given."""

import json
import time

import pytest

from labkit.experiments import memory_balloon
from labkit.host import HostError, MemoryLoad
from labkit.host.memory import GUEST
from labkit.live import balloon

pytestmark = pytest.mark.live


@pytest.fixture
def ballooning(host):
    for ability in ("balloon", "filling"):
        if not (able := host.can(ability)):
            pytest.skip(able.reason)
    return host


def test_what_stays_of_a_program_that_ran(ballooning):
    machine = ballooning.create("m1", memory=128)
    before = machine.memory_seen()["guest_free"]
    job = machine.run(MemoryLoad(0))
    job.wait(60)
    job.cancel()
    assert before - machine.memory_seen()["guest_free"] == pytest.approx(GUEST.files, abs=1.5)


def arrived(machine, size):
    """Wait until the balloon is there, and say how long that took."""
    begun = time.monotonic()
    while abs(machine.memory_seen()["size"] - size) > 0.1:
        assert time.monotonic() < begun + 60, "the balloon did not arrive"
        time.sleep(0.05)
    return time.monotonic() - begun


@pytest.mark.parametrize("memory", [128, 256])
def test_the_model_was_given_what_this_image_has(ballooning, memory, monkeypatch, tmp_path):
    """Measured anew, in a guest of its own, and then remembered."""
    monkeypatch.setattr(balloon, "cache_root", lambda: tmp_path)
    found = balloon.calibrate(ballooning, memory)
    assert found["kept"] == pytest.approx(GUEST.kept(memory), abs=1.0)
    assert found["used"] == pytest.approx(GUEST.used, abs=2.0)
    assert found["resident"] == pytest.approx(GUEST.kept(memory) + GUEST.used + GUEST.touched, abs=8.0)
    assert not ballooning.machines
    monkeypatch.setattr("labkit.live.starting.start", None)
    assert balloon.calibrate(ballooning, memory) == found


@pytest.mark.timeout(600)
def test_a_real_balloon_moves_memory_from_the_guest_to_the_host(ran_live):
    """Against what is worked out here; that the simulated host agrees is `test_required`'s, of the same run."""
    assert (memory_balloon.Settings().memory, memory_balloon.Settings().target) == (256, 128)
    document, _room = ran_live("memory-balloon")
    seen = {row["quantity"]: row["live"] for row in document["rows"]}
    # Of 256 MiB this kernel's MemTotal is 218.4; the balloon takes 128 of them.
    assert seen["guest_total"] == pytest.approx(218.4 - 128, abs=1.0)
    assert seen["host_resident"] == pytest.approx(128, abs=12.8)
    assert "measured apart" in document["host"]["live"]["mechanisms"]["balloon"]
    assert any("setmem" in line and "128MiB" in line for line in document["journal"])


def test_inflated_deflated_and_inflated_again(ballooning):
    """What the guest used and cleared away the balloon gives to the host; what it gives back costs nothing at first."""
    machine = ballooning.create("m1", memory=256)
    first = machine.memory_seen()
    job = machine.run(MemoryLoad(150, seed=3))
    assert 0 <= job.progress <= 1
    job.wait(120)
    assert job.progress == 1.0
    full = machine.memory_seen()
    assert first["guest_free"] - full["guest_free"] == pytest.approx(150, abs=12)
    assert full["host_resident"] - first["host_resident"] > 120
    job.cancel()
    cleared = machine.memory_seen()
    assert cleared["guest_free"] == pytest.approx(first["guest_free"], abs=12)
    assert cleared["host_resident"] == pytest.approx(full["host_resident"], abs=3)
    machine.set(memory="156 MiB")
    arrived(machine, 156)
    small = machine.memory_seen()
    assert small["host_resident"] == pytest.approx(cleared["host_resident"] - 100, abs=6)
    assert small["guest_total"] == pytest.approx(cleared["guest_total"] - 100, abs=0.5)
    machine.set(memory=256)
    arrived(machine, 256)
    large = machine.memory_seen()
    assert large["guest_total"] == pytest.approx(first["guest_total"], abs=0.5)
    assert large["host_resident"] == pytest.approx(small["host_resident"], abs=12)


def test_what_is_refused_and_that_the_number_named_is_enough(ballooning):
    machine = ballooning.create("m1", memory=128)
    with pytest.raises(HostError, match=r"run out of memory.*Leave it \d+ MiB or more") as caught:
        machine.set(memory=64)
    least = int(caught.value.remedy.split()[2])
    assert 70 <= least <= 84
    assert machine.memory_seen()["size"] == 128
    machine.set(memory=least)
    arrived(machine, least)
    assert machine.execute(["echo", "alive"]).output.strip() == "alive"
    with pytest.raises(ValueError, match="at most the 128 MiB"):
        machine.set(memory=129)
    with pytest.raises(HostError, match="left to fill"):
        machine.run(MemoryLoad(100))
    with pytest.raises(HostError, match="MiB or more"):
        memory_balloon.adjust([machine], memory_balloon.Settings(target=20, memory=128))


def test_a_large_guest_lives_at_the_number_named(ballooning):
    """Its kernel would keep 32 MiB of 640 free for huge pages, and end the agent before it gave these to a balloon."""
    ballooning.kept[640] = {"kept": 0.0, "used": 0.0, "resident": 0.0}  # nothing is to be measured here
    machine = ballooning.create("m1", memory=640, cold=True)
    with pytest.raises(HostError, match=r"Leave it \d+ MiB or more") as caught:
        machine.set(memory=60)
    least = int(caught.value.remedy.split()[2])
    assert least == pytest.approx(GUEST.least(640), abs=5)
    assert int(machine.execute(["cat", "/proc/sys/vm/min_free_kbytes"]).output) < 8 * 1024
    machine.set(memory=least)
    arrived(machine, least)
    assert machine.execute(["/tools/bin/python3", "-c", "print(6 * 7)"]).output.strip() == "42"


def test_what_a_guest_keeps_is_measured_only_where_there_is_room(host, monkeypatch, tmp_path):
    monkeypatch.setattr(balloon, "cache_root", lambda: tmp_path)
    monkeypatch.setattr("labkit.live.capacity.free_memory", lambda: 800.0)
    assert balloon.calibrate(host, 128) is None
    assert not host.machines and "was not measured: A machine of 128 MiB needs 288 MiB" in " ".join(host.journal())


def test_what_programs_hold_and_what_is_on_its_way_count(ballooning):
    """100 MiB held, or going to be; and a balloon that has not arrived."""
    machine = ballooning.create("m1", memory=256)
    job = machine.run(MemoryLoad(100))
    with pytest.raises(HostError, match=r"Leave it \d+ MiB or more") as caught:
        machine.set(memory=150)  # while it fills
    assert int(caught.value.remedy.split()[2]) == pytest.approx(182, abs=16)
    job.wait(120)
    with pytest.raises(HostError, match=r"Leave it \d+ MiB or more") as caught:
        machine.set(memory=150)
    assert int(caught.value.remedy.split()[2]) == pytest.approx(182, abs=6)
    still = machine.execute(
        ["cat", "/proc/sys/vm/compaction_proactiveness", "/sys/kernel/mm/transparent_hugepage/enabled"]
    )
    assert still.output.split() == ["0", "always", "madvise", "[never]"]
    job.cancel()
    machine.set(memory=120)
    with pytest.raises(HostError, match=r"no 150 MiB left to fill. Fill \d+ MiB at most"):
        machine.run(MemoryLoad(150))  # there was room for it before, and may still be at this moment


def test_the_slider_moves_it_and_the_curves_show_it(ballooning):
    (machine,) = memory_balloon.prepare(ballooning, memory_balloon.Settings(target=120, memory=128))
    assert {row["quantity"] for row in ballooning.observe(1.0).rows} == {"cpu", "ready", *memory_balloon.QUANTITIES}
    memory_balloon.adjust([machine], memory_balloon.Settings(target=96, memory=128))
    arrived(machine, 96)
    seen = ballooning.observe(1.0, 0.25)
    lines = {line.quantity: line.values for line in seen.series}
    assert lines["guest_total"][-1] == pytest.approx(96 - GUEST.kept(128), abs=1)
    assert len(lines["host_resident"]) == len(lines["cpu"])


def test_an_observation_of_others_is_not_disturbed_by_it(host):
    host.create("free")
    assert {row["quantity"] for row in host.observe(0.5).rows} == {"cpu", "ready"}


def test_an_ordinary_user_has_a_balloon(as_nobody):
    words = ["-m", "labkit.cli", "run", "memory-balloon", "--host", "live", "--json"]
    document = json.loads(as_nobody([*words, "--set", "target=100", "--set", "memory=128"]))
    found = {row["quantity"]: row["live"] for row in document["rows"]}
    assert found["guest_total"] == pytest.approx(100 - GUEST.kept(128), abs=1)
    assert found["host_resident"] == pytest.approx(100, abs=6.4)
