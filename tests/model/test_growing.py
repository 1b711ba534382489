"""A machine that gets another vCPU while it runs."""

from math import ceil, floor, inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.host import CpuLoad
from labkit.model import simulated

from .hosts import PERIOD, SWITCH, Spec, by_period, furnish, period_start, shares, spinning_bound


def test_vcpus_are_added_up_to_the_most_and_never_taken():
    with simulated(4) as host:
        machine = host.create("m1", vcpus=2, maximum_vcpus=3)
        assert (machine.vcpus, machine.maximum_vcpus) == (2, 3)
        for vcpus in (1, 0, 4, 65, True, "3", 2.5):
            with pytest.raises(ValueError, match="vcpus is a whole number from 2 to 3"):
                machine.set(vcpus=vcpus, shares=7)
        assert machine.shares == 1024
        machine.set(vcpus=2)
        machine.set(vcpus=3)
        assert machine.vcpus == 3
        with pytest.raises(ValueError, match="vcpus is a whole number from 3 to 3"):
            machine.set(vcpus=4)
        fixed = host.create("m2", vcpus=2)
        assert fixed.maximum_vcpus == 2
        with pytest.raises(ValueError, match="maximum_vcpus is a whole number from 4 to 64"):
            host.create("m3", vcpus=4, maximum_vcpus=3)


def test_a_new_vcpu_works_at_once():
    host = furnish(2, [Spec(1, 1024, (0, 1), 1.0)])
    assert host.observe(0.5).value("m1", "cpu") == pytest.approx(1, abs=2 * SWITCH / 0.5)
    host.machines["m1"].set(vcpus=2)
    seen = host.observe(0.5)
    assert seen.value("m1", "cpu") == pytest.approx(2, abs=2 * SWITCH / 0.5)
    assert {event.vcpu for event in seen.events} == {0, 1}


def test_a_new_vcpu_with_a_duty_does_its_part():
    host = furnish(2, [Spec(1, 1024, (0, 1), 0.3)])
    host.machines["m1"].set(vcpus=2)  # before the load has begun
    host.pass_time(1.0)
    host.machines["m1"].set(vcpus=3)
    got = host.observe(10.0).value("m1", "cpu")
    assert got == pytest.approx(0.9, abs=3 * 0.3 * PERIOD / 10 + 1e-9)  # a portion more or less for each vCPU


@given(first=shares, second=shares, vcpus=st.integers(1, 2))
@settings(max_examples=30, deadline=None)
def test_it_brings_no_more_shares(first, second, vcpus):
    host = furnish(1, [Spec(vcpus, first, (0,), 1.0), Spec(1, second, (0,), 1.0)])
    host.pass_time(0.5)
    host.machines["m1"].set(vcpus=vcpus + 1)
    seen = host.observe(1.0)
    for name, count, part in (("m1", vcpus + 1, first), ("m2", 1, second)):
        # The machine's vCPUs are placed by the lags that they bring: within a slice each, at both ends.
        bound = spinning_bound(count, 1.0, lags=2)
        assert seen.value(name, "cpu") == pytest.approx(part / (first + second), abs=bound)


@pytest.mark.parametrize("cap", [0.3, 0.9, 1.2])
@pytest.mark.parametrize("at", [0.5, 0.537])
def test_a_cap_is_divided_anew(cap, at):
    host = furnish(4, [Spec(2, 1024, (0, 1, 2, 3), 1.0, cap)])
    host.pass_time(at)
    host.machines["m1"].set(vcpus=3)
    seen = host.observe(2.0)
    used = by_period(seen, at)
    for vcpu in range(3):
        start = period_start("m1", vcpu)
        whole = range(ceil((at - start) / PERIOD), floor((at + 2.0 - start) / PERIOD))
        assert len(whole) >= 19
        for period in whole:
            assert used["m1", vcpu, period] == pytest.approx(cap / 3 * PERIOD, abs=1e-9)
    assert host.machines["m1"].cap == cap
    host.machines["m1"].set(cap=inf)
    assert host.observe(1.0).value("m1", "cpu") == pytest.approx(3, abs=4 * SWITCH)


def test_a_new_vcpu_obeys_the_pinning():
    host = furnish(3, [Spec(1, 1024, (1, 2), 1.0)])
    host.machines["m1"].set(vcpus=3)
    assert {event.cpu for event in host.observe(0.5).events} == {1, 2}


def test_a_machine_without_a_load_grows_too():
    with simulated(2) as host:
        machine = host.create("m1", maximum_vcpus=2)
        machine.set(vcpus=2)
        machine.run(CpuLoad())
        assert host.observe(0.5).value("m1", "cpu") == pytest.approx(2, abs=0.001)
