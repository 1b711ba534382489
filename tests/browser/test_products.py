"""The six products looked up in a real JupyterLab, with nothing but a keyboard."""

import pytest

from labkit.bench.browser import notebook_of, run_all

pytestmark = pytest.mark.browser

CELLS = ("from labkit.course import products\nproducts.browse()", 'products.table("cap", "ready time")')


def test_choosing_by_keyboard(notebook, axe_source):
    watched = notebook(notebook_of(*CELLS))
    page = watched.page
    run_all(page)
    said = page.locator(".labkit-products [role=status]")
    said.wait_for()
    assert said.inner_text() == "Shares of all six: 5 of 6 are documented."
    before = page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.length")
    page.get_by_label("product").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("b")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.wait_for_function(
        "() => document.querySelector('.labkit-products [role=status]').innerText.startsWith('VMware ESXi, shares: ')"
    )
    after = page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.length")
    assert after == before, "a key pressed in the list edited the notebook"
    assert page.locator(".labkit-products td").count() == 1
    watched.keep("products", ".labkit-products")
    assert watched.axe(".labkit-products", axe_source) == {}
