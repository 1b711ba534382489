"""The first experiment with real guests, held against an independent expectation and its written bound."""

import time
from fractions import Fraction
from pathlib import Path

import pytest

from labkit.experiments import cpu_shares

pytestmark = pytest.mark.live


def expected(weights: dict[str, float]) -> dict[str, float]:
    """What machines of one vCPU that all spin get of one CPU: proportional parts, worked out here anew."""
    total = sum(Fraction(weight) for weight in weights.values())
    return {name: float(Fraction(weight) / total) for name, weight in weights.items()}


@pytest.mark.timeout(600)
def test_three_real_guests_share_one_cpu(ran_live, quiet_cpu):
    """Against what is worked out here; that the simulated host agrees is `test_required`'s, of the same run."""
    document, room = ran_live("cpu-shares")
    assert document["host"]["live"]["mechanisms"]["shares"]
    values = {(row["machine"], row["quantity"]): row["live"] for row in document["rows"]}
    want = expected(document["host"]["live"]["weights"])
    assert len(want) == 3
    for name, part in want.items():
        assert values[name, "cpu"] == pytest.approx(part, abs=0.03 + room)
        assert values[name, "ready"] == pytest.approx(1 - part, abs=0.05 + room)
    # Others take from all alike: who has twice the shares has more, however much they took.
    assert values["m1", "cpu"] < values["m2", "cpu"] < values["m3", "cpu"]


def test_shares_changed_while_running_count_at_once(host, measured):
    machines = cpu_shares.prepare(host, cpu_shares.Settings(shares=(1024, 1024)))
    even, room = measured(lambda: host.observe(3.0))
    assert even.value("m1", "cpu") == pytest.approx(0.5, abs=0.05 + room)
    cpu_shares.adjust(machines, cpu_shares.Settings(shares=(3072, 1024)))
    tilted, room = measured(lambda: host.observe(3.0))
    # Autogroups come in steps: what was really set is what is expected.
    want = expected(dict(tilted.provenance.weights))["m1"]
    assert want == pytest.approx(0.75, abs=0.03)
    assert tilted.value("m1", "cpu") == pytest.approx(want, abs=0.05 + room)
    # Whatever others took they took from both: who has three times the shares has more, and by a good deal.
    assert tilted.value("m1", "cpu") > 1.5 * tilted.value("m2", "cpu")


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


def hold(run_measured, before: list[str], mechanism: str) -> None:
    document, room = run_measured("cpu-shares", before)
    assert mechanism in document["host"]["live"]["mechanisms"]["shares"]
    want = expected(document["host"]["live"]["weights"])
    for row in document["rows"]:
        if row["quantity"] == "cpu":
            assert row["live"] == pytest.approx(want[row["machine"]], abs=0.03 + room)
            assert row["theory"] == pytest.approx(want[row["machine"]], abs=1e-9)
    seen = {row["machine"]: row["live"] for row in document["rows"] if row["quantity"] == "cpu"}
    assert seen["m1"] < seen["m2"] < seen["m3"], "others take from all alike, however much"


def test_an_ordinary_user_has_shares_by_autogroups(measured_as_nobody):
    hold(measured_as_nobody, [], "autogroup")


def test_an_ordinary_user_with_a_control_group_has_shares_by_nice(measured_as_nobody, in_own_group):
    hold(measured_as_nobody, in_own_group, "nice values of the vCPU threads")
