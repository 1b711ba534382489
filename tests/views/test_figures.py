import dataclasses
import re
import subprocess
import sys
from types import ModuleType
from xml.etree import ElementTree

import pytest

from labkit.experiments.outcome import compare
from labkit.views import figure, host_picture, table

from .fakes import FakeHost

SVG = "http://www.w3.org/2000/svg"


def svgs(html):
    found = ElementTree.fromstring(f"<div>{html.replace('<br>', '<br/>')}</div>")
    return list(found.iter("{http://www.w3.org/2000/svg}svg"))


def test_the_bundle_has_the_picture_and_its_text_twin(both):
    bundle = figure(both)._repr_mimebundle_()
    assert bundle["text/plain"] == table(both) == repr(figure(both))
    drawn = svgs(bundle["text/html"])
    assert len(drawn) == 2
    for svg in drawn:
        assert svg.get("role") == "img"
        assert "m1: theory" in svg.get("aria-label")


def test_the_same_outcome_gives_the_same_bytes(both):
    assert figure(both).html == figure(both).html


def test_three_bars_a_machine(both):
    html = figure(both).html
    for column in ("theory", "simulated", "live"):
        assert sum(f"{column}</text>" in line for line in html.splitlines()) == 6
    assert ">0.153 live</text>" in html


def test_it_takes_the_colours_of_the_page(both):
    html = figure(both).html
    assert "currentColor" in html
    assert "#0f1e2d" not in html
    assert "DejaVu" not in html


def test_ids_do_not_meet_those_of_another_picture(simulated, both):
    def ids(picture):
        return {element.get("id") for svg in svgs(picture.html) for element in svg.iter() if element.get("id")}

    assert ids(figure(simulated)) and not ids(figure(simulated)) & ids(figure(both))


def test_without_a_live_column_it_says_why(simulated):
    html = figure(dataclasses.replace(simulated, why_not_live="No <libvirt>.")).html
    assert "Live: not run: No &lt;libvirt&gt;." in html


@pytest.mark.parametrize("machines", [2, 64])
def test_few_and_many_machines(experiment, machines):
    outcome = compare(experiment, experiment.Settings(shares=(5,) * machines), simulated=FakeHost)
    assert len(svgs(figure(outcome).html)) == 2


def test_the_picture_of_lesson_00():
    picture = host_picture()
    (svg,) = svgs(picture.html)
    assert svg.get("role") == "img" and svg.get("aria-label").startswith("One computer")
    for word in ("host", "guest", "hypervisor", "vCPU"):
        assert f"{word}: " in picture.text


def test_importing_views_is_quick_and_brings_no_matplotlib():
    code = (
        "import labkit.views, sys; assert not {'matplotlib', 'ipywidgets', 'anywidget', 'libvirt'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pyplot_is_never_used(both):
    code = (
        "import sys; from labkit.views import run; run(host='simulated'); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_long_title_is_written_in_lines(both):
    short = figure(both).html
    longer = "Look at what the guest believes it has: less than it was given, and why is that so, do you think?"
    experiment = ModuleType("wordy")
    experiment.__dict__.update(vars(both.experiment), LABELS={"cpu": ("CPU time used", longer)})
    drawn = svgs(figure(dataclasses.replace(both, experiment=experiment)).html)[0]
    texts = ["".join(element.itertext()).strip() for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    lines = [text for text in texts if text and text in longer]
    assert " ".join(lines) == longer
    assert max(map(len, lines)) <= 58
    before = float(svgs(short)[0].get("viewBox").split()[3])
    assert float(drawn.get("viewBox").split()[3]) > before


def test_panels_beside_each_other_begin_and_end_at_the_same_height(both):
    """One title of three lines, and one of one: there is the same room above the bars of both."""
    experiment = ModuleType("uneven")
    longer = "Look at what the guest believes it has. " * 4
    experiment.__dict__.update(
        vars(both.experiment), LABELS={"cpu": ("CPU time used", longer), "ready": ("", "Short.")}
    )
    drawn = svgs(figure(dataclasses.replace(both, experiment=experiment)).html)
    assert len({svg.get("viewBox").split()[3] for svg in drawn}) == 1
    bars = [re.search(r"M ([\d.]+) ([\d.]+)", path.get("d")) for svg in drawn for path in [_first_bar(svg)]]
    assert len({bar[2] for bar in bars}) == 1


def _first_bar(svg):
    """The first path with a dashed edge: theory's bar of the first machine."""
    return next(path for path in svg.iter(f"{{{SVG}}}path") if "stroke-dasharray: 2." in (path.get("style") or ""))


def test_a_table_looks_the_same_on_every_page(both):
    """A page has styles of its own for tables: where one says nothing they come through."""
    from labkit.views.running import Result

    html = Result(both, []).html
    for tag, needs in (("table", "font-size"), ("tr", "background:none"), ("th", "padding"), ("td", "padding")):
        styles = re.findall(rf"<{tag}(?: scope=\"\w+\")?( style=\"[^\"]*\")?>", html)
        assert styles and all(needs in style for style in styles), tag
