"""Memory in the model: what a guest has, what its balloon takes, and what a host finds to be the same.

One idea a file: the numbers (`rules`), a guest's shelves (`guest`), the balloon (`balloon`), a program that fills
memory (`filling`), all that one machine has of it (`holding`), equal pages (`sharing`) and who looks for them
(`scanning`), what a guest wants (`demand`), what the host gets back (`reclaim`), what it has to swap (`swapping`), and
that beside equal pages (`together`).
"""

from __future__ import annotations

from labkit.model.memory.guest import GuestMemory
from labkit.model.memory.holding import Holding
from labkit.model.memory.rules import LINUX_MEMORY, MEMORY_RULES, MemoryRules
from labkit.model.memory.scanning import SimulatedSharing
from labkit.model.memory.sharing import Pages, Scanner

__all__ = [
    "LINUX_MEMORY",
    "MEMORY_RULES",
    "GuestMemory",
    "Holding",
    "MemoryRules",
    "Pages",
    "Scanner",
    "SimulatedSharing",
]
