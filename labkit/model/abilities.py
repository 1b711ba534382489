"""What the simulated host can do, and what it says when it cannot.

A shop with a sign in the window: what is sold, and for the rest where to go instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.host import Ability
from labkit.model.memory.rules import MEMORY_RULES

if TYPE_CHECKING:
    from labkit.model.rules import Rules

__all__ = ["ability_of"]

_HOW = {
    "shares": "{sharing} ({title})",
    "pin": "the CPUs that each vCPU may queue at",
    "cap": "{capping} ({title})",
    "hot-add": "another vCPU that joins the queues while the machine runs",
    "disks": "arithmetic of the published formats",
    "requests": "one worker for each vCPU, first come, first served",
}

_OF_SLICES = {
    "balloon": "a program in the guest that takes free pages and gives them to the host ({title})",
    "boots": "a chain of stages, each as long as it was measured to be once",
    "files": "a list of which blocks belong to which file",
    "filling": "a program that writes pages of known content",
    "harm": "a machine that is gone, or that asks for CPU time",
    "inside": "what the machine was given",
    "networks": "a switch that learns, with VLANs (IEEE 802.1D and 802.1Q)",
    "firewall": "a list of rules at each port, and a book of conversations",
    "shaping": "a token bucket at each port",
    "routers": "a router that forwards and translates addresses (RFC 1812, RFC 3022)",
    "network programs": "a program of the model, with the published costs of leaving a guest",
    "reclaim": "a balloon, random swapping, or one copy of equal pages and random swapping of the rest",
    "throttle": "a leaky bucket before each disk, as in QEMU",
    "trim": "arithmetic of the published formats",
    "snapshots": "copies of what the machine holds; as long as they were measured to take once",
    "contents": "versions of what lies where",
    "records": "a page cache, and what of it is written down",
    "sharing": "a scanner that keeps one of equal pages ({title})",
    "pool": "blocks counted one by one",
    "programs": "a program of the model, with the published costs of leaving a guest",
}

_OF_MEMORY = ("balloon", "filling", "sharing")

_LIVE = "Use a live host: labkit.live()."
_WHY_NOT = {
    "boot disks": ("A simulated disk has no bytes that a machine could boot from.", _LIVE),
    "export": ("A simulated disk has no bytes that could be packed up.", _LIVE),
    "command": ("A simulated machine has no inside that a command could run in.", _LIVE),
    "migrate": ("The simulated host has no peer to migrate to yet.", ""),
    "reservation": (
        "{title} know no reservation of CPU time, only shares, caps and pinning.",
        'Take labkit.simulated(mode="fluid"), or cap the other machines.',
    ),
}


def ability_of(name: str, rules: Rules, *, slices: bool = False) -> Ability:
    """Whether a simulated host with these rules can do something, and how, or why not.

    Parameters
    ----------
    name : str
        The ability, such as ``"shares"``.
    rules : Rules
        The host's rules.
    slices : bool
        Whether it is the host of time slices, which can do more.
    """
    if isinstance(name, str):
        if name in _OF_SLICES:
            if name in _OF_MEMORY and rules.name not in MEMORY_RULES:
                reason = f"How memory is dealt with is not modelled for {rules.title} yet."
                return Ability(False, reason=reason, remedy="Take labkit.simulated().")
            if slices:
                return Ability(True, mechanism=_OF_SLICES[name].format(title=rules.title))
            remedy = 'Take labkit.simulated(mode="slices").'
            return Ability(False, reason="The fluid host cannot do that.", remedy=remedy)
        if name in _HOW:
            sharing, capping = rules.cpu_class().mechanism, rules.cap_class().mechanism
            return Ability(True, mechanism=_HOW[name].format(title=rules.title, sharing=sharing, capping=capping))
        if name in _WHY_NOT:
            reason, remedy = _WHY_NOT[name]
            return Ability(False, reason=reason.format(title=rules.title), remedy=remedy)
    known = ", ".join(sorted([*_HOW, *_OF_SLICES, *_WHY_NOT]))
    return Ability(False, reason=f"No host has an ability {str(name)[:40]!r}.", remedy=f"Ask for one of: {known}.")
