"""What somebody orders when a machine is made: every number looked at before anything is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from labkit.host import HostError, mebibytes
from labkit.model.arguments import checked_cap, checked_name, checked_pin, checked_reservation, checked_whole
from labkit.model.machine import SHARES

if TYPE_CHECKING:
    from labkit.model.simulated import SimulatedHost

__all__ = ["MACHINES", "Order", "checked_order"]

MACHINES = 10_000
"""How many machines a host carries."""


@dataclass(frozen=True)
class Order:
    """A machine as it was ordered; the parameters are those of `labkit.host.Host.create`, memory in MiB."""

    name: str
    vcpus: int
    memory: float
    shares: int
    pin: frozenset[int]
    cap: float
    maximum_vcpus: int
    pinned: bool

    def __str__(self) -> str:
        said = f"{self.name} vcpus={self.vcpus} memory={self.memory:g}MiB shares={self.shares}"
        said += f" pin={','.join(map(str, sorted(self.pin)))}" if self.pinned else ""
        said += "" if self.cap == inf else f" cap={self.cap:g}"
        return said + ("" if self.maximum_vcpus == self.vcpus else f" maximum_vcpus={self.maximum_vcpus}")


def checked_order(
    host: SimulatedHost,
    name: str,
    vcpus: int,
    memory: str | float,
    shares: int,
    pin: Iterable[int] | None,
    cap: float,
    reservation: float,
    maximum_vcpus: int | None,
) -> Order:
    """An order that the host can carry out.

    Raises
    ------
    HostError, ValueError
        As `labkit.model.simulated.SimulatedHost.create` has it.
    """
    name = checked_name(name)
    vcpus = checked_whole("vcpus", vcpus, 1, 64)
    size = mebibytes(memory)
    shares = checked_whole("shares", shares, *SHARES)
    allowed = checked_pin(pin, host.cpus)
    cap = checked_cap(cap)
    most = vcpus if maximum_vcpus is None else checked_whole("maximum_vcpus", maximum_vcpus, vcpus, 64)
    if checked_reservation(reservation, host.cpus):
        answer = host.can("reservation")
        raise HostError(answer.reason, answer.remedy)
    if name in host.machines:
        raise HostError(f"This host has a machine {name} already.", "Choose another name, or stop that one.")
    if len(host.machines) >= MACHINES:
        raise HostError(f"This host carries {MACHINES} machines at most, and has them.", "Stop some first.")
    return Order(name, vcpus, size, shares, allowed, cap, most, pin is not None)
