"""The controls of an experiment, made from its settings: sliders for numbers, a list for a choice, a box for words.

An experiment's ``OFFERED`` names the numbers of a setting that stand in a list and not on a slider: sizes of which only
some are worth a look, or labels such as a VLAN, of which none is more than another. Any other can be set elsewhere.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import ipywidgets as widgets

from labkit.experiments.settings import SettingError, describe, validate

__all__ = ["Controls", "fractions", "steps"]

_WIDE = 1000  # from this ratio of largest to smallest on, a slider goes in proportions and not in steps of one
_WIDE_FRACTIONS = 200  # the same for numbers with a fraction
_FEW = 64  # up to so many whole numbers, all are on the slider
# What a slider reaches on screen, where the experiment's own ``SHOWN`` does not say; a start outside widens it.
_SHOWN = {
    "cpus": (1, 8),
    "vcpus": (1, 8),
    "machines": (1, 16),
    "shares": (64, 4096),
    "cap": (10, 400),
    "seconds": (1, 30),
    "memory": (96, 512),
    "target": (64, 512),
    "seed": (0, 20),
    "requests": (20, 20_000),  # more take seconds to simulate
}
_STEPS = (1.0, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001)
_SIZES = 8.0  # MiB; a step of memory
_FEWEST = 18  # steps that a slider over fractions has at least
_LABEL = (108, 168, 6.5)  # px: the least and the most room for a label, and what a letter takes
_BOX = 560  # px; a pattern of writes has some forty letters


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


def fractions(smallest: float, largest: float, *exact: float) -> list[float]:
    """The numbers 1, 1.5, 2, 3, 5, 7 of each power of ten within the range, and those that must be among them."""
    found = {smallest, largest, *exact}
    for power in range(math.floor(math.log10(smallest)), math.ceil(math.log10(largest)) + 1):
        tens = (round(digit * 10.0**power, 9) for digit in (1, 1.5, 2, 3, 5, 7))
        found.update(number for number in tens if smallest <= number <= largest)
    return sorted(found)


def _step(span: float) -> float:
    """The step of a slider over fractions: a round number, and never so coarse that there are only a few."""
    return next((step for step in _STEPS if span / step >= _FEWEST), _STEPS[-1])


def _layout(width: int = 340) -> widgets.Layout:
    return widgets.Layout(width=f"{width}px", max_width="100%")


def _size_in_words(size: float) -> str:
    """A number of MiB as a list offers it, such as ``"16 KiB"``."""
    return f"{size * 1024:g} KiB" if size < 1 else f"{size:g} MiB"


def _slider(label: str, value: Any, entry: dict[str, Any]) -> widgets.Widget:
    """A slider over one number of a setting."""
    tooltip = f"{label}: {entry['about']}" + (f", in {entry['unit']}" if entry["unit"] not in ("", "1") else "")
    shared = {"description": label, "tooltip": tooltip, "layout": _layout()}
    smallest, largest = entry["min"], entry["max"]
    whole = entry["type"] == "integer" or entry.get("item") == "integer"
    size = entry["type"] == "size"
    if entry["type"] == "choice":
        return widgets.Dropdown(options=entry["choices"], value=value, **shared)
    if entry["offered"]:
        words = _size_in_words if size else "{:g}".format
        options = [(words(number), number) for number in sorted({*entry["offered"], value})]
        return widgets.Dropdown(options=options, value=value, **shared)
    wide = largest >= _WIDE * max(1, smallest)
    smallest, largest = max(smallest, entry["shown"][0]), min(largest, entry["shown"][1])
    smallest, largest = min(smallest, value), max(largest, value)
    if (whole or size) and wide and largest - smallest > _FEW:
        found = [float(number) if size else number for number in steps(smallest, largest, value)]
        options = [(f"{number:,.10g}" if number >= 10_000 else f"{number:.10g}", number) for number in found]
        return widgets.SelectionSlider(options=options, value=value, **shared)
    if whole:
        step = 5 if entry["unit"] == "%" and largest - smallest > 100 and (value - smallest) % 5 == 0 else 1
        return widgets.IntSlider(value=value, min=smallest, max=largest, step=step, **shared)
    if 0 < smallest * _WIDE_FRACTIONS <= largest:
        options = [(f"{number:g}", number) for number in fractions(smallest, largest, value)]
        return widgets.SelectionSlider(options=options, value=value, **shared)
    step = _SIZES if size and not (value % _SIZES or smallest % _SIZES) else _step(largest - smallest)
    even = round(math.ceil(smallest / step - 1e-9) * step, 6)  # the slider counts its steps from its end
    places = f".{max(0, -math.floor(math.log10(step) + 1e-9))}f"
    return widgets.FloatSlider(
        value=value, min=min(even, value), max=largest, step=step, readout_format=places, **shared
    )


def _box(label: str, words: tuple[str, ...], entry: dict[str, Any]) -> widgets.Text:
    """One box for a list of words, with commas between; what is typed counts once it is complete (Enter, or Tab)."""
    tooltip = f"{label}: {entry['about']}"
    return widgets.Text(
        value=_joined(words), description=label, tooltip=tooltip, continuous_update=False, layout=_layout(_BOX)
    )


def _joined(words: tuple[str, ...]) -> str:
    """A list of words as it is typed."""
    return ", ".join(words)


def _labelled(name: str, entry: dict[str, Any], owner: str = "") -> str:
    """The setting's name in words, whose it is, and its unit where that tells more than what it shows."""
    unit = "" if entry["offered"] else entry["unit"]
    words = entry["called"] + (f" of {owner}" if owner else "")
    repeated = (name, name.removesuffix("s"), "1")  # "shares of m1 (shares)" and "machines (1)" tell nothing more
    return f"{words} ({unit})" if unit and unit.lower() not in repeated else words


def _owners(experiment: ModuleType, settings: Any, count: int) -> list[str]:
    """Whose the items of a list are: the experiment's machines, where it names as many; else m1, m2 and so on."""
    names = getattr(experiment, "names", None)
    found = list(names(settings)) if callable(names) else []
    return found if len(found) == count else [f"m{number}" for number in range(1, count + 1)]


class Controls:
    """The sliders of one experiment.

    Parameters
    ----------
    experiment : module
        Whose settings they are.
    settings : object
        What they show at first; a list of numbers has a slider for each of them, a list of words one box for all.
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
        self._boxes: set[str] = set()  # the settings whose one box holds the whole list
        self._changed, self._refused = changed, refused
        self.by_setting: dict[str, list[widgets.Widget]] = {}
        for name, entry in describe(experiment.Settings).items():
            value = getattr(settings, name)
            shown = {**_SHOWN, **getattr(experiment, "SHOWN", {})}
            entry["shown"] = shown.get(name, (entry.get("min"), entry.get("max")))
            entry["called"] = getattr(experiment, "CALLED", {}).get(name, name.replace("_", " "))
            entry["offered"] = getattr(experiment, "OFFERED", {}).get(name, ())
            if entry.get("item") == "word":
                sliders: list[widgets.Widget] = [_box(_labelled(name, entry), value, entry)]
                self._boxes.add(name)
            elif entry["type"] == "list":
                own = {"type": entry["item"]}
                sliders = [
                    _slider(_labelled(name, entry, owner), item, entry | own)
                    for owner, item in zip(_owners(experiment, settings, len(value)), value, strict=True)
                ]
            else:
                sliders = [_slider(_labelled(name, entry), value, entry)]
            self.by_setting[name] = sliders
            for slider in sliders:
                slider.observe(self._moved, names="value")
        every = [slider for sliders in self.by_setting.values() for slider in sliders]
        least, most, letter = _LABEL
        room = min(most, max([least, *(16 + letter * len(slider.description) for slider in every)]))
        for slider in every:
            slider.style.description_width = f"{room:.0f}px"
        self.box = widgets.Box(every)
        self.box.add_class("labkit-controls")
        self._acts: dict[str, tuple[Any, ...]] = getattr(experiment, "ACTS", {})
        self._show_those_that_act()

    def values(self) -> Any:
        """The settings as the sliders stand, checked.

        A hidden slider makes no difference. Where it stands at what does not fit together with the others, the setting
        has its usual value, so that it does not matter which slider was moved first.

        Raises
        ------
        SettingError
            Where a value does not fit.
        """
        read = {
            name: tuple(slider.value for slider in sliders)
            if isinstance(getattr(self._settings, name), tuple) and name not in self._boxes
            else sliders[0].value
            for name, sliders in self.by_setting.items()
        }
        asked = dataclasses.replace(self._settings, **read)
        usual = {field.name: field.default for field in dataclasses.fields(asked) if not self._acting(field.name)}
        try:
            return validate(asked)
        except SettingError:
            if not usual:
                raise
            return validate(dataclasses.replace(asked, **usual))

    def _acting(self, name: str) -> bool:
        """Whether a setting makes a difference as the others stand."""
        other, *values = self._acts.get(name, ("",))
        return not other or self.by_setting[other][0].value in values

    def _show_those_that_act(self) -> None:
        """Hide the sliders that make no difference as the others stand."""
        for name in self._acts:
            for slider in self.by_setting[name]:
                slider.layout.display = None if self._acting(name) else "none"

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
                first = _joined(first) if name in self._boxes else first
                for slider, value in zip(sliders, first if isinstance(first, tuple) else (first,), strict=True):
                    if not slider.disabled:
                        slider.value = value
        finally:
            self._quiet = False
        self._moved(None)

    def _moved(self, _change: object) -> None:
        if self._quiet:
            return
        self._show_those_that_act()
        try:
            settings = self.values()
        except SettingError as error:
            self._refused(error)
            return
        self._changed(settings)
