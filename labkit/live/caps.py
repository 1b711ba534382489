"""The most CPU time that a machine may use: a tap on its pipe, and a meter of what it holds back.

The kernel gives each vCPU's control group a quota of CPU time in every period, and lets nobody in it run once that is
used up (*CPU bandwidth control*, Documentation/scheduler/sched-bwc.rst). As root libvirt sets the quota; for an
ordinary user labkit does so itself, in a group that was delegated to that user. The kernel counts in the group's
``cpu.stat`` how long it held the group back.
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labkit.host import Ability, HostError
from labkit.live.delegated import DelegatedGroups
from labkit.live.errors import translated
from labkit.live.shares import control_groups_writable

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["LEAST", "PERIOD", "ability", "apply", "checked", "quota", "throttled"]

PERIOD = 100_000
"""Microseconds; the kernel's own default for the length of a period."""

LEAST = 0.01  # CPU

_LEAST_QUOTA = 1000  # microseconds; neither libvirt nor the kernel takes less

# systemd-run(1) and systemd.resource-control(5), Delegate=. user@.service itself has been given cpu since version 252.
_IN_A_SCOPE = "systemd-run --user --scope -p Delegate=yes ./course open"


def ability(host: LiveHost) -> Ability:
    """Whether machines can have caps on this host, and how, or why not."""
    driver = host.driver
    if isinstance(host.shares, DelegatedGroups):
        return host.shares.caps
    if not driver.privileged:
        return Ability(
            False,
            reason="An ordinary user may set quotas only in a CPU control group that was made over to them "
            "(delegated), and this process is in none that works.",
            remedy=f"Where systemd runs your session, begin with '{_IN_A_SCOPE}'; or run as root, or cap a machine on "
            "the simulated host.",
        )
    if driver.root is None and urlsplit(driver.uri).hostname:
        return Ability(
            False,
            reason="How long a cap held a machine back is read from the kernel, and this host is another computer.",
            remedy="Run labkit on that computer.",
        )
    if not control_groups_writable():
        return Ability(
            False,
            reason="CPU control groups cannot be made here; in many containers they are there to be read only.",
            remedy="Run outside the container, or cap a machine on the simulated host.",
        )
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return Ability(True, f"libvirt's control groups ({'v2, cpu.max' if unified else 'v1, cpu.cfs_quota_us'})")


def checked(cap: float) -> float:
    """A cap, 0.01 CPU or more.

    Raises
    ------
    ValueError
        Where it is not.
    """
    if isinstance(cap, bool) or not isinstance(cap, (int, float)) or not cap >= LEAST:
        raise ValueError(f"cap is a number of CPUs, {LEAST} or more, not {cap!r:.40}; math.inf is none")
    return float(cap)


def quota(cap: float, vcpus: int) -> int:
    """The microseconds in each period that one vCPU may run; -1 where there is no cap.

    Raises
    ------
    HostError
        Where that is less than the kernel takes.
    """
    if math.isinf(cap):
        return -1
    wanted = round(cap / vcpus * PERIOD)
    if wanted < _LEAST_QUOTA:
        least = vcpus * _LEAST_QUOTA / PERIOD
        raise HostError(f"Linux caps no vCPU below {_LEAST_QUOTA / PERIOD:.0%} of a CPU.", f"Give {least:g} or more.")
    return wanted


def apply(host: LiveHost, machine: LiveMachine, cap: float, vcpus: int) -> None:
    """Give each vCPU its equal part of a cap.

    Parameters
    ----------
    host : LiveHost
        For its journal.
    machine : LiveMachine
        Whose cap it is.
    cap : float
        In CPU; infinite to lift it.
    vcpus : int
        How many vCPUs it is for.
    """
    part = quota(cap, vcpus)
    if part < 0 and math.isinf(machine.cap):
        return
    if isinstance(host.shares, DelegatedGroups):
        for command in host.shares.limit(machine, PERIOD, part):
            host.comment(f"{machine.name}: {command}")
        machine.cap, machine.ever_capped = cap, True
        return
    with translated(f"cap {machine.name}"):
        settings = {"vcpu_period": PERIOD, "vcpu_quota": part}
        machine.domain.setSchedulerParametersFlags(settings, 1)  # VIR_DOMAIN_AFFECT_LIVE
    host.note("schedinfo", machine.name, "--live", f"vcpu_period={PERIOD}", f"vcpu_quota={part}")
    machine.cap = cap
    machine.ever_capped = True


def _group_of(process: int, thread: int) -> Path:
    """The CPU control group that a thread is in (cgroups(7), /proc/pid/cgroup)."""
    top = Path("/sys/fs/cgroup")
    found = top
    for line in Path(f"/proc/{process}/task/{thread}/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            return top / "cpu" / path.strip("/")
        if number == "0":
            found = top / path.strip("/")
    return found


def throttled(machine: LiveMachine) -> float:
    """How long a machine's cap has held its vCPUs back so far, in seconds, all vCPUs together.

    The kernel adds a stretch to it when the stretch is over, as it does with the time that a vCPU had to wait.

    Raises
    ------
    HostError
        Where the kernel does not tell.
    """
    if not machine.ever_capped:
        return 0.0
    try:
        if len(machine.throttle_counters) != machine.vcpus:
            process = machine.process
            threads = machine.vcpu_threads
            machine.throttle_counters = [_group_of(process, thread) / "cpu.stat" for thread in threads]
        return sum(_throttled_in(file.read_text()) for file in machine.throttle_counters)
    except OSError as error:
        raise HostError(
            f"The kernel does not tell how long {machine.name} was held back: {error.strerror}.",
            "It may have ended; look at machine.state.",
        ) from error


def _throttled_in(statistics: str) -> float:
    """The seconds in the text of a ``cpu.stat``: ``throttled_time`` in nanoseconds on cgroup v1, else microseconds."""
    for line in statistics.splitlines():
        name, _, value = line.partition(" ")
        with contextlib.suppress(KeyError):
            return int(value) / {"throttled_time": 1e9, "throttled_usec": 1e6}[name]
    return 0.0
