"""net-shaping: theory against the simulated host, and the bound at every moment."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.experiments import net_shaping
from labkit.experiments.net_shaping import Settings, bounds, theory
from labkit.experiments.settings import SettingError, from_text, validate


def ran(one):
    with labkit.simulated() as host:
        seen = net_shaping.run(host, one)
        assert not host.machines
    return seen


@pytest.mark.parametrize(
    ("chosen", "rate", "arrived"),
    [
        (Settings(8, 16, 1, 6), 8, 7e6),
        (Settings(8, 0, 1, 6), 8, 7e6),
        (Settings(8, 10, 1, 6), (7e6 - 3.75e6) / 3 * 8e-6, 7e6),  # the burst lasts for 4 s of the 6
        (Settings(8, 10, 10, 6), 10, 7.5e6),  # and here for all of them
        (Settings(100, 200, 1, 10), 100, 126e6),  # as water
    ],
)
def test_by_hand(chosen, rate, arrived):
    found = theory(chosen)
    assert found["m1>m2", "rate"] == pytest.approx(rate)
    assert found["m1>m2", "bytes"] == pytest.approx(arrived)
    seen = ran(chosen)
    assert seen.value("m1>m2", "rate") == pytest.approx(rate, rel=0.005)
    assert seen.value("m1>m2", "bytes") == pytest.approx(arrived, rel=0.001)


@settings(deadline=None, max_examples=30)
@given(
    st.floats(0.1, 10),
    st.one_of(st.just(0.0), st.floats(1.1, 10)),
    st.floats(0.002, 2),
    st.floats(1, 6),
)
def test_what_arrives_never_passes_the_bound_and_comes_near_it(average, times, burst, seconds):
    one = validate(Settings(average, average * times, burst, seconds))
    seen = ran(one)
    (series,) = (each for each in seen.series if each.quantity == "bytes")
    fast = min(one.peak or 1000.0, 1000.0)
    for time, arrived in zip(series.times, series.values, strict=True):
        most = min(burst * 1e6 + average * 125000 * time, 1600 + fast * 125000 * time)
        assert most - 2 * 1600 - fast * 125000 * 2e-4 <= arrived <= most + 200  # the handshake's coins, come back
    assert seen.value("m1>m2", "bytes") == pytest.approx(series.values[-1])


def test_a_bound_where_one_was_derived():
    assert bounds(Settings()) == {"rate": pytest.approx(0.4)}
    assert bounds(Settings(seconds=3)) == {}
    assert bounds(Settings(burst=10)) == {}
    assert bounds(Settings(average=100, peak=0)) == {}


def test_a_peak_is_above_the_average():
    with pytest.raises(SettingError, match="peak must be above average"):
        from_text(Settings, {"average": "8", "peak": "8"})
    assert theory(from_text(Settings, {"peak": "0", "burst": "100"}))["m1>m2", "bytes"] == 1e8 + 6e6


def test_two_senders_by_hand():
    """m3 has 12 on average, 24 at the peak, and the same megabyte: 8 Mbit, gone after 2/3 of a second."""
    chosen = validate(Settings(8, 16, 1, 6, 12))
    assert net_shaping.machines(chosen) == 3 and net_shaping.machines(Settings()) == 2
    expected = {"m1>m2": (8, 7e6), "m3>m2": (12, 1e6 + 6 * 1.5e6)}
    found, seen = theory(chosen), ran(chosen)
    for pair, (rate, arrived) in expected.items():
        assert found[pair, "rate"] == pytest.approx(rate) and found[pair, "bytes"] == pytest.approx(arrived)
        assert seen.value(pair, "rate") == pytest.approx(rate, rel=0.005)
        assert seen.value(pair, "bytes") == pytest.approx(arrived, rel=0.001)
    corners = net_shaping.envelope(chosen)
    assert corners["m1>m2", "bytes"] == [(0, 0), (1, pytest.approx(2e6)), (6, pytest.approx(7e6))]
    assert corners["m3>m2", "bytes"] == [(0, 0), (pytest.approx(2 / 3), pytest.approx(2e6)), (6, pytest.approx(1e7))]


def test_who_stands_beside_has_no_part_in_what_one_gets():
    alone, beside = ran(Settings(4, 8, 0.2, 2)), ran(Settings(4, 8, 0.2, 2, 20))
    assert beside.value("m1>m2", "bytes") == pytest.approx(alone.value("m1>m2", "bytes"), rel=0.01)


def test_a_bucket_that_never_empties_has_no_corner():
    assert net_shaping.envelope(Settings(8, 10, 10, 6))["m1>m2", "bytes"] == [(0, 0), (6, pytest.approx(7.5e6))]


def test_two_have_bounds_of_their_own_and_a_cable_for_both():
    assert bounds(Settings(beside=12)) == {
        ("m1>m2", "rate"): pytest.approx(0.4),
        ("m3>m2", "rate"): pytest.approx(0.6),
    }
    assert bounds(Settings(beside=20)) == {}
    for refused in ({"peak": "0", "beside": "1"}, {"peak": "900", "beside": "60"}):
        with pytest.raises(SettingError, match="what a cable takes"):
            from_text(Settings, refused)
    with pytest.raises(SettingError, match="beside must be"):
        from_text(Settings, {"beside": "0.05"})
