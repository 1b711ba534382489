"""Lesson 03 as a learner meets it: predict, move a balloon, and move a real one."""

import json
import os
import re

import pytest

from labkit.bench.browser import run_all

from .conftest import TOP

pytestmark = pytest.mark.browser

MUST_RUN_LIVE = os.environ.get("CI", "").lower() in ("1", "true", "yes")
WHOLE_LESSON = 600_000  # ms: boots guests several times, on a machine that may be busy


def lesson():
    (path,) = (TOP / "notebooks").glob("03-*.ipynb")
    content = json.loads(path.read_text())
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return content


def core(page):
    """The panel of the core lesson; those of *Go further* come after it."""
    return page.locator(".labkit-panel").first


def parts(page, column="simulated"):
    blocks = core(page).locator(f'.lk-memory-bars g[data-column="{column}"] .lk-bar')
    return dict(blocks.evaluate_all("(all) => all.map(({dataset}) => [dataset.part, +dataset.value])"))


def predict(page):
    form = page.locator(".labkit-predict").first
    form.scroll_into_view_if_needed()
    form.get_by_label(re.compile("Your answer")).fill("34")
    form.get_by_label(re.compile("How sure")).select_option(index=1)
    form.get_by_label(re.compile("Why")).fill("what is not in use is free")
    form.get_by_role("button", name=re.compile("Lock")).click()
    page.wait_for_selector(".labkit-predict >> text=Locked")


def target_to(page, least):
    """Move the balloon until the guest has so little, by keyboard."""
    serial = int(core(page).locator(".labkit-view").get_attribute("data-drawn"))
    handle = core(page).get_by_role("slider", name="target")
    handle.focus()
    while float(handle.get_attribute("aria-valuenow")) > least:
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("(serial) => document.querySelector('.labkit-view').dataset.drawn > serial", arg=serial)


@pytest.mark.timeout(900)
def test_lesson_03_predict_and_move_a_balloon(notebook, axe_source):
    watched = notebook(lesson(), height=1600)
    page = watched.page
    run_all(page, timeout=WHOLE_LESSON / 1000)
    page.wait_for_selector(".labkit-predict")
    assert page.locator(".labkit-reveal .labkit-view:visible").count() == 0, "the result shows before the prediction"

    predict(page)
    page.wait_for_selector(".labkit-view[data-drawn]:visible")
    core(page).scroll_into_view_if_needed()
    before = parts(page)
    assert before.get("ballooned", 0) < 1
    watched.keep("lesson-03-predicted")
    target_to(page, 128)
    page.wait_for_function("() => document.querySelector('.lk-bar[data-part=ballooned]')?.dataset.value > 127")
    after = parts(page)
    assert after["used"] == pytest.approx(before["used"], abs=1)
    assert before["free"] - after["free"] == pytest.approx(128, abs=2)
    watched.keep("lesson-03-simulated", ".labkit-panel")

    panel = core(page)
    panel.get_by_role("button", name="Live", exact=True).click()
    page.wait_for_selector(".labkit-view[data-mode=live], .labkit-alert", timeout=240_000)
    if page.locator(".labkit-alert").count():
        said = panel.get_by_role("alert").inner_text()
        assert not MUST_RUN_LIVE, f"no live host: {said}"
        assert said.count(".") >= 2, "a reason and a remedy"
        panel.get_by_role("button", name="Simulated").wait_for()
    else:
        target_to(page, 112)
        page.wait_for_function(
            "() => document.querySelector('.lk-memory-bars g[data-column=live] .lk-bar[data-part=ballooned]')"
            "?.dataset.value > 142",
            timeout=60_000,
        )
        assert parts(page, "live")["used"] == pytest.approx(parts(page)["used"], abs=13)  # 5% of 256 MiB
        watched.keep("lesson-03-live", ".labkit-panel")
        panel.get_by_role("button", name="Stop").click()
        page.wait_for_selector("text=The guests are off", timeout=60_000)

    assert watched.axe(".jp-Notebook .jp-OutputArea", axe_source) == {}
    watched.keep("lesson-03")
