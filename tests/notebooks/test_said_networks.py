"""The numbers that lesson 06 says are those that the simulated host gives."""

from pathlib import Path

from labkit import views

SOURCE = Path(__file__).resolve().parents[2] / "notebooks" / "source" / "06-virtual-networks.md"
TEXT = SOURCE.read_text(encoding="utf-8")


def answered(*vlans, **settings):
    return views.run("net-isolation", host="simulated", vlans=vlans, **settings).total("reachable")["simulated"]


def test_calls_are_answered_as_said():
    assert answered(10, 10, 20) == 2 and "2 (right)" in TEXT
    assert answered(10, 10, 10) == 6 and "all six calls are answered" in TEXT
    assert answered(10, 20, 20, 20) == 6 and "Six: in the group of three" in TEXT
    assert answered(10, 20, 20, 20, 10) == 8 and "two calls more are answered" in TEXT
    alone = views.run("net-isolation", host="simulated", vlans=(0, 10, 10))
    assert not any(alone.value("m1>" + other, "reachable") for other in ("m2", "m3"))


def test_the_auditor_at_the_trunk_joins_nobody():
    seen = views.run("net-isolation", host="simulated", auditor="trunk")
    assert all(seen.value(f"auditor>m{number}", "reachable") for number in (1, 2, 3))
    assert seen.value("m1>m3", "reachable") == 0


def test_a_burst_lasts_as_long_as_said():
    seen = views.run("net-shaping", host="simulated")
    (rates,) = (one for one in seen.outcome.simulated.series if one.quantity == "rate")
    fast = [time for time, rate in zip(rates.times, rates.values, strict=True) if rate > 12]
    assert max(fast) == 1 and "One second. While it sends 16" in TEXT
    assert round(seen.columns("m1>m2", "bytes", per=1e6)["theory"]) == 7 and "After 6 seconds 7 MB have arrived" in TEXT


def test_twice_the_burst_lasts_twice_as_long():
    seen = views.run("net-shaping", host="simulated", burst=2.0)
    (rates,) = (one for one in seen.outcome.simulated.series if one.quantity == "rate")
    assert max(time for time, rate in zip(rates.times, rates.values, strict=True) if rate > 12) == 2
    assert "Twice the burst lasts twice as long" in TEXT


def test_who_stands_beside_takes_nothing_as_said():
    seen = views.run("net-shaping", host="simulated", beside=12)
    assert [round(seen.value(pair, "bytes") / 1e6, 1) for pair in ("m1>m2", "m3>m2")] == [7, 10]
    assert "7 MB again, and 10 for `m3`" in TEXT
    (rates,) = (one for one in seen.outcome.simulated.series if (one.machine, one.quantity) == ("m3>m2", "rate"))
    assert [round(rate) for rate in rates.values[:4]] == [24, 24, 20, 12]  # 2/3 s, in quarters
    assert "empty after two thirds of a second" in TEXT and "of 12 Mbit/s on average and 24 at the peak" in TEXT


def test_rules_are_read_as_said():
    shut = views.run("net-firewall", host="simulated", rules="drop tcp, accept tcp 80")
    assert shut.value("m1>m2", "tcp_80") == 0 == shut.value("m3>m2", "tcp_80")
    shy = views.run("net-firewall", host="simulated", rules="accept tcp 80, drop any", state="no")
    assert shy.value("m2>m1", "tcp_80") == 0 and "now `m2` cannot call anybody itself" in TEXT


def test_a_switch_learns_as_said():
    seen = views.run("net-switch", host="simulated")
    assert seen.value("m3", "frames_asking") == 1 and seen.value("m3", "frames_before") == 1
    assert seen.value("m3", "frames_after") == 0 and "And after that none" in TEXT
