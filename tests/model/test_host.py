"""The simulated host as a person meets it: the protocol, what it refuses, what it says."""

import dataclasses
import itertools
import math

import pytest

from labkit.host import CpuLoad, Host, HostError, Job, Machine
from labkit.model import LINUX, RULES, SimulatedHost, simulated


@pytest.fixture
def host():
    with simulated(2) as host:
        yield host


def test_it_keeps_the_protocol(host):
    machine = host.create("m1")
    assert isinstance(host, Host)
    assert isinstance(machine, Machine)
    assert isinstance(machine.run(CpuLoad()), Job)
    assert host.kind == "simulated"


@pytest.mark.parametrize("name", ["", "1m", "m_1", "m 1", "a" * 21, "mé", "m1\n", "-m", "٣", None, 7, ["m"], b"m1"])
def test_names_outside_the_rule_are_refused(host, name):
    with pytest.raises(ValueError, match="a name is a letter"):
        host.create(name)


@pytest.mark.parametrize(
    ("argument", "values", "words"),
    [
        ("vcpus", [0, -1, 65, True, 1.0, math.nan, "1", None, 10**5000, [1]], "vcpus is a whole number from 1 to 64"),
        ("shares", [1, 0, -5, 262145, False, 2.5, math.inf, "1024", 10**5000], "shares is a whole number from 2 to"),
        ("memory", [True, math.nan, math.inf, -1, "lots", "-1 MiB", "１ MiB", None, 0], "a size looks like"),
        ("pin", [[], [2], [-1], 0, "0", b"0", [True], [0.0], [[0]], ["0"], {0: 1, 9: 2}], "pin is a list of host CPUs"),
        ("pin", [itertools.count(), itertools.repeat(0)], "this host has CPUs 0 to 1"),
        ("cap", [0, 0.009, -1, math.nan, True, "1", None, [1], 10**5000], r"cap is a number of CPU from 0\.01"),
        ("reservation", [-1, 2.1, math.inf, math.nan, False, "1", None], "reservation is a number of CPU from 0 to"),
        ("maximum_vcpus", [0, 65, True, 1.5, "2", [2]], "maximum_vcpus is a whole number from 1 to 64"),
    ],
)
def test_arguments_outside_their_range_are_refused(host, argument, values, words):
    for value in values:
        with pytest.raises(ValueError, match=words) as caught:
            host.create("m1", **{argument: value})
        assert len(str(caught.value)) < 300
    assert not host.machines
    assert host.journal() == []


def test_the_host_refuses_too():
    for cpus in (0, 257, True, 1.5, "2", None):
        with pytest.raises(ValueError, match="cpus is a whole number from 1 to 256"):
            simulated(cpus)
    for seed in (-1, 0.5, "x", 2**70):
        with pytest.raises(ValueError, match="seed is a whole number"):
            simulated(seed=seed)
    for rules in ("esx", "", None, ["kvm"]):
        with pytest.raises(ValueError, match="rules is one of 'kvm'"):
            simulated(rules=rules)


def test_times_outside_their_range_are_refused(host):
    for seconds in (0, -1, math.nan, math.inf, True, "5", None, 3601, 10**5000, 1e-9):
        with pytest.raises(ValueError, match="seconds is a number of seconds from 0.001 to 3600"):
            host.observe(seconds)
        with pytest.raises(ValueError, match="every is a number of seconds"):
            host.observe(1, every=seconds)
    with pytest.raises(ValueError, match="at most 100000 intervals"):
        host.observe(3600, every=0.001)
    assert host.now == 0


def test_changes_are_checked_before_anything_changes(host):
    machine = host.create("m1", shares=512)
    with pytest.raises(ValueError, match="pin is a list"):
        machine.set(shares=7, pin=[5])
    assert machine.shares == 512
    with pytest.raises(ValueError, match="a load is a CpuLoad"):
        machine.run("stress")


def test_one_machine_of_a_name_and_one_load_in_it(host):
    machine = host.create("m1")
    with pytest.raises(HostError, match="machine m1 already"):
        host.create("m1")
    job = machine.run(CpuLoad())
    with pytest.raises(HostError, match=r"job\.cancel"):
        machine.run(CpuLoad())
    job.cancel()
    job.cancel()
    machine.run(CpuLoad())
    assert host.observe(1).value("m1", "cpu") == pytest.approx(1, abs=1e-4)
    assert "end the load in m1" in "".join(host.journal())


def test_a_load_has_no_end_of_its_own(host):
    job = host.create("m1").run(CpuLoad())
    with pytest.raises(HostError, match="never ends") as caught:
        job.wait()
    assert "timeout" in caught.value.remedy
    for timeout in (0, -1, math.nan, True, "1"):
        with pytest.raises(ValueError, match="timeout is a number of seconds"):
            job.wait(timeout)
    assert job.wait(timeout=2) is None
    assert host.now == 2
    assert job.progress == 0
    job.cancel()
    assert job.progress == 1
    assert job.wait() is None
    assert host.observe(1).value("m1", "cpu") == 0


def test_a_load_cancelled_before_time_passes_never_begins(host):
    host.create("m1").run(CpuLoad()).cancel()
    assert host.observe(1).value("m1", "cpu") == 0


def test_a_stopped_machine_is_gone(host):
    machine = host.create("m1")
    machine.run(CpuLoad())
    host.observe(0.1)
    machine.stop()
    machine.stop()
    assert machine.state == "stopped"
    assert "m1" not in host.machines
    assert host.observe(1).rows == ()
    for use in (lambda: machine.set(shares=2), lambda: machine.run(CpuLoad())):
        with pytest.raises(HostError, match="switched off"):
            use()
    host.create("m1")


def test_a_closed_host_says_so():
    host = simulated()
    machine = host.create("m1")
    job = machine.run(CpuLoad())
    host.close()
    host.close()
    assert machine.state == "stopped"
    assert job.progress == 1
    job.cancel()
    machine.stop()
    for use in (lambda: host.create("m2"), lambda: host.observe(1), lambda: machine.set(shares=2)):
        with pytest.raises(HostError, match="has been closed"):
            use()
    assert "closed" in repr(host)
    assert host.journal()[-1] == "# simulated: close"


def test_an_interrupt_closes_the_host_and_gets_through(monkeypatch):
    with simulated() as host:
        machine = host.create("m1")
        job = machine.run(CpuLoad())
        host.observe(0.1)

        def interrupted(until):
            raise KeyboardInterrupt

        monkeypatch.setattr(host.env, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            host.observe(1)
        job.cancel()
        machine.stop()
        assert machine.state == "stopped"
        with pytest.raises(HostError, match="was interrupted"):
            host.observe(1)


def test_what_it_can_and_cannot(host):
    assert host.can("shares").mechanism == "virtual-time fair sharing (Linux's rules)"
    assert host.can("pin")
    for name in ("cap", "hot-add", "requests"):
        assert host.can(name).mechanism
    assert host.can("cap").mechanism == "a quota for each vCPU in every period of 100 ms (Linux's rules)"
    assert "fluid" in host.can("reservation").remedy
    for name in ("command", "migrate", "reservation"):
        assert not host.can(name)
        assert host.can(name).reason
    for name in ("fly", "", None, 3, "x" * 1000):
        answer = host.can(name)
        assert not answer
        assert "shares" in answer.remedy
        assert len(repr(answer)) < 400


def test_an_observation_says_where_it_comes_from(host):
    host.create("m1", shares=256, pin=[1])
    seen = host.observe(0.5)
    assert seen.provenance.host == "simulated"
    assert seen.provenance.name == "simulated host, 2 CPUs, Linux's rules"
    assert seen.provenance.accelerator == ""
    assert seen.provenance.mechanisms["shares"] == host.can("shares").mechanism
    assert seen.provenance.mechanisms["pin"] == host.can("pin").mechanism
    assert seen.provenance.weights == {"m1": 256.0}
    assert seen.provenance.versions["simpy"]
    assert seen.disturbed == 0


def test_the_journal_is_in_words(host):
    host.create("m1", shares=256, pin=[1]).set(shares=512)
    host.observe(0.5)
    assert host.journal() == [
        "# simulated: create m1 vcpus=1 memory=128MiB shares=256 pin=1",
        "# simulated: set m1 shares=512",
        "# simulated: observe seconds=0.5 every=0.2",
    ]


def test_it_reads_well(host):
    machine = host.create("web", vcpus=2, memory="1 GiB", shares=256, pin=[1])
    assert repr(machine) == "<web: 2 vCPUs, 1024 MiB, 256 shares, on CPU 1, running>"
    assert repr(machine.run(CpuLoad(0.5))) == "<load in web: asking for 50% of each vCPU>"
    assert repr(host) == f"simulated host, 2 CPUs, Linux's rules, at 0 s\n  {machine!r}"


def test_a_long_time_line_is_cut_and_says_so(host):
    for name in ("m1", "m2", "m3", "m4"):
        host.create(name).run(CpuLoad())
    seen = host.observe(100, every=100)
    *runs, last = seen.events
    assert len(runs) == 20_000
    assert {event.kind for event in runs} == {"run"}
    assert last.kind == "cut"
    assert runs[-1].time <= last.time < 100
    assert sum(row["value"] for row in seen.rows if row["quantity"] == "cpu") == pytest.approx(2, abs=0.01)
    again = host.observe(1)
    assert again.events[0].time == 0
    assert {event.kind for event in again.events} == {"run"}


def test_rules_are_frozen_and_linux_stretches_its_slice():
    assert RULES["kvm"] is LINUX
    with pytest.raises(dataclasses.FrozenInstanceError):
        LINUX.tick = 1.0
    assert [LINUX.slice(cpus) for cpus in (1, 2, 8, 64)] == pytest.approx([0.004] * 4)
    # max(2 x slice, tick), with 0.7 ms, 1.4 ms, 2.1 ms and 2.8 ms of slice
    assert [LINUX.most_lag(cpus) for cpus in (1, 2, 4, 8, 64)] == pytest.approx([0.004, 0.004, 0.0042, 0.0056, 0.0056])
    finer = dataclasses.replace(LINUX, tick=0.001)  # a kernel with CONFIG_HZ=1000
    assert [finer.slice(cpus) for cpus in (1, 2, 4, 8, 64)] == pytest.approx([0.001, 0.002, 0.003, 0.003, 0.003])


def count_steps(host, monkeypatch):
    """Count the events that the clock goes through."""
    steps = itertools.count()
    step = host.env.step
    monkeypatch.setattr(host.env, "step", lambda: (next(steps), step()))
    return steps


def test_idle_machines_and_a_lone_spinner_need_no_events(monkeypatch):
    host = SimulatedHost(4)
    for number in range(1000):
        host.create(f"idle{number}")
    assert host.env.peek() == math.inf
    host.create("busy").run(CpuLoad())
    host.pass_time(1)
    steps = count_steps(host, monkeypatch)
    host.pass_time(1000)
    assert next(steps) <= 2  # the clock's own: what the last stop left, and this stop


def test_one_event_a_slice_is_all_that_contention_costs(monkeypatch):
    host = SimulatedHost(1)
    for name in ("m1", "m2", "m3"):
        host.create(name).run(CpuLoad())
    steps = count_steps(host, monkeypatch)
    host.observe(6)
    # 6 s are 1,500 slices; the rest starts the loads and stops the clock for the series and the chart.
    assert next(steps) <= 1500 + 60
