"""The lesson's cards with a busy kernel, and with nothing but a keyboard."""

import re

import pytest

from labkit.bench.browser import notebook_of, run_all
from labkit.course.progress import Progress

pytestmark = pytest.mark.browser

START = """
from pathlib import Path
from labkit.course import Lesson, Progress, Verdict
here = Lesson("02", Progress(None))
here.predict("first", "What does `m3` get?", unit="CPU", low=0, high=1, within=0.05)
"""
REASON = "there are <b>four</b> of them, and all ask for the same"
EXERCISE = """
here.exercise("mine", goal="Reach 3.", check=lambda values, given: Verdict(given == 3, "I see it."),
              hints=["look", "think"], values=[{}], solution="task.check(3)")
"""


def cells(page):
    return page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.length")


def opened(notebook, *code):
    watched = notebook(notebook_of(*code), height=1400)
    run_all(watched.page)
    return watched


def test_what_was_typed_while_the_kernel_was_busy_is_what_is_locked(notebook, tmp_path):
    start = START.replace("None", f"Path({str(tmp_path / 'progress.json')!r})")
    page = notebook(notebook_of(start, "import time\ntime.sleep(8)")).page
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    form = page.locator(".labkit-predict")
    number = form.get_by_label(re.compile("Your answer .from 0 to 1 CPU"))
    number.wait_for()
    lock = form.get_by_role("button", name="Lock my answer")
    number.press_sequentially("1,25")
    lock.click()
    assert "from 0 to 1 CPU" in form.get_by_role("alert").inner_text()
    assert number.get_attribute("aria-invalid") == "true"
    number.fill("")
    number.press_sequentially("0,25", delay=40)
    form.get_by_label("How sure are you?").select_option("75")
    form.get_by_label("Why").press_sequentially(REASON, delay=20)
    before = cells(page)
    lock.focus()
    page.keyboard.press("b")
    assert cells(page) == before, "a key pressed on the button edited the notebook"
    assert form.get_attribute("data-lm-suppress-shortcuts") == "true"
    lock.press("Enter")
    assert "Locking…" in form.get_by_role("status").inner_text()
    assert lock.is_disabled()
    page.wait_for_selector(".labkit-predict >> text=Locked.")
    said = form.get_by_role("status").inner_text()
    assert said == f"You said 0.25 CPU, fairly sure (75%), because: {REASON}. Locked."
    assert page.evaluate("() => document.activeElement.className") == "labkit-locked"
    kept = Progress(tmp_path / "progress.json").lesson("02")["predictions"]["first"]
    assert (kept["value"], kept["sure"], kept["why"]) == (0.25, 75, REASON)


def test_a_quiz_by_the_keyboard(notebook, axe_source):
    watched = opened(notebook, START, "here.quiz()")
    page = watched.page
    group = page.get_by_role("radiogroup").first
    group.wait_for()
    assert group.get_attribute("aria-labelledby")
    radios = group.get_by_role("radio")
    radios.first.focus()
    before = cells(page)
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("b")
    assert radios.nth(1).is_checked() and not radios.first.is_checked()
    assert cells(page) == before
    text = group.locator(".labkit-option span").first.bounding_box()
    assert radios.first.bounding_box()["x"] < text["x"]
    page.get_by_role("button", name="Check question 1").press("Enter")
    page.locator(".labkit-explained").first.get_by_text(re.compile("Yes|Not quite")).wait_for()
    assert watched.axe(".jp-Notebook .jp-OutputArea", axe_source) == {}
    watched.keep("course-quiz", ".labkit-quiz")


def test_the_focus_is_not_lost(notebook):
    page = opened(notebook, START, "here.reveal('first', 'the result', value=0.5)", EXERCISE).page
    hint = page.get_by_role("button", name=re.compile("hint", re.IGNORECASE))
    for words in ("Hint 1", "Hint 2"):
        hint.press("Enter")
        page.locator(".labkit-exercise").get_by_text(words).wait_for()
    page.wait_for_function("() => document.activeElement.textContent.includes('Show a solution')")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.textContent.includes('task.check(3)')")
    page.get_by_role("button", name="Predict first, or show anyway").press("Enter")
    page.wait_for_function("() => document.activeElement.textContent.includes('the result')")
