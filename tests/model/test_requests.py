"""Requests: first come, first served, none lost, and as long as queueing theory says.

The oracles are the recursion of the G/G/c queue (J. Kiefer and J. Wolfowitz, "On the theory of queues with many
servers", Transactions of the American Mathematical Society 78, 1955) and Erlang's C formula, written out here.
The only other thing that takes time on a lone host is the switch (4 µs) to a vCPU that slept; each of those before a
request, and its own, may delay it by as much.
"""

import heapq
from math import factorial, inf, sqrt
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.host import CpuLoad, HostError, RequestLoad, Served
from labkit.model import simulated

from .hosts import PERIOD, SLICE, SWITCH, by_period
from .test_host import count_steps

pieces = st.lists(st.tuples(st.one_of(st.just(0.0), st.floats(0, 0.3)), st.floats(1e-5, 0.3)), min_size=1, max_size=25)


def requests(gaps_and_work: list[tuple[float, float]]) -> RequestLoad:
    now, arrivals = 0.0, []
    for gap, _ in gaps_and_work:
        now += gap
        arrivals.append(now)
    return RequestLoad(tuple(arrivals), tuple(work for _, work in gaps_and_work))


def first_come_first_served(load: RequestLoad, workers: int) -> list[float]:
    """When each request is done where workers cost nothing to wake."""
    free = [0.0] * workers
    finishes = []
    for arrival, work in zip(load.arrivals, load.work, strict=True):
        finish = max(arrival, heapq.heappop(free)) + work
        heapq.heappush(free, finish)
        finishes.append(finish)
    return finishes


@given(gaps_and_work=pieces, workers=st.integers(1, 3), start=st.floats(0, 0.3))
@settings(max_examples=80, deadline=None)
def test_alone_they_go_as_the_recursion_of_the_queue_says(gaps_and_work, workers, start):
    load = requests(gaps_and_work)
    with simulated(workers) as host:
        host.advance(start)
        served = host.create("web", vcpus=workers).run(load).wait()
    assert served.arrivals == load.arrivals
    for number, (finish, ideal) in enumerate(
        zip(served.finishes, first_come_first_served(load, workers), strict=True), 1
    ):
        assert ideal - 1e-9 <= finish <= ideal + number * SWITCH + 1e-9
    assert served.ended == pytest.approx(max(served.finishes))


@given(
    gaps_and_work=pieces,
    vcpus=st.integers(1, 3),
    cpus=st.integers(1, 2),
    cap=st.sampled_from((0.2, 0.7, inf)),
    spinners=st.integers(0, 2),
    seed=st.integers(0, 3),
)
@settings(max_examples=80, deadline=None)
def test_none_is_lost_whatever_else_goes_on(gaps_and_work, vcpus, cpus, cap, spinners, seed):
    load = requests(gaps_and_work)
    with simulated(cpus, seed=seed) as host:
        for number in range(spinners):
            host.create(f"m{number}").run(CpuLoad())
        machine = host.create("web", vcpus=vcpus, cap=cap)
        job = machine.run(load)
        assert job.result is None
        served = job.wait()
        assert job.progress == 1
        assert not machine.busy
        assert job.result is served
        ran = sum(vcpu.books(host.now)[0] for vcpu in machine.group.vcpus)
        assert ran == pytest.approx(sum(load.work), abs=1e-9 * len(load.work))
        for arrival, finish, work in zip(served.arrivals, served.finishes, load.work, strict=True):
            assert arrival + work - 1e-9 <= finish <= served.ended
        if vcpus == 1:
            assert list(served.finishes) == sorted(served.finishes)
        # In the end all its vCPUs sleep, and nothing that was held back is left.
        assert host.observe(0.2).value("web", "cpu") == 0


def test_the_worker_who_has_slept_longest_serves_next():
    with simulated(2) as host:
        machine = host.create("web", vcpus=2)
        machine.run(RequestLoad(tuple(0.1 * number for number in range(6)), (0.01,) * 6))
        runs = [event.vcpu for event in host.observe(0.6).events if event.kind == "run"]
    assert runs == [0, 1] * 3


@given(gaps_and_work=pieces, cap=st.sampled_from((0.1, 0.35)), vcpus=st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_a_cap_holds_for_requests_too(gaps_and_work, cap, vcpus):
    with simulated(2) as host:
        host.create("web", vcpus=vcpus, cap=cap).run(requests(gaps_and_work))
        for used in by_period(host.observe(3.0)).values():
            assert used <= cap / vcpus * PERIOD + 1e-9


def erlang_c(workers: int, offered: float) -> float:
    """The probability that a request has to wait in M/M/c (A. K. Erlang, 1917)."""
    last = offered**workers / factorial(workers) * workers / (workers - offered)
    return last / (sum(offered**n / factorial(n) for n in range(workers)) + last)


@pytest.mark.parametrize(("workers", "load"), [(1, 0.5), (1, 0.7), (2, 0.7), (4, 0.7)])
def test_random_requests_take_as_long_as_queueing_theory_says(workers, load):
    """M/M/1 and M/M/c: the mean response is 1/(mu - lambda), or 1/mu + C/(c·mu - lambda).

    From 24 independent runs, without the first tenth of each, in which the queue is still shorter than usual. Student's
    t for 23 degrees of freedom is 4.5 for 1 false alarm in 6,000; the seeds are fixed. A switch, 4 µs, comes on top,
    for a request itself and at most for each ahead of it in the line.
    """
    mean, count, runs = 0.05, 8000, 24
    coming = load * workers / mean
    expected = mean + erlang_c(workers, load * workers) / (workers / mean - coming)
    if workers == 1:
        assert expected == pytest.approx(1 / (1 / mean - coming))
    means = []
    for seed in range(runs):
        random = Random(seed)
        drawn = [(random.expovariate(coming), random.expovariate(1 / mean)) for _ in range(count)]
        with simulated(workers) as host:
            served = host.create("web", vcpus=workers).run(requests(drawn)).wait()
        means.append(fmean(served.responses(since=served.arrivals[count // 10])))
    bound = 4.5 * stdev(means) / sqrt(runs)
    assert bound < 0.1 * expected  # or it would say nothing
    in_line = expected * coming  # Little's law
    assert -bound <= fmean(means) - expected <= bound + (in_line + 1) * SWITCH


def test_a_woken_worker_may_have_to_wait_for_the_cpu():
    load = RequestLoad(tuple(0.1 * n + 0.0013 * (n % 7) for n in range(1, 41)), (0.002,) * 40)
    with simulated(1) as host:
        alone = host.create("web").run(load).wait()
    assert alone.responses() == pytest.approx([0.002 + SWITCH] * 40)
    with simulated(1) as host:
        host.create("spins").run(CpuLoad())
        beside = host.create("web").run(load).wait()
    responses = beside.responses()
    # A request begins with nothing owed, or less than nothing to pay back; of its 2 ms half is its part, so it ends
    # owing 1 ms at most. The spinner has to run 2 ms until that is made up for. Where its slice ends just before that
    # it gets another one, and may finish it (run to parity). So the worst wait is 2 ms and a slice, and switches.
    assert all(0.002 + SWITCH - 1e-9 <= response <= 0.002 + 0.002 + SLICE + 3 * SWITCH for response in responses)
    assert fmean(responses) > 0.002 + 10 * SWITCH


def test_a_long_line_costs_no_events(monkeypatch):
    with simulated(1) as host:
        host.create("busy").run(CpuLoad())
        host.create("web").run(RequestLoad((0.0,) * 100_000, (10.0,) * 100_000))
        steps = count_steps(host, monkeypatch)
        host.pass_time(4.0)
        assert next(steps) <= 1000 + 20  # 1,000 slices


def test_what_comes_while_all_are_busy_costs_no_events_either(monkeypatch):
    with simulated(1) as host:
        host.create("web").run(RequestLoad(tuple(n / 1000 for n in range(10_000)), (1.0,) * 10_000))
        steps = count_steps(host, monkeypatch)
        host.pass_time(10.5)
        assert next(steps) <= 10 + 10  # one for each that is served


def test_waiting_with_a_timeout():
    with simulated(1) as host:
        job = host.create("web").run(RequestLoad((0.0, 0.0), (1.0, 1.0)))
        assert job.wait(timeout=1.5) is None
        assert host.now == 1.5
        assert job.progress == 0.5
        assert repr(job) == "<load in web: serving 2 requests, 50% done>"
        served = job.wait(timeout=100)
        assert served.finishes == pytest.approx((1.0 + SWITCH, 2.0 + SWITCH))
        assert host.now == pytest.approx(2.0 + SWITCH)
        assert job.wait() is served
        assert "ended" in repr(job)


def test_a_load_that_is_cancelled_says_who_was_served():
    with simulated(1) as host:
        machine = host.create("web")
        job = machine.run(RequestLoad((0.0, 0.5, 5.0), (1.0, 1.0, 1.0)))
        host.observe(1.5)
        job.cancel()
        assert job.result == Served((0.0, 0.5, 5.0), (pytest.approx(1.0 + SWITCH), inf, inf), 1.5)
        assert job.result.responses() == pytest.approx((1.0 + SWITCH, 1.0))
        assert job.progress == pytest.approx(1 / 3)
        early = machine.run(RequestLoad((0.0,), (1.0,)))
        early.cancel()
        assert early.wait() == Served((0.0,), (inf,), 0.0)
        machine.run(CpuLoad()).cancel()
        assert host.observe(6.0).value("web", "cpu") == 0


def test_a_machine_may_serve_again():
    with simulated(1) as host:
        machine = host.create("web")
        load = RequestLoad((0.0, 0.3), (0.1, 0.1))
        assert machine.run(load).wait().finishes == pytest.approx(machine.run(load).wait().finishes)
        machine.run(CpuLoad(0.5))
        assert host.observe(1.0).value("web", "cpu") == pytest.approx(0.5, abs=0.05)  # a portion more or less


def test_a_vcpu_that_is_added_serves_too():
    with simulated(2) as host:
        machine = host.create("web", maximum_vcpus=2)
        job = machine.run(RequestLoad((0.0,) * 4, (1.0,) * 4))
        host.pass_time(0.5)
        machine.set(vcpus=2)
        expected = (1.0, 1.5, 2.0, 2.5)
        assert job.wait().finishes == pytest.approx(expected, abs=4 * SWITCH)


def test_how_a_guest_shares_a_vcpu_is_not_modelled_in_slices():
    with simulated(1) as host:
        machine = host.create("web")
        with pytest.raises(HostError, match="not modelled") as caught:
            machine.run(RequestLoad((0.0,), (1.0,), discipline="sharing"))
        assert 'mode="fluid"' in caught.value.remedy
        assert not machine.busy


@given(gaps_and_work=pieces, seed=st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_the_same_again(gaps_and_work, seed):
    def served(order):
        with simulated(2, seed=seed) as host:
            for name in order:
                host.create(name, vcpus=2, cap=0.8)
            jobs = {name: host.machines[name].run(requests(gaps_and_work)) for name in order}
            host.create("m1").run(CpuLoad(0.4))
            return {name: jobs[name].wait() for name in sorted(jobs)}

    assert served(["a", "b"]) == served(["b", "a"])


def test_the_journal_tells_of_requests():
    with simulated(1) as host:
        job = host.create("web").run(RequestLoad((0.0,), (1.0,)))
        job.wait(timeout=0.5)
        job.wait()
        assert host.journal()[1:] == [
            "# simulated: run in web a server of 1 requests with a worker on each of 1 vCPUs",
            "# simulated: wait until the load is over or seconds=0.5",
            "# simulated: wait until the load is over",
        ]
