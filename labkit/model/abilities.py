"""What the simulated host can do, and what it says when it cannot.

A shop with a sign in the window: what is sold, and for the rest where to go instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.host import Ability

if TYPE_CHECKING:
    from labkit.model.rules import Rules

__all__ = ["ability_of"]

_HOW = {
    "shares": "virtual-time fair sharing ({title})",
    "pin": "the CPUs that each vCPU may queue at",
}

_LIVE = "Use a live host: labkit.live()."
_WHY_NOT = {
    "cap": ("The simulated host does not know caps yet.", ""),
    "command": ("A simulated machine has no inside that a command could run in.", _LIVE),
    "disks": ("The simulated host has no disks yet.", ""),
    "migrate": ("The simulated host has no peer to migrate to yet.", ""),
    "networks": ("The simulated host has no networks yet.", ""),
    "snapshots": ("A simulated machine has no state that a snapshot could keep.", _LIVE),
}


def ability_of(name: str, rules: Rules) -> Ability:
    """Whether a simulated host with these rules can do something, and how, or why not.

    Parameters
    ----------
    name : str
        The ability, such as ``"shares"``.
    rules : Rules
        The host's rules.
    """
    if isinstance(name, str):
        if name in _HOW:
            return Ability(True, mechanism=_HOW[name].format(title=rules.title))
        if name in _WHY_NOT:
            reason, remedy = _WHY_NOT[name]
            return Ability(False, reason=reason, remedy=remedy)
    known = ", ".join(sorted([*_HOW, *_WHY_NOT]))
    return Ability(False, reason=f"No host has an ability {str(name)[:40]!r}.", remedy=f"Ask for one of: {known}.")
