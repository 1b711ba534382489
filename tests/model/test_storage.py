"""A limit on a disk, against a token bucket of water: drawn drop by drop, in a simulation of another kind."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Environment

import labkit
from labkit.host import DiskLoad, HostError
from labkit.model.storage import Bucket


def poured(iops: float, depth: int, seconds: float, service: float = 1e-4) -> int:
    """How many requests are answered, by tokens: 0.1 s worth at the start, `iops` more a second, one for a request.

    Each of `depth` senders takes a token as soon as there is one, is served, and comes again. Worked out by the clock
    in small steps, and so to within one request for each sender.
    """
    step = 1e-5
    tokens, busy, answered = 0.1 * iops, [0.0] * depth, 0
    for tick in range(round(seconds / step)):
        now = tick * step
        tokens = min(tokens + iops * step, 0.1 * iops)
        for sender, until in enumerate(busy):
            if until is not None and until <= now + 1e-12:
                busy[sender] = None
                answered += now > 0
        for sender, until in enumerate(busy):
            if until is None and tokens > 0:
                tokens -= 1
                busy[sender] = now + service
    return answered


def watched(limits, depth, seconds=2.0, first=0.0):
    with labkit.simulated(cpus=1) as host:
        for number, limit in enumerate(limits, 1):
            machine = host.create(f"m{number}", disks=[host.disk(f"d{number}", "64 MiB")])
            machine.throttle(f"d{number}", limit)
            job = machine.run(DiskLoad(f"d{number}", depth=depth))
        if first:
            job.wait(first)
        return host.observe(seconds)


@settings(max_examples=15, deadline=None)
@given(st.integers(20, 800), st.integers(1, 8))
def test_as_many_as_the_tokens_allow(iops, depth):
    seen = watched([iops], depth)
    assert seen.value("m1", "iops") * 2 == pytest.approx(poured(iops, depth, 2.0), abs=depth + 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 1000), st.integers(1, 32))
def test_in_no_stretch_more_than_the_bucket_and_the_rate(iops, depth):
    """The token bucket's own law, at every pair of moments that the series knows."""
    series = next(s for s in watched([iops], depth, seconds=3.0).series if s.quantity == "iops")
    answered = [0.0]
    for value, end, start in zip(series.values, series.times, (0.0, *series.times), strict=False):
        answered.append(answered[-1] + value * (end - start))
    moments = (0.0, *series.times)
    for a in range(len(moments)):
        for b in range(a, len(moments)):
            # One request more may be in it: it came before the stretch and was answered within.
            assert answered[b] - answered[a] <= iops * (0.1 + moments[b] - moments[a]) + depth + 1e-6


def test_littles_law_holds_for_what_was_seen():
    seen = watched([100, 250], 8, seconds=5.0, first=1.0)
    for name in ("m1", "m2"):
        assert seen.value(name, "iops") * seen.value(name, "latency") / 1000 == pytest.approx(8, rel=0.02)


def test_neighbours_do_not_share_a_limit():
    alone, beside = watched([100], 4, first=1.0), watched([100, 1000, math.inf], 4, first=1.0)
    assert beside.value("m1", "iops") == alone.value("m1", "iops") == pytest.approx(100, abs=0.5)
    assert beside.value("m3", "iops") == pytest.approx(4 / 1e-4, rel=0.01)


def test_a_limit_can_be_changed_while_it_holds():
    with labkit.simulated() as host:
        machine = host.create("m1", disks=[host.disk("data", "64 MiB")])
        machine.throttle("data", 50)
        machine.run(DiskLoad("data")).wait(2.0)
        machine.throttle("data", 400)
        host.observe(1.0)
        assert host.observe(2.0).value("m1", "iops") == pytest.approx(400, abs=1)
        machine.throttle("data", 50)
        host.observe(2.0)  # the bucket is fuller now than its new size, and has to run out first
        assert host.observe(2.0).value("m1", "iops") == pytest.approx(50, abs=1)


def test_an_observation_tells_of_disks_only_where_a_program_uses_one():
    with labkit.simulated() as host:
        machine = host.create("m1", disks=[host.disk("data", "64 MiB")])
        assert {row["quantity"] for row in host.observe(1.0).rows} == {"cpu", "ready"}
        job = machine.run(DiskLoad("data"))
        assert host.observe(1.0).value("m1", "iops") > 0
        job.cancel()
        assert host.observe(1.0).value("m1", "iops") == 0 == job.progress - 1
        machine.stop()
        assert not machine.disks


def test_what_is_refused():
    with labkit.simulated() as host:
        data = host.disk("data", "64 MiB")
        machine = host.create("m1", disks=[data])
        with pytest.raises(HostError, match="has no disk 'other'"):
            machine.throttle("other", 100)
        with pytest.raises(HostError, match="has no disk 'other'"):
            machine.run(DiskLoad("other"))
        for bad in (0, 0.5, -1, True, "100", math.nan, 2e6):
            with pytest.raises(ValueError, match="iops must be"):
                machine.throttle("data", bad)
        for bad in (data, 3):
            with pytest.raises(HostError, match="has the disk|not one of"):
                host.create("m2", disks=[bad])
        with pytest.raises(HostError, match="never ends"):
            machine.run(DiskLoad("data")).wait()
    for arguments in ({"operation": "erase"}, {"block": 1000}, {"block": 256}, {"depth": 0}, {"depth": True}):
        with pytest.raises(ValueError, match="must be|is 'write'"):
            DiskLoad("data", **arguments)


@given(
    before=st.integers(10, 1000),
    after=st.integers(10, 1000),
    sent=st.integers(1, 300),
    passed=st.floats(0, 0.5),
)
def test_what_is_in_the_bucket_runs_out_through_the_new_hole(before, after, sent, passed):
    """Counted in requests, not in seconds: what was poured in and has not run out is the same under the new limit."""
    env = Environment()
    bucket = Bucket(env)
    bucket.limit(before)
    waits = [bucket.wait() for _ in range(sent)]
    if passed:
        env.run(passed)
    level = max(sent - before * passed, 0.0)
    bucket.limit(after)
    assert bucket.wait() == pytest.approx(max(level / after - 0.1, 0.0), abs=1e-9)
    assert waits == pytest.approx([max(number / before - 0.1, 0.0) for number in range(sent)], abs=1e-9)
    bucket.limit(math.inf)
    assert bucket.wait() == 0.0
