"""What the fluid host gives over time, against computations that know nothing of it."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.host import CpuLoad, RequestLoad
from labkit.model import FluidHost, simulated

from .fluid_oracle import completions, fair_with_pins
from .hosts import Spec, furnish, rooms, shares, spinning_bound

tenths = st.integers(1, 40).map(lambda tenths: Fraction(tenths, 10))
requests = st.lists(st.tuples(st.integers(0, 30).map(lambda t: Fraction(t, 10)), tenths), min_size=1, max_size=5)
servers = st.lists(
    st.tuples(st.integers(1, 3), shares, st.sampled_from(["queue", "sharing"]), requests.map(sorted)),
    min_size=1,
    max_size=4,
)


@given(cpus=st.integers(1, 4), servers=servers)
@settings(max_examples=150, deadline=None)
def test_every_request_is_done_when_exact_fractions_say(cpus, servers):
    with FluidHost(cpus) as host:
        jobs = []
        for number, (vcpus, weight, discipline, work) in enumerate(servers, 1):
            load = RequestLoad(tuple(float(t) for t, _ in work), tuple(float(w) for _, w in work), discipline)
            jobs.append(host.create(f"m{number}", vcpus=vcpus, shares=weight).run(load))
        served = [job.wait() for job in jobs]
    for got, expected in zip(served, completions(cpus, servers), strict=True):
        assert got.finishes == pytest.approx([float(time) for time in expected], abs=1e-9)


def fluid(cpus, specs, seed=0):
    host = FluidHost(cpus, seed=seed)
    for number, spec in enumerate(specs, 1):
        machine = host.create(f"m{number}", vcpus=spec.vcpus, shares=spec.shares, pin=spec.pin)
        machine.run(CpuLoad(spec.duty))
    return host


def cpu(seen):
    return {row["machine"]: row["value"] for row in seen.rows if row["quantity"] == "cpu"}


@given(room=rooms(most_machines=5))
@settings(max_examples=40, deadline=None)
def test_at_any_moment_everybody_has_the_fair_part_and_no_cpu_idles_for_nothing(room):
    cpus, specs, seed = room
    host = fluid(cpus, specs, seed)
    for _ in range(20):
        host.pass_time(0.0137)
        busy = [(machine.guest, spec) for machine, spec in zip(host.machines.values(), specs, strict=True)]
        busy = [(guest, spec) for guest, spec in busy if guest.serving]
        wants = [Fraction(min(len(guest.serving), spec.vcpus)) for guest, spec in busy]
        none = [Fraction(0)] * len(busy)
        parts = fair_with_pins([spec.shares for _, spec in busy], none, wants, [frozenset(s.pin) for _, s in busy])
        assert [guest.rate for guest, _ in busy] == pytest.approx([float(part) for part in parts], abs=1e-10)
        for (guest, _), part, want in zip(busy, parts, wants, strict=True):
            assert guest.ready_rate == pytest.approx(float(want - part), abs=1e-10)


@given(room=rooms())
@settings(max_examples=30, deadline=None)
def test_rows_are_what_was_done_and_asked_for(room):
    """Where nobody ever has to wait, each vCPU does what its portions come to, but for those under way at the ends."""
    _, specs, seed = room
    host = fluid(sum(spec.vcpus for spec in specs), [replace(spec, pin=None) for spec in specs], seed)
    seen = host.observe(4.0)
    for number, spec in enumerate(specs, 1):
        done = cpu(seen)[f"m{number}"]
        assert abs(done - spec.vcpus * spec.duty) <= spec.vcpus * spec.duty * 0.1 / 4.0 + 1e-9
        assert seen.value(f"m{number}", "ready") == pytest.approx(0, abs=1e-12)
        series = next(s for s in seen.series if s.machine == f"m{number}" and s.quantity == "cpu")
        assert fmean(series.values) == pytest.approx(done, abs=1e-9)


@given(room=rooms(), cuts=st.lists(st.floats(0.001, 0.3), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_watching_changes_nothing_and_the_same_seed_gives_the_same(room, cuts):
    cpus, specs, seed = room
    watched, alone, again = (fluid(cpus, specs, seed) for _ in range(3))
    for cut in cuts:
        watched.observe(cut, every=0.017)
        again.observe(cut, every=0.017)
    alone.pass_time(watched.now)
    now = alone.now
    for name, machine in alone.machines.items():
        books = watched.machines[name].guest.books(now)
        assert machine.guest.books(now) == pytest.approx(books, abs=1e-12)
        assert books == again.machines[name].guest.books(now)


@given(room=rooms(most_machines=4), data=st.data())
@settings(max_examples=25, deadline=None)
def test_the_order_of_creation_and_of_starting_decides_nothing(room, data):
    cpus, specs, seed = room
    named = [(f"m{number}", spec) for number, spec in enumerate(specs, 1)]

    def values(creation, starting):
        with FluidHost(cpus, seed=seed) as host:
            for name, spec in creation:
                host.create(name, vcpus=spec.vcpus, shares=spec.shares, pin=spec.pin)
            for name, spec in starting:
                host.machines[name].run(CpuLoad(spec.duty))
            seen = host.observe(1.0)
            return {(row["machine"], row["quantity"]): row["value"] for row in seen.rows}

    orders = st.permutations(named)
    assert values(named, named) == pytest.approx(values(data.draw(orders), data.draw(orders)), abs=1e-12)


def test_work_that_comes_at_the_moment_at_which_the_last_is_done_is_done_too():
    # Half a CPU is asked for in portions, and half a CPU is what the cap allows: each portion ends as the next comes.
    with FluidHost(1) as host:
        host.create("m1", cap=0.5).run(CpuLoad(0.5))
        host.observe(1.0)
        assert cpu(host.observe(100.0)) == pytest.approx({"m1": 0.5}, abs=1e-9)


def test_work_that_could_not_be_done_piles_up_to_two_periods_and_no_further():
    with FluidHost(1) as host:
        host.create("m1", shares=2).run(CpuLoad(0.5))
        other = host.create("m2", reservation=1.0).run(CpuLoad())
        assert cpu(host.observe(10.0)) == pytest.approx({"m1": 0, "m2": 1}, abs=1e-9)
        other.cancel()
        # 0.2 CPU seconds are left from before, and 40 portions of 0.05 come in the 4 s; the last may be under way.
        assert 2.2 - 0.05 - 1e-9 <= 4.0 * cpu(host.observe(4.0))["m1"] <= 2.2 + 1e-9


# -- against the theory of queues -----------------------------------------------------------------


def responses(vcpus, discipline, rate, seed):
    """The mean response of requests with exponential gaps and exponential work of one second, after a while."""
    seconds, warm = 7200.0 / vcpus, 300.0
    random = Random(f"{vcpus}/{discipline}/{rate}/{seed}")
    arrivals = list(itertools.takewhile(lambda t: t < seconds, itertools.accumulate(_gaps(random, rate))))
    work = tuple(random.expovariate(1.0) for _ in arrivals)
    with simulated(vcpus, mode="fluid") as host:
        served = host.create("web", vcpus=vcpus).run(RequestLoad(tuple(arrivals), work, discipline)).wait()
    return fmean(served.responses(since=warm))


def _gaps(random, rate):
    while True:
        yield random.expovariate(rate)


def erlang(servers, load):
    """The mean response with a queue and `servers` workers of rate 1: Erlang's C formula (1917), by its own sum."""
    terms = [load**n / math.factorial(n) for n in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return 1.0 + last / (sum(terms) + last) / (servers - load)


@pytest.mark.parametrize(
    ("vcpus", "discipline", "rate", "expected"),
    [
        (1, "sharing", 0.7, 1 / (1 - 0.7)),  # M/M/1-PS, as M/M/1: Kleinrock, Queueing Systems, volume 2, 1976, 4.4
        (1, "queue", 0.7, 1 / (1 - 0.7)),
        (3, "queue", 2.1, erlang(3, 2.1)),
        (3, "sharing", 2.1, erlang(3, 2.1)),  # of exponential work the number there is the same birth-death process
    ],
)
def test_mean_responses_are_those_of_queueing_theory(vcpus, discipline, rate, expected):
    means = [responses(vcpus, discipline, rate, seed) for seed in range(16)]
    # Student's t with 15 degrees of freedom, 99.9% two-sided.
    half = 4.073 * stdev(means) / math.sqrt(len(means))
    assert half < expected / 5  # or the interval would let anything pass
    assert abs(fmean(means) - expected) <= half


# -- against the host of slices -------------------------------------------------------------------


@given(
    specs=st.lists(st.builds(Spec, st.integers(1, 3), shares, st.just((0,)), st.just(1.0)), min_size=1, max_size=5),
    seconds=st.sampled_from([0.05, 0.5, 5.0, 20.0]),
)
@settings(max_examples=60, deadline=None)
def test_slices_come_as_close_to_fluid_as_their_bound_says(specs, seconds):
    """Written before the first comparison. On one CPU, all spinning since 0, EEVDF keeps each vCPU within one slice of
    its exact part (Stoica and Abdel-Wahab 1995, theorem 1), so a machine of v vCPUs within v slices; and each
    switch takes its time from all. So by t seconds the two differ by at most ``v × slice + switches``, and in CPU by
    that over t: it falls as slice / t, down to the 0.1% that switching costs.
    """
    fair, sliced = cpu(fluid(1, specs).observe(seconds)), cpu(furnish(1, specs).observe(seconds))
    for number, spec in enumerate(specs, 1):
        gap = abs(fair[f"m{number}"] - sliced[f"m{number}"])
        assert gap <= spinning_bound(spec.vcpus, seconds) / seconds


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_portions_come_when_they_come_on_the_host_of_slices(seed):
    """Alone on a CPU each portion is worked on as it comes, on both, later by a switch on the one of slices: so by the
    end of any interval the two have done the same, but for the switch of each portion that has come, 4 µs.
    """
    hosts = [simulated(2, seed=seed), FluidHost(2, seed=seed)]
    for host in hosts:
        host.create("m1", vcpus=2).run(CpuLoad(0.3))
    sliced, fair = (host.observe(20.0, every=0.007).series[0].values for host in hosts)
    assert max(fair) > 0.5  # there are peaks to be compared, and gaps
    assert min(fair) == 0.0
    for one, other in zip(sliced, fair, strict=True):
        assert abs(one - other) * 0.007 <= 2 * 4e-6 + 1e-9


@given(
    caps=st.lists(st.sampled_from([0.02, 0.03, 0.05]), min_size=1, max_size=3),
    seconds=st.sampled_from([0.13, 0.33, 1.05, 6.0, 20.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_with_caps_they_differ_by_two_periods_at_most(caps, seconds, seed):
    """Written before the first comparison. On one CPU, machines of one vCPU each with equal shares, one without a cap
    and up to three with caps of at most 0.05 CPU. In each of its periods of P = 0.1 s a capped machine gets its quota
    of at most 5 ms for sure: a fair part of 1/4 gives it 25 ms a period, from which its lag takes no more than a slice
    of each of the four, 16 ms. Its periods begin at a moment of their own, left to chance, and the first was under way
    as the host was opened; so by t seconds more than t / P of them have begun, and at most t / P + 2. Only of the first
    and of the last one it may not have had the whole quota. So the two differ by two quotas at most. (Corrected, from
    one quota, which held where all periods began as the host was opened.) What the capped ones do not use the other one
    gets, but for the switches: one for each slice, and two more whenever a capped machine comes or goes.
    """
    hosts = [simulated(1, seed=seed), FluidHost(1, seed=seed)]
    for host in hosts:
        host.create("free").run(CpuLoad())
        for number, cap in enumerate(caps, 1):
            host.create(f"m{number}", cap=cap).run(CpuLoad())
    sliced, fair = (cpu(host.observe(seconds)) for host in hosts)
    for number, cap in enumerate(caps, 1):
        assert abs(fair[f"m{number}"] - sliced[f"m{number}"]) <= 2 * cap * 0.1 / seconds + 1e-9
    switches = seconds / 0.004 + 1 + 4 * len(caps) * (seconds / 0.1 + 1)
    assert abs(fair["free"] - sliced["free"]) <= (2 * sum(caps) * 0.1 + switches * 4e-6) / seconds + 1e-9
