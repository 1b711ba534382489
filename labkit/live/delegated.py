"""An ordinary user's own control groups: a plot that was made over to them, and the beds that labkit digs in it.

Control groups belong to root. But somebody may have made one over to a user (*delegated* it, cgroups(7)): systemd for
whoever asks it, or an administrator by hand. Where this process is in such a group, its QEMUs are too, and labkit makes
further groups inside it, just as libvirt does for root: one for each machine, with the machine's shares, and in that
one for each vCPU, with its quota. Only the vCPUs' threads move there; the rest of QEMU stays where it was.

On cgroup v2 the threads of one process may be in different groups only in *threaded* ones, and each new group has to be
told that it is one (Documentation/admin-guide/cgroup-v2.rst, Threads). The group above turns into their threaded domain
by that and back when they are gone, and may have processes and the cpu controller for its children at the same time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.host import Ability
from labkit.live import guardian
from labkit.live.errors import explained
from labkit.live.journal import Journal
from labkit.live.shares import group_weight

if TYPE_CHECKING:
    from labkit.live.driver import Driver
    from labkit.live.machine import LiveMachine

__all__ = ["DelegatedGroups", "found", "own_group", "systemd_keeps"]

_PATIENCE = 2.0  # seconds for the kernel to see that the last thread of a group has ended


class DelegatedGroups:
    """Shares and caps in a control group that belongs to this user; one of the ways of `labkit.live.shares.Shares`.

    Parameters
    ----------
    group : pathlib.Path
        The group that was made over to the user.
    unified : bool
        Whether it is one of cgroup v2.
    """

    def __init__(self, group: Path, unified: bool) -> None:
        self.group = group
        self._unified = unified
        where = "a control group delegated to this user"
        kind = "v2, {}; this way was never seen at work" if unified else "v1, {}"
        weight, quota = ("cpu.weight", "cpu.max") if unified else ("cpu.shares", "cpu.cfs_quota_us")
        self._weight = weight
        self.ability = Ability(True, f"{where} ({kind.format(weight)})")
        self.caps = Ability(True, f"{where} ({kind.format(quota)})")

    def apply(self, machines: list[LiveMachine], journal: Journal) -> dict[str, float]:
        """Set the shares that have changed; a machine's first ones also give it its groups."""
        weights = {}
        for machine in machines:
            value = group_weight(machine.shares, self._unified)
            weights[machine.name] = float(value)
            if machine.shares_in_force == value:
                continue
            file = self._group_of(machine) / self._weight
            with explained(f"set the shares of {machine.name}"):
                if machine.shares_in_force is None:
                    self._settle(file.parent, machine.vcpu_threads)
                file.write_text(str(value))
            journal.note(f"{machine.name}: echo {value} > {file}")
            machine.shares_in_force = value
        return weights

    def extend(self, machine: LiveMachine) -> None:
        """Give the vCPUs that a machine has just got groups of their own, with the same quota as its others."""
        with explained(f"weigh the new vCPUs of {machine.name}"):
            self._settle(self._group_of(machine), machine.vcpu_threads)

    def limit(self, machine: LiveMachine, period: int, quota: int) -> list[str]:
        """Let each vCPU of a machine run for `quota` in each `period`.

        Parameters
        ----------
        machine : LiveMachine
            The machine.
        period, quota : int
            In microseconds; a quota of -1 is none.

        Returns
        -------
        list of str
            The commands that would have done so.
        """
        with explained(f"cap {machine.name}"):
            said = []
            for group in sorted(self._group_of(machine).glob("vcpu*")):
                for file, value in self._quota_in(group, period, quota):
                    file.write_text(value)
                    said.append(f"echo {value} > {file}")
            return said

    def release(self, machine: LiveMachine) -> None:
        """Remove the groups of a machine that has ended; what cannot be removed yet the guardian will."""
        _remove(self._group_of(machine))

    def try_out(self, name: str) -> None:
        """Do once all that machines will need, with a thread of our own, and leave nothing of it.

        Raises
        ------
        OSError
            Where the kernel does not allow it.
        """
        done = threading.Event()
        thread = threading.Thread(target=done.wait, name="labkit-trial", daemon=True)
        thread.start()
        assert thread.native_id is not None  # it has started
        group = self.group / name
        try:
            self._settle(group, [thread.native_id])
            (group / self._weight).write_text("100")
            for file, value in self._quota_in(group / "vcpu0", 100_000, 50_000):
                file.write_text(value)
        finally:
            done.set()
            thread.join()
            _remove(group)

    def _group_of(self, machine: LiveMachine) -> Path:
        # The name holds the host's id, by which the guardian and `labkit clean` know what is ours.
        return self.group / machine.domain_name

    def _settle(self, group: Path, threads: Sequence[int]) -> None:
        """Make a machine's group, and in it one for each vCPU that has none, and move the vCPU's thread there."""
        self._make(group)
        for number, thread in enumerate(threads):
            own = group / f"vcpu{number}"
            if own.exists():
                continue
            self._make(own)
            if number:  # before the thread moves in: at no time is the cap exceeded
                for file in self._files_of_quota(own):
                    file.write_text((group / "vcpu0" / file.name).read_text().strip())
            (own / ("cgroup.threads" if self._unified else "tasks")).write_text(str(thread))

    def _make(self, group: Path) -> None:
        group.mkdir(exist_ok=True)
        if self._unified:
            (group / "cgroup.type").write_text("threaded")
            (group.parent / "cgroup.subtree_control").write_text("+cpu")

    def _files_of_quota(self, group: Path) -> list[Path]:
        names = ["cpu.max"] if self._unified else ["cpu.cfs_period_us", "cpu.cfs_quota_us"]
        return [group / name for name in names]

    def _quota_in(self, group: Path, period: int, quota: int) -> list[tuple[Path, str]]:
        values = [f"{'max' if quota < 0 else quota} {period}"] if self._unified else [str(period), str(quota)]
        return list(zip(self._files_of_quota(group), values, strict=True))


def _remove(group: Path) -> None:
    """Remove a group of ours and those in it, as soon as their threads have ended."""
    until = time.monotonic() + _PATIENCE
    for path in [*group.glob("vcpu*"), group]:
        while True:
            try:
                path.rmdir()
            except OSError as error:
                if error.errno == errno.EBUSY and time.monotonic() < until:
                    time.sleep(0.01)
                    continue
            break


def own_group(membership: str, top: Path = Path("/sys/fs/cgroup")) -> tuple[Path, bool] | None:
    """The control group that decides on a process's CPU time, and whether it is one of cgroup v2.

    Parameters
    ----------
    membership : str
        The text of its ``/proc/PID/cgroup``.
    top : pathlib.Path
        Where control groups are mounted.

    Returns
    -------
    tuple of (pathlib.Path, bool) or None
        None where there is none that can be seen from here, or none with the cpu controller.
    """
    unified = None
    for line in membership.splitlines():
        number, controllers, path = line.split(":", 2)
        if ".." in path.split("/"):  # outside what a container sees
            continue
        if "cpu" in controllers.split(","):
            return top / "cpu" / path.strip("/"), False
        if number == "0":
            unified = top / path.strip("/")
    with contextlib.suppress(OSError):
        if unified and "cpu" in (unified / "cgroup.controllers").read_text().split():
            return unified, True
    return None


def systemd_keeps(group: Path) -> bool:
    """Whether a group is one of systemd's that it has not given away.

    All groups of a person's session belong to them, but systemd goes on managing them, and may take back what others
    set there (systemd, CGROUP_DELEGATION, "Some Don'ts"). Those that it has given away it marks, from version 251 on
    so that an ordinary user can see it: ``user.delegate``.
    """
    if group.suffix not in (".scope", ".service", ".slice"):
        return False
    try:
        return os.getxattr(group, "user.delegate") != b"1"
    except OSError:
        return True


def found(
    driver: Driver, own: Path = Path("/proc/self/cgroup"), top: Path = Path("/sys/fs/cgroup")
) -> DelegatedGroups | None:
    """The control group that was delegated to this user, where that was tried and works.

    Parameters
    ----------
    driver : Driver
        The way to libvirt. Its guests have to be in this process's group, as those of an embedded host are.
    own, top : pathlib.Path
        The file that says in which groups this process is, and where control groups are mounted.
    """
    if driver.privileged or driver.root is None or (place := own_group(own.read_text(), top)) is None:
        return None
    group, unified = place
    if unified and systemd_keeps(group):
        return None
    groups = DelegatedGroups(group, unified)
    try:
        (driver.root / guardian.DELEGATED).write_text(str(group))  # first: by it the guardian finds what a crash leaves
        groups.try_out(f"lk-{driver.id}-trial-{threading.get_native_id()}")
    except OSError:
        return None
    return groups
