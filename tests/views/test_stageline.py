"""A machine's start on a line of time."""

from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from labkit import views
from labkit.host import Event, Observation, Provenance
from labkit.views.stageline import stage_line

SVG = "{http://www.w3.org/2000/svg}"
COLD = {"hypervisor": 0.5, "firmware": 0.25, "kernel": 2.0, "init": 0.05, "agent": 0.2}
SAVED = {"hypervisor": 0.6, "agent": 0.1}


def seen(stages, host="live"):
    events, begins = [], 0.0
    for stage, seconds in stages.items():
        events.append(Event(begins, "stage", "m1", seconds, detail=stage))
        begins += seconds
    return Observation(begins, (), (), events, Provenance(host, f"{host} host"))


def result(start, simulated=None, live=None, why=""):
    settings = SimpleNamespace(start=start)
    return SimpleNamespace(outcome=SimpleNamespace(settings=settings, simulated=simulated, live=live, why_not_live=why))


@pytest.fixture
def both():
    return stage_line(result("cold", live=seen(COLD)), result("saved", live=seen(SAVED)))


def rectangles(picture):
    svg = ElementTree.fromstring(picture.html[picture.html.index("<svg") : picture.html.index("</svg>") + 6])
    return [[float(r.get(name)) for name in ("x", "y", "width")] for r in svg.iter(f"{SVG}rect")]


def test_stretches_are_as_long_as_the_stages_and_follow_each_other(both):
    found = rectangles(both)
    assert len(found) == len(COLD) + len(SAVED)
    cold = found[: len(COLD)]
    scale = cold[2][2] / COLD["kernel"]
    for (_, _, wide), seconds in zip(cold, COLD.values(), strict=True):
        assert wide == pytest.approx(seconds * scale, abs=0.2)
    for (x, _, wide), (after, _, _) in zip(cold, cold[1:], strict=False):
        assert x + wide == pytest.approx(after, abs=0.2)
    assert found[len(COLD)][2] == pytest.approx(SAVED["hypervisor"] * scale, abs=0.2)  # the same axis


def test_the_time_stamps_are_told(both):
    lines = both.text.splitlines()
    assert lines[0].startswith("cold, live: hypervisor from 0.00 s, for 0.50 s; firmware from 0.50 s")
    assert lines[0].endswith("the first answer at 3.00 s.")
    assert "kernel" not in lines[1]
    assert "<td" in both.html and "left out" in both.html and "0.750 + 2.000" in both.html


def test_without_a_live_host_it_says_why():
    picture = stage_line(result("cold", simulated=seen(COLD, "simulated"), why="No live host. Run it elsewhere."))
    assert len(rectangles(picture)) == len(COLD)
    assert picture.text.splitlines()[-1] == "live: not run: No live host. Run it elsewhere."


def test_it_takes_what_an_experiment_gives():
    runs = [views.run("boot", host="simulated", start=start) for start in ("cold", "saved")]
    picture = stage_line(*runs)
    for run, line in zip(runs, picture.text.splitlines(), strict=True):
        assert f"the first answer at {run.value('m1', 'total'):.2f} s." in line
