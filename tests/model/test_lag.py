"""What a vCPU takes along when it sleeps, and whom it finds on the CPU when it wakes up.

Exact, but for what floats lose: no bound here leaves room for chance.
"""

import dataclasses

import pytest

from labkit.host import CpuLoad
from labkit.model import LINUX, RULES, simulated

from .hosts import SLICE, SWITCH, Spec, furnish


def owed(vcpu):
    """What a vCPU in a queue is owed, in CPU seconds."""
    vcpu.cpu.charge()
    return (vcpu.cpu.virtual - vcpu.vruntime) * vcpu.weight


@pytest.mark.parametrize("name", ["m1", "m2", "m3"])
def test_a_sleep_keeps_what_is_owed(name):
    # Nobody comes or goes before, so each is within one slice (4 ms) of its part: below the limit of lag.
    host = furnish(1, [Spec(1, weight, (0,), 1.0) for weight in (256, 512, 1024)])
    host.pass_time(0.1013)
    vcpu = host.machines[name].group.vcpus[0]
    before = owed(vcpu)
    assert abs(before) > SLICE / 100
    host.scheduler.rest(vcpu)
    host.pass_time(1.0)
    assert vcpu.lag == pytest.approx(before, abs=1e-12)
    host.scheduler.give(vcpu, float("inf"), float("inf"))
    assert owed(vcpu) == pytest.approx(before, abs=1e-12)


@pytest.mark.parametrize(("cpus", "limit"), [(1, 0.004), (8, 0.0056)])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_owed_after_a_sleep_has_a_limit(cpus, limit, sign):
    host = furnish(cpus, [Spec(1, 1024, (0,), 1.0), Spec(1, 512, (0,), 1.0)])
    host.pass_time(0.1)
    vcpu = host.machines["m2"].group.vcpus[0]
    host.scheduler.rest(vcpu)
    vcpu.lag = sign * 5 * SLICE
    host.scheduler.give(vcpu, float("inf"), float("inf"))
    assert owed(vcpu) == pytest.approx(sign * limit, abs=1e-12)


@pytest.mark.parametrize(("rules", "start"), [("kvm", 0.002 + 2 * SWITCH), ("hasty", SWITCH)])
def test_who_wakes_up_waits_while_the_one_that_runs_is_entitled(rules, start, monkeypatch):
    monkeypatch.setitem(RULES, "hasty", dataclasses.replace(LINUX, name="hasty", run_to_parity=False))
    host = simulated(1, rules=rules)
    host.create("runs", shares=256).run(CpuLoad())
    host.pass_time(0.01)
    # Its third slice ends at 12 ms and a switch. Who wakes up weighs more, so is due sooner.
    host.create("wakes", shares=1024).run(CpuLoad())
    first = next(event for event in host.observe(0.01).events if event.machine == "wakes")
    assert first.time == pytest.approx(start, abs=1e-9)


def test_who_wakes_up_and_is_owed_runs_at_once():
    host = simulated(1)
    host.create("runs", shares=256).run(CpuLoad())
    late = host.create("wakes", shares=1024)
    host.pass_time(0.01)
    late.group.vcpus[0].lag = SLICE / 2  # its return moves the average, and the one that runs has had too much
    late.run(CpuLoad())
    first = next(event for event in host.observe(0.01).events if event.machine == "wakes")
    assert first.time == pytest.approx(SWITCH, abs=1e-9)
