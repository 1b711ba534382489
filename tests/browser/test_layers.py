"""Type 1 and type 2 taken apart in a real JupyterLab, with nothing but a keyboard, on a wide screen and a small one."""

import pytest

from labkit.bench.browser import notebook_of, run_all

pytestmark = pytest.mark.browser

CELLS = ("from labkit.views.layers import Layers, two_types\ntwo_types()", "Layers()")


def press(page, name):
    """Put the focus on a button of that name, and press it by the space bar."""
    page.locator(".labkit-layers").get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Space")


def says(page, words):
    page.wait_for_function(
        "(words) => document.querySelector('.labkit-layers [role=status]').innerText.includes(words)", arg=words
    )


def test_taking_it_apart_by_keyboard(notebook, axe_source):
    watched = notebook(notebook_of(*CELLS))
    page = watched.page
    run_all(page)
    page.locator(".labkit-layers [role=status]").wait_for()
    says(page, "The hypervisor stands on the hardware.")
    press(page, "Type 2")
    says(page, "a program on an ordinary system")
    press(page, "Who schedules")
    says(page, "The host's system decides")
    press(page, "One disk write")
    says(page, "2 world switches")
    press(page, "4")
    says(page, "4 of 7")
    assert "Mark 4 is filled" in page.locator(".labkit-layers svg").get_attribute("aria-label")
    watched.keep("layers", ".labkit-layers")
    assert watched.axe(".labkit-layers", axe_source) == {}


def test_nothing_is_cut_off_on_a_small_screen(notebook):
    watched = notebook(notebook_of(*CELLS), width=420, height=900)
    page = watched.page
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    run_all(page)
    page.locator(".labkit-layers svg").wait_for()
    press(page, "One disk write")
    says(page, "exit")
    layers = page.locator(".labkit-layers")
    assert layers.evaluate("(box) => box.scrollWidth <= box.clientWidth + 1"), "the widget is wider than its place"
    room = layers.bounding_box()
    assert room["width"] > 250
    drawn = layers.locator("svg").bounding_box()
    assert room["x"] - 1 <= drawn["x"] and drawn["x"] + drawn["width"] <= room["x"] + room["width"] + 1
    watched.keep("layers-small", ".labkit-layers")
