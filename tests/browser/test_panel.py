"""The panel in a real JupyterLab; its live host is made by hand, so that every step happens, everywhere, at once."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from labkit.bench.browser import notebook_of, run_all

pytestmark = pytest.mark.browser

FAKES = Path(__file__).resolve().parents[1] / "views"
CELL = f"""
import sys
sys.path.insert(0, {str(FAKES)!r})
from fakes import FakeHost
from labkit import HostError, views
"""
PANEL = """
views.Panel("cpu-shares", open_live=lambda: FakeHost(kind="live", offset=0.013, boot=0.3, pace=0.5))
"""
IMPOSSIBLE = """
def impossible():
    raise HostError("There is no <libvirt> here.", "Run ./course open.")

views.Panel("cpu-shares", open_live=impossible)
"""


def drawn(page, panel=0):
    return int(page.locator(".labkit-view").nth(panel).get_attribute("data-drawn"))


def bar(page, machine, column, panel=0):
    place = f'.lk-card:first-child .lk-bar[data-machine="{machine}"][data-column="{column}"]'
    return float(page.locator(".labkit-view").nth(panel).locator(place).get_attribute("data-value"))


def wait_for_frame_after(page, serial, panel=0):
    page.wait_for_function(
        "([panel, serial]) => +document.querySelectorAll('.labkit-view')[panel].dataset.drawn > serial",
        arg=[panel, serial],
    )


@pytest.fixture
def opened(notebook):
    def opens(*cells, theme="JupyterLab Light", **how):
        watched = notebook(notebook_of(CELL, *cells), **how)
        page = watched.page
        page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        run_all(page)
        page.wait_for_selector(".labkit-view[data-drawn]")
        return watched

    return opens


def test_a_slider_moved_by_keyboard_redraws(opened):
    page = opened(PANEL).page
    before, serial = bar(page, "m1", "simulated"), drawn(page)
    handle = page.get_by_role("slider", name="shares of m1")
    handle.focus()
    page.keyboard.press("ArrowRight")
    wait_for_frame_after(page, serial)
    assert bar(page, "m1", "simulated") > before
    assert handle.get_attribute("aria-valuetext") == "384"
    row = page.locator(".lk-card").first.get_by_role("row", name=re.compile("m1"))
    assert f"{bar(page, 'm1', 'simulated'):.3f}" in row.inner_text()
    for readout in page.locator(".labkit-panel .widget-readout").all():
        assert not readout.evaluate("(readout) => readout.isContentEditable || readout.tabIndex >= 0")
        assert readout.get_attribute("aria-hidden") == "true"


def test_the_time_line_by_keyboard(opened):
    page = opened(PANEL).page
    lanes = page.locator(".lk-lanes")
    window = page.locator(".lk-window")
    assert "0 to 120" in window.inner_text()
    lanes.focus()
    page.keyboard.press("+")
    assert "30 to 90" in window.inner_text()
    page.keyboard.press("ArrowRight")
    assert "45 to 105" in window.inner_text()
    assert page.locator(".lk-moved").text_content() == "45 to 105 ms"
    assert page.locator(".lk-turns tbody tr").count() == 3
    page.keyboard.press("0")
    assert "0 to 120" in window.inner_text()
    page.get_by_role("button", name="Zoom out").click()
    assert "0 to 240" in window.inner_text()
    assert page.locator(".jp-Notebook .jp-Cell").count() == 2  # Lab took none of the keys for its own


def test_live_streams_follows_and_stops(opened):
    watched = opened(PANEL)
    page = watched.page
    page.get_by_role("button", name="Live").click()
    page.wait_for_selector(".labkit-view[data-mode=live]")
    for machine in ("m1", "m2", "m3"):
        for column in ("theory", "simulated", "live"):
            assert 0 < bar(page, machine, column) <= 1
    assert bar(page, "m1", "live") == pytest.approx(bar(page, "m1", "theory") + 0.013, abs=1e-6)
    wait_for_frame_after(page, drawn(page))
    wait_for_frame_after(page, drawn(page))
    page.get_by_role("slider", name="shares of m1").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "() => document.querySelector('.lk-bar[data-machine=m1][data-column=live]').dataset.value > 0.19"
    )
    # What follows a press of a button comes by message after message, so each is waited for.
    expect(page.get_by_role("slider", name="cpus")).to_have_attribute("aria-disabled", "true")
    watched.keep("panel-live", ".labkit-panel")
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("text=The guests are off")
    expect(page.get_by_role("button", name="Simulated")).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("() => document.activeElement.textContent.trim() === 'Simulated'")


def test_a_second_panel_keeps_its_colours_when_the_first_is_out_of_sight(opened):
    """Lab leaves out what is scrolled away: patterns that both panels called the same would then be nobody's."""
    page = opened(PANEL, PANEL, *["print('line\\n' * 60)"] * 2, PANEL).page
    page.wait_for_function("() => document.querySelectorAll('.labkit-view[data-drawn]').length === 3")
    ids = page.evaluate("() => [...document.querySelectorAll('.labkit-view pattern')].map((pattern) => pattern.id)")
    assert ids and len(ids) == len(set(ids))
    last = page.locator(".labkit-view").last
    last.scroll_into_view_if_needed()
    strangers = last.evaluate(
        """(view) => [...view.querySelectorAll('[fill^="url("]')]
          .map((drawn) => drawn.getAttribute("fill").slice(5, -1))
          .filter((id) => !view.querySelector(`pattern[id="${id}"]`))"""
    )
    assert strangers == []


def test_another_cells_live_run_takes_over_and_says_so(opened):
    page = opened(PANEL, PANEL).page
    page.wait_for_function("() => document.querySelectorAll('.labkit-view[data-drawn]').length === 2")
    live = page.get_by_role("button", name="Live", exact=True)
    live.first.click()
    page.wait_for_selector(".labkit-view[data-mode=live]")
    live.last.click()
    page.wait_for_selector("text=Another cell's live run has taken over")
    assert page.locator(".labkit-view").first.get_attribute("data-mode") == "live"  # what was measured stays
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("text=The guests are off; this is what they got")


def test_where_live_is_impossible_it_says_why(opened):
    page = opened(IMPOSSIBLE).page
    page.get_by_role("button", name="Live").click()
    page.wait_for_selector(".labkit-alert")
    said = page.get_by_role("alert").inner_text()
    assert "There is no <libvirt> here." in said and "Run ./course open." in said
    serial = drawn(page)
    page.get_by_role("slider", name="shares of m1").focus()
    page.keyboard.press("ArrowRight")
    wait_for_frame_after(page, serial)
    assert page.locator(".labkit-alert").count() == 0


@pytest.mark.parametrize(
    ("theme", "width"), [("JupyterLab Light", 1280), ("JupyterLab Dark", 1280), ("JupyterLab Light", 400)]
)
def test_it_is_accessible_in_both_themes_and_on_a_small_screen(opened, axe_source, theme, width):
    watched = opened(
        PANEL,
        "views.run('cpu-shares', host='simulated')",
        "views.host_picture()",
        theme=theme,
        width=width,
        height=2000,
    )
    page = watched.page
    page.wait_for_selector("text=The real computer")
    page.wait_for_timeout(500)
    watched.keep(f"panel-{theme.split()[1].lower()}-{width}")
    assert watched.axe(".jp-Notebook .jp-OutputArea", axe_source) == {}
    view = page.locator(".labkit-view")
    assert view.evaluate("(view) => view.scrollWidth <= view.clientWidth + 1"), "the view is wider than its place"


def test_a_frame_that_comes_while_the_last_is_drawn_is_not_lost(opened):
    page = opened(PANEL).page
    handle = page.get_by_role("slider", name="shares of m3")
    handle.focus()
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    share = int(page.locator(".widget-readout").nth(2).inner_text().replace(",", ""))
    expected = share / (256 + 512 + share)
    page.wait_for_function(
        "(expected) => Math.abs(document.querySelector('.lk-bar[data-machine=m3][data-column=theory]').dataset.value"
        " - expected) < 1e-6",
        arg=expected,
    )


def test_the_measurement_of_the_bench_works():
    """How fast it is, ``labkit bench --browser`` tells; a test on a busy machine could not."""
    code = "import json; from labkit.bench.browser import slider_latency; print(json.dumps(slider_latency(moves=5)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    took = json.loads(done.stdout)
    assert len(took) == 5
    assert all(0 < milliseconds < 5000 for milliseconds in took)
