"""Where the memory is, in a real JupyterLab: bars, strips, the moment by keyboard, and the numbers in words."""

from pathlib import Path

import pytest

from labkit.bench.browser import notebook_of, run_all

pytestmark = pytest.mark.browser

FAKES = Path(__file__).resolve().parents[1] / "views"
CELL = f"""
import sys
sys.path.insert(0, {str(FAKES)!r})
import remembering
from fakes import FakeHost
from labkit import views
"""
BALLOON = "views.Panel(remembering.balloon(), open_simulated=lambda _: FakeHost())"
DYNAMIC = "views.Panel(remembering.dynamic(), open_simulated=lambda _: FakeHost())"


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


def parts(page, machine="m1"):
    blocks = page.locator(f'.lk-memory-bars g[data-machine="{machine}"] .lk-bar')
    found = blocks.evaluate_all("(all) => all.map(({dataset}) => [dataset.part, +dataset.value])")
    return {name: round(value) for name, value in found}


def test_the_moment_is_moved_by_keyboard(opened):
    page = opened(BALLOON).page
    assert parts(page) == {"kernel": 38, "used": 28, "free": 62, "ballooned": 128}
    moment = page.get_by_role("slider", name="moment")
    assert moment.get_attribute("aria-valuetext") == "4.00 s"
    moment.focus()
    page.keyboard.press("Home")
    assert moment.get_attribute("aria-valuetext") == "1.00 s"
    assert parts(page) == {"kernel": 38, "used": 28, "free": 190}
    assert "at 1.00 s, the beginning" in page.locator(".lk-when").inner_text()
    page.keyboard.press("End")
    assert "the end" in page.locator(".lk-when").inner_text()
    assert parts(page)["ballooned"] == 128
    assert page.locator(".jp-Notebook .jp-Cell").count() == 2  # Lab took none of the keys for its own


def test_the_numbers_are_also_a_table(opened):
    page = opened(BALLOON).page
    page.get_by_text("Where the memory is, in numbers").click()
    row = page.locator(".lk-memory-table").get_by_role("row", name="m1, simulated")
    assert row.inner_text().split()[-5:] == ["37.6", "28.2", "62.2", "128.0", "128.0"]


def test_the_hosts_bar_holds_what_the_machines_take(opened):
    page = opened(DYNAMIC, "views.Panel('cpu-shares')").page
    page.wait_for_function("() => document.querySelectorAll('.labkit-view[data-drawn]').length === 2")
    memory, cpu = page.locator(".labkit-view").all()
    taken = memory.locator('.lk-memory-bars > .lk-bar[data-part="host"]').evaluate_all(
        "(all) => all.map(({dataset}) => +dataset.value)"
    )
    assert taken == pytest.approx([131, 132, 133, 134])
    assert memory.locator(".lk-strip").count() == 5  # one for each machine, and the host's
    assert memory.locator(".lk-time").is_hidden() and cpu.locator(".lk-time").is_visible()
    assert memory.locator(".lk-memory").is_visible() and cpu.locator(".lk-memory").is_hidden()
    page.wait_for_timeout(500)  # Lab has questions to a new kernel, and complains where it is gone before the answers


@pytest.mark.parametrize(
    ("theme", "width"), [("JupyterLab Light", 1280), ("JupyterLab Dark", 1280), ("JupyterLab Light", 400)]
)
def test_it_is_accessible_in_both_themes_and_on_a_small_screen(opened, axe_source, theme, width):
    watched = opened(DYNAMIC, BALLOON, theme=theme, width=width, height=2000)
    watched.page.wait_for_timeout(500)
    watched.keep(f"memory-{theme.split()[1].lower()}-{width}")
    assert watched.axe(".jp-Notebook .jp-OutputArea", axe_source) == {}
    view = watched.page.locator(".labkit-view").first
    assert view.evaluate("(view) => view.scrollWidth <= view.clientWidth + 1"), "the view is wider than its place"


def test_a_mebibyte_stays_as_long_as_it_was(opened):
    page = opened("views.Panel('memory-balloon', target=128)").page
    block = page.locator('.lk-memory-bars > .lk-bar[data-part="host"]')

    def scale():
        return float(block.get_attribute("width")) / float(block.get_attribute("data-value"))

    before = scale()
    memory = page.get_by_role("slider", name="memory")
    memory.focus()
    while float(memory.get_attribute("aria-valuenow")) > 128:
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => !document.querySelector('.lk-bar[data-part=ballooned]')")
    assert scale() == pytest.approx(before, rel=0.01)


def test_the_slider_goes_from_look_to_look_and_each_has_its_own_moment(opened):
    page = opened("views.Panel('memory-balloon', target=128)").page
    moment = page.get_by_role("slider", name="moment")
    moment.focus()
    page.keyboard.press("Home")
    assert parts(page) == {"kernel": 38, "used": 34, "free": 185}  # 0 s: the balloon has not been sent
    seen = []
    for _step in range(12):
        seen.append((moment.get_attribute("aria-valuetext"), parts(page).get("ballooned", 0)))
        page.keyboard.press("ArrowRight")
    assert seen[0] == ("0.00 s", 0)
    assert len({time for time, _ballooned in seen}) == len(seen)
    assert [ballooned for _time, ballooned in seen] == sorted({ballooned for _time, ballooned in seen})


def test_a_refused_setting_greys_the_picture(opened):
    page = opened("views.Panel('memory-balloon', target=96)").page
    target = page.get_by_role("slider", name="target")
    target.focus()
    for _step in range(3):
        page.keyboard.press("ArrowLeft")
    page.get_by_text("the picture still shows target 88").wait_for()
    drawn = page.locator(".lk-memory-drawn")
    assert drawn.evaluate("(drawn) => getComputedStyle(drawn).opacity") == "0.45"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => getComputedStyle(document.querySelector('.lk-memory-drawn')).opacity === '1'")


def test_reset_takes_the_moment_back_to_the_end(opened):
    page = opened("views.Panel('memory-balloon', target=128)").page
    moment = page.get_by_role("slider", name="moment")
    moment.focus()
    page.keyboard.press("Home")
    assert parts(page) == {"kernel": 38, "used": 34, "free": 185}
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("() => document.querySelector('.lk-when').textContent.includes('the end')")
    assert parts(page)["ballooned"] == 128


def test_what_is_never_live_has_no_columns_for_it(opened):
    page = opened("views.Panel('memory-overcommit', seconds=2.0, memory=32.0)").page
    assert page.locator(".lk-card thead").first.inner_text().split() == ["machine", "theory", "simulated"]
    row = page.locator(".lk-card tbody tr").first
    assert row.locator("td").count() == 2
