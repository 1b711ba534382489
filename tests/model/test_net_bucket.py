"""The token bucket against its bound at every pair of moments, and against a meter that counts the other way round."""

from fractions import Fraction
from itertools import accumulate

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.host.networks import Shape
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
    arrived = list(accumulate(series.values))
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
