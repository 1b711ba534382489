"""A real server in a real guest: requests that come at set times, each with its own piece of work."""

import math
import time

import pytest

from labkit.host import CpuLoad, HostError, RequestLoad, Served

pytestmark = pytest.mark.live


@pytest.fixture
def any_speed(host):
    """A host that takes its speed for granted: for tests to which the amount of work is all one."""
    host.known_speed = 8e6
    return host


# Under emulation the same rounds take 1.05 to 1.4 times the CPU time that they took a minute before; see
# test_required.py. And others may come in between. So work may take up to three times what it was calibrated to take.
LEAST, MOST = 0.8, 3.0


def waiting_line(arrivals, work, servers: int = 1) -> list[float]:
    """When each is done, first come, first served: Lindley's recursion, for several servers by Kiefer and Wolfowitz."""
    free, finishes = [0.0] * servers, []
    for comes, needs in zip(arrivals, work, strict=True):
        soonest = min(range(servers), key=free.__getitem__)
        free[soonest] = max(free[soonest], comes) + needs
        finishes.append(free[soonest])
    return finishes


def test_requests_are_served_in_turn(host, quiet_cpu):
    """Times that the guest's own clock measured, against the waiting line worked out by hand."""
    machine = host.create("web", pin=[0])
    arrivals, work = (0.0, 0.1, 0.15, 0.2, 1.5, 1.6), (0.4, 0.1, 0.2, 0.05, 0.3, 0.1)
    job = machine.run(RequestLoad(arrivals, work))
    assert job.progress == 0 and job.result is None
    served = job.wait()
    assert isinstance(served, Served) and served is job.result
    assert job.progress == 1
    assert served.arrivals == arrivals
    assert list(served.finishes) == sorted(served.finishes)
    soonest, latest = (waiting_line(arrivals, [factor * each for each in work]) for factor in (LEAST, MOST))
    for finish, least, most in zip(served.finishes, soonest, latest, strict=True):
        assert least <= finish <= most + 0.1
    assert served.ended >= served.finishes[-1]
    assert "calibrated before" in host.provenance().mechanisms["requests"]


def test_it_begins_with_the_observation_and_takes_the_work_it_was_given(host, quiet_cpu):
    machine = host.create("web", pin=[0])
    count, every, each = 100, 0.05, 0.02
    job = machine.run(RequestLoad(tuple(every * n for n in range(count)), (each,) * count))
    time.sleep(1.0)  # it waits for its go, however long that takes
    seen = host.observe(count * every)
    served = job.wait()
    quiet_cpu(seen)
    assert LEAST * each / every <= seen.value("web", "cpu") <= MOST * each / every
    assert served.finishes[0] < 0.2
    assert all(response > LEAST * each for response in served.responses())
    assert not any(math.isinf(finish) for finish in served.finishes)


def test_a_schedule_of_two_thousand_fits(any_speed):
    machine = any_speed.create("many")
    count = 2000
    served = machine.run(RequestLoad(tuple(n / 1000 for n in range(count)), (1e-6,) * count)).wait()
    assert len(served.finishes) == count
    assert all(finish >= arrival for finish, arrival in zip(served.finishes, served.arrivals, strict=True))
    assert machine.execute(["sh", "-c", "ls /run | grep serve"]).output == ""  # nothing of it is left in the guest


def test_cancelled_it_says_what_was_served_by_then(any_speed):
    machine = any_speed.create("web")
    job = machine.run(RequestLoad((0.0, 0.1, 60.0), (0.05, 0.05, 0.05)))
    assert job.wait(2.0) is None
    assert job.progress == pytest.approx(2 / 3)
    job.cancel()
    job.cancel()
    assert math.isinf(job.result.finishes[2]) and not math.isinf(job.result.finishes[1])
    assert 1.5 < job.result.ended < 20
    assert job.result.responses(until=1.0) == job.result.responses()
    machine.run(CpuLoad()).cancel()  # it is free again


def test_cancelled_before_it_began(any_speed):
    machine = any_speed.create("web")
    job = machine.run(RequestLoad((0.0,), (0.05,)))
    job.cancel()
    assert job.result == Served((0.0,), (math.inf,), 0.0)
    assert job.result.responses() == ()


def test_a_vcpu_more_is_a_worker_more(any_speed):
    """Two requests at once: one after the other on one vCPU, side by side once there are two."""
    machine = any_speed.create("web", maximum_vcpus=2)
    job = machine.run(RequestLoad((0.0, 0.0, 6.0, 6.0), (0.5,) * 4))
    any_speed.observe(1.5)
    machine.set(vcpus=2)
    served = job.wait()
    one, two, three, four = served.responses()
    assert two > 1.7 * one
    assert four < 1.5 * three
    assert len(machine.vcpu_threads) == 2


def test_one_load_at_a_time(any_speed):
    machine = any_speed.create("web")
    machine.run(RequestLoad((0.0,), (0.05,)))
    with pytest.raises(HostError, match="web has a load already"):
        machine.run(CpuLoad())


def test_sharing_is_refused(any_speed):
    machine = any_speed.create("web")
    with pytest.raises(HostError, match="cannot share") as caught:
        machine.run(RequestLoad((0.0,), (0.05,), "sharing"))
    assert "queue" in caught.value.remedy
    assert not machine.jobs


def test_an_image_without_a_server(host, monkeypatch):
    machine = host.create("old")
    monkeypatch.setattr(host, "image", type("Old", (), {"serves": False}))
    with pytest.raises(HostError, match="before it had a server") as caught:
        machine.run(RequestLoad((0.0,), (0.05,)))
    assert "labkit image build" in caught.value.remedy


def test_no_load_at_all(host):
    with pytest.raises(ValueError, match="a RequestLoad or a MemoryLoad"):
        host.create("web").run("work")


def test_a_duty_is_kept_up_when_others_are_in_the_way(host, quiet_cpu):
    """It wants 40% and its part is a half: it gets the whole 40%, although it has to wait for it."""
    clerk, spinner = host.create("clerk", pin=[0]), host.create("spinner", pin=[0])
    clerk.run(CpuLoad(0.4))
    spinner.run(CpuLoad(1.0))
    seen = host.observe(5.0)
    quiet_cpu(seen)
    assert seen.value("clerk", "cpu") == pytest.approx(0.4, abs=0.05)
    assert seen.value("spinner", "cpu") == pytest.approx(0.6, abs=0.05)
