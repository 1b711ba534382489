"""The fluid host as a person meets it: the protocol, what it gives, what it refuses, what it says."""

import math

import pytest

import labkit
from labkit.host import CpuLoad, Host, HostError, Job, Machine, RequestLoad, Served
from labkit.model import FluidHost, SimulatedHost


@pytest.fixture
def host():
    with labkit.simulated(2, mode="fluid") as host:
        yield host


def values(seen, quantity="cpu"):
    return {row["machine"]: row["value"] for row in seen.rows if row["quantity"] == quantity}


def test_it_keeps_the_protocol(host):
    machine = host.create("m1")
    assert isinstance(host, FluidHost)
    assert isinstance(host, Host)
    assert isinstance(machine, Machine)
    assert isinstance(machine.run(CpuLoad()), Job)
    assert host.kind == "simulated"


def test_the_mode_is_chosen_at_the_front_door():
    assert isinstance(labkit.simulated(), SimulatedHost)
    assert isinstance(labkit.simulated(mode="slices"), SimulatedHost)
    for mode in ("", "Fluid", None, 1):
        with pytest.raises(ValueError, match="mode is 'slices' or 'fluid'"):
            labkit.simulated(mode=mode)


@pytest.mark.parametrize(
    ("argument", "wrong", "words"),
    [
        ("vcpus", [0, 65, True, "1"], "vcpus is a whole number from 1 to 64"),
        ("shares", [1, 262145, 2.5], "shares is a whole number from 2 to"),
        ("pin", [[], [2], "0"], "pin is a list of host CPUs"),
        ("cap", [0, 0.001, -1, math.nan, "1", True], "cap is a number"),
        ("reservation", [-0.1, 2.5, math.nan, math.inf, "1"], "reservation is a number"),
        ("reservation", [1.5], "reservation is at most"),
        ("maximum_vcpus", [0, 65, 1.5], "maximum_vcpus is a whole number"),
        ("memory", ["lots", 0], "a size looks like"),
        ("name", ["", "1m"], "a name is a letter"),
    ],
)
def test_arguments_outside_their_range_are_refused(host, argument, wrong, words):
    for value in wrong:
        with pytest.raises(ValueError, match=words):
            host.create(**{"name": "m1", argument: value})
    assert not host.machines
    assert host.journal() == []


def test_what_it_can_and_cannot(host):
    for name in ("shares", "pin", "cap", "reservation", "hot-add", "requests"):
        assert host.can(name)
        assert host.can(name).mechanism
    for name in ("migrate", "fly", None, 3):
        assert not host.can(name)
        assert host.can(name).reason


# -- who gets how much ----------------------------------------------------------------------------


def test_shares_count_where_cpus_are_short_and_only_there(host):
    for name, shares in {"m1": 256, "m2": 768}.items():
        host.create(name, vcpus=2, shares=shares).run(CpuLoad())
    seen = host.observe(5)
    assert values(seen) == pytest.approx({"m1": 0.5, "m2": 1.5}, abs=1e-12)
    assert values(seen, "ready") == pytest.approx({"m1": 0.75, "m2": 0.25}, abs=1e-12)
    host.machines["m2"].set(pin=[1])
    assert values(host.observe(5)) == pytest.approx({"m1": 1.0, "m2": 1.0}, abs=1e-12)
    host.machines["m2"].job.cancel()
    seen = host.observe(5)
    assert values(seen) == pytest.approx({"m1": 2.0, "m2": 0.0}, abs=1e-12)
    assert values(seen, "ready") == pytest.approx({"m1": 0.0, "m2": 0.0}, abs=1e-12)
    assert seen.events == ()


def test_a_cap_and_what_it_leaves_to_others():
    with labkit.simulated(1, mode="fluid") as host:
        host.create("m1", cap=0.25).run(CpuLoad())
        host.create("m2").run(CpuLoad())
        seen = host.observe(4)
        assert values(seen) == pytest.approx({"m1": 0.25, "m2": 0.75}, abs=1e-12)
        # In each period m1 runs at half speed for half of the time, and is throttled in the other half.
        assert values(seen, "throttled") == pytest.approx({"m1": 0.5, "m2": 0.0}, abs=1e-12)
        assert values(seen, "ready") == pytest.approx({"m1": 0.25, "m2": 0.25}, abs=1e-12)
        host.machines["m1"].set(cap=math.inf)
        seen = host.observe(4)
        assert values(seen) == pytest.approx({"m1": 0.5, "m2": 0.5}, abs=1e-12)
        assert "throttled" not in {row["quantity"] for row in seen.rows}


@pytest.mark.parametrize(
    ("caps", "throttled", "ready"),
    [
        # Both at half speed for 0.6 of each period.
        ({"m1": 0.3, "m2": 0.3}, {"m1": 0.4, "m2": 0.4}, {"m1": 0.3, "m2": 0.3}),
        # Each at 1/3 for 0.3 of it; then two at 1/2, until m2 has its 0.2 at 0.5; then m3 alone.
        (
            {"m1": 0.1, "m2": 0.2, "m3": math.inf},
            {"m1": 0.7, "m2": 0.5, "m3": 0},
            {"m1": 0.2, "m2": 0.3, "m3": 0.3},
        ),
        # Each gets a third, and no cap is reached.
        (
            {"m1": 0.4, "m2": 0.5, "m3": 0.6},
            dict.fromkeys(["m1", "m2", "m3"], 0),
            {"m1": 2 / 3, "m2": 2 / 3, "m3": 2 / 3},
        ),
    ],
)
def test_throttled_is_the_rest_of_the_period_when_the_quota_is_gone(caps, throttled, ready):
    with labkit.simulated(1, mode="fluid") as host:
        for name, cap in caps.items():
            host.create(name, cap=cap).run(CpuLoad())
        seen = host.observe(3)
        assert values(seen, "throttled") == pytest.approx(throttled, abs=1e-12)
        assert values(seen, "ready") == pytest.approx(ready, abs=1e-12)


def test_each_vcpu_has_an_equal_part_of_a_cap(host):
    load = RequestLoad((0.0,), (1.0,))
    job = host.create("m1", vcpus=2, cap=1.0).run(load)  # one request keeps one vCPU busy, at half a CPU
    assert job.wait().finishes == (2.0,)


def test_a_reservation_comes_before_shares(host):
    host.create("m1", shares=2, reservation=0.8).run(CpuLoad())
    for name in ("m2", "m3", "m4"):
        host.create(name).run(CpuLoad())
    seen = values(host.observe(2))
    assert seen == pytest.approx({"m1": 0.8, "m2": 0.4, "m3": 0.4, "m4": 0.4}, abs=1e-12)
    host.machines["m1"].job.cancel()
    assert values(host.observe(2))["m2"] == pytest.approx(2 / 3, abs=1e-12)


def test_reservations_that_cannot_be_kept_are_refused(host):
    host.create("m1", reservation=0.7, pin=[0])
    with pytest.raises(HostError, match=r"m1, m2 would have reserved 1\.1 CPU of 1 CPU they") as caught:
        host.create("m2", reservation=0.4, pin=[0])
    assert caught.value.remedy
    machine = host.create("m2", reservation=0.4, pin=[0, 1])
    with pytest.raises(HostError, match="would have reserved"):
        machine.set(pin=[0])
    assert machine.pin == {0, 1}
    with pytest.raises(ValueError, match="at least the reservation"):
        machine.set(cap=0.1)
    with pytest.raises(HostError, match="would have reserved"):
        host.create("m3", reservation=1.0)
    host.create("m3", reservation=0.9)


def test_where_everything_is_reserved_others_stand_still_until_it_is_free():
    with labkit.simulated(1, mode="fluid") as host:
        first = host.create("m1", reservation=1.0).run(RequestLoad((0.0,), (3.0,)))
        second = host.create("m2").run(RequestLoad((0.0,), (2.0,)))
        assert second.wait().finishes == (5.0,)
        assert first.result.finishes == (3.0,)


def test_waiting_for_what_never_comes_is_refused():
    with labkit.simulated(1, mode="fluid") as host:
        host.create("m1", reservation=1.0).run(CpuLoad())
        job = host.create("m2").run(RequestLoad((0.0,), (2.0,)))
        assert job.wait(timeout=5) is None
        with pytest.raises(HostError, match="would never end") as caught:
            job.wait()
        assert "timeout" in caught.value.remedy
        host.machines["m1"].stop()
        assert job.wait().finishes == (7.0,)


# -- requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrivals", "finishes"), [((0, 10, 20), (20, 50, 80)), ((0, 0, 0), (30, 50, 70))], ids=["apart", "together"]
)
def test_three_jobs_on_two_vcpus(host, arrivals, finishes):
    """Worked out by hand. Apart there are never more than two at once, so each has a vCPU to itself; together each has
    2/3 of a vCPU until the first is done at 20/(2/3) = 30 s, with 20 and 40 s of work left to the others.
    """
    job = host.create("web", vcpus=2).run(RequestLoad(arrivals, (20, 40, 60), "sharing"))
    served = job.wait()
    assert served.finishes == pytest.approx(finishes, abs=1e-9)
    assert served.ended == pytest.approx(finishes[-1], abs=1e-9)
    assert job.result is served
    assert job.progress == 1


def test_a_queue_serves_in_order_with_a_worker_for_each_vcpu(host):
    job = host.create("web", vcpus=2).run(RequestLoad((0, 0, 1, 1), (4, 2, 3, 1)))
    assert job.wait().finishes == pytest.approx((4, 2, 5, 5), abs=1e-12)


def test_one_more_vcpu_takes_the_next_in_line():
    with labkit.simulated(2, mode="fluid") as host:
        machine = host.create("web", maximum_vcpus=2)
        job = machine.run(RequestLoad((0, 0, 0), (4, 2, 2)))
        host.observe(1)
        machine.set(vcpus=2)
        assert job.wait().finishes == pytest.approx((4, 3, 5), abs=1e-12)
        spinning = host.create("m2", maximum_vcpus=2)
        spinning.run(CpuLoad())
        host.observe(1)
        spinning.set(vcpus=2)
        assert values(host.observe(1))["m2"] == pytest.approx(2, abs=1e-12)
        with pytest.raises(ValueError, match="vcpus is a whole number from 2 to 2"):
            spinning.set(vcpus=1)


def test_a_load_cancelled_tells_what_was_done(host):
    job = host.create("web").run(RequestLoad((0, 0, 50), (1, 2, 1)))
    host.observe(2)
    assert job.result is None
    assert job.progress == pytest.approx(1 / 3)
    job.cancel()
    job.cancel()
    assert job.result == Served((0, 0, 50), (1.0, math.inf, math.inf), 2.0)
    assert values(host.observe(60)) == {"web": 0}
    never = host.machines["web"].run(RequestLoad((0,), (1,)))
    never.cancel()
    assert never.result == Served((0,), (math.inf,), 0.0)


def test_waiting_has_an_end(host):
    job = host.create("web").run(RequestLoad((0, 5), (1, 1)))
    assert job.wait(timeout=2) is None
    assert host.now == 2
    assert job.wait(timeout=100).finishes == (1, 6)
    assert host.now == 6
    with pytest.raises(HostError, match="never ends"):
        host.machines["web"].run(CpuLoad()).wait()


def test_times_do_not_drift():
    # Seven requests a second for a day, each of 0.1 s: every one is done before the next one comes.
    count = 7 * 86_400 // 10
    arrivals = tuple(number * 10 / 7 for number in range(count))
    with labkit.simulated(1, mode="fluid") as host:
        served = host.create("web").run(RequestLoad(arrivals, (0.1,) * count, "sharing")).wait()
    assert max(abs(end - begin - 0.1) for begin, end in zip(arrivals, served.finishes, strict=True)) < 1e-9


def test_a_machine_that_is_never_empty_does_not_drift_either():
    # One long job, and beside it, in turn, 50,000 short ones, so that the long one runs at 1 and at 1/2 by turns.
    count = 50_000
    with labkit.simulated(1, mode="fluid") as host:
        arrivals = (0.0, *(0.3 * number for number in range(count)))
        load = RequestLoad(arrivals, (count * 0.3 - count * 0.05 + 0.7, *[0.05] * count), "sharing")
        served = host.create("web").run(load).wait()
    ends = [end - begin for begin, end in zip(arrivals[1:], served.finishes[1:], strict=True)]
    assert max(abs(seconds - 0.1) for seconds in ends) < 1e-9
    assert served.finishes[0] == pytest.approx(count * 0.3 + 0.7, abs=1e-9)


# -- beginning and end ----------------------------------------------------------------------------


def test_a_stopped_machine_is_gone(host):
    machine = host.create("m1")
    machine.run(CpuLoad())
    host.observe(0.1)
    machine.stop()
    machine.stop()
    assert machine.state == "stopped"
    assert host.observe(1).rows == ()
    for use in (lambda: machine.set(shares=2), lambda: machine.run(CpuLoad())):
        with pytest.raises(HostError, match="switched off"):
            use()


def test_a_closed_host_says_so():
    host = labkit.simulated(mode="fluid")
    machine = host.create("m1")
    job = machine.run(CpuLoad())
    host.close()
    host.close()
    assert machine.state == "stopped"
    assert job.over
    for use in (lambda: host.create("m2"), lambda: host.observe(1), lambda: machine.set(shares=2)):
        with pytest.raises(HostError, match="has been closed"):
            use()
    assert host.journal()[-1] == "# simulated: close"


@pytest.mark.parametrize("wait", ["observe", "job"])
def test_an_interrupt_in_an_event_closes_the_host_and_gets_through(monkeypatch, wait):
    with labkit.simulated(mode="fluid") as host:
        machine = host.create("m1")
        job = machine.run(RequestLoad((0, 1, 2), (5, 5, 5)))
        host.observe(0.5)

        def interrupted(*_arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(type(machine.guest), "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            host.observe(5) if wait == "observe" else job.wait()
        job.cancel()
        machine.stop()
        assert machine.state == "stopped"
        with pytest.raises(HostError, match="was interrupted"):
            host.observe(1)


def test_one_load_at_a_time_and_only_loads(host):
    machine = host.create("m1")
    with pytest.raises(ValueError, match="a load is a CpuLoad"):
        machine.run("stress")
    machine.run(CpuLoad()).cancel()
    machine.run(CpuLoad())
    with pytest.raises(HostError, match=r"job\.cancel"):
        machine.run(CpuLoad())
    with pytest.raises(HostError, match="machine m1 already"):
        host.create("m1")


def test_an_observation_says_where_it_comes_from_and_the_journal_is_in_words(host):
    machine = host.create("m1", shares=256, pin=[1], cap=0.5, reservation=0.25, maximum_vcpus=2)
    machine.set(shares=512, vcpus=2)
    seen = host.observe(0.5)
    assert seen.provenance.name == "simulated host, 2 CPUs, Linux's rules, fluid"
    assert set(seen.provenance.mechanisms) == {"shares", "pin", "cap", "reservation"}
    assert seen.provenance.weights == {"m1": 512.0}
    assert [series.times for series in seen.series] == [pytest.approx([0.2, 0.4, 0.5])] * 3
    assert host.journal() == [
        "# simulated: create m1 vcpus=1 memory=128MiB shares=256 pin=1 cap=0.5 reservation=0.25 maximum_vcpus=2",
        "# simulated: set m1 shares=512",
        "# simulated: set m1 vcpus=2",
        "# simulated: observe seconds=0.5 every=0.2",
    ]
    assert repr(machine) == ("<m1: 2 vCPUs, 128 MiB, 512 shares, on CPU 1, cap 0.5 CPU, reservation 0.25 CPU, running>")
