"""The figures of the simulated hosts in ``labkit bench``: they count what they say, and the peer does the same.

How fast it is, ``labkit bench`` tells; a test on a busy machine could not.
"""

import pytest
import simpy

from labkit.bench import engine
from labkit.host import RequestLoad
from labkit.model import FluidHost


def test_there_are_figures_without_a_live_host():
    figures = engine.engine_figures(1, lambda _sentence: None)
    assert len(figures) == 4
    for figure in figures:
        assert figure.value > 0
        assert figure.peer_value > 0
        assert figure.ratio == pytest.approx(figure.value / figure.peer_value, rel=0.1)
        assert figure.goal
        assert figure.met is not None


def test_all_that_is_timed_lasts_as_long_as_is_said(monkeypatch):
    hosts = []
    made = engine._busy_host
    monkeypatch.setattr(engine, "_busy_host", lambda idle=0: hosts.append(made(idle)) or hosts[-1])
    monkeypatch.setattr(engine, "_fleet", lambda: 1.0)
    monkeypatch.setattr(engine, "_plain_fleet", lambda: 1.0)
    engine.engine_figures(1, lambda _sentence: None)
    assert len(hosts) == 2 * 4 and {round(host.now, 6) for host in hosts} == {engine._SECONDS}


def test_so_many_slices_there_really_are():
    with engine._busy_host() as host:
        runs = [event for event in host.observe(engine._SECONDS).events if event.kind == "run"]
    assert len(runs) == pytest.approx(engine._SLICES, abs=2)
    assert {event.machine for event in runs} == {"busy0", "busy1", "busy2"}


def test_the_plain_loop_does_what_the_fleet_does():
    env = simpy.Environment()
    jobs = {}
    host = FluidHost(engine._CPUS, env=env)
    machines = range(7, engine._MACHINES, engine._HOSTS)
    for number in machines:
        mine = range(number, engine._JOBS, engine._MACHINES)
        load = RequestLoad(tuple(map(engine._arrival, mine)), tuple(map(engine._work, mine)), "sharing")
        jobs[number] = host.create(f"m{number}", vcpus=engine._VCPUS).run(load)
    env.run()
    done = engine._plain_host(machines)
    assert len(done) == len(machines) * 10
    for job, finish in done.items():
        number = job % engine._MACHINES
        assert jobs[number].result.finishes[job // engine._MACHINES] == pytest.approx(finish, abs=1e-6)
