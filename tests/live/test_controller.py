"""The governor of memory on real guests: real statistics, real balloons, and never more than there is."""

from random import Random

import pytest

import labkit
from labkit.experiments import memory_dynamic
from labkit.experiments.governing import SPARE, Governed, govern
from labkit.experiments.settings import validate
from labkit.host.policies import DYNAMIC

pytestmark = pytest.mark.live


@pytest.fixture
def ballooning(host):
    if not (able := host.can("balloon")):
        pytest.skip(able.reason)
    return host


def lines(seen, quantity):
    return {line.machine: line.values for line in seen.series if line.quantity == quantity}


def test_live_is_within_its_bounds_of_simulated(ballooning):
    """Under the policy that moves most; the one that is set by itself is in `test_required`."""
    assert memory_dynamic.Settings().policy == "static"
    settings = validate(memory_dynamic.Settings(policy="dynamic", steps=3, seed=3))
    with labkit.simulated() as model:
        simulated = memory_dynamic.run(model, settings)
    live = memory_dynamic.run(ballooning, settings)
    assert not ballooning.machines and live.provenance.host == "live"
    for quantity, bound in memory_dynamic.bounds(settings).items():
        for name in settings.names:
            assert live.value(name, quantity) == pytest.approx(simulated.value(name, quantity), abs=bound)
    for step in zip(*lines(live, "size").values(), strict=True):
        assert sum(step) <= settings.host and min(step) >= settings.minimum - 1
    said = " ".join(ballooning.journal())
    assert "setmem m1" in said


def test_hyper_v_s_machines_start_with_their_start_up_memory(ballooning):
    """Whatever they want; by the second look their guests have reported."""
    asked = {"policy": "hyper-v", "machines": 2, "host": 400.0, "low": 60.0, "high": 60.0, "steps": 2, "interval": 0.5}
    settings = validate(memory_dynamic.Settings(**asked, startup=120.0))
    for sizes in lines(memory_dynamic.run(ballooning, settings), "size").values():
        assert sizes[0] == pytest.approx(120, abs=1) and sizes[1] > 150


def test_forty_mebibytes_go_from_the_idle_one_and_the_busy_one_keeps_its_own(ballooning):
    """A busy one that wants 60 MiB has it within five looks: at each it may grow by a tenth of what it was promised."""
    idle, busy = (ballooning.create(name, memory=240) for name in ("idle", "busy"))
    governed = [Governed(one, 240.0, 100.0, 1.0, Random(1)) for one in (idle, busy)]
    govern(ballooning, governed, DYNAMIC, 320.0, {"idle": [5] * 5, "busy": [60] * 5}, 0.5)
    for sizes in zip(*(one.sizes for one in governed), strict=True):
        assert sum(sizes) <= 320
    after = idle.memory_seen(), busy.memory_seen()
    assert after[0]["size"] <= 160 and governed[1].has == 60 and governed[1].short[-1] == 0
    assert after[1]["guest_free"] >= SPARE - 1
    assert idle.execute(["echo", "alive"]).output == busy.execute(["echo", "alive"]).output == "alive\n"
