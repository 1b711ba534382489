"""The panel of an experiment with buckets: the picture of what has arrived in all stands above the bars."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import ipywidgets as widgets

from labkit.experiments.outcome import Outcome
from labkit.views.arriving import drawn, in_words
from labkit.views.panel import Panel

__all__ = ["BucketPanel"]


class BucketPanel(Panel):
    """A `labkit.views.Panel` that also draws what has arrived in all against the bound of each bucket.

    The picture follows the sliders, and has the live points once a live run is over.

    Parameters
    ----------
    experiment : str or module
        One that has a bound over time, such as ``"net-shaping"``.
    **how
        As for `labkit.views.Panel`.
    """

    def __init__(self, experiment: str | ModuleType = "net-shaping", **how: Any) -> None:
        self.arrived = widgets.HTML()
        super().__init__(experiment, **how)
        before = self.children.index(self.view)
        self.children = (*self.children[:before], self.arrived, *self.children[before:])

    def _show(self, outcome: Outcome, **how: Any) -> None:
        super()._show(outcome, **how)
        self.arrived.value = drawn(outcome)

    def _text_twin(self) -> str:
        return f"{super()._text_twin()}\n\n{in_words(self.outcome)}"
