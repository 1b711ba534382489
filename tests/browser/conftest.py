"""One Chromium for all browser tests, and pages that take note of all that goes wrong in them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from labkit.bench.browser import open_notebook
from labkit.bench.lab import chromium, jupyterlab

TOP = Path(__file__).resolve().parents[2]
JS = TOP / "labkit" / "views" / "js"
ARTEFACTS = TOP / "test-artefacts" / "browser"
# What JupyterLab itself complains about where a notebook is closed while it still asks its kernel for something.
CLOSED_TOO_SOON = "Could not restore the debugger state"
KNOWN = json.loads((Path(__file__).parent / "axe_known.json").read_text())


class Watched:
    """A page, what its console complained about, and what it asked of other machines."""

    def __init__(self, page):
        self.page, self.errors, self.outside = page, [], []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message):
        if message.type == "error" and CLOSED_TOO_SOON not in message.text:
            self.errors.append(message.text)

    def _asked(self, request):
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob", "about") and address.hostname != "127.0.0.1":
            self.outside.append(request.url)

    def keep(self, name, element=None):
        """Keep a screenshot among the test artefacts."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        (self.page.locator(element).first if element else self.page).screenshot(path=ARTEFACTS / f"{name}.png")

    def axe(self, within, axe_source):
        """How many elements break each of axe's rules, beyond those that are known."""
        self.page.evaluate(axe_source)
        found = self.page.evaluate(
            "async (within) => (await axe.run(within, {resultTypes: ['violations']})).violations.map("
            "(rule) => [rule.id, rule.nodes.map((node) => node.html.slice(0, 160))])",
            within,
        )
        return {rule: nodes for rule, nodes in found if len(nodes) > KNOWN.get(rule, {}).get("elements", 0)}

    def in_order(self):
        assert self.errors == [], "the browser's console has errors"
        assert self.outside == [], "the page asked for something outside this machine"


@pytest.fixture(scope="session")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def axe_source():
    file = JS / "node_modules" / "axe-core" / "axe.min.js"
    if not file.exists():
        subprocess.run(["npm", "ci"], cwd=JS, check=True, timeout=240)
    return file.read_text()


@pytest.fixture
def page_of(browser):
    """Opens pages; at the end of the test each must be in order."""
    opened = []

    def opens(width=1280, height=1000, **how):
        context = browser.new_context(viewport={"width": width, "height": height}, **how)
        opened.append((context, Watched(context.new_page())))
        return opened[-1][1]

    yield opens
    for context, _ in opened:
        context.close()
    for _, watched in opened:
        watched.in_order()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """One JupyterLab, whose progress, settings and notebooks are the tests' own."""
    place = tmp_path_factory.mktemp("lab")
    (place / "notebooks").mkdir()
    path = os.pathsep.join(filter(None, [str(TOP), os.environ.get("PYTHONPATH", "")]))
    environment = {"LABKIT_PROGRESS": str(place / "progress.json"), "PYTHONPATH": path}
    with jupyterlab(place / "notebooks", place, environment) as running:
        yield running


@pytest.fixture
def notebook(lab, page_of, request):
    """Opens a notebook with the given content in a page of its own, and ends its kernel afterwards."""
    pages = []

    def opens(content, **how):
        name = f"{re.sub('[^a-z0-9]+', '-', request.node.name.lower())}.ipynb"
        (lab.folder / name).write_text(json.dumps(content))
        watched = page_of(**how)
        open_notebook(watched.page, lab.address(name))
        pages.append(watched.page)
        return watched

    yield opens
    for page in pages:
        page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
