"""The experiments: one question a file, written once for both hosts.

An experiment is a module with these names: `NAME`, `QUESTION`, `LESSON`, `NEEDS` (abilities it asks of a
host), `QUANTITIES` (name to unit), `BOUNDS` (how far live may be from simulated), `bounds(settings)` (those
that hold for them), `Settings`, `theory(settings, weights)`, `prepare(host, settings)`,
`adjust(machines, settings)` and `run(host, settings)`.
To add one: write the file, and add its name to `NAMES`.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from labkit.experiments.settings import SettingError

__all__ = ["NAMES", "SettingError", "load"]

NAMES = ("cpu-shares",)


def load(name: str) -> ModuleType:
    """The experiment of that name.

    Raises
    ------
    SettingError
        Where there is none, listing those there are.
    """
    if name not in NAMES:
        raise SettingError(f"there is no experiment {name!r:.60}; there are {', '.join(NAMES)}.")
    return importlib.import_module(f"labkit.experiments.{name.replace('-', '_')}")
