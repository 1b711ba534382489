"""The first experiment with real guests, held against an independent expectation and its written bound."""

import json
import time
from fractions import Fraction
from pathlib import Path

import pytest

import labkit
from labkit.experiments import cpu_shares

pytestmark = pytest.mark.live


def expected(weights: dict[str, float]) -> dict[str, float]:
    """What machines of one vCPU that all spin get of one CPU: proportional parts, worked out here anew."""
    total = sum(Fraction(weight) for weight in weights.values())
    return {name: float(Fraction(weight) / total) for name, weight in weights.items()}


def test_three_real_guests_share_one_cpu(host, quiet_cpu):
    seen = cpu_shares.run(host, cpu_shares.Settings())
    with labkit.simulated(cpus=1) as simulated_host:
        simulated = cpu_shares.run(simulated_host, cpu_shares.Settings())
    assert seen.provenance.accelerator in ("KVM", "TCG")
    assert seen.provenance.mechanisms["shares"]
    quiet_cpu(seen)
    for name, part in expected(dict(seen.provenance.weights)).items():
        assert seen.value(name, "cpu") == pytest.approx(part, abs=0.03)
        assert seen.value(name, "ready") == pytest.approx(1 - part, abs=0.05)
        assert seen.value(name, "cpu") == pytest.approx(simulated.value(name, "cpu"), abs=0.03)
        assert seen.value(name, "ready") == pytest.approx(simulated.value(name, "ready"), abs=0.05)
    assert not host.machines


def test_shares_changed_while_running_count_at_once(host, quiet_cpu):
    machines = cpu_shares.prepare(host, cpu_shares.Settings(shares=(1024, 1024)))
    even = host.observe(4.0)
    cpu_shares.adjust(machines, cpu_shares.Settings(shares=(3072, 1024)))
    tilted = host.observe(4.0)
    assert even.value("m1", "cpu") == pytest.approx(0.5, abs=0.05)
    # Autogroups come in steps: what was really set is what is expected.
    want = expected(dict(tilted.provenance.weights))["m1"]
    assert want == pytest.approx(0.75, abs=0.03)
    assert tilted.value("m1", "cpu") == pytest.approx(want, abs=0.05)


OWN_GROUP = Path("/sys/fs/cgroup/cpu/labkit-test")


@pytest.fixture
def in_own_group():
    """A CPU control group as a desktop session has one; within it autogroups do not count."""
    try:
        OWN_GROUP.mkdir()
    except OSError:
        pytest.skip("this kernel's CPU control groups are not those of cgroup v1, or not ours to make")
    yield ["sh", "-c", f'echo $$ >{OWN_GROUP}/cgroup.procs && exec "$@"', "sh"]
    for _ in range(50):  # the last process of the run may still be on its way out
        try:
            return OWN_GROUP.rmdir()
        except OSError:
            time.sleep(0.1)


def run_as_nobody(as_nobody, before: list[str]) -> dict:
    return json.loads(as_nobody(["-m", "labkit.cli", "run", "cpu-shares", "--host", "live", "--json"], before))


def judge(document: dict, mechanism: str) -> None:
    assert mechanism in document["host"]["live"]["mechanisms"]["shares"]
    want = expected(document["host"]["live"]["weights"])
    for row in document["rows"]:
        if row["quantity"] == "cpu":
            assert row["live"] == pytest.approx(want[row["machine"]], abs=0.03)
            assert row["theory"] == pytest.approx(want[row["machine"]], abs=1e-9)


def test_an_ordinary_user_has_shares_by_autogroups(as_nobody, quiet_cpu):
    judge(run_as_nobody(as_nobody, []), "autogroup")


def test_an_ordinary_user_with_a_control_group_has_shares_by_nice(as_nobody, in_own_group, quiet_cpu):
    judge(run_as_nobody(as_nobody, in_own_group), "nice values of the vCPU threads")
