"""Consoles of real guests in a real JupyterLab: typed at, read, left by keyboard; and frames gone through in turn."""

import os

import pytest

from labkit.bench.browser import notebook_of, run_all

pytestmark = pytest.mark.browser

MUST_RUN_LIVE = os.environ.get("CI", "").lower() in ("1", "true", "yes")
GUESTS = """
import labkit
from labkit import views
from labkit.host import HostError
try:
    host = labkit.live()
    m1, m2 = host.create("m1"), host.create("m2")
except HostError as error:
    print(error)
"""
FRAMES = """
from labkit.host.networks import Port
from labkit.views.topologies import drawn
from labkit.views.wiring import Frame, Plug, Wiring
plugs = tuple(Plug(name, Port("lan", vlan=vlan)) for name, vlan in (("m1", 10), ("m2", 10), ("m3", 20)))
frames = (Frame(0, "m1", ("m2",), "who has 10.0.0.2?", "all"), Frame(0.1, "m2", ("m1",), "here", "m1"))
table = {"lan": {"52:54:00:00:00:01": "m1", "52:54:00:00:00:02": "m2"}}
drawn(Wiring(("m1", "m2", "m3"), plugs, table, frames, from_nothing=True))
"""


def printed(page, place):
    return page.locator(".labkit-console").nth(place).evaluate("(root) => root.labkitPrinted()")


def until(page, place, words, seconds=30):
    page.wait_for_function(
        "([place, words]) => document.querySelectorAll('.labkit-console')[place].labkitPrinted().includes(words)",
        arg=[place, words],
        timeout=1000 * seconds,
    )


def theme(page, name):
    page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
    page.wait_for_timeout(400)


def test_two_guests_are_typed_at_and_left_by_keyboard(notebook, axe_source):
    watched = notebook(
        notebook_of(GUESTS, "views.consoles(m1, m2)"), width=900, permissions=["clipboard-read", "clipboard-write"]
    )
    page = watched.page
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    run_all(page, timeout=120)
    if not page.locator(".labkit-console").count():
        said = page.locator(".jp-OutputArea-output").first.inner_text()
        assert not MUST_RUN_LIVE, f"no live host: {said}"
        pytest.skip(said)
    page.wait_for_function("() => document.querySelectorAll('.labkit-console[data-ready]').length === 2")
    keys = page.get_by_role("textbox", name="Keys for m1")
    keys.focus()
    page.keyboard.type("\necho $((6 * 7)) apples dd aa\n")  # d and a are shortcuts of Lab's
    until(page, 0, "42 apples dd aa")
    assert "apples" not in printed(page, 1)
    assert page.locator(".jp-Notebook .jp-Cell").count() == 2

    busy = "import time; time.sleep(15)"  # keys do not wait for a cell to end
    page.evaluate(
        "(code) => { window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code}); }",
        busy,
    )
    page.wait_for_timeout(500)
    page.keyboard.type("echo bu'sy'\n")
    until(page, 0, "\nbusy", 10)
    page.keyboard.type("sleep 1000\n")
    until(page, 0, "sleep 1000")
    page.keyboard.press("Control+c")
    page.keyboard.type("stty size\n")
    columns = page.locator(".labkit-console").first.evaluate("(root) => root.labkitColumns()")
    until(page, 0, f"16 {columns}")

    page.evaluate("() => navigator.clipboard.writeText('echo pa\\'sted\\'\\n')")
    page.get_by_role("textbox", name="Keys for m2").focus()
    page.keyboard.press("Control+v")
    until(page, 1, "\npasted")
    page.keyboard.press("Control+]")
    assert page.evaluate("() => document.activeElement.textContent") == "Copy"
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Copied.")
    assert "\npasted" in page.evaluate("() => navigator.clipboard.readText()")
    keys.focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.evaluate("() => document.activeElement.textContent") == "Copy"

    for name in ("JupyterLab Dark", "JupyterLab Light"):
        theme(page, name)
        watched.keep(f"console-{name.split()[1].lower()}", ".jp-Notebook")
        assert watched.axe(".jp-Notebook .jp-OutputArea", axe_source) == {}
        ground = "(one) => getComputedStyle(one).backgroundColor"
        own = page.locator(".labkit-console").first.evaluate(ground)
        assert page.locator(".labkit-console .xterm-scrollable-element").first.evaluate(ground) == own
    page.get_by_label("for a screen reader").first.check()
    page.wait_for_selector(".xterm-accessibility >> text=42 apples dd aa", state="attached")

    keys.focus()
    page.keyboard.type("poweroff -f\n")
    page.wait_for_selector(".labkit-console >> text=the machine was switched off")
    page.get_by_role("button", name="Connect again").click()
    page.wait_for_selector("text=m1 is switched off")
    assert page.locator(".labkit-console").nth(1).get_attribute("data-held") == "true"


@pytest.mark.parametrize(("look", "width"), [("JupyterLab Light", 1000), ("JupyterLab Dark", 600)])
def test_frames_are_gone_through_by_keyboard(notebook, axe_source, look, width):
    watched = notebook(notebook_of(FRAMES), width=width)
    page = watched.page
    theme(page, look)
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    run_all(page)
    page.wait_for_selector(".labkit-topology")
    words, marks = page.locator(".lt-words"), page.locator(".lt-marks")
    assert words.inner_text() == "Before the first of 2 frames." and marks.locator("path").count() == 0
    known = page.locator(".lt-learnt")
    assert known.inner_text() == "The switch has not learnt where anybody is."
    page.get_by_role("slider", name="frame").focus()
    page.keyboard.press("ArrowRight")
    said = "Frame 1 of 2, at 0.000 ms m1 sends to all: who has 10.0.0.2? Seen by m2. The switch learns where m1 is."
    assert words.inner_text() == said and known.locator("tbody tr").count() == 1
    assert marks.locator("text=sends").count() == 1 and marks.locator("text=sees it").count() == 1
    page.get_by_role("button", name="Next").press("Enter")
    assert words.inner_text().startswith("Frame 2 of 2, at 100.000 ms m2 sends to m1")
    assert known.locator("tbody tr").count() == 2
    page.get_by_role("button", name="Next").press("Enter")
    assert words.inner_text().startswith("Frame 2 of 2")
    page.get_by_role("button", name="Previous").press("Enter")
    assert words.inner_text().startswith("Frame 1 of 2")
    assert "Frame 1 of 2" in page.get_by_role("img", name="3 machines and 1 switch").get_attribute("aria-label")
    watched.keep(f"topology-{look.split()[1].lower()}-{width}", ".jp-Notebook")
    assert watched.axe(".jp-Notebook .jp-OutputArea", axe_source) == {}
    assert page.locator(".jp-Notebook .jp-Cell").count() == 1
    page.wait_for_timeout(500)  # Lab has questions to a new kernel, and complains where it is gone before the answers
