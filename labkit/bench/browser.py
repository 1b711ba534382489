"""From a slider to the redrawn picture, timed in a real browser by the browser's own clock."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.bench.lab import chromium, jupyterlab

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["notebook_of", "open_notebook", "run_all", "slider_latency"]

# From the key that moves the slider to the moment after the screen was painted with the frame that it caused.
_STOPWATCH = """
() => {
  const view = document.querySelector('.labkit-view');
  let pressed = null;
  window.labkitTook = [];
  document.addEventListener('keydown', (event) => { pressed = event.timeStamp; }, true);
  new MutationObserver(() => {
    const begun = pressed;
    pressed = null;
    if (begun === null) return;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => window.labkitTook.push(performance.now() - begun);
      channel.port2.postMessage(0);
    });
  }).observe(view, { attributeFilter: ['data-drawn'] });
}
"""


def notebook_of(*cells: str) -> dict[str, Any]:
    """A notebook with those cells of code, ready to be written as JSON."""
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "execution_count": None,
                "metadata": {},
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def open_notebook(page: Page, address: str) -> None:
    """Open a notebook in JupyterLab and wait until its kernel is there."""
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    kernel = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
    page.wait_for_function(f"() => {kernel}?.connectionStatus === 'connected'", timeout=60_000)


def run_all(page: Page, timeout: float = 60.0) -> None:
    """Run all cells and wait until they are done.

    Parameters
    ----------
    page : Page
        A page with a notebook.
    timeout : float
        How long to wait, in seconds.
    """
    page.set_default_timeout(timeout * 1000)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.set_default_timeout(30_000)


def slider_latency(moves: int = 60) -> list[float]:
    """How long a slider of the panel of `cpu-shares` takes to redraw the picture, for each of many moves.

    Opens JupyterLab and Chromium, runs a panel, and moves its first slider to and fro with the arrow keys, each
    time after the last picture has come. Timed from the key to the painted screen.

    Parameters
    ----------
    moves : int
        How many moves are timed; ten more come first and are not.

    Returns
    -------
    list of float
        Milliseconds, one for each move.

    Raises
    ------
    RuntimeError
        Where JupyterLab or the browser does not start, or a move brings no picture.
    """
    from playwright.sync_api import Error

    with tempfile.TemporaryDirectory() as name:
        folder, own = Path(name) / "notebooks", Path(name) / "own"
        folder.mkdir()
        own.mkdir()
        cell = "from labkit import views\nviews.Panel('cpu-shares')"
        (folder / "panel.ipynb").write_text(json.dumps(notebook_of(cell)))
        environment = {"LABKIT_PROGRESS": "memory", "PYTHONPATH": os.pathsep.join(_path())}
        with jupyterlab(folder, own, environment) as lab, chromium() as browser:
            page = browser.new_page(viewport={"width": 1200, "height": 1100})
            try:
                open_notebook(page, lab.address("panel.ipynb"))
                run_all(page)
                page.wait_for_selector(".labkit-view[data-drawn]")
                page.evaluate(_STOPWATCH)
                handle = page.locator(".labkit-panel .noUi-handle").first
                handle.focus()
                for move in range(moves + 10):
                    # Eight steps up, eight down: every move changes the picture.
                    page.keyboard.press("ArrowRight" if move // 8 % 2 == 0 else "ArrowLeft")
                    page.wait_for_function(f"() => window.labkitTook.length > {move}", timeout=10_000)
                took = page.evaluate("() => window.labkitTook")
            except Error as error:
                raise RuntimeError(f"the browser did not get there: {error.message.splitlines()[0]}") from error
    return [round(float(milliseconds), 1) for milliseconds in took[10:]]


def _path() -> list[str]:
    """Where this very labkit is imported from, for a kernel that starts in another folder."""
    here = str(Path(__file__).resolve().parents[2])
    return [here, *filter(None, [os.environ.get("PYTHONPATH", "")])]
