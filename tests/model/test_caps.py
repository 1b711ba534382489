"""What a cap lets a machine have: never more, in no period; and what it leaves unused is there for the others.

Bounds, derived before the tests were first run, with s the slice (4 ms), k the switch cost (4 µs), P the period
(100 ms), n the vCPUs of one CPU. Where floats are summed, 1e-9 s is allowed for each period.

Never more: no allowance. A vCPU's runs within one of its own periods come to no more than its quota.

Max-min with limits, one CPU, machines that spin. Every vCPU's periods begin at a moment of their own, so in one of its
periods parts of two periods of each other vCPU lie, and of each other no more than two quotas are used. In the fluid,
shared by weight among those who still have quota, a machine that is not throttled in its period gets at least the
max-min part that it would get if the others asked for two quotas each. In slices a vCPU is behind the fluid by no
more than its lag at the start and at the end of the period and what others leave owing: 2·n·s at most
(`test_fairness` has it, and holds the lags against it). So a machine which would so get even a quota that were 2·n·s
larger gets all of its quota in every period, exactly. The others are never throttled, and what remains is theirs by
weight: within 2·n·s of their part, for the whole of the time, as nothing is lost from one period to the next; but for
switches, at most one a slice and two for each throttling, and for one quota of each capped machine, as of its first
and its last period only parts may be seen.
"""

from fractions import Fraction
from math import floor, inf

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from labkit.host import CpuLoad, HostError
from labkit.model import SimulatedHost, simulated

from .hosts import PERIOD, SLICE, SWITCH, Spec, by_period, caps, furnish, period_start, ran, rooms
from .oracle import fair
from .test_host import count_steps


@given(room=rooms(), before=st.floats(0.001, 0.5))
@settings(max_examples=80, deadline=None)
def test_no_vcpu_exceeds_its_quota_in_any_period(room, before):
    """In its own periods, that is; two halves of two of them may see more."""
    cpus, specs, seed = room
    host = furnish(cpus, specs, seed)
    host.pass_time(before)
    seen = host.observe(0.7)
    for (name, _, _), used in by_period(seen, before, seed).items():
        machine = host.machines[name]
        assert used <= machine.cap * PERIOD / machine.vcpus + 1e-9


@given(
    first=caps,
    vcpus=st.integers(1, 3),
    script=st.lists(st.tuples(st.floats(0.001, 0.25), caps, st.booleans()), min_size=1, max_size=6),
    duty=st.sampled_from((0.3, 1.0)),
)
@example(first=0.5, vcpus=1, script=[(0.15, 0.5, True), (0.25, 0.5, False)], duty=1.0)
@settings(max_examples=80, deadline=None)
def test_nor_does_one_whose_cap_or_whose_machine_changes_meanwhile(first, vcpus, script, duty):
    """In a period in which the quota changed, the highest of those it had in it holds."""
    host = simulated(4)
    machine = host.create("m1", vcpus=vcpus, cap=first, maximum_vcpus=vcpus + 6)
    machine.run(CpuLoad(duty))
    used: dict[tuple[int | None, int], float] = {}
    highest: dict[tuple[int | None, int], float] = {}
    for pause, cap, grow in [(0.13, first, False), *script]:
        machine.set(cap=cap, vcpus=machine.vcpus + grow)
        began = host.now
        for (_, vcpu, period), part in by_period(host.observe(pause), began).items():
            used[vcpu, period] = used.get((vcpu, period), 0.0) + part
        for vcpu in range(machine.vcpus):
            start = period_start("m1", vcpu)
            for period in range(floor((began - start) / PERIOD), floor((host.now - start) / PERIOD) + 1):
                quota = min(cap / machine.vcpus, 1.0) * PERIOD
                highest[vcpu, period] = max(highest.get((vcpu, period), 0.0), quota)
    for key, seconds in used.items():
        assert seconds <= highest[key] + 1e-9


@pytest.mark.parametrize("cap", [0.01, 0.25, 0.5, 0.99])
@pytest.mark.parametrize("vcpus", [1, 3])
def test_a_lone_machine_gets_its_whole_cap_in_every_period(cap, vcpus):
    host = furnish(vcpus, [Spec(vcpus, 1024, tuple(range(vcpus)), 1.0, cap)])
    host.pass_time(PERIOD)  # each one's first whole period has begun
    seen = host.observe(2.0)
    quota = cap * PERIOD / vcpus
    used = by_period(seen, PERIOD)
    for vcpu in range(vcpus):
        for period in range(1, 20):
            assert used["m1", vcpu, period] == pytest.approx(quota, abs=1e-9)
    # It wants to run all the time, so what it does not run it is throttled, but for one switch a period.
    assert seen.value("m1", "throttled") == pytest.approx(1 - cap / vcpus, abs=SWITCH / PERIOD + 1e-9)
    assert seen.value("m1", "ready") == pytest.approx(0, abs=SWITCH / PERIOD + 1e-9)


def test_a_cap_of_all_vcpus_is_no_limit():
    seen = furnish(2, [Spec(2, 1024, (0, 1), 1.0, 2.0)]).observe(2.0)
    assert seen.value("m1", "cpu") == pytest.approx(2, abs=2 * SWITCH)
    assert seen.value("m1", "throttled") == 0


def test_a_quarter_a_half_and_a_whole():
    """Caps of 25, 50 and 100% and equal shares: 25 ms are gone after 75 ms of fluid, the rest is halved.

    Two slices fit into what is left of the period at a third of the CPU (8.3 ms), and a vCPU of three that is put back
    owing a slice, the limit of lag, and ends owed a slice is behind by two. So the first has its quota in every period.
    """
    seconds = 6.0
    host = furnish(1, [Spec(1, 1024, (0,), 1.0, cap) for cap in (0.25, 0.5, 1.0)])
    host.pass_time(period_start("m1", 0))
    seen = host.observe(seconds, every=seconds)
    assert seen.value("m1", "cpu") == pytest.approx(0.25, abs=1e-9)
    lost = SWITCH * (seconds / SLICE + 2 * seconds / PERIOD)
    for name in ("m2", "m3"):
        assert seen.value(name, "cpu") * seconds == pytest.approx(0.375 * seconds, abs=6 * SLICE + lost)


@given(data=st.data(), capped=st.integers(1, 2), free=st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_caps_and_shares_are_max_min_with_limits(data, capped, free):
    """Machines that may have little of a CPU and ask for it early, beside some that may have all of it."""
    count, periods = capped + free, 40
    room = Fraction(2 * count * SLICE / PERIOD).limit_denominator(1000)
    most = int(100 * (Fraction(95, 100) - room * capped) / capped / 2)
    limits = [Fraction(data.draw(st.integers(1, most)), 100) for _ in range(capped)] + [Fraction(1)] * free
    weights = [data.draw(st.integers(2, 262144)) for _ in range(count)]
    for i in range(capped):
        wanted = [limits[j] + room if j == i else min(2 * limits[j], Fraction(1)) for j in range(count)]
        assume(fair(weights, wanted)[i] == wanted[i])
    specs = [
        Spec(1, weight, (0,), 1.0, float(limit) if limit < 1 else inf)
        for weight, limit in zip(weights, limits, strict=True)
    ]
    seconds = periods * PERIOD
    seen = furnish(1, specs).observe(seconds, every=seconds)
    lost = SWITCH * (seconds / SLICE + 2 * count * periods) + PERIOD * float(sum(limits[:capped]))
    used = by_period(seen)
    for number, part in enumerate(fair(weights, limits), 1):
        if number <= capped:
            for period in range(periods - 1):
                assert used[f"m{number}", 0, period] == pytest.approx(float(part) * PERIOD, abs=1e-9)
        else:
            got = seen.value(f"m{number}", "cpu") * seconds
            assert got == pytest.approx(float(part) * seconds, abs=2 * count * SLICE + lost)
            assert seen.value(f"m{number}", "throttled") == 0


def test_throttled_is_said_of_all_as_soon_as_one_has_a_cap():
    with simulated(1) as host:
        web, _ = host.create("web"), host.create("idle")
        web.run(CpuLoad())
        kinds = {(row["machine"], row["quantity"]) for row in host.observe(0.5).rows}
        assert kinds == {(name, what) for name in ("web", "idle") for what in ("cpu", "ready")}
        assert {series.quantity for series in host.observe(0.5).series} == {"cpu", "ready"}
        web.set(cap=0.25)
        seen = host.observe(0.5)
        kinds |= {(name, "throttled") for name in ("web", "idle")}
        assert {(row["machine"], row["quantity"]) for row in seen.rows} == kinds
        assert {(series.machine, series.quantity) for series in seen.series} == kinds
        assert seen.provenance.mechanisms["cap"] == host.can("cap").mechanism
        web.set(cap=inf)
        assert "throttled" not in {row["quantity"] for row in host.observe(0.5).rows}


def test_the_time_line_shows_who_was_throttled_when():
    host = furnish(1, [Spec(1, 1024, (0,), 1.0, 0.25)])
    host.pass_time(period_start("m1", 0))
    seen = host.observe(0.3)
    held = [event for event in seen.events if event.kind == "throttled"]
    assert [event.cpu for event in held] == [None] * 3
    assert [(event.machine, event.vcpu) for event in held] == [("m1", 0)] * 3
    for period, event in enumerate(held):
        # The quota of 25 ms begins with the switch to the vCPU.
        assert event.time == pytest.approx(period * PERIOD + 0.025 + SWITCH, abs=1e-9)
        assert event.time + event.seconds == pytest.approx((period + 1) * PERIOD, abs=1e-9)
    assert ran(seen, "throttled")["m1"] == pytest.approx(seen.value("m1", "throttled") * 0.3, abs=1e-9)


def test_the_periods_of_each_vcpu_begin_at_a_moment_of_their_own_for_good():
    def begins(names: tuple[str, ...], seed: int = 0) -> dict[tuple[str, int | None], float]:
        """When each vCPU's periods begin, within a period: when it has been throttled, read off the time line."""
        host = simulated(6, seed=seed)
        for name in names:
            host.create(name, vcpus=2, cap=0.5).run(CpuLoad())
        found: dict[tuple[str, int | None], list[float]] = {}
        for cap in (0.5, 0.3, inf, 0.4):
            host.machines["m1"].set(cap=cap)
            began = host.now
            for event in host.observe(0.57).events:
                ends = event.time + event.seconds
                if event.kind == "throttled" and ends < 0.57 - 1e-9:
                    found.setdefault((event.machine, event.vcpu), []).append((began + ends) % PERIOD)
            host.machines["m1"].set(cap=0.1)  # somebody is throttled whenever a cap is lifted
            host.pass_time(0.031)
        for moments in found.values():
            assert len(moments) > 10 and moments == pytest.approx([moments[0]] * len(moments), abs=1e-9)
        return {key: moments[0] for key, moments in found.items()}

    seen = begins(("m1", "m2", "m3"))
    assert len(seen) == 6 and len({round(moment, 6) for moment in seen.values()}) == 6
    # Nothing depends on who came first, or who else is there; all depends on the seed.
    alone = begins(("m2", "m1"))
    assert alone == pytest.approx({key: seen[key] for key in alone})
    assert min(abs(other - seen[key]) for key, other in begins(("m1",), seed=1).items()) > 1e-6


def test_a_cap_that_is_lifted_lets_go_at_once():
    host = furnish(1, [Spec(1, 1024, (0,), 1.0, 0.1)])
    host.pass_time(0.05)
    host.machines["m1"].set(cap=inf)
    first = host.observe(0.2).events[0]
    assert (first.kind, first.time) == ("run", pytest.approx(SWITCH))
    assert first.seconds == pytest.approx(0.2 - SWITCH)


def test_a_cap_holds_from_the_moment_it_is_set():
    host = furnish(1, [Spec(1, 1024, (0,), 1.0, 0.5)])
    host.pass_time(period_start("m1", 0) + 0.03)
    host.machines["m1"].set(cap=0.2)  # of the 20 ms of this period 30 are gone
    assert [event.kind for event in host.observe(0.069).events] == ["throttled"]
    host.machines["m1"].set(cap=1.0)
    assert host.observe(0.001).events[0].kind == "run"


def test_what_an_ended_load_left_of_a_quota_is_there_for_the_next():
    host = simulated(1)
    machine = host.create("m1", cap=0.5)
    host.pass_time(period_start("m1", 0))
    machine.run(CpuLoad())
    first = ran(host.observe(0.02))["m1"]
    machine.job.cancel()
    machine.run(CpuLoad())
    second = ran(host.observe(0.08))["m1"]
    assert first == pytest.approx(0.02 - SWITCH)
    assert first + second == pytest.approx(0.05, abs=1e-9)


def test_a_first_cap_gives_a_whole_quota():
    host = furnish(1, [Spec(1, 1024, (0,), 1.0)])
    host.pass_time(0.03)
    host.machines["m1"].set(cap=0.2)
    assert ran(host.observe(0.07))["m1"] == pytest.approx(0.02, abs=1e-9)


def test_work_that_a_cap_held_back_is_done_later():
    # Half a CPU of work comes each period, a cap of a quarter; what piles up is 0.2 s (`labkit.model.loads`).
    host = furnish(1, [Spec(1, 1024, (0,), 0.5, 0.25)])
    assert host.observe(4.0).value("m1", "cpu") == pytest.approx(0.25, abs=0.025 / 4)
    host.machines["m1"].set(cap=inf)
    got = host.observe(4.0).value("m1", "cpu") * 4
    assert 4 * 0.5 + 0.2 - 0.05 - 1e-9 <= got <= 4 * 0.5 + 0.2 + 0.05


def test_a_machine_at_rest_needs_no_clock():
    host = SimulatedHost(1)
    machine = host.create("m1", cap=0.5)
    assert host.env.peek() == inf
    job = machine.run(CpuLoad())
    host.pass_time(1.03)
    job.cancel()
    host.pass_time(1.0)
    assert host.env.peek() in (inf, host.now)  # SimPy may have left what stopped its clock


def test_a_cap_costs_a_few_events_a_period(monkeypatch):
    host = furnish(2, [Spec(1, 1024, (cpu,), 1.0, 0.25) for cpu in (0, 1)])
    steps = count_steps(host, monkeypatch)
    host.pass_time(10.0)
    assert next(steps) <= 4 * 100 + 10  # for each vCPU the clock that strikes, and its quota used up


def test_a_reservation_is_refused_with_the_way_out():
    with simulated(1) as host:
        with pytest.raises(HostError, match="Linux's rules know no reservation") as caught:
            host.create("m1", reservation=0.5)
        assert 'mode="fluid"' in caught.value.remedy
        assert not host.machines
        assert not host.can("reservation")
        host.create("m1", reservation=0.0)


def test_caps_are_seen_in_words():
    with simulated(2) as host:
        machine = host.create("web", cap=0.5, maximum_vcpus=2)
        assert repr(machine) == "<web: 1 vCPU, 128 MiB, 1024 shares, cap 0.5 CPU, running>"
        machine.set(cap=0.25, vcpus=2)
        assert host.journal() == [
            "# simulated: create web vcpus=1 memory=128MiB shares=1024 cap=0.5 maximum_vcpus=2",
            "# simulated: set web cap=0.25",
            "# simulated: set web vcpus=2",
        ]
