"""The picture of what has arrived over time: its points are those that were seen, its bound that of the bucket."""

import dataclasses
import re
from xml.etree import ElementTree

import pytest

import labkit
from labkit.experiments import net_shaping
from labkit.experiments.net_shaping import Settings
from labkit.experiments.outcome import Outcome, compare
from labkit.host import Observation, Series
from labkit.views import BucketPanel, bytes_over_time, run
from labkit.views.arriving import senders
from labkit.views.arrivingdrawing import ticks

SVG = "{http://www.w3.org/2000/svg}"


def outcome(settings, **changed):
    found = compare(net_shaping, settings, simulated=labkit.simulated)
    return dataclasses.replace(found, **changed)


def invented(seen, times, arrived):
    """An observation as a live host might have made it: so much had arrived by each moment."""
    provenance = dataclasses.replace(seen.provenance, host="live", name="live host, invented")
    line = Series("m1>m2", "bytes", "B", times, arrived)
    return Observation(times[-1], seen.rows, (line,), (), provenance)


def with_live(*arrived):
    """1 and 2 s of a bucket of 8 Mbit/s, 16 at the peak, and 1 MB: 2 MB at the most, and 3 MB."""
    simulated = outcome(Settings(8, 16, 1, 2))
    return dataclasses.replace(simulated, live=invented(simulated.simulated, [1.0, 2.0], list(arrived)))


def drawings(picture):
    return [ElementTree.fromstring(found) for found in re.findall(r"<svg xmlns.*?</svg>", picture.html, re.DOTALL)]


def corners(drawing, column):
    (line,) = (each for each in drawing.iter(f"{SVG}path") if each.get("class") == f"lk-arrived-{column}")
    return [tuple(map(float, pair.split(","))) for pair in line.get("d")[1:].split("L")]


def test_a_line_is_what_has_arrived_in_all():
    (one,) = senders(with_live(1.5e6, 2.75e6))
    assert one.arrived["live"] == [(0, 0), (1, 1.5e6), (2, 2.75e6)]
    assert one.arrived["simulated"][-1][1] == pytest.approx(3e6, rel=0.001)
    assert [one.most(moment) for moment in (0.5, 1, 2, 3)] == pytest.approx([1e6, 2e6, 3e6, 4e6])


@pytest.mark.parametrize(
    ("arrived", "said"),
    [
        ((1.9e6, 2.9e6), "Live: 2.90 MB in all; no point above the bound."),
        ((2.001e6, 2.901e6), "Live: 2.90 MB in all; no point above the bound by more than a frame (1000 B)."),
        ((2.1e6, 3e6), "Live: 3.00 MB in all; above the bound by 100,000 B after 1.00 s."),
    ],
)
def test_it_says_of_a_point_above_the_bound(arrived, said):
    assert said in repr(bytes_over_time(with_live(*arrived)))


def test_the_drawing_is_to_scale_and_spoken():
    picture = bytes_over_time(with_live(1.9e6, 3e6))
    (drawing,) = drawings(picture)
    start, kink, end = corners(drawing, "bound")
    assert kink[0] - start[0] == pytest.approx((end[0] - start[0]) / 2, abs=0.2)  # 1 of 2 s
    assert start[1] - kink[1] == pytest.approx((start[1] - end[1]) * 2 / 3, abs=0.2)  # 2 of 3 MB
    live = corners(drawing, "live")
    assert [place[0] for place in live] == [start[0], kink[0], end[0]]
    assert start[1] - live[1][1] == pytest.approx((start[1] - end[1]) * 1.9 / 3, abs=0.2)
    # Above the bound it is ruled, and nowhere below.
    (ruled,) = (each for each in drawing.iter(f"{SVG}path") if each.get("class") == "lk-arrived-above")
    for x, floor in re.findall(r"M([0-9.]+),[0-9.]+V([0-9.]+)", ruled.get("d")):
        part = (float(x) - start[0]) / (end[0] - start[0]) * 2
        assert (start[1] - float(floor)) / (start[1] - end[1]) * 3 == pytest.approx(min(2 * part, 1 + part), abs=0.01)
    assert drawing.get("role") == "img" and "until it is empty, after 1.00 s; then 8" in drawing.get("aria-label")
    assert "bucket empty" in "".join(drawing.itertext())
    assert not re.search(r"(fill|stroke)=\"(black|white|#000|#fff)", picture.html) and " id=" not in picture.html


def test_the_bound_is_above_all_else_in_the_themes_own_ink():
    """Who keeps to the bound lies on it: the bound's dots must still be seen there, in a dark theme too."""
    (drawing,) = drawings(bytes_over_time(with_live(1.9e6, 3e6)))
    *below, last = drawing.iter(f"{SVG}path")
    assert last.get("class") == "lk-arrived-bound"
    assert last.get("style") == "stroke:var(--jp-ui-font-color1, currentColor)"
    lines = [each for each in below if (each.get("class") or "") in ("lk-arrived-simulated", "lk-arrived-live")]
    assert len(lines) == 2
    assert all(float(last.get("stroke-width")) > 1.5 * float(each.get("stroke-width")) for each in lines)


def test_the_columns_differ_by_more_than_a_colour():
    (drawing,) = drawings(bytes_over_time(with_live(1.9e6, 3e6)))
    dashes = {
        each.get("class"): each.get("stroke-dasharray")
        for each in drawing.iter(f"{SVG}path")
        if (each.get("class") or "").removeprefix("lk-arrived-") in ("bound", "simulated", "live")
    }
    assert len(set(dashes.values())) == len(dashes) == 3
    fills = [each.get("fill") for each in drawing.iter(f"{SVG}path") if "a" in each.get("d")]  # round marks
    assert sorted(fills) == ["#0072B2", "none"]


def test_the_table_has_every_point_beside_the_bound_of_its_own_moment():
    picture = bytes_over_time(with_live(1.9e6, 3e6))
    rows = re.findall(r"<tr><th scope=\"row\"[^>]*>(.*?)</th>(.*?)</tr>", picture.html)
    numbers = [(column, *map(float, re.findall(r">([^<]+)</td>", cells))) for column, cells in rows]
    simulated, live = (
        [row[1:] for row in numbers if row[0] == "simulated"],
        [row[1:] for row in numbers if row[0] == "live"],
    )
    assert [time for time, _bound, _arrived in simulated] == [0.25 * step for step in range(1, 9)]
    assert [bound for _time, bound, _arrived in simulated] == [0.5, 1.0, 1.5, 2.0, 2.25, 2.5, 2.75, 3.0]
    assert live == [(1.0, 2.0, 1.9), (2.0, 3.0, 3.0)]
    assert picture.html.count('scope="col"') == 4 and "m1&gt;m2 in numbers" in picture.html


def test_two_senders_have_a_drawing_each_on_one_scale():
    picture = bytes_over_time(outcome(Settings(8, 16, 1, 6, 12)))
    one, other = drawings(picture)
    floor = corners(one, "bound")[0][1]
    heights = [floor - corners(each, "bound")[-1][1] for each in (one, other)]
    assert heights[0] / heights[1] == pytest.approx(0.7, abs=0.005)  # 7 MB and 10
    colours = {each.get("stroke") for each in other.iter(f"{SVG}path")} - {"currentColor"}
    assert colours == {"#E69F00"}
    assert repr(picture).count("Simulated:") == 2


def test_one_that_never_empties_has_no_kink():
    picture = bytes_over_time(outcome(Settings(8, 10, 10, 2)))
    assert "is not empty before the end" in repr(picture) and "bucket empty" not in picture.html


def test_without_a_bound_it_says_so():
    with pytest.raises(ValueError, match="cpu-shares has no bound over time"):
        bytes_over_time(run("cpu-shares", host="simulated").outcome)


def test_it_says_where_live_comes_from_and_that_it_was_disturbed():
    found = with_live(1.9e6, 2.9e6)
    disturbed = dataclasses.replace(found, live=dataclasses.replace(found.live, disturbed=0.4))
    assert isinstance(disturbed, Outcome)
    for said in (repr(bytes_over_time(disturbed)), bytes_over_time(disturbed).html):
        assert "live host, invented" in said and "others took up to 40% of the time of the CPUs" in said
    assert "others used" not in repr(bytes_over_time(found))


@pytest.mark.parametrize(
    ("end", "count", "found"),
    [(6, 6, [0, 1, 2, 3, 4, 5, 6]), (7.42, 5, [0, 2, 4, 6]), (0.3, 6, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3])],
)
def test_ticks_are_round(end, count, found):
    assert ticks(end, count) == pytest.approx(found)


def test_its_panel_redraws_when_a_slider_moves():
    panel = BucketPanel()
    before = panel.arrived.value
    assert panel.children.index(panel.arrived) == panel.children.index(panel.view) - 1
    (burst,) = panel.controls.by_setting["burst"]
    burst.value = 2.0
    assert "after 2.00 s" in panel.arrived.value and panel.arrived.value != before
    (beside,) = panel.controls.by_setting["beside"]
    beside.value = 12.0
    assert panel.arrived.value.count("bucket empty") == 2
    (peak,) = panel.controls.by_setting["peak"]
    peak.value = 0.0
    assert "with m3, peak cannot be 0" in panel.alert.value and "labkit-stale" in panel._dom_classes


def test_its_text_twin_has_the_picture_in_words():
    said = BucketPanel()._repr_mimebundle_()["text/plain"]
    assert "Steady rate (Mbit/s)" in said and "until it is empty, after 1.00 s; then 8." in said
