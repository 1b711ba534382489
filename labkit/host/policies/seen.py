"""What a policy is told of a machine, and what it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["Policy", "Seen"]


@dataclass(frozen=True)
class Seen:
    """What can be seen of a machine's memory from outside at one moment, all in MiB.

    Parameters
    ----------
    name : str
        The machine's.
    promised : float
        What it was promised: the most that it is ever given.
    minimum : float
        The least that it must have.
    granted : float
        What it has now.
    used : float
        What its kernel and programs have taken of that, whether or not they touch it.
    committed : float
        What its programs have asked their kernel for, also what they could not get, and what the kernel itself takes.
    active : float
        An estimate of what it touches, its kernel included.
    weight : float
        How much it counts where memory is short: shares, or a memory weight.
    reported : bool
        Whether its guest has told what it uses since it runs its programs. A policy may wait for that.
    """

    name: str
    promised: float
    minimum: float
    granted: float
    used: float
    committed: float
    active: float
    weight: float = 1.0
    reported: bool = True


@runtime_checkable
class Policy(Protocol):
    """The rules by which a host shares its memory out; a frozen object, its constants and their sources with it."""

    @property
    def name(self) -> str:
        """What settings call it."""

    @property
    def title(self) -> str:
        """What a reader calls it."""

    def targets(self, seen: Sequence[Seen], host: float) -> list[float]:
        """How much memory each machine should have, in MiB, in the order of `seen`.

        Parameters
        ----------
        seen : sequence of Seen
            The machines.
        host : float
            The memory that the host has for machines, in MiB.

        Returns
        -------
        list of float
            Each from the machine's minimum to what it was promised; their sum is at most `host`.

        Raises
        ------
        ValueError
            Where the minima alone are more than the host has.
        """
