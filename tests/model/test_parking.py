"""Caps by Xen's rules, kept by parking; the numbers are those of `test_credit`.

The bound, derived before the tests were first run. Each accounting hands a machine at most its cap of 300, rounded up,
whatever else happens; each of its vCPUs may begin with 300 and end owing 300, and debts that are forgiven are at most
its part rounded up, so a credit each time.
"""

from math import ceil, inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .hosts import SWITCH, Spec
from .test_books import assert_books_balance
from .test_credit import SLICE, ages, furnish, spinners


@given(
    cap=st.floats(0.05, 2.0),
    vcpus=st.integers(1, 3),
    others=st.integers(0, 3),
    duty=st.sampled_from((0.3, 1.0)),
    seed=st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_a_cap_is_not_exceeded_beyond_its_grain(cap, vcpus, others, duty, seed):
    seconds = 6.0
    host = furnish(2, [Spec(vcpus, 4096, (0, 1), duty, cap), *spinners(*[256] * others, cpus=2)], seed)
    born = ages(host, {})
    seen = host.observe(seconds, every=seconds)
    credits = (ceil(300 * cap - 1e-6) + vcpus) * (seconds / SLICE + 1) + vcpus * 600
    assert seen.value("m1", "cpu") * seconds <= credits / 10_000 + 1e-9
    assert_books_balance(host, born)


@given(cap=st.floats(0.05, 1.0))
@settings(max_examples=40, deadline=None)
def test_a_capped_machine_alone_gets_its_cap(cap):
    seconds = 9.0
    host = furnish(1, spinners(256, cap=cap))
    seen = host.observe(seconds, every=seconds)
    # From below: handed at 299 accountings, the first when it has been seen at work; at the end 300 left at most.
    least = (300 * cap * 299 - 300) / 10_000
    assert seen.value("m1", "cpu") * seconds >= min(least, seconds - SLICE)
    vcpu = host.machines["m1"].group.vcpus[0]
    books = vcpu.books(host.now)
    assert books[2] == pytest.approx(0, abs=1e-9)
    assert books[0] + books[1] + books[3] == pytest.approx(seconds, abs=1e-9)
    assert books[1] <= SWITCH * (seconds / SLICE + 1)  # nobody is in its way


def test_a_parked_machine_runs_whole_slices_and_leaves_the_rest():
    # A quarter: 300 credits spent in the first 30 ms, 75 earned in each: back when 300 are earned, every 120 ms.
    host = furnish(1, spinners(256, cap=0.25))
    runs = [event for event in host.observe(2.4).events if event.kind == "run"]
    assert len(runs) == 20
    for number, event in enumerate(runs):
        assert event.time == pytest.approx(0.120 * number, abs=1e-5)
        assert event.seconds == pytest.approx(SLICE, abs=1e-5)


def test_who_is_parked_stays_so_when_work_comes():
    # Handed 30 each time, 300 spent in the first: it owes 270, and nothing nine accountings later, at 300 ms.
    host = furnish(1, [])
    vcpu = host.create("m1", cap=0.1).group.vcpus[0]
    host.scheduler.give(vcpu, 0.05, 0.05)
    host.pass_time(0.1)
    host.scheduler.rest(vcpu)
    host.pass_time(0.05)
    host.scheduler.give(vcpu, 0.01, 0.01)
    host.pass_time(0.149)
    ran, _, slept, throttled = vcpu.books(host.now)
    assert (ran, slept) == (pytest.approx(SLICE, abs=2 * SWITCH), pytest.approx(0.05, abs=1e-9))
    assert throttled == pytest.approx(host.now - SLICE - 0.05, abs=2 * SWITCH)
    host.pass_time(0.02)
    assert vcpu.ran == pytest.approx(SLICE + 0.01, abs=2 * SWITCH)


def test_lifting_a_cap_frees_the_machine():
    host = furnish(1, spinners(256, cap=0.1))
    host.pass_time(0.1)
    host.machines["m1"].set(cap=inf)
    assert host.observe(1.0).value("m1", "cpu") == pytest.approx(1, abs=2 * SWITCH)
