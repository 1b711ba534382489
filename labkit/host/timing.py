"""Timing on a host: one small program in and out of a guest, and a guest from power-on to its first answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from labkit.host.observations import Observation
from labkit.host.protocol import Machine

__all__ = ["BOOT_STAGES", "KINDS", "PLACES", "BootsMachines", "Program", "TimesPrograms"]

KINDS = ("compute", "system-call", "disk", "network")
"""What a small program does over and over: count, ask the kernel, read a disk, send a packet."""

PLACES = ("native", "guest", "hosted", "nested", "emulated")
"""Where it does so: on the host itself, in a guest, in a guest of a hosted hypervisor, of a hypervisor that is itself
in a guest, and in a guest whose processor is emulated."""

BOOT_STAGES = ("hypervisor", "firmware", "kernel", "init", "agent")
"""What happens from power-on to the first answer, in order."""


@dataclass(frozen=True)
class Program:
    """A small program that does one thing over and over.

    Parameters
    ----------
    kind : str
        Which thing, one of `KINDS`.
    seconds : float
        How long it does so each time, in s.
    repeats : int
        How many times, in turn in every place.
    rate : float
        How many times in a second it does its thing natively, as the model has it; a live host finds out.
    """

    kind: Literal["compute", "system-call", "disk", "network"]
    seconds: float
    repeats: int
    rate: float


@runtime_checkable
class TimesPrograms(Protocol):
    """A host that can run a small program in several places; see `Host.can` with ``"programs"``."""

    def times(self, program: Program, guest: Machine) -> Observation:
        """The time of the same work in each place.

        Parameters
        ----------
        program : Program
            The program.
        guest : Machine
            In which guest; it has nothing else to do.

        Returns
        -------
        Observation
            A row `seconds` in s for each place that the host has: the median over the repeats of the time that it
            took there to do what takes `seconds` natively.

        Raises
        ------
        HostError
            Where the host cannot run it.
        """


@runtime_checkable
class BootsMachines(Protocol):
    """A host that can tell what a machine's start consists of; see `Host.can` with ``"boots"``."""

    def boot(self, name: str, start: Literal["cold", "saved"]) -> tuple[Machine, Observation]:
        """Switch a machine on, and keep what happened when.

        Parameters
        ----------
        name : str
            The machine's.
        start : {"cold", "saved"}
            From power-on, or from the memory of a guest that was saved when it had booted.

        Returns
        -------
        Machine
            It runs.
        Observation
            A row in s for each of `BOOT_STAGES`, and `total`; an event of kind ``"stage"`` for each that there was.

        Raises
        ------
        HostError
            Where it does not come up.
        """
