"""Several real guests send to one at the same time: each gets what its own bucket lets through."""

import pytest

import labkit
from labkit.experiments import net_shaping
from labkit.experiments.net_shaping import Settings
from labkit.host import HostError
from labkit.host.networks import Shape
from labkit.live.private.watching import counted

pytestmark = pytest.mark.live

MTU, FRAME = 1600, 1514
WIFI = Shape(6, 12, 0.1)
SECONDS = 3.0


@pytest.fixture(scope="module")
def host(open_live):
    with open_live(networks=True) as opened:
        shop = opened.network("shop")
        opened.create("internet", nics=[shop.port()])
        opened.create("web", nics=[shop.port()])
        opened.create("wifi", nics=[shop.port(shape=WIFI)])
        yield opened


def arrived(seen, pair):
    (line,) = (one for one in seen.series if (one.machine, one.quantity) == (pair, "bytes"))
    assert line.values[-1] == seen.value(pair, "bytes") and list(line.values) == sorted(line.values)
    return list(zip(line.times, line.values, strict=True))


def test_one_that_is_held_back_and_one_that_is_not_send_at_once(host):
    """Counts alone, and orders: how fast an emulated guest can send is no part of it."""
    tap = host.machines["internet"].cables[0].tap
    before = counted(host.driver.room, tap).bytes_received
    seen = host.transfer(("wifi", "web"), "internet", SECONDS, 0.25)
    came = counted(host.driver.room, tap).bytes_received - before
    wifi, web = arrived(seen, "wifi>internet"), arrived(seen, "web>internet")
    for moment, count in wifi:
        most = min(WIFI.burst * 1e6 + WIFI.average * 125000 * moment, MTU + WIFI.peak * 125000 * moment)
        assert count <= most + FRAME  # the one that is just on its way
    assert wifi[-1][1] > 0.5 * (WIFI.burst * 1e6 + WIFI.average * 125000 * SECONDS)
    assert web[-1][1] > wifi[-1][1]
    assert len(wifi) == len(web) == 12 and wifi[-1][0] == pytest.approx(SECONDS, abs=1)
    assert came >= 0.9 * (wifi[-1][1] + web[-1][1])  # what entered the switch was let out to the target


def test_the_experiment_with_two_senders_is_within_its_bounds(host):
    """None can have more than the limit and what its bucket had left at half time; on TCG it may have half of that."""
    chosen = Settings(beside=12.0)
    limits = net_shaping.bounds(chosen)
    seen = net_shaping.run(host, chosen)
    with labkit.simulated() as twin:
        beside = net_shaping.run(twin, chosen)
    for pair, average, most in (("m1>m2", 8, 4e6), ("m3>m2", 12, 5.5e6)):  # what may have come in 3 s: 1 MB, and 3 s
        live, simulated = seen.value(pair, "rate"), beside.value(pair, "rate")
        points = arrived(seen, pair)
        left = max(0.0, most - next(count for moment, count in points if moment >= points[-1][0] / 2))
        assert simulated == pytest.approx(average, rel=0.005)
        least = simulated / 2 if seen.provenance.accelerator == "TCG" else simulated - limits[pair, "rate"]
        assert least <= live <= simulated + limits[pair, "rate"] + left * 8e-6 / 3


def test_the_journal_has_a_port_for_each_and_the_servers_are_gone(host):
    lines = [line for line in host.journal() if "iperf3" in line][:4]  # two servers, then two clients
    assert ["5201" in line for line in lines] == [True, False, True, False]
    assert all(line.startswith("virsh qemu-agent-command ") for line in lines)
    for name in ("internet", "web", "wifi"):
        agent = host.machines[name].agent
        assert "iperf3" not in agent.run(["/bin/sh", "-c", "ps | grep -v grep | grep iperf3 || true"]).output


def test_what_is_refused(host):
    with pytest.raises(ValueError, match="each once"):
        host.transfer(("web", "web"), "internet", 1.0)
    with pytest.raises(ValueError, match="each once"):
        host.transfer((), "internet", 1.0)
    with pytest.raises(HostError, match="in no network together"):
        host.transfer(("web", "internet"), "internet", 1.0)
    with pytest.raises(HostError, match="no machine nobody"):
        host.transfer(("web", "nobody"), "internet", 1.0)
