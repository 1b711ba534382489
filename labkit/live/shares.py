"""Giving machines their CPU shares, by the first mechanism that works here.

libvirt sets shares in control groups, and only root may. An ordinary user's QEMU processes can still be given weights.
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

__all__ = ["NICE_WEIGHTS", "Shares", "mechanism"]

# kernel/sched/core.c, sched_prio_to_weight, the entries for nice 0 to 19.
NICE_WEIGHTS = (1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15)


class Shares(Protocol):
    """A way to give machines shares."""

    ability: Ability

    def apply(self, machines: list[LiveMachine], journal: Journal) -> dict[str, float]:
        """Set every machine's shares and return the weights that are now in force, by machine."""


class ControlGroups:
    """libvirt's own: each machine has a control group whose weight are its shares."""

    def __init__(self, unified: bool) -> None:
        self._unified = unified
        version = "v2, cpu.weight" if unified else "v1, cpu.shares"
        self.ability = Ability(True, f"libvirt's control groups ({version})")

    def _value(self, shares: int) -> int:
        # libvirt writes the number to cpu.weight unconverted, whose range is 1 to 10000 with 100 for 1024 shares.
        return min(max(round(shares * 100 / 1024), 1), 10000) if self._unified else shares

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

    ability = Ability(True, "nice values of the vCPU threads (an ordinary user's way; steps of about 25%)")

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


class Nothing:
    """No mechanism: shares are refused, apart from equal ones, which need none."""

    def __init__(self, reason: str, remedy: str) -> None:
        self.ability = Ability(False, reason=reason, remedy=remedy)

    def apply(self, machines: list[LiveMachine], journal: Journal) -> dict[str, float]:
        """Accept equal shares only."""
        if len({machine.shares for machine in machines}) > 1:
            raise HostError(self.ability.reason, self.ability.remedy)
        return {machine.name: 1.0 for machine in machines}


def _in_root_group() -> bool:
    """Whether this process is in no CPU control group of its own, where autogroups count (sched(7))."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if "cpu" in controllers.split(","):
                return path == "/"
            if number == "0" and Path(f"/sys/fs/cgroup{path}/cpu.weight").exists():
                return False
    return True


def mechanism(privileged: bool) -> Shares:
    """The first way to give shares that works on this computer.

    Parameters
    ----------
    privileged : bool
        Whether libvirt runs as root.
    """
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    if privileged and (unified or Path("/sys/fs/cgroup/cpu").is_dir()):
        return ControlGroups(unified)
    if os.geteuid() == 0:
        return Nothing(
            "libvirt has no CPU control groups here.", "Mount the kernel's control groups: mount(8), cgroups(7)."
        )
    switch = Path("/proc/sys/kernel/sched_autogroup_enabled")
    autogroups = switch.exists() and switch.read_text().strip() == "1" and _in_root_group()
    return Autogroups() if autogroups else NiceThreads()
