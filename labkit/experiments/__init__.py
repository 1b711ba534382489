"""The experiments: one question a file, written once for both hosts.

An experiment is a module with these names: `NAME`, `QUESTION`, `LESSON`, `NEEDS` (abilities it asks of a host),
`QUANTITIES` (name to unit), `BOUNDS` (how far live may be from simulated), `bounds(settings)` (those that hold for
them, by quantity, or by machine and quantity where machines differ), `Settings`, `theory(settings, weights)` and
`run(host, settings)`. One whose machines can be watched without end also has `prepare(host, settings)`,
`adjust(machines, settings)` and `ADJUSTS` (settings that can be changed meanwhile; its lists, where not given). Any may
have `LABELS` (words for its quantities), `HEADLINE` (the quantity to be read aloud), `machines(settings)` (how many
there will be), `needs(settings)` (where what it asks of a host depends on them), `simulated_host(settings)` (how the
simulated host is opened for it) and `intervals(settings)` (half the widths of 95% confidence intervals, by machine and
quantity, where a row is a mean that chance decides). One that has no bound says why in `UNBOUNDED`; one of whose
machines a live host has not all names the others in `SIMULATED_ONLY`. One whose rows are no machines says in `ROWS`
what each is, such as ``"layer"``; `steps(settings)` says how many steps a live run tells besides starting machines.
Where ``"networks"`` is among what it needs, `live_host` opens a host that has them.
To add one: write the file, and add its name to `NAMES`.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from types import ModuleType
from typing import Any

from labkit.experiments.settings import SettingError

__all__ = ["NAMES", "SettingError", "live_host", "load", "simulated_host"]

NAMES = (
    "cpu-shares",
    "cpu-cap",
    "cpu-overcommit",
    "cpu-monopoly",
    "cpu-sizing",
    "cpu-spike",
    "disk-thin",
    "disk-pool",
    "disk-trim",
    "disk-convert",
    "snapshot-chain",
    "snapshot-loss",
    "disk-throttle",
    "snapshot-revert",
    "snapshot-consistency",
    "isolation",
    "overhead",
    "boot",
    "memory-balloon",
    "memory-dynamic",
    "memory-sharing",
    "memory-overcommit",
    "net-switch",
    "net-firewall",
    "net-shaping",
    "net-isolation",
)


def load(name: str) -> ModuleType:
    """The experiment of that name.

    Raises
    ------
    SettingError
        Where there is none, naming those whose names are nearest.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(str(name)[:60], NAMES, n=3) or NAMES[:3]
        raise SettingError(
            f"there is no experiment {name!r:.60}; there are {len(NAMES)}, {', '.join(near)} among them, "
            "and 'labkit experiments' lists all."
        )
    return importlib.import_module(f"labkit.experiments.{name.replace('-', '_')}")


def simulated_host(settings: Any) -> dict[str, Any]:
    """The keyword arguments with which `labkit.simulated` is opened for an experiment with these settings.

    The experiment's own ``simulated_host(settings)`` says; where it has none, the host has the CPUs of the setting
    ``cpus``, or two. The experiment is the module in which the settings' class lies.
    """
    own = getattr(sys.modules.get(type(settings).__module__), "simulated_host", None)
    if own is not None and own is not simulated_host:
        return own(settings)
    return {"cpus": getattr(settings, "cpus", 2)}


def live_host(settings: Any) -> dict[str, Any]:
    """The keyword arguments with which `labkit.live` is opened for an experiment with these settings.

    One that needs networks gets a host that has them. The experiment is the module in which the settings' class lies.
    """
    module = sys.modules.get(type(settings).__module__)
    needs = getattr(module, "needs", None)
    asked = needs(settings) if callable(needs) else getattr(module, "NEEDS", ())
    return {"networks": True} if "networks" in asked else {}
