"""More memory promised than there is: what getting it back costs, on a simulated clock."""

import pytest
import simpy

from labkit.experiments import memory_overcommit
from labkit.experiments.settings import SettingError, validate
from labkit.host import Ability, HostError
from labkit.model.memory.swapping import reclaim

Settings = memory_overcommit.Settings
QUICK = {"memory": 32.0, "seconds": 20.0}


class Reclaiming:
    """As much of a simulated host as the experiment asks for."""

    kind = "simulated"

    def __init__(self, able=True):
        self.able = Ability(able, reason="Not here.", remedy="Elsewhere.")

    def can(self, what):
        assert what == "reclaim"
        return self.able

    def reclaim(self, machines, programs, how, *, memory, store, seconds):
        env = simpy.Environment()
        return reclaim(env, machines, programs, how, memory=memory, store=store, seconds=seconds, seed=1)


def seen(**changed):
    settings = validate(Settings(**{**QUICK, **changed}))
    return settings, memory_overcommit.run(Reclaiming(), settings)


@pytest.mark.parametrize("how", ["balloon", "swap"])
@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0, 4.0])
def test_what_is_lacking_is_got_back(how, ratio):
    settings, observation = seen(reclaim=how, ratio=ratio)
    got = sum(observation.value(name, "reclaimed") for name in settings.names)
    assert got == pytest.approx(4 * 32 * (1 - 1 / ratio), abs=0.1)


@pytest.mark.parametrize(
    "changed",
    [
        {"ratio": 1.5},
        {"ratio": 3.0, "seconds": 300.0},
        {"ratio": 2.0, "working": 0.8, "cold": 0.1, "seconds": 300.0},
        {"ratio": 4.0, "store": "ssd"},
        {"reclaim": "sharing", "writes": 0.0},
        {"reclaim": "sharing", "writes": 0.0, "ratio": 1.1},
        {"reclaim": "sharing", "writes": 0.0, "identical": 0.0},
        {"reclaim": "swap", "ratio": 1.0},
    ],
)
def test_theory_and_simulation_agree_where_there_is_a_theory(changed):
    settings, observation = seen(**changed)
    theory = memory_overcommit.theory(settings)
    assert any(said is not None for said in theory.values())
    for (name, quantity), said in theory.items():  # both are of so many random draws that 4% is more than their noise
        if said is None:
            assert quantity == "slowdown" and observation.value(name, "short") > 0  # of random swapping
            continue
        assert observation.value(name, quantity) == pytest.approx(said, rel=0.04, abs=0.02), quantity


def test_who_chooses_makes_the_difference():
    """With as much cold memory as is lacking, the guest's choice is free and the host's is not."""
    balloon, swap = (seen(reclaim=how)[1].value("m1", "slowdown") for how in ("balloon", "swap"))
    assert balloon == pytest.approx(1.0, abs=1e-6)
    assert swap > 1.1


def test_sharing_may_not_find_enough():
    settings, observation = seen(reclaim="sharing", ratio=4.0, writes=0.0, seconds=30.0)
    got = sum(observation.value(name, "reclaimed") for name in settings.names)
    assert got < 4 * 32 * (1 - 1 / 4.0) / 2
    short = sum(observation.value(name, "short") for name in settings.names)
    assert got + short == pytest.approx(4 * 32 * (1 - 1 / 4.0), abs=0.1)


def test_rows_theory_and_gaps():
    for how in ("balloon", "swap", "sharing"):
        settings, observation = seen(reclaim=how, seconds=2.0)
        theory = memory_overcommit.theory(settings)
        assert {(row["machine"], row["quantity"]) for row in observation.rows} == set(theory)
        assert all(row["unit"] == memory_overcommit.QUANTITIES[row["quantity"]] for row in observation.rows)
    assert memory_overcommit.theory(Settings(reclaim="swap"))["m1", "slowdown"] is None
    assert memory_overcommit.theory(Settings(reclaim="sharing"))["m1", "reclaimed"] is None
    assert memory_overcommit.bounds(Settings()) == {} and memory_overcommit.UNBOUNDED


def test_a_host_that_cannot_is_not_asked_to():
    with pytest.raises(HostError, match="Not here. Elsewhere."):
        memory_overcommit.run(Reclaiming(able=False), Settings())
    with pytest.raises(SettingError, match="working and cold together must be at most 1"):
        validate(Settings(working=0.8, cold=0.3))
    with pytest.raises(SettingError, match="would take minutes: at most 61 s"):
        validate(Settings(touches=4096, machines=16, seconds=600))
    with pytest.raises(HostError, match="cannot be got back by 'magic'"):
        reclaim(simpy.Environment(), {"m1": 16.0}, None, "magic", memory=8.0, store="disk", seconds=1.0, seed=0)
