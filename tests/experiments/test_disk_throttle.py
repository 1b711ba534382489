"""`disk-throttle`: what the limit says by hand, and the simulated host."""

import pytest

import labkit
from labkit.experiments import disk_throttle
from labkit.experiments.disk_throttle import Settings, bounds, run, theory


def test_the_defaults_by_hand():
    found = theory(Settings())
    assert (found["m1", "iops"], found["m2", "iops"]) == (100, 200)
    assert found["m1", "latency"] == 40 and found["m2", "latency"] == 20  # 4 under way / 100 a second = 40 ms


@pytest.mark.parametrize("limits", [(100, 200), (50,), (400, 50, 120)])
@pytest.mark.parametrize("depth", [1, 4, 16])
def test_simulated_is_as_the_limit_says(limits, depth):
    asked = Settings(iops=limits, depth=depth)
    with labkit.simulated() as host:
        seen = run(host, asked)
        assert not host.machines
    for number, limit in enumerate(limits, 1):
        assert seen.value(f"m{number}", "iops") == pytest.approx(limit, rel=0.005)
        assert seen.value(f"m{number}", "latency") == pytest.approx(1000 * depth / limit, rel=0.02)


def test_bounds_hold_where_they_were_derived():
    assert bounds(Settings(seconds=2.0)) == {}
    assert bounds(Settings(iops=(10, 100, 1000))) == {("m2", "iops"): 5.0}
    assert disk_throttle.LESSON == "04"
