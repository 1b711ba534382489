"""A machine's memory, as its guest and its host see it.

Picture a warehouse of 256 shelves. The guest's kernel keeps some of them for itself from the first minute, so the guest
speaks of fewer (`guest_total`). Those it has nothing on are `guest_free`. The host that rents the building out sees
only which shelves were ever used (`host_resident`): whatever the guest clears away again, the host does not hear of it.

A *balloon* is how the host asks for shelves back: a program inside the guest takes free ones, as any program would, and
tells the host which, and the host uses them for somebody else. *Page sharing* is another way: the host looks for
shelves that hold the same, keeps one, and lets all point to it until one of them is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, Self, runtime_checkable

__all__ = ["GUEST", "PAGES_PER_MIB", "QUANTITIES", "Guest", "MeasuresGuests", "PageSharing"]

PAGES_PER_MIB = 256
"""Pages of 4096 bytes, the unit in which both x86 and Linux deal memory out."""

QUANTITIES: Mapping[str, str] = MappingProxyType({"guest_total": "MiB", "guest_free": "MiB", "host_resident": "MiB"})
"""What `Machine.memory_seen` and `Host.observe` tell of a machine's memory, and the unit."""


@dataclass(frozen=True)
class Guest:
    """What there is in the course's guest before anybody asks anything of it.

    Parameters
    ----------
    kernel : float
        MiB that its kernel keeps for itself in a guest of any size: its own code and data, and what the firmware has.
    bookkeeping : float
        MiB that it keeps besides for each MiB of the guest's memory.
    used : float
        MiB in use when the guest has started, its agent and its root file system in memory included.
    touched : float
        MiB that the start has used and left again: free to the guest, and kept by the host.
    files : float
        MiB of files that its kernel keeps in memory once the tools' Python has run there. It gives them up where memory
        is short.
    reserve : float
        MiB that have to stay free, so that the guest's agent can still start a program. Its kernel ends programs where
        none are left, and the agent is among the first.
    """

    kernel: float
    bookkeeping: float
    used: float
    touched: float
    files: float
    reserve: float

    def least(self, memory: float) -> float:
        """The smallest size, in MiB, at which a guest of `memory` MiB in which nothing runs can go on."""
        return self.kept(memory) + self.used + self.reserve

    def kept(self, memory: float) -> float:
        """What the kernel of a guest of `memory` MiB keeps for itself, in MiB: so much less is its MemTotal."""
        return self.kernel + self.bookkeeping * memory


# Measured on the course's image (Debian 12, kernel 6.1 for the cloud), each in a guest of its own that took part in no
# comparison; `tests/live/test_balloon.py` measures them anew and holds these against that.
# - kernel, bookkeeping: MemTotal of /proc/meminfo was 92.566, 218.379 and 470.004 MiB of 128, 256 and 512: on one line,
#   whose slope is 70 bytes for each page of 4096: 64 are Linux's `struct page` (Documentation/mm/memory-model.rst).
# - used: MemTotal less MemFree, 28.0 to 28.3 MiB.
# - touched: the resident part of the guest's memory, 80 and 82 MiB of 128 and 256, less all of the above.
# - files: how much less was free after the tools' Python had run in a guest apart and filled nothing: 5.27, 5.30 MiB.
# - reserve: a guest of 128 MiB works with 16 MiB free, at 80; one was lost at 72, another at 64. Guests of 512, 640 and
#   1024 MiB do so too, but only with huge pages off, which `labkit.live.balloon` sees to.
GUEST = Guest(kernel=33.24609375, bookkeeping=0.01708984375, used=28.2, touched=16.2, files=5.3, reserve=16.0)
"""The course's guest."""


@runtime_checkable
class MeasuresGuests(Protocol):
    """A host that finds out, in guests apart, what its image keeps of a guest's memory."""

    @property
    def kept(self) -> Mapping[int, Mapping[str, float]]:
        """By the MiB of a guest: `kept` by its kernel and `used` by what runs in it, in MiB; empty while not known."""


@runtime_checkable
class PageSharing(Protocol):
    """A host that looks for equal pages of its machines and keeps one of each, until it is told to stop.

    Made by the ``share_pages`` of a host that `can` do ``"sharing"``; leaving its ``with`` block stops it.
    """

    @property
    def passes(self) -> int:
        """How often it has been through all pages since it began."""

    def merged(self, machine: str) -> float:
        """How much of a machine's memory points to a page that is kept for several, in MiB; pages of zeros aside."""

    @property
    def saved(self) -> float | None:
        """How much of the host's memory its machines do not need, as other pages stand for theirs, in MiB.

        None where a host cannot tell its own machines' from others', as the counters of Linux are the whole computer's.
        """

    def stop(self) -> None:
        """Give each machine its own pages again, and stop. Stopping twice is no error."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_how: object) -> None: ...
