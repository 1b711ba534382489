"""A vCPU more for a machine that runs: one is plugged in, and the system inside begins to use it.

The board has sockets for `maximum_vcpus` from the start (``<vcpu current='1'>2</vcpu>``). libvirt fills one, and the
guest's firmware tells its kernel, as ACPI says; nothing in this guest switches the new CPU on by itself, so its agent
does so.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.live import caps
from labkit.live.errors import translated

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["add"]

PATIENCE = 30.0  # seconds for the guest to see the new CPU

_SWITCH_ON = "for cpu; do until [ -e $cpu/online ]; do usleep 10000; done; echo 1 >$cpu/online || exit 1; done"


def add(host: LiveHost, machine: LiveMachine, vcpus: int) -> None:
    """Give a running machine more vCPUs, pinned, weighed and capped as those that it has.

    Parameters
    ----------
    host : LiveHost
        Where it runs.
    machine : LiveMachine
        The machine.
    vcpus : int
        How many it has then.
    """
    before = machine.vcpus
    if vcpus == before:
        return
    # The parts of the cap become smaller before there are more of them: at no time is it exceeded.
    caps.apply(host, machine, machine.cap, vcpus)
    try:
        with translated(f"give {machine.name} {vcpus} vCPUs"):
            machine.domain.setVcpusFlags(vcpus, 1)  # VIR_DOMAIN_AFFECT_LIVE
    except BaseException:
        caps.apply(host, machine, machine.cap, before)
        raise
    machine.sizes.append((time.monotonic(), vcpus))
    host.note("setvcpus", machine.name, vcpus, "--live")
    if machine.pinned:
        host.pin(machine, machine.pinned)
    host.weigh_new_vcpus(machine)
    fresh = [f"/sys/devices/system/cpu/cpu{number}" for number in range(before, vcpus)]
    command = ["/bin/sh", "-c", _SWITCH_ON, "sh", *fresh]
    host.note_agent(machine, "guest-exec", command)
    if (ended := machine.agent.run(command, PATIENCE)).status:
        raise HostError(f"The guest in {machine.name} did not take its new vCPU: {ended!r:.200}", "Create it anew.")
    for job in list(machine.jobs):
        if job.running:
            job.grow(vcpus)
