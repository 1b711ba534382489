"""Caps on real guests: what they get, what holds them back, and what is refused."""

import json
import math
from pathlib import Path

import pytest

from labkit.host import CpuLoad, HostError
from labkit.live import caps
from labkit.live.counters import Reading
from labkit.live.observing import _worked_out

pytestmark = pytest.mark.live


@pytest.fixture
def capping(host):
    if not (able := host.can("cap")):
        pytest.skip(able.reason)
    return host


def spinning(host, name: str, **settings):
    machine = host.create(name, pin=[0], **settings)
    machine.run(CpuLoad())
    return machine


@pytest.mark.timeout(600)
def test_three_caps_on_one_cpu(ran_live, quiet_cpu):
    """Capped at a quarter, a half and a whole CPU with equal shares: what the first leaves, the others halve."""
    document, room = ran_live("cpu-cap")
    assert document["settings"]["caps"] == [25, 50, 100]
    values = {(row["machine"], row["quantity"]): row["live"] for row in document["rows"]}
    for name, part in (("m1", 0.25), ("m2", 0.375), ("m3", 0.375)):
        assert values[name, "cpu"] == pytest.approx(part, abs=0.03 + room)
        parts = [values[name, quantity] for quantity in ("cpu", "ready", "throttled")]
        assert min(parts) >= 0
        assert sum(parts) == pytest.approx(1.0, abs=0.05 + room)  # it spins: it runs, waits, or is held back
    # In turns with both others it has its quarter after 0.075 s of every 0.1 s; later, where others take the CPU too.
    assert values["m1", "throttled"] > 0.1 - room
    assert "cap" in document["host"]["live"]["mechanisms"]


def test_a_machine_alone_is_held_back_and_never_waits(capping, measured):
    machine = spinning(capping, "alone", cap=0.25)
    seen, room = measured(lambda: capping.observe(3.0))
    assert seen.value("alone", "cpu") == pytest.approx(0.25, abs=0.03 + room)
    assert seen.value("alone", "cpu") < 0.28  # that is a cap, whoever else is there
    assert seen.value("alone", "throttled") == pytest.approx(0.75, abs=0.05 + room)
    assert seen.value("alone", "ready") == pytest.approx(0.0, abs=0.05 + room)
    machine.set(cap=0.5)
    seen, room = measured(lambda: capping.observe(3.0))
    assert seen.value("alone", "cpu") == pytest.approx(0.5, abs=0.03 + room)
    machine.set(cap=math.inf)
    seen, room = measured(lambda: capping.observe(2.0))
    assert seen.value("alone", "cpu") == pytest.approx(1.0, abs=0.05 + room)
    assert {row["quantity"] for row in seen.rows} == {"cpu", "ready"}
    said = " ".join(capping.journal())
    assert "vcpu_quota=25000" in said and "vcpu_quota=50000" in said and "vcpu_quota=-1" in said


def test_each_vcpu_has_its_part_of_a_cap(capping):
    machine = capping.create("two", vcpus=2, cap=0.5)
    assert machine.domain.schedulerParameters()["vcpu_quota"] == 0.25 * caps.PERIOD


def test_without_a_cap_nothing_is_held_back_or_said(host):
    host.create("free")
    assert {row["quantity"] for row in host.observe(0.5).rows} == {"cpu", "ready"}
    assert not any("vcpu_quota" in line for line in host.journal())


@pytest.mark.parametrize("cap", [0.001, 0, -1, math.nan, True, "1"])
def test_a_wrong_cap(host, cap):
    with pytest.raises(ValueError, match="cap is a number of CPUs"):
        host.create("wrong", cap=cap)
    assert not host.machines


def test_less_than_libvirt_takes_is_refused_before_anything_is_started(capping):
    with pytest.raises(HostError, match="caps no vCPU below 1%") as caught:
        capping.create("small", vcpus=2, cap=0.01)
    assert "0.02" in caught.value.remedy
    assert not capping.machines


def test_a_reservation_is_refused_before_anything_is_started(host):
    assert not host.can("reservation")
    with pytest.raises(HostError, match="no reservation") as caught:
        host.create("sure", reservation=0.5)
    assert "Cap the other machines" in caught.value.remedy
    assert not host.machines


REFUSALS = """
import json, labkit
from labkit.host import HostError
with labkit.live() as host:
    able, said = host.can("cap"), ""
    try:
        host.create("capped", cap=0.5)
    except HostError as error:
        said = str(error)
    machine = host.create("free", maximum_vcpus=2)
    try:
        machine.set(cap=0.5)
    except HostError as error:
        said += str(error)
    machine.set(vcpus=2)
    inside = machine.execute(["nproc"]).output.strip()
    print(json.dumps([able.yes, able.reason, able.remedy, said, list(host.machines), inside]))
"""


def test_an_ordinary_user_has_no_caps_and_hears_why(as_nobody):
    yes, reason, remedy, said, machines, inside = json.loads(as_nobody(["-c", REFUSALS]))
    assert not yes and remedy
    assert "ordinary user" in reason
    assert said.count(reason) == 2
    assert machines == ["free"]
    assert inside == "2"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("nr_periods 8\nnr_throttled 8\nthrottled_time 2500000000\n", 2.5),
        ("usage_usec 9\nnr_throttled 8\nthrottled_usec 2500000\nnr_bursts 0\n", 2.5),
        ("usage_usec 9\n", 0.0),
    ],
)
def test_both_control_groups_tell_how_long(text, seconds):
    assert caps._throttled_in(text) == seconds


def reading(time: float, ran: float, delayed: float, throttled: float) -> Reading:
    return Reading(time, {"m": ran}, {"m": delayed}, {"m": throttled}, {0: 0.0}, capped=True)


class Counted:
    """A machine as far as its counters go: one vCPU, a second one from second 12 on."""

    name = "m"
    vcpus = 1

    def vcpu_seconds(self, begins: float, ends: float) -> float:
        return (ends - begins) + max(0.0, ends - max(begins, 12.0))


@pytest.mark.parametrize(("delayed", "ready"), [(7.0, 0.2), (3.0, 0.25)])
def test_waiting_is_told_from_being_held_back_either_way(delayed, ready):
    """Where delay holds the throttled 5 s, they are taken out; where a kernel left them out, they are not."""
    rows, series = _worked_out([Counted()], [reading(10, 0, 0, 0), reading(20, 4, delayed, 5)], 0.0)
    values = {row["quantity"]: row["value"] for row in rows}
    there = 10 + 8
    expected = {"cpu": 0.4, "ready": (delayed - 5 if delayed > 5 else delayed) / there, "throttled": 5 / there}
    assert values == pytest.approx(expected)
    assert min(value for one in series for value in one.values) >= 0


def test_the_file_read_is_that_of_the_vcpu_s_own_group(capping):
    machine = capping.create("grouped", cap=0.5)
    assert caps.throttled(machine) >= 0
    (file,) = machine.throttle_counters
    assert isinstance(file, Path) and file.parent.name == "vcpu0"
    assert machine.domain_name in str(file)
