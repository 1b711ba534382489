"""Time is neither lost nor made: the books of vCPUs and CPUs, the time line, and the rows agree.

Each book is kept by itself: running, waiting, sleeping and being throttled of each vCPU; running, switching and idling
of each CPU; and the spans. So their sums are checks, not identities. Where floats are summed, 1e-9 s is allowed.
"""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.host import CpuLoad, RequestLoad
from labkit.model import SimulatedHost

from .hosts import SLICE, SWITCH, assert_no_overlap, caps, duties, furnish, ran, rooms, shares


def assert_books_balance(host: SimulatedHost, born: dict[tuple[str, int], float]) -> None:
    now = host.now
    vcpus = [vcpu for machine in host.machines.values() for vcpu in machine.group.vcpus]
    for vcpu in vcpus:
        books = vcpu.books(now)
        assert min(books) >= -1e-9
        assert sum(books) == pytest.approx(now - born[vcpu.rank], abs=1e-9)
    for cpu in host.scheduler.cpus:
        books = cpu.books(now)
        assert min(books) >= -1e-9
        assert sum(books) == pytest.approx(now, abs=1e-9)


actions = st.one_of(
    st.tuples(st.just("shares"), st.integers(0, 5), shares),
    st.tuples(st.just("pin"), st.integers(0, 5), st.integers(1, 15)),
    st.tuples(st.just("stop"), st.integers(0, 5), st.none()),
    st.tuples(st.just("cancel"), st.integers(0, 5), st.none()),
    st.tuples(st.just("create"), st.integers(1, 3), duties),
    st.tuples(st.just("run"), st.integers(0, 5), duties),
    st.tuples(st.just("cap"), st.integers(0, 5), caps),
    st.tuples(st.just("grow"), st.integers(0, 5), st.none()),
    st.tuples(st.just("serve"), st.integers(0, 5), st.floats(0.001, 0.05)),
)


def act(host: SimulatedHost, what: str, which: int, value: object) -> None:
    """One thing that a person may do to a running host; each moment it is allowed."""
    if what == "create":
        name = f"n{len(host.journal())}"
        host.create(name, vcpus=which).run(CpuLoad(value))
        return
    if not host.machines:
        return
    machine = list(host.machines.values())[which % len(host.machines)]
    if what == "shares":
        machine.set(shares=value)
    elif what == "pin":
        machine.set(pin=[cpu for cpu in range(host.cpus) if value >> cpu & 1] or [0])
    elif what == "stop":
        machine.stop()
    elif what == "cancel":
        if machine.job is not None:
            machine.job.cancel()
    elif what == "cap":
        machine.set(cap=value)
    elif what == "grow":
        machine.set(vcpus=min(machine.vcpus + 1, machine.maximum_vcpus))
    elif not machine.busy:
        load = CpuLoad(value) if what == "run" else RequestLoad(tuple(value * n for n in range(20)), (value,) * 20)
        machine.run(load)


@given(room=rooms(), script=st.lists(st.tuples(actions, st.floats(0.001, 0.4)), max_size=8))
@settings(max_examples=100, deadline=None)
def test_books_balance_whatever_is_done(room, script):
    cpus, specs, seed = room
    host = furnish(cpus, specs, seed)
    born: dict[tuple[str, int], float] = {}
    for (what, which, value), pause in [(("shares", 0, 2), 0.1), *script]:
        act(host, what, which, value)
        for machine in host.machines.values():
            for vcpu in machine.group.vcpus:
                born.setdefault(vcpu.rank, host.now)
        pins = {name: machine.pin for name, machine in host.machines.items()}
        busy_before = sum(cpu.books(host.now)[0] for cpu in host.scheduler.cpus)
        seen = host.observe(pause, every=0.05)
        busy = sum(cpu.books(host.now)[0] for cpu in host.scheduler.cpus) - busy_before
        assert_books_balance(host, born)
        assert_no_overlap(seen)
        # Three computations of one number: the vCPUs' books, the CPUs' books, the time line.
        line, held = ran(seen), ran(seen, "throttled")
        capped = any(machine.cap < inf for machine in host.machines.values())
        for name, machine in host.machines.items():
            assert seen.value(name, "cpu") * seen.seconds == pytest.approx(line.get(name, 0.0), abs=1e-9)
            assert 0 <= seen.value(name, "cpu") <= min(machine.vcpus, len(machine.pin)) + 1e-9
            assert 0 <= seen.value(name, "ready") <= 1 + 1e-9
            throttled = seen.value(name, "throttled") * seen.seconds * machine.vcpus if capped else 0.0
            assert throttled == pytest.approx(held.get(name, 0.0), abs=1e-9)
        assert sum(line.values()) == pytest.approx(busy, abs=1e-9)
        # And nobody ran where it must not.
        assert all(event.cpu in pins[event.machine] for event in seen.events if event.kind == "run")


@given(room=rooms())
@settings(max_examples=60, deadline=None)
def test_no_cpu_idles_while_a_vcpu_that_may_use_it_waits(room):
    """Work conservation, looked at after every single event, with no allowance at all: idle CPUs pull at once."""
    cpus, specs, seed = room
    host = furnish(cpus, specs, seed)
    for _ in range(400):
        if host.env.peek() == float("inf"):
            break
        host.env.step()
        idle = {cpu.index for cpu in host.scheduler.cpus if cpu.current is None}
        assert idle == host.scheduler.idle
        for cpu in host.scheduler.cpus:
            for _, _, vcpu in cpu.waiting:
                assert not idle & vcpu.allowed
            members = [vcpu for _, _, vcpu in cpu.waiting] + ([cpu.current] if cpu.current else [])
            assert cpu.weight == pytest.approx(sum(vcpu.weight for vcpu in members))
            # What some are owed, others owe: virtual time is the average of the clocks, whoever comes and goes.
            owed = sum(vcpu.weight * (cpu.virtual - vcpu.vruntime) for vcpu in members)
            assert owed == pytest.approx(0, abs=1e-9)
        for machine in host.machines.values():
            runnable = sum(vcpu.cpu is not None for vcpu in machine.group.vcpus)
            assert runnable == machine.group.runnable


@given(room=rooms())
@settings(max_examples=40, deadline=None)
def test_what_waits_where_a_cpu_idles_cannot_be_seen_in_the_time_line_either(room):
    """The same from outside, for machines that spin unpinned: all CPUs are busy, or all vCPUs run."""
    cpus, specs, seed = room
    specs = [type(spec)(spec.vcpus, spec.shares, tuple(range(cpus)), 1.0) for spec in specs]
    seen = furnish(cpus, specs, seed).observe(1.0)
    wanted = min(cpus, sum(spec.vcpus for spec in specs))
    # Lost to switches alone: one a slice and CPU, and two for each move; at a balancing, at least 16 ms times CPUs
    # after the last, each of at most 18 vCPUs may move.
    switches = cpus * (1 / SLICE + 1) + 2 * 18 * (1 / (0.016 * cpus) + 1)
    assert sum(ran(seen).values()) == pytest.approx(wanted, abs=switches * SWITCH)


@given(room=rooms(), every=st.floats(0.01, 0.3))
@settings(max_examples=30, deadline=None)
def test_series_are_the_rows_over_time(room, every):
    cpus, specs, seed = room
    seen = furnish(cpus, specs, seed).observe(0.5, every)
    assert seen.seconds == pytest.approx(0.5)
    for series in seen.series:
        assert len(series.times) == len(series.values)
        assert series.times[-1] == seen.seconds
        starts = [0.0, *series.times[:-1]]
        total = sum(
            value * (end - begin) for value, begin, end in zip(series.values, starts, series.times, strict=True)
        )
        assert total == pytest.approx(seen.value(series.machine, series.quantity) * seen.seconds, abs=1e-9)


def test_a_machine_driven_off_its_cpu_goes_on_elsewhere():
    host = furnish(2, [])
    machine = host.create("m1", pin=[0])
    machine.run(CpuLoad())
    host.observe(0.1)
    machine.set(pin=[1])
    seen = host.observe(0.1)
    assert {event.cpu for event in seen.events} == {1}
    assert seen.value("m1", "cpu") == pytest.approx(1, abs=SWITCH / 0.1 + 1e-9)


def test_a_vcpu_gives_way_to_one_that_cannot():
    host = furnish(2, [])
    free = host.create("free", pin=[1])
    free.run(CpuLoad())
    host.observe(0.1)
    free.set(pin=[0, 1])
    host.create("bound", pin=[1]).run(CpuLoad())
    seen = host.observe(1.0)
    # CPU 0 idles beside two on CPU 1; but only until the first slice of `free` is over, and it waits for a place.
    assert seen.value("bound", "cpu") + seen.value("free", "cpu") == pytest.approx(2, abs=SLICE + 3 * SWITCH)
    assert seen.value("free", "cpu") == pytest.approx(1, abs=2 * SWITCH)


def test_an_idle_cpu_takes_work_when_pinning_is_lifted():
    host = furnish(2, [])
    for name in ("m1", "m2"):
        host.create(name, pin=[0]).run(CpuLoad())
    host.observe(0.1)
    for machine in host.machines.values():
        machine.set(pin=range(2))
    seen = host.observe(1.0)
    assert sum(row["value"] for row in seen.rows if row["quantity"] == "cpu") == pytest.approx(2, abs=1e-4)
