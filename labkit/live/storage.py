"""Requests to a real guest's disks: fio sends them, QEMU's throttle holds them back, libvirt counts them."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from labkit.host import DiskLoad, HostError
from labkit.host.throttling import require_disk, require_limit
from labkit.live import attaching
from labkit.live.errors import translated
from labkit.live.jobs import LiveJob

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine

__all__ = ["FIO_MEMORY", "DiskJob", "meters", "throttle"]

FIO_MEMORY = 192  # MiB of a machine; in less than that Debian's fio, with all its libraries, does not start
BEGUN = 16  # requests; when a disk is opened the guest's kernel reads a few blocks of it by itself
PATIENCE = 60.0  # seconds for fio to send its first request; under emulation it starts in one to three
LIVE = 1  # VIR_DOMAIN_AFFECT_LIVE


def meters(machine: LiveMachine) -> tuple[int, float]:
    """Requests that a machine's disks have answered, and the seconds that these took together, by QEMU's own books.

    A request counts from when the guest hands it over until it gets the answer, so what a throttle makes it wait is
    in (QEMU, block/accounting.c).
    """
    import libvirt

    with translated(f"read the counters of {machine.name}"):
        seen = machine.host.connection.domainListGetStats([machine.domain], libvirt.VIR_DOMAIN_STATS_BLOCK)[0][1]
    answered, took = 0, 0.0
    for number in range(seen.get("block.count", 0)):
        if seen.get(f"block.{number}.name") == "vda":  # the course's own tools
            continue
        for what in ("rd", "wr"):
            answered += seen.get(f"block.{number}.{what}.reqs", 0)
            took += seen.get(f"block.{number}.{what}.times", 0) / 1e9
    return answered, took


def throttle(machine: LiveMachine, disk: str, iops: float) -> None:
    """Let at most so many requests a second through; see `labkit.host.Machine.throttle`."""
    require_limit(machine, disk, iops)
    limit = 0 if math.isinf(iops) else round(iops)  # 0 is none
    target = attaching.target_of(machine, machine.disks[disk])
    with translated(f"limit the disk {disk} of {machine.name}"):
        machine.domain.setBlockIoTune(target, {"total_iops_sec": limit}, LIVE)
    machine.host.note("blkdeviotune", machine.name, target, "--total-iops-sec", limit, "--live")


class DiskJob(LiveJob):
    """fio, with as many requests under way as the load's depth, past the guest's own cache."""

    armed = True

    def __init__(self, machine: LiveMachine, load: DiskLoad) -> None:
        require_disk(machine, load.disk)
        if machine.memory < FIO_MEMORY:
            raise HostError(
                f"fio needs a machine of {FIO_MEMORY} MiB, and {machine.name} has {machine.memory:g} MiB.",
                f'Create it with memory="{FIO_MEMORY} MiB".',
            )
        super().__init__(machine, load)
        machine.tallied = True
        self._before = meters(machine)[0]
        command = [
            "/tools/bin/fio", "--name=load", f"--filename={machine.device(load.disk)}", f"--rw=rand{load.operation}",
            f"--bs={load.block}", f"--iodepth={load.depth}", "--ioengine=libaio", "--direct=1", "--thread",
            "--time_based", "--runtime=86400", "--eta=never",
        ]  # fmt: skip
        machine.host.note_agent(machine, "guest-exec", command)
        self._process = machine.agent.start(command, capture=True)

    def make_ready(self) -> None:
        """Wait until its requests are answered: it has begun then, and needs no word."""
        ends = time.monotonic() + PATIENCE
        while meters(self._machine)[0] < self._before + BEGUN:
            if finished := self._machine.agent.finished(self._process):
                raise HostError(f"fio in {self._machine.name} did not run: {finished!r:.200}", "Stop the machine.")
            if time.monotonic() > ends:
                raise HostError(f"fio in {self._machine.name} did not begin.", "Look at machine.console().")
            time.sleep(0.1)

    def go(self) -> None:
        """It runs already."""
        self.armed = False

    def grow(self, vcpus: int) -> None:
        """More vCPUs change nothing for a disk."""

    def _ended(self) -> bool:
        return self._machine.agent.finished(self._process) is not None

    def _stop(self) -> None:
        self._machine.agent.start(["/bin/kill", str(self._process)])
        ends = time.monotonic() + PATIENCE
        while self._machine.agent.finished(self._process) is None:  # the disk is left alone when this returns
            if time.monotonic() > ends:
                raise HostError(f"fio in {self._machine.name} does not end.", "Stop the machine.")
            time.sleep(0.05)
