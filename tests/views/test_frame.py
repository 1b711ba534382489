from array import array

from labkit.experiments import overhead
from labkit.experiments.outcome import compare
from labkit.views.frame import build
from labkit.views.session import window
from labkit.views.tape import KEPT, Tape
from labkit.views.words import quantity

from .fakes import FakeHost


def numbers(frame):
    return array("f", frame["data"])


def test_bars_and_curves_carry_what_was_observed(both):
    frame = build(both, 7)
    data = numbers(frame)
    assert frame["serial"] == 7
    assert frame["mode"] == "live"
    cpu = frame["quantities"][0]
    assert [round(value, 3) for value in cpu["simulated"]] == [0.143, 0.286, 0.571]
    assert {(curve["column"], curve["machine"]) for curve in cpu["curves"]} == {
        (column, machine) for column in ("theory", "simulated", "live") for machine in range(3)
    }
    for curve in cpu["curves"]:
        values = data[curve["v"] : curve["v"] + curve["n"]]
        expected = cpu[curve["column"]][curve["machine"]]
        assert all(abs(value - expected) < 1e-6 for value in values)


def test_an_axis_ends_at_what_is_possible(experiment):
    outcome = compare(experiment, experiment.Settings(), live=lambda: FakeHost(kind="live", offset=5.0))
    assert [entry["top"] for entry in build(outcome, 1)["quantities"]] == [1.05, 1.0]


def test_the_curves_slide_after_a_minute():
    assert [window(now) for now in (1.0, 60.0, 61.0, 90.0)] == [0.0, 0.0, 31.0, 60.0]


def test_the_time_line_is_what_ran(simulated):
    frame = build(simulated, 1)
    gantt = frame["gantt"]
    assert gantt["n"] == 60
    data = numbers(frame)[gantt["at"] : gantt["at"] + 4 * gantt["n"]]
    ran = [0.0, 0.0, 0.0]
    for start, length, cpu, machine in zip(*[iter(data)] * 4, strict=True):
        assert 0 <= start <= gantt["ms"]
        assert cpu == 0
        ran[int(machine)] += length
    assert [round(part / sum(ran), 3) for part in ran] == [0.143, 0.286, 0.571]


def test_a_frame_is_small(experiment):
    import labkit

    settings = experiment.Settings(shares=(100,) * 64, cpus=8)
    outcome = compare(experiment, settings, simulated=lambda: labkit.simulated(cpus=8))
    assert len(build(outcome, 1)["data"]) < 200_000


def test_without_anything_run_it_is_empty(simulated):
    import dataclasses

    frame = build(dataclasses.replace(simulated, simulated=None), 1)
    assert frame["machines"] == []
    assert frame["gantt"]["n"] == 0


def fill(tape, host, stretches):
    for _ in range(stretches):
        tape.add(host.observe(1.0, 0.25))


def test_a_tape_keeps_a_minute_and_the_means_since_the_last_change():
    with FakeHost() as host:
        machines = [host.create("m1", shares=1), host.create("m2", shares=1)]
        tape = Tape("live")
        fill(tape, host, 70)
        machines[1].set(shares=3)
        tape.changed()
        assert tape.mean() is None
        fill(tape, host, 2)
        mean = tape.mean()
    assert mean.value("m1", "cpu") == 0.25
    assert mean.seconds == 2.0
    curve = next(curve for curve in tape.curves if (curve.machine, curve.quantity) == ("m1", "cpu"))
    assert tape.now == 72.0
    assert curve.times[-1] == 72.0
    assert curve.times[0] >= 72.0 - KEPT - 0.5
    assert len(curve.times) == len(curve.values)


def test_theory_is_a_step_where_the_settings_change():
    tape = Tape("theory")
    for second in range(3):
        tape.level({("m1", "cpu"): 0.5}, second, second + 1)
    tape.level({("m1", "cpu"): 0.25}, 3, 4)
    (curve,) = tape.curves
    assert curve.times == [0, 3, 3, 4]
    assert curve.values == [0.5, 0.5, 0.25, 0.25]


def test_of_a_run_in_phases_the_time_line_is_around_its_moment():
    import labkit
    from labkit.experiments import cpu_spike

    settings = cpu_spike.Settings(at=3.0)
    frame = build(compare(cpu_spike, settings, simulated=lambda: labkit.simulated(cpus=2)), 1)
    gantt = frame["gantt"]
    assert gantt["from"] < gantt["moment"] == 3000 < gantt["ms"]
    assert gantt["about"] == "when the spike begins"
    data = numbers(frame)[gantt["at"] : gantt["at"] + 4 * gantt["n"]]
    starts, lengths = data[0::4], data[1::4]
    assert min(starts) >= gantt["from"] and min(lengths) >= 0
    assert all(start + length <= gantt["ms"] + 1e-3 for start, length in zip(starts, lengths, strict=True))
    assert "13 s of its own clock, all phases together" in frame["where"][0]


def test_only_the_axis_of_a_fraction_of_the_time_is_cut_at_its_whole(experiment):
    outcome = compare(experiment, experiment.Settings(), live=lambda: FakeHost(kind="live", offset=-5.0))
    ready = build(outcome, 1)["quantities"][1]
    assert ready["top"] == 1.0 and max(ready["live"]) > 5  # the number stays as it was measured
    assert quantity(overhead, "slowdown").is_fraction is False
