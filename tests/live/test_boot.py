"""A real guest from power-on, and from its saved memory: two clocks that have to agree."""

import time

import pytest

from labkit.experiments import boot
from labkit.experiments.boot import Settings
from labkit.host import HostError

pytestmark = pytest.mark.live
STAGES = ("hypervisor", "firmware", "kernel", "init", "agent")


def test_a_cold_boot_goes_through_every_stage(host):
    machine, seen = host.boot("m1", "cold")
    values = {stage: seen.value("m1", stage) for stage in STAGES}
    assert all(seconds > 0 for seconds in values.values()), values
    assert sum(values.values()) == pytest.approx(seen.value("m1", "total"), abs=1e-6)
    # The guest's own words, read by somebody else.
    words = [line.split() for line in machine.console().splitlines() if line.startswith("labkit: ")]
    stamps = {word[1]: float(word[2]) for word in words}
    assert stamps["init"] == values["kernel"]
    assert stamps["ready"] - stamps["init"] == pytest.approx(values["init"])
    # Both clocks again, by another way: how long the guest has been up, and how long ago it answered first.
    before = time.monotonic()
    up = float(machine.execute(["cat", "/proc/uptime"]).output.split()[0])
    after = time.monotonic()
    answered = machine.moments["answered"] + up - stamps["ready"] - values["agent"]
    known = float(seen.provenance.mechanisms["clocks"].split("known to ")[1].removesuffix(" s"))
    assert before - known - 0.02 < answered < after + known + 0.02  # the guest's clock is cut off to hundredths
    assert known < 0.5, "of five looks one is answered soon, on a busy computer too"
    assert "UTC" in seen.provenance.mechanisms["time stamps"]
    assert [event.detail for event in seen.events] == list(STAGES)
    machine.stop()


def test_a_saved_machine_leaves_the_boot_out(host):
    seen = boot.run(host, Settings(start="saved"))
    for stage in ("firmware", "kernel", "init"):
        assert seen.value("m1", stage) == 0
    assert seen.value("m1", "hypervisor") > 0 and seen.value("m1", "agent") > 0
    assert "as it was saved with the memory" in seen.provenance.mechanisms["clocks"]
    cold = boot.run(host, Settings(start="cold"))
    assert seen.value("m1", "total") < cold.value("m1", "total")
    assert not host.machines


def test_another_start_is_refused(host):
    with pytest.raises(HostError, match="no start"):
        host.boot("m1", "warm")
    assert not host.machines
