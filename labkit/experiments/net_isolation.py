"""Who reaches whom on one switch, when its ports are of different VLANs?

All machines are plugged into one switch and have addresses of one IP network, so nothing but the VLANs can keep them
apart. Each machine pings each other one.

Settings
--------
vlans : the VLAN of each machine's port, in the machines' order: `m1`, `m2`, ...; 0 is a port of none
auditor : whether another machine, `auditor`, is plugged in: ``none``; or ``trunk``: into a port that carries all the
    VLANs of the others, each frame with its VLAN's tag

Quantities
----------
reachable : 1 where one machine's ping is answered by another, else 0; a row for each ordered pair, as `m1>m2`.

Bound between live and simulated
--------------------------------
None is allowed: equal, in every pair; written before this experiment first ran live. A frame either is let out at a
port or is not. That a ping is lost for another reason is all but ruled out by trying twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, choice, integers
from labkit.host import Host, HostError, Observation
from labkit.host.networks import Networked, Port

__all__ = [
    "BOUNDS",
    "CALLED",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "OFFERED",
    "QUANTITIES",
    "QUESTION",
    "ROWS",
    "Settings",
    "bounds",
    "machines",
    "run",
    "theory",
]

NAME = "net-isolation"
QUESTION = "Who reaches whom on one switch, when its ports are of different VLANs?"
LESSON = "06"
NEEDS = ("networks",)
ROWS = "pair"
QUANTITIES = {"reachable": "1"}
HEADLINE = "reachable"
LABELS = {
    "reachable": (
        "Who is reached",
        "1 where the ping is answered, 0 where it is not: is it the same both ways?",
        "1 or 0",
    )
}
BOUNDS = {"reachable": 0.0}
CALLED = {"vlans": "VLAN"}
OFFERED = {"vlans": (0, 10, 20, 30)}  # a VLAN is a label and no amount; on the command line any from 0 to 4094


@dataclass(frozen=True)
class Settings:
    """Who is plugged in where."""

    vlans: tuple[int, ...] = integers(
        (10, 10, 20),
        minimum=0,
        maximum=4094,
        shortest=2,
        longest=8,
        unit="",
        about="the VLAN of each machine's port; 0 is a port of none",
    )
    auditor: str = choice("none", ("none", "trunk"), about="whether an auditor is plugged in, at a trunk of all VLANs")

    def check(self) -> None:
        """Raise a `SettingError` where there is nothing for a trunk to carry."""
        if self.auditor == "trunk" and not any(self.vlans):
            raise SettingError("auditor=trunk needs a VLAN to carry: give at least one machine one, from 1 to 4094.")


def _names(settings: Settings) -> list[str]:
    names = [f"m{number}" for number in range(1, len(settings.vlans) + 1)]
    return [*names, "auditor"] if settings.auditor == "trunk" else names


def machines(settings: Settings) -> int:
    """How many machines there will be."""
    return len(_names(settings))


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated: not at all."""
    del settings
    return dict(BOUNDS)


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """Each VLAN as a set of the machines in it: two reach each other where they are in one set together.

    A VLAN is a network of its own on shared cables (IEEE 802.1Q-2018, 6.9 and 8.6); a port of none is in the one
    without a tag, and a trunk in all whose tags it carries.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used; there are no CPU shares here.

    Returns
    -------
    dict of (machine, quantity) to float
        `reachable` of every ordered pair, 1 or 0.
    """
    del weights
    names = _names(settings)
    networks = {
        vlan: {name for name, its in zip(names, settings.vlans, strict=False) if its == vlan} for vlan in settings.vlans
    }
    if settings.auditor == "trunk":
        networks = {vlan: inside | {"auditor"} if vlan else inside for vlan, inside in networks.items()}
    return {
        (f"{one}>{other}", "reachable"): float(any({one, other} <= inside for inside in networks.values()))
        for one, other in permutations(names, 2)
    }


def run(host: Host, settings: Settings) -> Observation:
    """Plug the machines in and let each ping each other, on either host."""
    ask(host, *NEEDS)
    if not isinstance(host, Networked):
        raise HostError("This host has no networks.", "Use labkit.simulated() or labkit.live(networks=True).")
    switch = host.network("lan")
    carried = sorted(set(settings.vlans) - {0})
    made = []
    try:
        for name, vlan in zip(_names(settings), (*settings.vlans, None), strict=False):
            port: Port = switch.port(trunk=carried) if vlan is None else switch.port(vlan=vlan or None)
            made.append(host.create(name, nics=[port]))
        return host.reach()
    finally:
        for machine in made:
            machine.stop()
        switch.remove()
