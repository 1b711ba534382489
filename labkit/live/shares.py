"""Giving machines their CPU shares, by the first mechanism that works here.

libvirt sets shares in control groups, and only root may; users to whom a group was delegated can do so themselves
(`labkit.live.delegated`). Without one, an ordinary user's QEMU processes can still be given weights.
Each has a session of its own, Linux schedules sessions as groups (*autogroups*), and a group's weight follows its nice
value, which its owner may move freely between 0 and 19. Where the person's own session has a CPU control group, as on
many desktops, autogroups do not count (sched(7)); there all QEMUs are in that one group, and the nice values of their
vCPU threads weigh them against each other.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from labkit.host import Ability, HostError
from labkit.live.errors import translated
from labkit.live.journal import Journal

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine

__all__ = ["NICE_WEIGHTS", "Shares", "group_weight", "mechanism"]

# kernel/sched/core.c, sched_prio_to_weight, the entries for nice 0 to 19.
NICE_WEIGHTS = (1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15)


class Shares(Protocol):
    """A way to give machines shares."""

    ability: Ability

    def apply(self, machines: list[LiveMachine], journal: Journal) -> dict[str, float]:
        """Set every machine's shares and return the weights that are now in force, by machine."""

    def extend(self, machine: LiveMachine) -> None:
        """Give the vCPUs that a machine has just got the weight of its others."""


def group_weight(shares: int, unified: bool) -> int:
    """The weight of a control group that stands for some shares.

    On cgroup v1 it is the number itself. On v2 it is a number from 1 to 10000, 100 standing for 1024 shares as it is
    the default there (Documentation/admin-guide/cgroup-v2.rst, cpu.weight).
    """
    return min(max(round(shares * 100 / 1024), 1), 10000) if unified else shares


class ControlGroups:
    """libvirt's own: each machine has a control group whose weight are its shares."""

    def __init__(self, unified: bool) -> None:
        self._unified = unified
        version = "v2, cpu.weight" if unified else "v1, cpu.shares"
        self.ability = Ability(True, f"libvirt's control groups ({version})")

    def _value(self, shares: int) -> int:
        return group_weight(shares, self._unified)  # libvirt writes the number to cpu.weight unconverted

    def apply(self, machines: list[LiveMachine], journal: Journal) -> dict[str, float]:
        """Set the shares that have changed."""
        weights = {}
        for machine in machines:
            value = self._value(machine.shares)
            weights[machine.name] = float(value)
            if machine.shares_in_force == value:
                continue
            with translated(f"set the shares of {machine.name}"):
                machine.domain.setSchedulerParametersFlags({"cpu_shares": value}, 1)  # VIR_DOMAIN_AFFECT_LIVE
            journal.virsh("schedinfo", machine.name, "--live", f"cpu_shares={value}")
            machine.shares_in_force = value
        return weights

    def extend(self, machine: LiveMachine) -> None:
        """Do nothing: the weight is the whole control group's."""


def nice_for(shares: int, largest: int) -> int:
    """The nice value whose weight stands to that of nice 0 most nearly as `shares` to `largest`."""
    wanted = math.log(shares / largest)
    return min(range(20), key=lambda nice: abs(math.log(NICE_WEIGHTS[nice] / NICE_WEIGHTS[0]) - wanted))


class Autogroups:
    """An ordinary user's: the nice value of each QEMU's session, in steps of about a quarter."""

    ability = Ability(True, "autogroup nice values (an ordinary user's way; steps of about 25%)")

    def apply(self, machines: list[LiveMachine], journal: Journal) -> dict[str, float]:
        """Set every nice value that has changed; all depend on the largest shares of the host."""
        largest = max((machine.shares for machine in machines), default=1)
        weights = {}
        for machine in machines:
            nice = nice_for(machine.shares, largest)
            weights[machine.name] = float(NICE_WEIGHTS[nice])
            if machine.shares_in_force == nice:
                continue
            self._write(machine, nice)
            journal.note(f"{machine.name}: echo {nice} > /proc/{machine.process}/autogroup")
            machine.shares_in_force = nice
        return weights

    def extend(self, machine: LiveMachine) -> None:
        """Do nothing: the weight is the whole session's."""

    @staticmethod
    def _write(machine: LiveMachine, nice: int) -> None:
        file, until = Path(f"/proc/{machine.process}/autogroup"), time.monotonic() + 3.0
        while True:
            try:
                file.write_text(str(nice))
                return
            except BlockingIOError as error:  # the kernel takes one change of an ordinary user's in a tenth of a second
                if time.monotonic() > until:
                    raise HostError(f"The kernel would not take the shares of {machine.name}.", "Try again.") from error
                time.sleep(0.05)
            except OSError as error:
                raise HostError(f"Could not set the shares of {machine.name}: {error.strerror}.") from error


class NiceThreads:
    """An ordinary user's where autogroups do not count: the nice values of the vCPU threads.

    Their owner may only raise them. As only ratios count, one machine gains by the others' being raised, until one of
    them would have to go beyond 19.
    """

    ability = Ability(
        True, "nice values of the vCPU threads (an ordinary user's way; steps of about 25%, and only so many changes)"
    )

    def apply(self, machines: list[LiveMachine], journal: Journal) -> dict[str, float]:
        """Set every nice value that has changed, all of them as low as their owner still may."""
        largest = max((machine.shares for machine in machines), default=1)
        wanted = {machine.name: nice_for(machine.shares, largest) for machine in machines}
        raised = max((max(0, (machine.shares_in_force or 0) - wanted[machine.name]) for machine in machines), default=0)
        if any(nice + raised > 19 for nice in wanted.values()):
            raise HostError(
                "An ordinary user may only lower a machine's weight, and these have been lowered as far as it goes.",
                "Stop the machines and create them again with the shares that you want.",
            )
        for machine in machines:
            nice = wanted[machine.name] + raised
            if machine.shares_in_force != nice:
                for thread in machine.vcpu_threads:
                    os.setpriority(os.PRIO_PROCESS, thread, nice)
                journal.note(f"{machine.name}: renice -n {nice} -p {' '.join(map(str, machine.vcpu_threads))}")
                machine.shares_in_force = nice
        return {name: float(NICE_WEIGHTS[nice + raised]) for name, nice in wanted.items()}

    def extend(self, machine: LiveMachine) -> None:
        """Raise the nice values of the new threads to that of the others."""
        for thread in machine.vcpu_threads:
            os.setpriority(os.PRIO_PROCESS, thread, machine.shares_in_force or 0)


def in_root_group(membership: str, unified: Path = Path("/sys/fs/cgroup")) -> bool:
    """Whether a process is in no CPU control group but the root's, where autogroups count (sched(7)).

    On cgroup v2 its CPU group is the nearest ancestor with the controller enabled, which has a ``cpu.weight``; the
    root has none.

    Parameters
    ----------
    membership : str
        The text of its ``/proc/PID/cgroup``.
    unified : pathlib.Path
        Where the cgroup v2 tree is mounted.
    """
    for line in membership.splitlines():
        number, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            return path == "/"
        if number == "0":
            group = unified / path.strip("/")
            if any(
                (above / "cpu.weight").exists()
                for above in (group, *group.parents)
                if unified in (above, *above.parents)
            ):
                return False
    return True


def control_groups_writable() -> bool:
    """Whether CPU control groups can be made here; in many containers they are there to be read only.

    An ordinary user's word on that counts for nothing where libvirt runs as root: libvirt makes them, not the user.
    """
    if os.geteuid() != 0:
        return True
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    top = Path("/sys/fs/cgroup" if unified else "/sys/fs/cgroup/cpu")
    return top.is_dir() and os.access(top, os.W_OK)


def mechanism(privileged: bool) -> Shares:
    """The first way to give shares that works on this computer.

    Parameters
    ----------
    privileged : bool
        Whether libvirt runs as root.
    """
    if privileged and control_groups_writable():
        return ControlGroups(Path("/sys/fs/cgroup/cgroup.controllers").exists())
    switch = Path("/proc/sys/kernel/sched_autogroup_enabled")
    with contextlib.suppress(OSError):
        if switch.read_text().strip() == "1" and in_root_group(Path("/proc/self/cgroup").read_text()):
            return Autogroups()
    return NiceThreads()
