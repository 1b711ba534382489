"""Is the machine that was asked for on the host?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.course.exercise import Verdict
from labkit.host import Host

__all__ = ["machine_goal"]


def machine_goal(values: Mapping[str, Any], host: Host) -> Verdict:
    """A running machine of the wanted name, with as many vCPUs as wanted.

    Parameters
    ----------
    values : mapping
        ``name`` and ``vcpus``.
    host : Host
        The host to look at, while it is open.
    """
    name, wanted = values["name"], values["vcpus"]
    there = sorted(host.machines)
    if name not in there:
        seen = f"the machines on this host are {', '.join(there)}" if there else "there is no machine on this host"
        return Verdict(False, f"No machine here is called {name}: {seen}.")
    machine = host.machines[name]
    if machine.state != "running":
        return Verdict(False, f"{name} is there, but it is {machine.state}.")
    saw = f"{name} is running, with {machine.vcpus} vCPU{'s'[: machine.vcpus != 1]}"
    if machine.vcpus != wanted:
        return Verdict(False, f"{saw}; the goal says {wanted}.")
    return Verdict(True, f"{saw}.")
