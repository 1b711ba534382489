"""The numbers that lesson 06 says are those that the simulated host gives."""

from pathlib import Path

import labkit
from labkit import views
from labkit.course.checks.network import FAST
from labkit.course.content import content
from labkit.experiments import wall

SOURCE = Path(__file__).resolve().parents[2] / "notebooks" / "source" / "06-virtual-networks.md"
TEXT = SOURCE.read_text(encoding="utf-8")


def answered(*vlans, **settings):
    return views.run("net-isolation", host="simulated", vlans=vlans, **settings).total("reachable")["simulated"]


def test_calls_are_answered_as_said():
    assert answered(10, 10, 20) == 2 and "2 (right)" in TEXT
    assert answered(10, 10, 10) == 6 and "all six calls are answered" in TEXT
    within, among_all = answered(10, 20, 20, 20), answered(10, 20, 20, 20, auditor="trunk")
    assert within == 6 and "each calls two others: six." in TEXT
    assert among_all - within == 8 and "four reach her: eight." in TEXT
    assert among_all == 14 and "\nFourteen. Among the three" in TEXT and "14 is right." in TEXT
    assert answered(10, 20, 20, 20, 10, auditor="trunk") == 14 + 4 and "four calls more are answered" in TEXT
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
    for spoof, arrives in (("allowed", 1), ("stopped", 0)):
        false = views.run("net-firewall", host="simulated", rules="accept icmp from m3, drop icmp", spoof=spoof)
        assert false.value("m1>m2", "spoofed") == arrives
    assert "`accept icmp from m3` would let it in" in TEXT and "(`spoof` at `stopped`)" in TEXT


def test_the_example_of_rules_is_read_as_said():
    rules = "drop tcp 22, accept icmp from wifi, drop icmp"
    assert f'`"printer": {{"rules": "{rules}"}}`' in TEXT
    addresses = {"printer": "10.0.0.1", "wifi": "10.0.0.3", "internet": "10.0.0.4"}
    with labkit.simulated() as host:
        lan = host.network("lan")
        for name, address in addresses.items():
            own = wall.rules_of(wall.read(rules, tuple(addresses)), addresses) if name == "printer" else ()
            host.create(name, nics=[lan.port(address=f"{address}/24", rules=own)])
        for protocol, port, through in (("tcp", 22, (0, 0)), ("icmp", None, (1, 0)), ("tcp", 80, (1, 1))):
            seen = host.reach([("wifi", "printer"), ("internet", "printer")], protocol, port)
            assert tuple(seen.value(f"{name}>printer", "reachable") for name in ("wifi", "internet")) == through


def test_the_example_of_a_burst_is_as_said():
    long = {"average": 2, "peak": 10, "burst": 5.0, "beside": 0}
    seen = views.run("net-shaping", host="simulated", seconds=12, **long)
    (rates,) = (one for one in seen.outcome.simulated.series if one.quantity == "rate")
    assert [round(rate) for rate in (rates.values[0], rates.values[-1])] == [10, 2]
    assert "With 2 Mbit/s on average, 10 at the peak and a burst of 5 MB" in TEXT


def test_the_shop_is_to_have_what_is_said():
    said = f"{FAST:g} Mbit/s or more"
    assert f"the shop is to have {said}" in TEXT and f"has {said}" in content("06").exercises["auditor"].goal
    assert "There the shop sends nearly 1000 Mbit/s" in TEXT


def test_a_switch_learns_as_said():
    seen = views.run("net-switch", host="simulated")
    assert seen.value("m3", "frames_asking") == 1 and seen.value("m3", "frames_before") == 1
    assert seen.value("m3", "frames_after") == 0 and "And after that none" in TEXT
