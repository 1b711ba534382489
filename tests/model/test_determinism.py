"""The same seed gives the same hour, whoever watches and in whatever order things were named."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.host import CpuLoad
from labkit.model import simulated

from .hosts import furnish, rooms


@given(room=rooms())
@settings(max_examples=25, deadline=None)
def test_the_same_seed_gives_the_same_observation(room):
    cpus, specs, seed = room
    assert furnish(cpus, specs, seed).observe(1.0) == furnish(cpus, specs, seed).observe(1.0)


def test_another_seed_gives_another_one():
    seen = set()
    for seed in range(3):
        with simulated(1, seed=seed) as host:
            for name in ("m1", "m2"):
                host.create(name).run(CpuLoad(0.5))
            seen.add(tuple(row["value"] for row in host.observe(1.05).rows))
    assert len(seen) == 3


@given(room=rooms(most_machines=4), data=st.data())
@settings(max_examples=25, deadline=None)
def test_the_order_of_creation_and_of_starting_decides_nothing(room, data):
    cpus, specs, seed = room
    named = [(f"m{number}", spec) for number, spec in enumerate(specs, 1)]

    def values(creation, starting):
        with simulated(cpus, seed=seed) as host:
            for name, spec in creation:
                host.create(name, vcpus=spec.vcpus, shares=spec.shares, pin=spec.pin, cap=spec.cap)
            for name, spec in starting:
                host.machines[name].run(CpuLoad(spec.duty))
            seen = host.observe(1.0)
            return {(row["machine"], row["quantity"]): row["value"] for row in seen.rows}

    orders = st.permutations(named)
    assert values(named, named) == values(data.draw(orders), data.draw(orders))


@given(room=rooms(), cuts=st.lists(st.floats(0.001, 0.3), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_watching_changes_nothing(room, cuts):
    cpus, specs, seed = room
    watched, alone = furnish(cpus, specs, seed), furnish(cpus, specs, seed)
    for cut in cuts:
        watched.observe(cut, every=0.017)
    alone.pass_time(watched.now)
    now = alone.now
    assert now == watched.now
    for name, machine in alone.machines.items():
        for one, other in zip(machine.group.vcpus, watched.machines[name].group.vcpus, strict=True):
            assert one.books(now) == other.books(now)


def test_rows_come_in_the_order_of_creation():
    with simulated(1) as host:
        for name in ("zebra", "ant", "m10", "m2"):
            host.create(name)
        rows = host.observe(0.1).rows
    expected = list(itertools.product(("zebra", "ant", "m10", "m2"), ("cpu", "ready")))
    assert [(row["machine"], row["quantity"]) for row in rows] == expected
    assert [row["unit"] for row in rows] == ["CPU", "1"] * 4
