"""Lesson 02 as a learner meets it: predict, play, run it for real."""

import json
import os
import re

import pytest

from labkit.bench.browser import run_all

from .conftest import TOP

pytestmark = pytest.mark.browser

MUST_RUN_LIVE = os.environ.get("CI", "").lower() in ("1", "true", "yes")
WHOLE_LESSON = 480_000  # ms: boots guests three times, on a machine that may be busy


def lesson():
    (path,) = (TOP / "notebooks").glob("02-*.ipynb")
    content = json.loads(path.read_text())
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return content


def core(page):
    """The panel of the core lesson; those of *Go further* come after it."""
    return page.locator(".labkit-panel").first


def bars(page):
    return {
        (bar["machine"], bar["column"]): float(bar["value"])
        for bar in core(page)
        .locator(".lk-card:first-child .lk-bar")
        .evaluate_all("(bars) => bars.map((bar) => ({...bar.dataset}))")
    }


def predict(page):
    form = page.locator(".labkit-predict").first
    form.scroll_into_view_if_needed()
    form.get_by_label(re.compile("Your answer")).fill("0.3")
    form.get_by_label(re.compile("How sure")).select_option(index=1)
    form.get_by_label(re.compile("Why")).fill("512 is a bit more than a quarter of all")
    form.get_by_role("button", name=re.compile("Lock")).click()
    page.wait_for_selector(".labkit-predict >> text=Locked")


@pytest.mark.timeout(600)
def test_lesson_02_predict_play_and_run_it_for_real(notebook, axe_source):
    watched = notebook(lesson(), height=1400)
    page = watched.page
    run_all(page, timeout=WHOLE_LESSON / 1000)
    page.wait_for_selector(".labkit-predict")
    assert page.locator(".labkit-reveal .labkit-view:visible").count() == 0, "the result shows before the prediction"

    predict(page)
    page.wait_for_selector(".labkit-view[data-drawn]:visible")
    core(page).scroll_into_view_if_needed()
    watched.keep("lesson-02-predicted")

    before, serial = bars(page), int(core(page).locator(".labkit-view").get_attribute("data-drawn"))
    assert before["m2", "simulated"] == pytest.approx(2 / 7, abs=0.01)
    page.get_by_role("slider", name="shares of m1").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("(serial) => document.querySelector('.labkit-view').dataset.drawn > serial", arg=serial)
    after = bars(page)
    assert after["m1", "simulated"] > before["m1", "simulated"]
    assert after["m3", "simulated"] < before["m3", "simulated"]
    watched.keep("lesson-02-simulated", ".labkit-panel")

    panel = core(page)
    panel.get_by_role("button", name="Live", exact=True).click()
    page.wait_for_selector(".labkit-view[data-mode=live], .labkit-alert", timeout=120_000)
    if page.locator(".labkit-alert").count():
        said = panel.get_by_role("alert").inner_text()
        assert not MUST_RUN_LIVE, f"no live host: {said}"
        assert said.count(".") >= 2, "a reason and a remedy"
        panel.get_by_role("button", name="Simulated").wait_for()
    else:
        live = bars(page)
        assert set(live) == {(f"m{n}", column) for n in (1, 2, 3) for column in ("theory", "simulated", "live")}
        serial = int(core(page).locator(".labkit-view").get_attribute("data-drawn"))
        page.wait_for_function("(serial) => document.querySelector('.labkit-view').dataset.drawn > serial", arg=serial)
        watched.keep("lesson-02-live", ".labkit-panel")
        panel.get_by_role("button", name="Stop").click()
        page.wait_for_selector("text=The guests are off", timeout=60_000)

    assert watched.axe(".jp-Notebook .jp-OutputArea", axe_source) == {}
    watched.keep("lesson-02-figure", ".labkit-figure")
    watched.keep("lesson-02")
