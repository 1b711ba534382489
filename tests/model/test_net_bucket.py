"""The token bucket against its bound at every pair of moments, and against a meter that counts the other way round."""

from fractions import Fraction

import pytest
import simpy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import labkit
from labkit.host.networks import Rule, Shape
from labkit.model.net.bucket import longest_queue
from labkit.model.net.fluid import within
from labkit.model.net.frames import Frame, Packet
from labkit.model.net.outlet import CARD, HOP, Outlet

MTU = 1600

shapes = st.builds(
    lambda average, more, burst: Shape(average, None if more is None else average * more, burst),
    st.floats(0.1, 100),
    st.one_of(st.none(), st.floats(1.05, 20)),
    st.floats(0.002, 0.2),
)
arrivals = st.lists(st.tuples(st.floats(0, 0.05), st.integers(60, 1514)), min_size=1, max_size=60)


def frame(number, length):
    return Frame(number, "a", "b", Packet("udp", "request", "10.0.0.1", "10.0.0.2", 1, 2, length - 14))


def passed(shape, coming):
    """What a gate lets through: for each frame, when it came, when it began to leave, and its length."""
    env = simpy.Environment()
    left, came = [], {}
    gate = Outlet(
        env, lambda one: left.append((came[one.number], env.now - HOP - one.length / CARD, one.length)), shape
    )
    lost = 0
    for number, (gap, length) in enumerate(coming):
        if env.now + gap > env.now:
            env.run(env.now + gap)
        came[number] = env.now
        lost += not gate.send(frame(number, length))
    env.run()
    assert (gate.sent, gate.lost) == (len(left), lost) and len(left) + lost == len(coming)
    return left


@settings(deadline=None)
@given(shapes, arrivals)
def test_never_more_than_the_bound_between_any_two_moments(shape, coming):
    left = passed(shape, coming)
    for first in range(len(left)):
        total = 0
        for _came, moment, length in left[first:]:
            total += length
            time = moment - left[first][1] + 1e-9
            assert total <= shape.burst * 1e6 + shape.average * 1e6 / 8 * time + 1e-3
            if shape.peak is not None:
                assert total <= MTU + shape.peak * 1e6 / 8 * time + 1e-3


@settings(deadline=None)
@given(shapes, arrivals)
def test_each_leaves_as_soon_as_a_leaky_meter_has_room(shape, coming):
    """The same bucket upside down: a meter that each byte fills, that leaks at the rate, and must not run over."""
    left = passed(shape, coming)
    meters = [[Fraction(0), Fraction(0), Fraction(shape.average) * 125000, Fraction(shape.burst * 1e6)]]
    if shape.peak is not None:
        meters.append([Fraction(0), Fraction(0), Fraction(shape.peak * 1e6 / 8), Fraction(MTU)])
    free = Fraction(0)
    for came, moment, length in left:
        earliest = max(Fraction(came), free)
        for level, at, leak, size in meters:
            earliest = max(earliest, at + max(level + length - size, Fraction(0)) / leak)
        assert abs(float(earliest) - moment) < 1e-7
        for meter in meters:
            meter[0] = max(meter[0] - (earliest - meter[1]) * meter[2], Fraction(0)) + length
            meter[1] = earliest
        free = earliest + Fraction(length) / int(CARD)


def test_what_finds_the_line_full_is_lost():
    shape = Shape(
        average=0.8, burst=0.002
    )  # 100,000 B/s; 50 ms of that and the burst may wait behind the first: 7,000 B
    left = passed(shape, [(0, 1000)] * 20)
    assert len(left) == 1 + 7


def test_a_frame_larger_than_the_bucket_never_leaves():
    assert passed(Shape(average=8, burst=0.001), [(0, 1200), (0, 800)]) == [(0, pytest.approx(0), 800)]


def test_without_a_shape_frames_leave_one_after_the_other():
    moments = [moment for _came, moment, _length in passed(None, [(0, 1250)] * 3)]
    assert moments == pytest.approx([0, 1250 / CARD, 2500 / CARD])


def transferred(shape, seconds, monkeypatch, frames):
    monkeypatch.setattr("labkit.model.net.flow.FRAMES", frames)
    with labkit.simulated() as host:
        lan = host.network("lan")
        host.create("m1", nics=[lan.port(shape=shape)])
        host.create("m2", nics=[lan.port()])
        seen = host.transfer("m1", "m2", seconds, seconds / 40)
    assert ("water" in seen.provenance.mechanisms["networks"]) == (not frames)
    (series,) = (one for one in seen.series if one.quantity == "bytes")
    arrived = list(series.values)
    assert arrived[-1] == pytest.approx(seen.value("m1>m2", "bytes"))
    return series.times, arrived


@settings(deadline=None, max_examples=40)
@given(shape=shapes, seconds=st.floats(0.2, 2))
def test_water_and_frames_agree_at_every_moment(shape, seconds):
    with pytest.MonkeyPatch.context() as monkeypatch:
        times, by_frames = transferred(shape, seconds, monkeypatch, 10**9)
        _times, by_water = transferred(shape, seconds, monkeypatch, 0)
    for one, other in zip(by_frames, by_water, strict=True):
        assert abs(one - other) <= within(shape)


def test_water_and_frames_agree_without_a_shape(monkeypatch):
    _times, by_frames = transferred(None, 0.2, monkeypatch, 10**9)
    _times, by_water = transferred(None, 0.2, monkeypatch, 0)
    assert all(abs(one - other) <= within(None) for one, other in zip(by_frames, by_water, strict=True))


@settings(deadline=None, max_examples=30)
@given(shape=shapes, seconds=st.floats(0.5, 3))
def test_water_is_the_bound_itself(shape, seconds):
    with pytest.MonkeyPatch.context() as monkeypatch:
        times, arrived = transferred(shape, seconds, monkeypatch, 0)
    fast = min(shape.peak or 1000.0, 1000.0) * 125000
    for time, count in zip(times, arrived, strict=True):
        # Its handshake took some coins just before, which are back after a moment, or not by as many bytes.
        assert count == pytest.approx(min(shape.burst * 1e6 + shape.average * 125000 * time, fast * time), abs=300)


@pytest.mark.parametrize("frames", [0, 10**9])
def test_a_second_transfer_finds_the_bucket_as_the_first_left_it(monkeypatch, frames):
    monkeypatch.setattr("labkit.model.net.flow.FRAMES", frames)
    with labkit.simulated() as host:
        lan = host.network("lan")
        host.create("m1", nics=[lan.port(shape=Shape(8, None, 0.5))])
        host.create("m2", nics=[lan.port()])
        first = host.transfer("m1", "m2", 1).value("m1>m2", "bytes")
        again = host.transfer("m1", "m2", 1).value("m1>m2", "bytes")
    assert first == pytest.approx(1.5e6, rel=0.01)
    assert again == pytest.approx(1.0e6, rel=0.1)


def several(shapes, seconds, monkeypatch, frames):
    """What has arrived of each of several senders at once, at each moment."""
    monkeypatch.setattr("labkit.model.net.flow.FRAMES", frames)
    with labkit.simulated() as host:
        lan = host.network("lan")
        host.create("target", nics=[lan.port()])
        names = [f"m{number}" for number in range(1, len(shapes) + 1)]
        for name, shape in zip(names, shapes, strict=True):
            host.create(name, nics=[lan.port(shape=shape)])
        seen = host.transfer(names, "target", seconds, seconds / 20)
    assert ("water" in seen.provenance.mechanisms["networks"]) == (not frames)
    found = {}
    for name in names:
        (series,) = (one for one in seen.series if (one.machine, one.quantity) == (f"{name}>target", "bytes"))
        found[name] = list(series.values)
        assert found[name][-1] == pytest.approx(seen.value(f"{name}>target", "bytes"))
    return found


@settings(deadline=None, max_examples=25)
@given(chosen=st.lists(shapes.filter(lambda shape: shape.peak is not None), min_size=2, max_size=4))
def test_several_that_a_cable_takes_flow_as_if_alone(chosen):
    """Frames against water, and both against each alone: the target's cable has room for all of them."""
    assume(sum(shape.peak for shape in chosen) < 1000)
    with pytest.MonkeyPatch.context() as monkeypatch:
        by_frames = several(chosen, 0.5, monkeypatch, 10**9)
        by_water = several(chosen, 0.5, monkeypatch, 0)
        for place, shape in enumerate(chosen, 1):
            alone = transferred(shape, 0.5, monkeypatch, 0)[1][-1]
            assert by_water[f"m{place}"][-1] == pytest.approx(alone, abs=300)  # the coins of the handshakes
            for one, other in zip(by_frames[f"m{place}"], by_water[f"m{place}"], strict=True):
                assert abs(one - other) <= within(shape, len(chosen) - 1)


def test_who_wants_more_than_there_is_gets_as_much_as_the_next(monkeypatch):
    """Max-min by hand: of 125,000,000 B/s one takes his 20 Mbit/s, 2,500,000, and the two others half of the rest."""
    chosen, seconds = [Shape(20, 30, 0.002), None, None], 0.1
    expected = {"m1": 2.5e6 * seconds, "m2": 61.25e6 * seconds, "m3": 61.25e6 * seconds}
    water = several(chosen, seconds, monkeypatch, 0)
    frames = several(chosen, seconds, monkeypatch, 10**9)
    for name, arrived in expected.items():
        assert water[name][-1] == pytest.approx(arrived, abs=10_000)  # the burst, and what it leaves less to others
        assert abs(frames[name][-1] - arrived) <= 44 * 1514 + 10_000  # each has one window under way


def test_what_a_flow_could_not_use_is_in_its_bucket_afterwards(monkeypatch):
    """Four buckets of 500 Mbit/s at one cable: each gets 250, and has 250 Mbit/s of coins over until it is full."""
    monkeypatch.setattr("labkit.model.net.flow.FRAMES", 0)
    with labkit.simulated() as host:
        lan = host.network("lan")
        host.create("target", nics=[lan.port()])
        names = ["m1", "m2", "m3", "m4"]
        for name in names:
            host.create(name, nics=[lan.port(shape=Shape(500, None, 1))])
        first = host.transfer(names, "target", 0.5)
        alone = host.transfer("m1", "target", 0.1)
    assert [first.value(f"{name}>target", "bytes") for name in names] == [pytest.approx(15.625e6, abs=300)] * 4
    # Its bucket is full: 1 MB at 1000 Mbit/s, half of which drips in anew, takes 16 ms; then 84 ms at 500 Mbit/s.
    assert alone.value("m1>target", "bytes") == pytest.approx(2e6 + 0.084 * 62.5e6, rel=0.001)


def test_one_who_is_not_let_in_keeps_nobody_else():
    with labkit.simulated() as host:
        lan = host.network("lan")
        host.create("m2", nics=[lan.port(rules=[Rule("drop", protocol="tcp", source="10.0.0.2")])])
        for name in ("m1", "m3"):
            host.create(name, nics=[lan.port(shape=Shape(8, None, 0.1))])
        seen = host.transfer(["m1", "m3"], "m2", 1)
        assert seen.value("m1>m2", "bytes") == 0 and seen.value("m3>m2", "bytes") == pytest.approx(1.1e6, rel=0.01)
        for wrong in ([], ["m1", "m1"], [f"m{number}" for number in range(17)]):
            with pytest.raises(ValueError, match="each once"):
                host.transfer(wrong, "m2", 1)


@pytest.mark.parametrize(
    ("shape", "bytes_waiting"),
    [
        (Shape(8, None, 1.0), 1_050_000),  # a bucket of 1 MB, and 50 ms of 8 Mbit/s
        (Shape(8, 16, 1.0), 101_600),  # less than that: a frame, and 50 ms of 16 Mbit/s
        (Shape(8, 1000, 0.01), 60_000),  # and here that of the average is less
    ],
)
def test_a_queue_is_as_long_as_tc_makes_it(shape, bytes_waiting):
    """iproute2, tc/q_tbf.c: limit = rate × latency + buffer, and of the peak's peakrate × latency + mtu, if smaller."""
    assert longest_queue(shape) == pytest.approx(bytes_waiting)
