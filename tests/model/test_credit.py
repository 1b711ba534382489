"""Xen's rules, against what follows from its published numbers; nothing here reads the model's own.

Numbers: a slice is 30 ms; a tick 10 ms; an accounting, every 30 ms, hands out 300 credits a CPU; a second costs 10,000.
Nobody has more than 300 credits after an accounting, and nobody owes more than 300.

The bounds, derived before the tests were first run. What a vCPU runs is what it is handed, less what its account has
grown by, less what is struck off, in seconds of 10,000 credits. Loads begin at the moment of an accounting, and a
switch takes 4 µs, so in the 300 slices of 9 s every turn ends at most 1.2 ms after an accounting: one slice is one
accounting.

Two that spin, whose parts of 300 are whole numbers from 15 up. All that is handed out is used, but for the switches
(0.04 credits each), so the two accounts add up to 0 to 12. One of them is under then, and runs; so none falls below
-300 and its part, and the other is never above 300 + 12 - 15: nothing is struck off. The first accounting knows only
the one that ran, and gives it up to 300 too much. So each is within 300 + 300 credits, two slices, and 12, of its part.

More that spin, of one weight, where 300 divides. The first turns are one slice each, whoever is handed what. After
them: 300 at the start, 300 at the end, and whoever was handed too much at the start, when few were known, may be struck
off once: half of some 300, and it misses what is handed out until its next turn, 300 at most. So 1,050 credits, which
is below four slices. Where 300 does not divide, up to a credit a head is handed out too much each time: the heads'
300th part of the time more.
"""

import dataclasses
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.host import CpuLoad
from labkit.model import RULES, SimulatedHost

from .hosts import SLICE as LINUX_SLICE
from .hosts import SWITCH, Spec, assert_no_overlap, ran, rooms
from .test_books import act, actions, assert_books_balance

SLICE = 0.030
LIMIT = 0.001


def furnish(cpus: int, specs: list[Spec], seed: int = 0, rules: str = "xen") -> SimulatedHost:
    """A host by Xen's rules with machines m1, m2, … made and loaded as told."""
    host = SimulatedHost(cpus, rules=rules, seed=seed)
    for number, spec in enumerate(specs, 1):
        machine = host.create(
            f"m{number}", vcpus=spec.vcpus, shares=spec.shares, pin=spec.pin, cap=spec.cap, maximum_vcpus=spec.vcpus + 2
        )
        machine.run(CpuLoad(spec.duty))
    return host


def spinners(*weights: int, cpus: int = 1, cap: float = inf) -> list[Spec]:
    """One spinning vCPU for each weight, free to run on all CPUs."""
    return [Spec(1, weight, tuple(range(cpus)), 1.0, cap) for weight in weights]


def ages(host: SimulatedHost, born: dict[tuple[str, int], float]) -> dict[tuple[str, int], float]:
    """When each vCPU came; those not known so far came now."""
    for machine in host.machines.values():
        for vcpu in machine.group.vcpus:
            born.setdefault(vcpu.rank, host.now)
    return born


def stints(host: SimulatedHost, seconds: float) -> list[float]:
    """How long each vCPU stayed on, without the last of each CPU, which the end of watching cuts."""
    events = [event for event in host.observe(seconds).events if event.kind == "run"]
    return [event.seconds for event in events[: -host.cpus]]


# -- shares -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weights", "parts"), [((512, 256), (2 / 3, 1 / 3)), ((256, 256), (1 / 2, 1 / 2))])
def test_twice_the_weight_is_twice_the_cpu(weights, parts):
    # Xen's wiki: "A domain with a weight of 512 will get twice as much CPU as a domain with a weight of 256".
    seen = furnish(1, spinners(*weights)).observe(9)
    for name, part in zip(("m1", "m2"), parts, strict=True):
        assert seen.value(name, "cpu") * 9 == pytest.approx(part * 9, abs=2 * SLICE + 0.0012 + 301 * SWITCH)
        assert seen.value(name, "cpu") + seen.value(name, "ready") == pytest.approx(1, abs=1e-9)


@given(part=st.integers(15, 285), unit=st.integers(1, 200), seconds=st.sampled_from((0.9, 3.0, 9.0)))
@settings(max_examples=60, deadline=None)
def test_two_weights_share_in_proportion(part, unit, seconds):
    host = furnish(1, spinners(part * unit, (300 - part) * unit))
    seen = host.observe(seconds, every=seconds)
    bound = 2 * SLICE + 0.0012 + SWITCH * (seconds / SLICE + 1)
    assert seen.value("m1", "cpu") * seconds == pytest.approx(part / 300 * seconds, abs=bound)
    assert seen.value("m2", "cpu") * seconds == pytest.approx((1 - part / 300) * seconds, abs=bound)


@given(count=st.integers(3, 10), weight=st.integers(2, 65535))
@settings(max_examples=30, deadline=None)
def test_equal_weights_are_equal(count, weight):
    seen = furnish(1, spinners(*[weight] * count)).observe(9.0, every=9.0)
    rounding = 0.0 if 300 % count == 0 else count / 300 * 9.0
    for number in range(1, count + 1):
        got = seen.value(f"m{number}", "cpu") * 9.0
        assert got == pytest.approx(9.0 / count, abs=4 * SLICE + rounding + 301 * SWITCH)


def test_three_machines_on_one_cpu():
    seen = furnish(1, spinners(256, 512, 1024)).observe(9)
    for name, part in (("m1", 1 / 7), ("m2", 2 / 7), ("m3", 4 / 7)):
        assert seen.value(name, "cpu") * 9 == pytest.approx(part * 9, abs=4 * SLICE + 3 / 300 * 9 + 301 * SWITCH)


@pytest.mark.parametrize(("rules", "part"), [("xen", 2 / 3), ("kvm", 1 / 2)])
def test_only_xen_counts_the_shares_once_for_each_vcpu(rules, part):
    host = furnish(1, [Spec(2, 256, (0,), 1.0), Spec(1, 256, (0,), 1.0)], rules=rules)
    assert host.observe(9).value("m1", "cpu") * 9 == pytest.approx(part * 9, abs=4 * SLICE + 3000 * SWITCH)


@given(cpus=st.integers(2, 4))
@settings(max_examples=3, deadline=None)
def test_credit_is_reckoned_over_the_whole_host(cpus):
    # One more than there are CPUs: the odd one out goes round, as who has credit is taken before who has none.
    seen = furnish(cpus, spinners(*[256] * (cpus + 1), cpus=cpus)).observe(9)
    for number in range(1, cpus + 2):
        got = seen.value(f"m{number}", "cpu") * 9
        rounding = (cpus + 1) / 300 * 9 if 300 * cpus % (cpus + 1) else 0.0
        assert got == pytest.approx(cpus / (cpus + 1) * 9, abs=4 * SLICE + rounding + 9 * SWITCH / SLICE)


# -- turns and wake-ups -------------------------------------------------------------------------------


@pytest.mark.parametrize(("rules", "length"), [("xen", SLICE), ("kvm", LINUX_SLICE)])
@pytest.mark.parametrize("weights", [(256, 256), (512, 256), (256, 512, 1024)])
def test_a_turn_is_a_whole_number_of_slices(rules, length, weights):
    seen = stints(furnish(1, spinners(*weights), rules=rules), 3.0)
    assert min(seen) == pytest.approx(length, abs=1e-9)
    for seconds in seen:
        assert seconds == pytest.approx(round(seconds / length) * length, abs=1e-9)


def test_xen_switches_seldom():
    turns = {rules: len(stints(furnish(1, spinners(256, 256), rules=rules), 9.0)) for rules in ("xen", "kvm")}
    # Of two of one weight, by credit one is under where the other is over: turns of one slice, but for one at each end.
    assert turns["xen"] == pytest.approx(9 / (SLICE + SWITCH), abs=2)
    # By clocks who runs loses half a slice of lag in each, and has one slice too much at most, or is owed it: so
    # nobody stays on for more than four.
    assert 9 / (4 * LINUX_SLICE + SWITCH) - 1 <= turns["kvm"] <= 9 / (LINUX_SLICE + SWITCH) + 1


def wake(host: SimulatedHost, moment: float) -> float:
    """Let a machine that slept so far wake up with 2 ms of work at a moment, and return how long it waits."""
    late = host.create("late", shares=256)
    host.pass_time(moment)
    vcpu = late.group.vcpus[0]
    host.scheduler.give(vcpu, 0.002, 0.002)
    host.observe(0.2)
    assert vcpu.ran == pytest.approx(0.002, abs=1e-9)
    return vcpu.waited


# Who spins has woken up once too, when its load began, and keeps its boost until a tick finds it running. So the
# others' first turns must be over, one slice each, before they are sure to have none.
@given(moment=st.floats(0.001, 0.5), count=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_a_boost_runs_within_the_rate_limit(moment, count):
    waited = wake(furnish(1, spinners(*[1024] * count)), count * (SLICE + SWITCH) + moment)
    assert waited <= LIMIT + 2 * SWITCH + 1e-9


@given(moment=st.floats(0.001, 0.5))
@settings(max_examples=40, deadline=None)
def test_without_a_rate_limit_a_boost_runs_at_once(moment):
    RULES["eager"] = dataclasses.replace(RULES["xen"], name="eager", rate_limit=0.0)
    try:
        host = furnish(1, spinners(256, 256), rules="eager")
        assert wake(host, 2 * (SLICE + SWITCH) + moment) <= 2 * SWITCH + 1e-9
    finally:
        del RULES["eager"]


def test_a_boost_lasts_until_a_tick_finds_its_owner_running():
    # At 35 ms m2 has its first turn, boosted, since 30 ms: who wakes up waits for its end. At 45 ms a tick has been.
    turn = SLICE + SWITCH
    assert wake(furnish(1, spinners(256, 256)), 0.035) == pytest.approx(2 * turn - 0.035 + SWITCH, abs=1e-6)
    assert wake(furnish(1, spinners(256, 256)), 0.045) == pytest.approx(SWITCH, abs=1e-9)


@pytest.mark.parametrize("ran_for", [0.0001, 0.0005, 0.0009])
def test_who_has_just_begun_is_left_alone_for_a_millisecond(ran_for):
    # The fourth turn begins at three turns and a switch.
    begun = 3 * (SLICE + SWITCH) + SWITCH
    waited = wake(furnish(1, spinners(256, 256)), begun + ran_for)
    assert waited == pytest.approx(LIMIT - ran_for + SWITCH, abs=1e-8)


def test_who_comes_from_another_cpu_gets_no_boost():
    host = furnish(2, [Spec(1, 256, (0,), 1.0), Spec(1, 256, (1,), 1.0)])
    host.pass_time(0.105)
    host.machines["m2"].set(pin=[0])
    # Both are under: m2 waits for the end of the turn that began at 90 ms.
    assert host.observe(0.1).events[0].machine == "m1"
    assert host.machines["m2"].group.vcpus[0].waited >= 0.120 - 0.105


def test_a_vcpu_gives_way_at_a_tick_to_one_that_cannot():
    host = furnish(2, [Spec(1, 256, (1,), 1.0), Spec(1, 256, (0,), 1.0)])
    host.pass_time(0.101)
    host.machines["m1"].set(pin=[0, 1])
    host.machines["m2"].set(pin=[1])
    vcpu = host.machines["m2"].group.vcpus[0]
    before = vcpu.waited
    # CPU 0 is free now, and m1 runs where m2, which gets no boost, must wait; at the next tick, at 110 ms, m1 moves.
    host.pass_time(1.0)
    assert vcpu.waited - before <= 0.009 + 3 * SWITCH


def test_a_boost_shortens_the_wait_that_linux_leaves():
    waits = {
        rules: [wake(furnish(1, spinners(256, 256), rules=rules), 0.1 + 0.00137 * step) for step in range(60)]
        for rules in ("xen", "kvm")
    }
    assert max(waits["xen"]) <= LIMIT + 2 * SWITCH + 1e-9
    assert sum(waits["xen"]) < sum(waits["kvm"])


def test_who_is_over_gets_no_boost():
    # It spins until it owes, sleeps for 1 ms within the same 30 ms, and comes back to a CPU on which the other runs.
    host = furnish(1, spinners(256, 256))
    host.pass_time(0.0605)  # m1 has had a slice, m2 has had one, and both have been handed 150
    vcpu = next(m.group.vcpus[0] for m in host.machines.values() if m.group.vcpus[0].cpu.current is m.group.vcpus[0])
    host.pass_time(0.031)
    assert vcpu.cpu.current is not vcpu
    before = vcpu.waited, host.now
    host.scheduler.rest(vcpu)
    host.pass_time(0.001)
    host.scheduler.give(vcpu, inf, inf)
    host.pass_time(0.025)
    assert vcpu.books(host.now)[1] - before[0] > LIMIT + 2 * SWITCH


# -- the books ----------------------------------------------------------------------------------------


@given(room=rooms())
@settings(max_examples=60, deadline=None)
def test_no_cpu_idles_while_a_vcpu_that_may_use_it_waits(room):
    """Work conservation, looked at after every single event, with no allowance at all."""
    host = furnish(*room)
    for _ in range(400):
        if host.env.peek() == inf:
            break
        host.env.step()
        idle = {cpu.index for cpu in host.scheduler.cpus if cpu.current is None}
        assert idle == host.scheduler.idle
        for cpu in host.scheduler.cpus:
            waiting = cpu.queued()
            assert not any(idle & vcpu.allowed for vcpu in waiting)
            members = [*waiting, cpu.current] if cpu.current else waiting
            assert all(vcpu.cpu is cpu for vcpu in members)
            assert cpu.weight == pytest.approx(sum(vcpu.weight for vcpu in members))


def test_old_debts_are_forgiven_and_nobody_saves_more_than_one_accounting():
    # Each is handed 150, and m1, alone on its CPU, spends 300.
    host = furnish(2, [Spec(1, 256, (0,), 1.0), *[Spec(1, 256, (1,), 1.0)] * 3])
    accounts = [host.scheduler.cpus[0].ledger.account(m.group.vcpus[0]) for m in host.machines.values()]
    for _ in range(100):
        host.pass_time(0.0307)
        # After an accounting -300 to 300; and until the next 300 are spent at most.
        assert all(-600 - 1e-6 <= account.credit <= 300 + 1e-6 for account in accounts)


@given(room=rooms(), script=st.lists(st.tuples(actions, st.floats(0.001, 0.4)), max_size=8))
@settings(max_examples=80, deadline=None)
def test_books_balance_whatever_is_done(room, script):
    host = furnish(*room)
    born: dict[tuple[str, int], float] = {}
    for (what, which, value), pause in [(("shares", 0, 2), 0.1), *script]:
        act(host, what, which, value)
        ages(host, born)
        pins = {name: machine.pin for name, machine in host.machines.items()}
        before = sum(cpu.books(host.now)[0] for cpu in host.scheduler.cpus)
        seen = host.observe(pause, every=0.05)
        busy = sum(cpu.books(host.now)[0] for cpu in host.scheduler.cpus) - before
        assert_books_balance(host, born)
        assert_no_overlap(seen)
        line, held = ran(seen), ran(seen, "throttled")
        capped = any(machine.cap < inf for machine in host.machines.values())
        for name, machine in host.machines.items():
            throttled = seen.value(name, "throttled") * seen.seconds * machine.vcpus if capped else 0.0
            assert throttled == pytest.approx(held.get(name, 0.0), abs=1e-9)
            assert seen.value(name, "cpu") * seen.seconds == pytest.approx(line.get(name, 0.0), abs=1e-9)
        assert sum(line.values()) == pytest.approx(busy, abs=1e-9)
        assert all(event.cpu in pins[event.machine] for event in seen.events if event.kind == "run")


@given(room=rooms(most_machines=4), data=st.data())
@settings(max_examples=20, deadline=None)
def test_the_order_of_creation_and_of_starting_decides_nothing(room, data):
    cpus, specs, seed = room
    named = [(f"m{number}", spec) for number, spec in enumerate(specs, 1)]

    def values(creation, starting):
        with SimulatedHost(cpus, rules="xen", seed=seed) as host:
            for name, spec in creation:
                host.create(name, vcpus=spec.vcpus, shares=spec.shares, pin=spec.pin)
            for name, spec in starting:
                host.machines[name].run(CpuLoad(spec.duty))
            seen = host.observe(1.0)
            return {(row["machine"], row["quantity"]): row["value"] for row in seen.rows}

    orders = st.permutations(named)
    assert values(named, named) == values(data.draw(orders), data.draw(orders))


@given(room=rooms(), cuts=st.lists(st.floats(0.001, 0.3), min_size=1, max_size=5))
@settings(max_examples=20, deadline=None)
def test_watching_changes_nothing(room, cuts):
    watched, alone = furnish(*room), furnish(*room)
    for cut in cuts:
        watched.observe(cut, every=0.017)
    alone.pass_time(watched.now)
    for name, machine in alone.machines.items():
        for one, other in zip(machine.group.vcpus, watched.machines[name].group.vcpus, strict=True):
            assert one.books(alone.now) == other.books(alone.now)


def test_the_clock_stops_when_nobody_is_at_work():
    host = furnish(1, spinners(256))
    while host.now < 0.1:
        host.env.step()
    host.machines["m1"].job.cancel()
    steps = 0
    while host.env.peek() < inf:
        host.env.step()
        steps += 1
        assert steps < 20  # two accountings, and it has all that it may save
