"""What both hosts promise.

Picture a machine room with one computer in it. The computer, the *host*, has a few CPUs. On it
run *machines* (virtual machines, also called guests), and each machine has one or more virtual
CPUs, its *vCPUs*. Somebody gives the machines work, and somebody watches what each one gets.

This room says in those words what a host can be asked. Two hosts answer: the simulated one
(`labkit.model`) at once, the live one (`labkit.live`) with real guests. An experiment is written
once, against this room, and so it imports neither of them, nor anything else of ours.
"""

from __future__ import annotations

from labkit.host.disks import Disk, Extent
from labkit.host.loads import CpuLoad, DiskLoad, Load, MemoryLoad, RequestLoad, Served
from labkit.host.observations import Event, HostKind, Observation, Provenance, Row, Series
from labkit.host.protocol import Host, Job, Machine
from labkit.host.snapshots import Snapshot
from labkit.host.words import Ability, HostError, mebibytes

__all__ = [
    "Ability",
    "CpuLoad",
    "Disk",
    "DiskLoad",
    "Event",
    "Extent",
    "Host",
    "HostError",
    "HostKind",
    "Job",
    "Load",
    "Machine",
    "MemoryLoad",
    "Observation",
    "Provenance",
    "RequestLoad",
    "Row",
    "Series",
    "Served",
    "Snapshot",
    "mebibytes",
]
