"""`memory-balloon`: its theory against the course's guest as it was measured, and the simulated host."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.experiments import SettingError, memory_balloon
from labkit.experiments.memory_balloon import Settings, bounds, run, theory, theory_after
from labkit.experiments.outcome import Outcome
from labkit.experiments.settings import from_text
from labkit.host import HostError


@st.composite
def sizes(draw):
    memory = draw(st.integers(96, 1024))
    return draw(st.integers(min(memory, 62 + 16 + 1 + memory * 70 // 4096), memory)), memory


@given(sizes())
def test_what_balloon_kernel_and_programs_have_is_all_there_is(size):
    """MemTotal was 92.566 of 128 MiB and 218.379 of 256: a line; less so much as the balloon takes."""
    target, memory = size
    found = theory(Settings(target=target, memory=memory))
    at_boot = 92.56640625 + (memory - 128) * (218.37890625 - 92.56640625) / 128
    assert found["m1", "guest_total"] == pytest.approx(at_boot - (memory - target))
    assert found["m1", "guest_free"] == pytest.approx(found["m1", "guest_total"] - 28.2 - 5.3)
    assert found["m1", "host_resident"] == target


@settings(max_examples=25, deadline=None)
@given(sizes())
def test_simulated_is_as_theory_says(size):
    target, memory = size
    asked = from_text(Settings, {"target": str(target), "memory": str(memory)})
    with labkit.simulated() as host:
        seen = run(host, asked)
        assert not host.machines
    for key, said in theory(asked).items():
        # The filling program left some MiB untouched, so that a guest lives through it.
        assert seen.value(*key) == pytest.approx(said, abs=6.0 if key[1] == "host_resident" else 0.01)
    assert seen.value("m1", "host_resident") <= target


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"target": "72", "memory": "128"}, "80 MiB or more"),
        ({"target": "72"}, "82 MiB or more"),
        ({"target": "300"}, "at most the machine's 256 MiB"),
        ({"target": "0"}, "a size looks like"),
    ],
)
def test_a_target_that_cannot_be(given, said):
    with pytest.raises(SettingError, match=said):
        from_text(Settings, given)


def test_what_is_named_is_enough():
    for memory, least in ((96, 80), (128, 80), (256, 82), (1024, 95)):
        asked = from_text(Settings, {"target": str(least), "memory": str(memory)})
        with labkit.simulated() as host:
            assert run(host, asked).value("m1", "guest_total") == pytest.approx(theory(asked)["m1", "guest_total"])
        with pytest.raises(SettingError, match=f"{least} MiB or more"):
            from_text(Settings, {"target": str(least - 1), "memory": str(memory)})


def test_the_slider_moves_the_balloon_and_the_curves_show_it():
    with labkit.simulated() as host:
        machines = memory_balloon.prepare(host, Settings())
        host.observe(2.0)
        memory_balloon.adjust(machines, Settings(target=192))
        seen = host.observe(1.0, 0.05)
        lines = {line.quantity: line.values for line in seen.series}
        assert lines["guest_total"][0] < lines["guest_total"][-1] == pytest.approx(192 - 37.62, abs=0.01)
        assert lines["guest_free"][-1] - lines["guest_free"][0] > 50
        # What is given back is not used yet: it costs the host nothing.
        assert max(lines["host_resident"]) == pytest.approx(min(lines["host_resident"]))
        with pytest.raises(HostError, match="MiB or more"):
            memory_balloon.adjust(machines, Settings(target=50))
        assert host.observe(1.0).value("m1", "guest_total") == pytest.approx(192 - 37.62, abs=0.01)


def test_a_balloon_that_does_not_arrive_is_told_of(monkeypatch):
    monkeypatch.setattr("labkit.model.memory.balloon.Balloon.go", lambda *_way: None)
    with labkit.simulated() as host, pytest.raises(HostError, match="stopped at 256 MiB, on its way to 128 MiB"):
        run(host, Settings())


def test_its_bound_is_a_twentieth_of_the_machine():
    assert bounds(Settings()) == dict.fromkeys(("guest_total", "guest_free", "host_resident"), 12.8)
    assert bounds(Settings(target=100, memory=128))["guest_free"] == pytest.approx(6.4)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(82, 256), min_size=1, max_size=5))
def test_what_a_balloon_gave_back_stays_with_the_host_when_it_is_let_out(way):
    """Theory's smallest target against a host on which the balloon went that way, step by step."""
    asked = [Settings(target=float(target)) for target in way]
    with labkit.simulated() as host:
        machines = memory_balloon.prepare(host, asked[0])
        for one in asked[1:]:
            host.observe(2.0)
            memory_balloon.adjust(machines, one)
        host.observe(2.0)
        seen = machines[0].memory_seen()
    for (_machine, quantity), said in theory_after(asked[-1], asked[:-1]).items():
        assert seen[quantity] == pytest.approx(said, abs=6.0 if quantity == "host_resident" else 0.01)
    assert theory_after(asked[0], []) == theory(asked[0])


def test_the_theory_that_is_shown_knows_where_the_balloon_was():
    with labkit.simulated() as host:
        seen = run(host, Settings(target=256))
    way = (Settings(target=160), Settings(target=96))
    outcome = Outcome(memory_balloon, Settings(target=256), seen, None, {})
    held = {row["quantity"]: row["theory"] for row in outcome.rows}
    assert held["host_resident"] == 256
    after = Outcome(memory_balloon, Settings(target=256), seen, None, {}, earlier=way)
    later = {row["quantity"]: row["theory"] for row in after.rows}
    assert later == held | {"host_resident": 96}


def test_the_curves_begin_before_the_balloon_is_sent():
    with labkit.simulated() as host:
        seen = run(host, Settings())
    line = next(line for line in seen.series if line.quantity == "host_resident")
    assert line.times[0] == 0.0 and line.values[0] == pytest.approx(250, abs=6)
    moving = [time for time, value in zip(line.times, line.values, strict=True) if 130 < value < 245]
    assert len(moving) >= 8  # seen often enough to be followed by eye


def test_theory_goes_by_what_the_host_measured_of_its_own_image():
    """An image whose kernel keeps 45 MiB of 256, and whose programs use 40."""
    with labkit.simulated() as host:
        host.kept = {256: {"kept": 45.0, "used": 40.0, "resident": 100.0}}
        seen = run(host, Settings())
    assert {row["quantity"]: row["value"] for row in seen.rows if row["quantity"] in ("kept", "used")} == {
        "kept": 45.0,
        "used": 40.0,
    }
    rows = {row["quantity"]: row["theory"] for row in Outcome(memory_balloon, Settings(), None, seen, {}).rows}
    assert rows == {"guest_total": 128 - 45.0, "guest_free": pytest.approx(128 - 45 - 40 - 5.3), "host_resident": 128}
    with labkit.simulated() as host:
        seen = run(host, Settings())
    assert memory_balloon.given(Settings(), seen) == {}
