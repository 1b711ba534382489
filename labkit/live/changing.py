"""Changing a machine that runs: its weight, its CPUs, its cap, and how many vCPUs it has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from labkit.host import HostError, mebibytes
from labkit.live import balloon, caps, hotadd
from labkit.live.errors import translated

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["change", "checked_cpus", "pin_to", "within"]


def within(what: str, value: int, least: int, most: int) -> None:
    """Refuse what is not a whole number in its range, with a ValueError that names it."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{what} must be a whole number from {least} to {most}, not {value!r:.40}")


def checked_cpus(host: LiveHost, pin: Iterable[int] | None) -> tuple[int, ...] | None:
    """The host CPUs to pin to, or None for no pinning.

    Raises
    ------
    HostError
        Where the host has fewer.
    ValueError
        Where they are no CPUs.
    """
    if pin is None:
        return None
    cpus = tuple(dict.fromkeys(pin))
    if not cpus or any(isinstance(cpu, bool) or not isinstance(cpu, int) or cpu < 0 for cpu in cpus):
        raise ValueError("pin takes one or more of the host's CPUs, counted from 0")
    if max(cpus) >= host.cpus:
        raise HostError(f"This host has {host.cpus} CPUs, and CPU {max(cpus)} is none of them.", "Ask for fewer.")
    return cpus


def change(
    host: LiveHost,
    machine: LiveMachine,
    *,
    shares: int | None = None,
    pin: Iterable[int] | None = None,
    cap: float | None = None,
    vcpus: int | None = None,
    memory: str | float | None = None,
) -> None:
    """Carry out `LiveMachine.set`; nothing is changed where any of it is refused beforehand."""
    cpus = checked_cpus(host, pin)
    if shares is not None:
        within("shares", shares, 2, 262144)
    if vcpus is not None:
        within("vcpus", vcpus, machine.vcpus, machine.maximum_vcpus)
    if cap is not None:
        cap = caps.checked(cap)
    size = None
    if memory is not None:
        if not (able := host.can("balloon")):
            raise HostError(able.reason, able.remedy)
        size = balloon.checked(machine, mebibytes(memory))
    host.require_cap(machine.cap if cap is None else cap, vcpus or machine.vcpus)
    if cpus is not None:
        pin_to(host, machine, cpus)
    if shares is not None:
        host.weigh(machine, shares)
    if cap is not None:
        caps.apply(host, machine, cap, machine.vcpus)
    if vcpus is not None:
        hotadd.add(host, machine, vcpus)
    if size is not None:
        balloon.move(host, machine, size)


def pin_to(host: LiveHost, machine: LiveMachine, cpus: tuple[int, ...]) -> None:
    """Let a machine's vCPUs run on some of the host's CPUs only."""
    numbers = [host.cpu_numbers[cpu] for cpu in cpus]
    every = max(host.cpu_numbers) + 1
    wanted = tuple(number in numbers for number in range(every))
    # QEMU's own threads go to the other CPUs where there are any, so that they do not compete with the vCPUs.
    others = [number for number in host.cpu_numbers if number not in numbers]
    with translated(f"pin {machine.name}"):
        for vcpu in range(machine.vcpus):
            machine.domain.pinVcpu(vcpu, wanted)
            host.note("vcpupin", machine.name, vcpu, ",".join(map(str, numbers)))
        if others:
            machine.domain.pinEmulator(tuple(number in others for number in range(every)), 0)
            host.note("emulatorpin", machine.name, ",".join(map(str, others)))
    machine.pinned = cpus
