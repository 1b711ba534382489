"""Filling a guest's memory with known pages: a small program in the guest, and a file system in memory to write to.

Pages of a file in memory (tmpfs) are whole pages: what is written is what the host finds in them, from the first byte
to the last, and nothing stands around it.
"""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Any

from labkit.host import HostError, MemoryLoad
from labkit.live.balloon import SMALL_PAGES
from labkit.live.jobs import LiveJob

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine

__all__ = ["FILLER", "MemoryJob"]

FILLER = 10.0  # MiB that stay free; Python takes some of them while it fills

# Each page begins with a number and goes on with dots, so none is empty and no two of one number differ. All pages go
# through one small buffer: what the program leaves behind in memory that it frees is the same in all guests.
_PROGRAM = """
import os, sys
place, alike, own, seed = sys.argv[1], *map(int, sys.argv[2:])
some = 16
pages = bytearray(b"." * 4096 * some)
file = os.open(place, os.O_CREAT | os.O_WRONLY)
for start in range(0, alike + own, some):
    count = min(some, alike + own - start)
    for page in range(start, start + count):
        number = (b"i%034d" % page) if page < alike else (b"o%034d" % (page + (seed << 32)))
        pages[(page - start) * 4096 : (page - start) * 4096 + 35] = number
    written = 0
    while written < count * 4096:
        written += os.write(file, memoryview(pages)[written : count * 4096])
"""

_PYTHON = 'exec /tools/bin/python3 -I -S -c "$2" "$1/pages" $3 $4 $5'
# A kernel that tidies its memory up moves pages, and what it moved stands in two places: none of that while we count.
# Nor may it keep tens of MiB free for huge pages: a program that fills would be ended, or wait for minutes.
_STILL = f"echo 0 >/proc/sys/vm/compaction_proactiveness; {SMALL_PAGES}"
_START = f'{_STILL}; mkdir "$1" && mount -t tmpfs -o size=100% fill "$1" && {_PYTHON}'
_END = 'kill -9 "$2" 2>/dev/null; umount "$1" || { usleep 200000; umount "$1"; }; rmdir "$1"'


class MemoryJob(LiveJob):
    """A program that fills memory; when it has, the memory stays full until the job is cancelled."""

    def __init__(self, machine: LiveMachine, load: MemoryLoad) -> None:
        if not (able := machine.host.can("filling")):
            raise HostError(able.reason, able.remedy)
        super().__init__(machine, load)
        self._fill = load
        self._filled = False
        free = machine.gauge.guest()["MemFree"]
        most = math.floor(free - max(0.0, machine.gauge.size() - machine.asked_memory) - FILLER)
        if load.size > most:
            raise HostError(
                f"The guest in {machine.name} has no {load.size:g} MiB left to fill.",
                f"Fill {max(0, most)} MiB at most.",
            )
        machine.gauge.watched = True
        self._free = free
        self._place = f"/run/fill-{os.urandom(4).hex()}"
        words = [*map(str, load.pages), str(load.seed)]
        command = ["/bin/sh", "-c", _START, "sh", self._place, _PROGRAM, *words]
        machine.host.note_agent(machine, "guest-exec", command)
        self._process = machine.agent.start(command, capture=True)

    @property
    def coming(self) -> float:
        """How much it is still going to fill, in MiB."""
        return 0.0 if self._over or self._filled else self._fill.size * (1.0 - self.progress)

    @property
    def progress(self) -> float:
        """How much is filled, from 0 to 1."""
        if self._over or self._is_filled():
            return 1.0
        taken = self._free - self._machine.gauge.guest()["MemFree"]
        return min(0.99, max(0.0, taken / self._fill.size)) if self._fill.size else 0.0

    def wait(self, timeout: float | None = None) -> Any:
        """Wait until the memory is full, `timeout` seconds at most."""
        ends = math.inf if timeout is None else time.monotonic() + timeout
        while time.monotonic() < ends and not self._over and not self._is_filled():
            self._machine.host.progress(f"Filling the memory of {self._machine.name}", self.progress)
            time.sleep(0.2)
        return None

    def grow(self, vcpus: int) -> None:
        """One vCPU is enough for it."""

    def _is_filled(self) -> bool:
        if not self._filled and (ended := self._machine.agent.finished(self._process)):
            if ended.status:
                raise HostError(
                    f"The memory of {self._machine.name} could not be filled: {ended!r:.200}", "Create it anew."
                )
            self._filled = True
        return self._filled

    def _ended(self) -> bool:
        return False  # it holds what it has filled

    def _stop(self) -> None:
        self._machine.agent.run(["/bin/sh", "-c", _END, "sh", self._place, "" if self._filled else str(self._process)])
