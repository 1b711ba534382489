"""Watching machines through libvirt's own counters.

`vcpu.N.time` is how long a vCPU ran, `vcpu.N.delay` how long it wanted to run and had to wait (Linux's
run_delay, Documentation/scheduler/sched-stats); both in nanoseconds since the vCPU began. The time for which a cap held
it back is in the latter, and is counted apart by the kernel's control groups.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.live import caps
from labkit.live.errors import translated

if TYPE_CHECKING:
    import libvirt

    from labkit.live.machine import LiveMachine

__all__ = ["Reading", "disturbance", "read"]


@dataclass(frozen=True)
class Reading:
    """The counters at one moment.

    Parameters
    ----------
    time : float
        When, in seconds of the monotonic clock.
    ran, delayed, throttled : dict of str to float
        By machine, the seconds that all its vCPUs ran; wanted to run and did not, for whatever reason; and did not
        because of the machine's cap.
    busy : dict of int to float
        By CPU of the host, the seconds in which it was not idle.
    capped : bool
        Whether any machine had a cap.
    """

    time: float
    ran: dict[str, float]
    delayed: dict[str, float]
    throttled: dict[str, float]
    busy: dict[int, float]
    capped: bool


def read(connection: libvirt.virConnect, machines: Sequence[LiveMachine], *, here: bool) -> Reading:
    """Read the counters of some machines, in one call.

    Parameters
    ----------
    connection : libvirt.virConnect
        To their host.
    machines : sequence of LiveMachine
        Whose counters.
    here : bool
        Whether the host is this computer for sure, so that the kernel's own, finer times of its CPUs can be taken.

    Raises
    ------
    HostError
        Where a machine has ended.
    """
    import libvirt

    by_name = {machine.domain_name: machine.name for machine in machines}
    ran, delayed = {}, {}
    before = time.monotonic()
    if machines:
        with translated("read the machines' counters"):
            kinds = libvirt.VIR_DOMAIN_STATS_VCPU | libvirt.VIR_DOMAIN_STATS_STATE
            seen = connection.domainListGetStats([machine.domain for machine in machines], kinds)
        for domain, stats in seen:
            name = by_name[domain.name()]
            if stats.get("state.state") == libvirt.VIR_DOMAIN_RUNNING:
                present = [n for n in range(stats["vcpu.maximum"]) if f"vcpu.{n}.time" in stats]
                if any(f"vcpu.{n}.delay" not in stats for n in present):
                    raise HostError("This libvirt does not count ready time.", "It came with libvirt 7.2 for QEMU.")
                ran[name] = sum(stats[f"vcpu.{n}.time"] for n in present) / 1e9
                delayed[name] = sum(stats[f"vcpu.{n}.delay"] for n in present) / 1e9
    after = time.monotonic()
    for machine in machines:
        if machine.name not in ran:
            raise machine.ended("while it was being watched")
    throttled = {machine.name: caps.throttled(machine) for machine in machines}
    busy = _busy_here() if here else _busy_there(connection)
    capped = any(not math.isinf(machine.cap) for machine in machines)
    return Reading((before + after) / 2, ran, delayed, throttled, busy, capped)


def _busy_here() -> dict[int, float]:
    """By CPU, the seconds in which it was not idle (proc(5), /proc/stat)."""
    busy, tick = {}, os.sysconf("SC_CLK_TCK")
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("cpu") and line[3].isdigit():
            number, user, nice, system, _idle, _iowait, irq, softirq, steal = line.split()[:9]
            busy[int(number[3:])] = sum(map(int, (user, nice, system, irq, softirq, steal))) / tick
    return busy


def _busy_there(connection: libvirt.virConnect) -> dict[int, float]:
    cpus = {number: connection.getCPUStats(number) for number in range(connection.getInfo()[2])}
    return {number: (cpu["user"] + cpu["kernel"]) / 1e9 for number, cpu in cpus.items()}


def disturbance(first: Reading, last: Reading, cpus: Sequence[int]) -> float:
    """The fraction of the time of some host CPUs that went to anything but the machines on them, from 0 to 1.

    Parameters
    ----------
    first, last : Reading
        At the start and the end.
    cpus : sequence of int
        All CPUs that the machines may use; their vCPUs use no other.
    """
    busy = sum(last.busy[cpu] - first.busy[cpu] for cpu in cpus)
    ours = sum(last.ran[name] - first.ran[name] for name in last.ran if name in first.ran)
    part = (busy - ours) / ((last.time - first.time) * len(cpus))
    # The kernel counts a CPU's busy time in ticks of 10 ms, of which a short look can catch one more than it lasted.
    return min(1.0, max(0.0, part))
