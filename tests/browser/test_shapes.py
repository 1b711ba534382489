"""Panels of experiments that are not like `cpu-shares`: caps, choices, runs with an end."""

from pathlib import Path

import pytest

from labkit.bench.browser import notebook_of, run_all

pytestmark = pytest.mark.browser

FAKES = Path(__file__).resolve().parents[1] / "views"
START = f"""
import sys
sys.path.insert(0, {str(FAKES)!r})
import invented
from fakes import FakeHost
from labkit import views
"""
ONCE = """
views.Panel(invented.monopoly(), open_simulated=lambda settings: FakeHost(),
            open_live=lambda: FakeHost(kind="live", boot=0.3, pace=0.5))
"""


@pytest.fixture
def opened(notebook):
    def opens(*cells, **how):
        watched = notebook(notebook_of(START, *cells), **how)
        watched.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        run_all(watched.page)
        watched.page.wait_for_selector(".labkit-view[data-drawn]")
        return watched

    return opens


def drawn(page):
    return int(page.locator(".labkit-view").first.get_attribute("data-drawn"))


def wait_for_frame_after(page, serial):
    page.wait_for_function("(serial) => +document.querySelector('.labkit-view').dataset.drawn > serial", arg=serial)


def test_a_throttled_machine_is_crossed_out(opened, axe_source):
    watched = opened("views.Panel('cpu-cap')", height=1500)
    page = watched.page
    lane = page.locator(".lk-held[data-machine=m1]")
    assert lane.count() == page.locator(".lk-held").count() == 1
    assert "throttled-0" in lane.get_attribute("fill")
    # Both at one moment: when the page settles the view is drawn again, and elements are replaced.
    below, wide = page.evaluate(
        """() => {
          const place = (name) => document.querySelector(name).getBoundingClientRect();
          const [lane, run] = [place(".lk-held"), place(".lk-block")];
          return [lane.top - run.bottom, lane.width];
        }"""
    )
    assert below >= 0, "it lies over the CPU's own lane"
    assert wide > 10
    assert "throttled" in page.locator(".lk-held-key").inner_text()
    page.locator(".lk-turns summary").click()
    assert page.get_by_role("columnheader", name="throttled").is_visible()
    row = page.locator(".lk-turns").get_by_role("row", name="m1")
    assert 0 < float(row.get_by_role("cell").last.inner_text()) <= 75  # 25 of 100 ms it runs
    watched.keep("panel-cap", ".labkit-panel")
    serial = drawn(page)
    page.get_by_role("slider", name="caps of m1").focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    wait_for_frame_after(page, serial)
    assert watched.axe(".jp-Notebook .jp-OutputArea", axe_source) == {}


def test_without_a_cap_nothing_is_crossed_out(opened):
    page = opened("views.Panel('cpu-shares')").page
    assert page.locator(".lk-held").count() == 0
    assert page.locator(".lk-held-key").is_hidden()


def test_a_choice_redraws_and_the_phases_share_a_scale(opened, axe_source):
    watched = opened("views.Panel('cpu-spike')", height=2600)
    page = watched.page
    waited = '.lk-bar[data-machine="spike"][data-column="simulated"]'
    card = page.locator(".lk-card").filter(has_text="came during the spike")
    before, serial = float(card.locator(waited).get_attribute("data-value")), drawn(page)
    page.get_by_label("control").select_option("hot-add")
    wait_for_frame_after(page, serial)
    assert float(card.locator(waited).get_attribute("data-value")) < before / 2
    assert page.locator(".lk-sample-theory").is_visible()
    assert page.locator(".lk-card").filter(has_text="from the beginning to the end").locator(".lk-curve").count() == 3
    watched.keep("panel-spike", ".labkit-panel")
    assert watched.axe(".jp-Notebook .jp-OutputArea", axe_source) == {}


@pytest.mark.parametrize(("look", "width"), [("JupyterLab Light", 1000), ("JupyterLab Dark", 500)])
def test_who_reaches_whom_is_a_table_in_the_place_of_bars(opened, axe_source, look, width):
    watched = opened("views.Panel('net-isolation')", width=width)
    page = watched.page
    page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", look)
    page.wait_for_timeout(400)
    assert page.locator(".lk-bar").count() == 0 and page.locator(".lk-sample-theory").is_hidden()
    cells = page.locator(".lk-instead > div td")
    assert cells.all_inner_texts() == ["itself", "yes", "no", "yes", "itself", "no", "no", "no", "itself"]
    page.get_by_text("In numbers", exact=True).click()
    serial = drawn(page)
    page.get_by_label("VLAN of m3").focus()
    page.keyboard.type("10")  # as a person chooses by keyboard
    wait_for_frame_after(page, serial)
    page.wait_for_function(
        "() => ![...document.querySelectorAll('.lk-instead td')].some((one) => one.innerText == 'no')"
    )
    assert page.locator(".lk-in-numbers tbody tr").first.is_visible()  # what was opened stays open
    assert page.locator(".labkit-view").bounding_box()["height"] < 700
    watched.keep(f"panel-who-{look.split()[1].lower()}", ".labkit-panel")
    assert watched.axe(".jp-Notebook .jp-OutputArea", axe_source) == {}


def test_an_experiment_with_an_end_is_run_live_once(opened):
    watched = opened(ONCE, height=1600)
    page = watched.page
    assert page.locator(".lk-sample-theory").is_hidden()
    response = page.locator(".lk-card").filter(has_text="Mean response time")
    assert response.locator(".lk-bar").count() == 1
    assert "1234.6" in response.inner_text()
    assert response.locator(".lk-curves").count() == 0
    page.get_by_role("button", name="Run live once").click()
    page.wait_for_selector("text=The guests are off; this is what they got")
    assert response.locator(".lk-bar").count() == 2
    assert page.get_by_role("button", name="Simulated").get_attribute("aria-pressed") == "true"
    watched.keep("panel-once", ".labkit-panel")
