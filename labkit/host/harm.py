"""Harm: what a machine can do to itself, and what can be seen from inside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

from labkit.host.protocol import Machine

__all__ = ["HARMS", "HarmsMachines"]

HARMS = ("panic", "memory")
"""``panic``: its kernel gives up. ``memory``: programs in it take memory until there is no more, over and over."""


@runtime_checkable
class HarmsMachines(Protocol):
    """A host whose machines can be brought down from inside; see `Host.can` with ``"harm"``."""

    def harm(self, machine: Machine, how: Literal["panic", "memory"]) -> str:
        """Let a machine do harm to itself; returns when it is done, or has well begun.

        A machine that ends of it has the state ``"stopped"``; watching the others goes on, also where it ends in the
        middle of it, and an observation then has no rows of it.

        Parameters
        ----------
        machine : Machine
            Which.
        how : {"panic", "memory"}
            One of `HARMS`.

        Returns
        -------
        str
            What could be seen of it, in words.

        Raises
        ------
        HostError
            Where it does not come to that.
        """

    def inside(self, machine: Machine) -> Mapping[str, str]:
        """What a machine sees of itself: words for ``CPU``, ``memory``, ``disk`` and ``network card``.

        Raises
        ------
        HostError
            Where it does not answer.
        """
