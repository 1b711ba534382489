"""What it costs a program that a page is not where it looks for it: numbers that theory and simulation are given.

A program in a guest works through its *working set*. A page of it that is in memory costs nothing extra. One that has
been swapped out, by the guest or by its host, has to be read from a disk first; one that is shared with another guest
has to be copied when it is written to. How often that happens is for a host to find out; what it costs is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from labkit.host.costs import Parameter
from labkit.host.observations import Observation

__all__ = ["MECHANISMS", "PAGING", "STORES", "Paging", "Programs", "ReclaimsMemory", "slowdown"]

STORES = ("disk", "ssd")
"""Where swapped pages lie: on a disk that turns, or on one that does not."""

MECHANISMS = ("balloon", "swap", "sharing")
"""How a host gets memory back: the guest chooses what it can spare, the host takes what it takes, or equal pages are
kept once."""


@dataclass(frozen=True)
class Paging:
    """What it costs to use a page that is not there.

    Parameters
    ----------
    stores : mapping of str to Parameter
        Reading one page back from where it was swapped to, in s.
    copy : Parameter
        Giving a guest its own copy of a shared page that it writes to, in s.
    """

    stores: Mapping[str, Parameter] = field(
        default_factory=lambda: {
            "disk": Parameter(
                60 / 7200 / 2,
                "s",
                "half a turn of a disk of 7,200 turns a minute, its arm not counted",
                assumed=True,
            ),
            "ssd": Parameter(
                110e-6,
                "s",
                "random read latency, typical, of a flash disk for servers: Intel Solid State Drive DC S4500/S4600 "
                "Series, Product Specification",
            ),
        }
    )
    copy: Parameter = Parameter(
        2e-6, "s", "a page fault that copies 4 KiB; nobody's measurement is behind it", assumed=True
    )


PAGING = Paging()
"""The numbers."""


def slowdown(touches: float, missing: float, cost: float) -> float:
    """How many times longer a program takes where a part of what it touches has to be fetched first.

    Parameters
    ----------
    touches : float
        How many pages it comes to in a second of undisturbed work, in 1/s.
    missing : float
        Which part of them is not there, from 0 to 1.
    cost : float
        What fetching one takes, in s.

    References
    ----------
    The mean access time of demand paging, (1 − p) × memory access + p × page fault: any textbook of operating systems.
    """
    return 1 + touches * missing * cost


@dataclass(frozen=True)
class Programs:
    """What the programs in a guest do with its memory, all as parts of the guest's memory.

    Parameters
    ----------
    working : float
        What they work through, at random.
    cold : float
        What they hold besides and never come back to.
    identical : float
        Which part of all that they hold is the same in every guest.
    touches : float
        How many pages they come to in a second of undisturbed work, in 1/s.
    writes : float
        Which part of these they write to, from 0 to 1.
    """

    working: float
    cold: float
    identical: float
    touches: float
    writes: float


@runtime_checkable
class ReclaimsMemory(Protocol):
    """A host that can get memory back while programs work in its machines; see `Host.can` with ``"reclaim"``."""

    def reclaim(
        self,
        machines: Mapping[str, float],
        programs: Programs,
        how: Literal["balloon", "swap", "sharing"],
        *,
        memory: float,
        store: Literal["disk", "ssd"],
        seconds: float,
    ) -> Observation:
        """Get so much memory back that all machines fit, and let their programs work for a while.

        Parameters
        ----------
        machines : mapping of str to float
            The memory of each, in MiB.
        programs : Programs
            What goes on in each of them.
        how : {"balloon", "swap", "sharing"}
            One of `MECHANISMS`.
        memory : float
            What the host has for all of them, in MiB.
        store : {"disk", "ssd"}
            Where pages are swapped to, by the guest or by the host.
        seconds : float
            How long.

        Returns
        -------
        Observation
            For each machine `reclaimed` in MiB, what was got back from it in this way at the end, and `slowdown` in 1,
            how many times longer its programs took. What sharing does not find is swapped by the host, at random.

        Raises
        ------
        HostError
            Where the host cannot do it.
        """
