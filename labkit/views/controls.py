"""The controls of an experiment, made from its settings: a slider for each number, a list for each choice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any

import ipywidgets as widgets

from labkit.experiments.settings import SettingError, describe, validate

__all__ = ["Controls", "steps"]

_WIDE = 1000  # from this ratio of largest to smallest on, a slider goes in proportions and not in steps of one
_SHOWN = {"cpus": (1, 8), "shares": (64, 4096)}  # what a slider reaches on screen; a start outside widens it
_STYLE = {"description_width": "108px"}


def steps(smallest: int, largest: int, *exact: int) -> list[int]:
    """The whole numbers 2, 3, 4, 6, 8, 12 …: each power of two and the point half way to the next.

    Parameters
    ----------
    smallest, largest : int
        The range.
    exact : int
        Numbers that must be among them whatever they are.
    """
    found = {smallest, largest, *exact}
    power = 1
    while power <= largest:
        found.update(number for number in (power, power * 3 // 2) if smallest <= number <= largest)
        power *= 2
    return sorted(found)


def _layout() -> widgets.Layout:
    return widgets.Layout(width="340px", max_width="100%")


def _slider(label: str, value: Any, entry: dict[str, Any]) -> widgets.Widget:
    """A slider over one number of a setting."""
    tooltip = f"{label}: {entry['about']}" + (f", in {entry['unit']}" if entry["unit"] else "")
    shared = {"description": label, "tooltip": tooltip, "style": _STYLE, "layout": _layout()}
    smallest, largest = entry["min"], entry["max"]
    whole = entry["type"] == "integer" or entry.get("item") == "integer"
    if entry["type"] == "choice":
        return widgets.Dropdown(options=entry["choices"], value=value, **shared)
    wide = largest >= _WIDE * max(1, smallest)
    smallest, largest = max(smallest, entry["shown"][0]), min(largest, entry["shown"][1])
    smallest, largest = min(smallest, value), max(largest, value)
    if whole and wide:
        options = [(f"{number:,}".replace(",", " "), number) for number in steps(smallest, largest, value)]
        return widgets.SelectionSlider(options=options, value=value, **shared)
    if whole:
        return widgets.IntSlider(value=value, min=smallest, max=largest, **shared)
    step = 0.5 if largest - smallest > 20 else 0.1
    return widgets.FloatSlider(value=value, min=smallest, max=largest, step=step, readout_format=".1f", **shared)


def _labelled(name: str, entry: dict[str, Any]) -> str:
    unit = entry["unit"]
    return f"{name} ({unit})" if unit and unit != name else name


class Controls:
    """The sliders of one experiment.

    Parameters
    ----------
    experiment : module
        Whose settings they are.
    settings : object
        What they show at first; a list has a slider for each of its items.
    changed : callable
        Called with the new settings whenever a person moves one.
    refused : callable
        Called with the `SettingError` where the settings do not fit together.
    """

    def __init__(
        self,
        experiment: ModuleType,
        settings: Any,
        changed: Callable[[Any], None],
        refused: Callable[[SettingError], None],
    ) -> None:
        self._settings, self._quiet = settings, False
        self._changed, self._refused = changed, refused
        self.by_setting: dict[str, list[widgets.Widget]] = {}
        for name, entry in describe(experiment.Settings).items():
            value = getattr(settings, name)
            entry["shown"] = _SHOWN.get(name, (entry.get("min"), entry.get("max")))
            if entry["type"] == "list":
                sliders = [
                    _slider(f"{name} of m{number}", item, entry | {"type": entry["item"]})
                    for number, item in enumerate(value, start=1)
                ]
            else:
                sliders = [_slider(_labelled(name, entry), value, entry)]
            self.by_setting[name] = sliders
            for slider in sliders:
                slider.observe(self._moved, names="value")
        every = [slider for sliders in self.by_setting.values() for slider in sliders]
        self.box = widgets.Box(every)
        self.box.add_class("labkit-controls")

    def values(self) -> Any:
        """The settings as the sliders stand, checked.

        Raises
        ------
        SettingError
            Where a value does not fit.
        """
        read = {
            name: tuple(slider.value for slider in sliders)
            if isinstance(getattr(self._settings, name), tuple)
            else sliders[0].value
            for name, sliders in self.by_setting.items()
        }
        return validate(dataclasses.replace(self._settings, **read))

    def only(self, names: tuple[str, ...] | None) -> None:
        """Let only the sliders of those settings be moved; all where None."""
        for name, sliders in self.by_setting.items():
            for slider in sliders:
                slider.disabled = names is not None and name not in names

    def reset(self) -> None:
        """Put every slider that can be moved back to where it was at first; told as one change."""
        self._quiet = True
        try:
            for name, sliders in self.by_setting.items():
                first = getattr(self._settings, name)
                for slider, value in zip(sliders, first if isinstance(first, tuple) else (first,), strict=True):
                    if not slider.disabled:
                        slider.value = value
        finally:
            self._quiet = False
        self._moved(None)

    def _moved(self, _change: object) -> None:
        if self._quiet:
            return
        try:
            settings = self.values()
        except SettingError as error:
            self._refused(error)
            return
        self._changed(settings)
