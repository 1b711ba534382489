"""Who gets how much memory: the rules by which a host shares its memory out among machines.

A policy is a pure function: it is told what can be seen of each machine, and says how much memory each should have. It
moves nothing itself. So the very same rules can be put on either host, and each host's own guests answer.
"""

from __future__ import annotations

from labkit.host.policies.moving import moves
from labkit.host.policies.rules import DYNAMIC, ESXI, HYPER_V, POLICIES, STATIC, Dynamic, Esxi, HyperV, Static
from labkit.host.policies.seen import Policy, Seen

__all__ = [
    "DYNAMIC",
    "ESXI",
    "HYPER_V",
    "POLICIES",
    "STATIC",
    "Dynamic",
    "Esxi",
    "HyperV",
    "Policy",
    "Seen",
    "Static",
    "moves",
]
