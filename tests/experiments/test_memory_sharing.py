"""`memory-sharing`: its theory against counting pages, and the simulated host."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.experiments.memory_sharing import Settings, bounds, machines, run, theory
from labkit.host import HostError, MemoryLoad

settings_of = st.builds(
    Settings,
    machines=st.integers(1, 5),
    identical=st.floats(0, 1),
    size=st.floats(1, 4).map(lambda size: round(size, 2)),
)


def counted(asked):
    """MiB saved where every page is a number and one of each is kept."""
    pages = Counter()
    for machine in range(asked.machines):
        alike, own = MemoryLoad(asked.size, asked.identical).pages
        pages.update(range(alike))
        pages.update((machine, place) for place in range(own))
    return (pages.total() - len(pages)) / 256


@given(settings_of)
def test_theory_counts(asked):
    assert theory(asked)["host", "saved"] == pytest.approx(counted(asked))


@settings(max_examples=15, deadline=None)
@given(settings_of)
def test_simulated_counts_too(asked):
    with labkit.simulated() as host:
        seen = run(host, asked)
        assert not host.machines and host.sharing is None
        assert sum(" create " in line for line in host.journal()) == machines(asked) == asked.machines + 1
    assert seen.value("host", "saved") == pytest.approx(counted(asked))
    (line,) = [line for line in seen.series if line.machine == "host"]
    assert line.values[-1] == pytest.approx(counted(asked)) and line.times[-1] == pytest.approx(seen.seconds)
    for number in range(1, asked.machines + 1):
        parts = {line.quantity: line.values[-1] for line in seen.series if line.machine == f"m{number}"}
        assert parts["shared"] == seen.value(f"m{number}", "shared") == pytest.approx(counted(asked) / asked.machines)
        assert parts["shared"] + parts["used"] == pytest.approx(asked.size)


def test_the_flagship():
    asked = Settings()
    assert theory(asked)["host", "saved"] == 3 * 24
    assert {theory(asked)[f"m{number}", "shared"] for number in range(1, 5)} == {18.0} and len(theory(asked)) == 5
    assert bounds(asked) == {"saved": 6.0, "shared": 1.5}
    assert bounds(Settings(machines=1)) == {"saved": 0.0, "shared": 0.0}


def test_pages_that_never_settle_are_told_of(monkeypatch):
    monkeypatch.setattr("labkit.model.memory.scanning.SimulatedSharing._look", lambda *_when: None)
    with labkit.simulated() as host, pytest.raises(HostError, match="0 times in 180 s"):
        run(host, Settings(machines=2, size=1.0))
    assert host.sharing is None
