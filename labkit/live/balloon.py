"""A machine's memory from both sides, and the balloon that moves it from one to the other.

The guest's side is its own /proc/meminfo, read through its agent from a file that stays open, so that a look starts no
program there. The host's side is the one mapping of the QEMU process that is the guest's memory, and of that the part
for which there are pages (proc(5), /proc/pid/smaps, ``Rss``).

The balloon is virtio's (OASIS, Virtual I/O Device specification, section 5.5): ``virsh setmem`` tells it how much to
leave, and its driver in the guest takes or gives back pages until that is so.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labkit.host import Ability, HostError
from labkit.host.memory import GUEST
from labkit.live.errors import translated
from labkit.live.places import cache_root

if TYPE_CHECKING:
    from labkit.live.driver import Driver
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["SMALL_PAGES", "Gauge", "ability", "calibrate", "checked", "least", "make_room", "move"]

_HMP = 1  # VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
_LIVE = 1  # VIR_DOMAIN_AFFECT_LIVE

_HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"
SMALL_PAGES = f"[ ! -e {_HUGE_PAGES} ] || echo never >{_HUGE_PAGES}"
"""What a guest is told, in its shell, so that its kernel keeps no memory free for huge pages.

With them on it keeps 5% of its memory free for them, 44 MiB at most (Linux, mm/khugepaged.c,
`set_recommended_min_free_kbytes`), and ends programs before it lets anybody have these.
"""


def ability(driver: Driver, kept: dict[int, dict[str, float]]) -> Ability:
    """Whether machines' balloons can be moved and seen through this libvirt, and how, or why not.

    Parameters
    ----------
    driver : Driver
        The way to libvirt.
    kept : dict
        What was found out about guests of each size so far; see `calibrate`.
    """
    if driver.root is None and urlsplit(driver.uri).hostname:
        return Ability(
            False,
            reason="How much room a guest's memory takes is read from the kernel, and this host is another computer.",
            remedy="Run labkit on that computer.",
        )
    found = "".join(
        f"; of {memory} MiB its kernel keeps {known['kept']:.1f} MiB, measured apart" for memory, known in kept.items()
    )
    return Ability(True, f"virtio's balloon in the guest, moved by libvirt's setMemory{found}")


class Gauge:
    """What one machine's memory is read from.

    Parameters
    ----------
    machine : LiveMachine
        The machine.
    """

    def __init__(self, machine: LiveMachine) -> None:
        self._machine = machine
        self._handle: int | None = None
        self._begins: int | None = None
        self.watched = False
        """Whether an observation tells of it."""
        self.roomy = False
        """Whether its kernel was told to keep nothing free for huge pages."""

    def seen(self) -> dict[str, float]:
        """The memory at this moment, in MiB; see `labkit.host.Machine.memory_seen`.

        Raises
        ------
        HostError
            Where the guest or the kernel does not tell.
        """
        within = self.guest()
        return {
            "size": self.size(),
            "guest_total": within["MemTotal"],
            "guest_free": within["MemFree"],
            "host_resident": self.resident(),
        }

    def size(self) -> float:
        """What the balloon leaves the guest at present, as QEMU says, in MiB."""
        with translated(f"read the memory of {self._machine.name}"):
            return self._machine.domain.memoryStats()["actual"] / 1024

    def guest(self) -> dict[str, float]:
        """The guest's /proc/meminfo, in MiB."""
        text = ""
        with contextlib.suppress(HostError):  # an agent that was started anew knows nothing of the open file
            text = self._read_on()
        if not text:
            self._handle = None
            text = self._read_on()
        lines = (line.partition(":") for line in text.splitlines())
        return {name: int(amount.split()[0]) / 1024 for name, _colon, amount in lines if amount.strip()}

    def _read_on(self) -> str:
        agent = self._machine.agent
        if self._handle is None:
            self._handle = agent.call("guest-file-open", path="/proc/meminfo", mode="r")
        agent.call("guest-file-seek", handle=self._handle, offset=0, whence="set")
        answer = agent.call("guest-file-read", handle=self._handle, count=8192)
        return base64.b64decode(answer["buf-b64"]).decode()

    def resident(self) -> float:
        """The part of the guest's memory that takes room on this computer, in MiB."""
        if self._begins is None:
            self._begins = self._address()
        try:
            with Path(f"/proc/{self._machine.process}/smaps").open() as smaps:
                inside = False
                for line in smaps:
                    first, _, rest = line.partition(" ")
                    if not first.endswith(":"):
                        begin, _, end = first.partition("-")
                        inside = int(begin, 16) <= self._begins < int(end, 16)
                    elif inside and first == "Rss:":
                        return int(rest.split()[0]) / 1024
        except OSError as error:
            raise HostError(
                f"The kernel does not tell how much room the memory of {self._machine.name} takes: {error.strerror}.",
                "It may have ended, or belong to another user.",
            ) from error
        raise HostError(f"The memory of {self._machine.name} was not found in its process.", "Create it anew.")

    def _address(self) -> int:
        """Where in QEMU's own memory the guest's begins (QEMU's monitor command ``gpa2hva``)."""
        import libvirt_qemu

        with translated(f"ask QEMU where the memory of {self._machine.name} is"):
            answer = libvirt_qemu.qemuMonitorCommand(self._machine.domain, "gpa2hva 0", _HMP)
        return int(answer.split()[-1], 16)


def least(machine: LiveMachine) -> int:
    """The smallest size, in MiB, at which the guest can go on as it is now.

    So much is in use or kept by its kernel, what a load is still going to fill is added, and what the agent needs to
    start a program (`labkit.host.memory.GUEST`). Pages of files, which the guest would give up, count as free.
    """
    within = machine.gauge.guest()
    free = within["MemFree"] + max(0.0, within["Cached"] - within["Shmem"])
    coming = sum(job.coming for job in machine.jobs)
    return math.ceil(machine.gauge.size() - free + coming + GUEST.reserve)


def make_room(machine: LiveMachine) -> None:
    """Have the guest's kernel keep no more free than any program needs; see `SMALL_PAGES`.

    Raises
    ------
    HostError
        Where the guest does not do it.
    """
    if not machine.gauge.roomy:
        command = ["/bin/sh", "-c", SMALL_PAGES]
        machine.host.note_agent(machine, "guest-exec", command)
        if (ended := machine.agent.run(command)).status:
            raise HostError(f"The guest in {machine.name} keeps its huge pages: {ended!r:.200}", "Create it anew.")
        machine.gauge.roomy = True


def checked(machine: LiveMachine, target: float) -> int:
    """A size that the balloon may leave a guest, in whole MiB; the guest is made ready for it.

    Raises
    ------
    HostError
        Where the guest could not go on with it, with the least with which it can.
    ValueError
        Where it is more than the machine was made with.
    """
    size = round(target)
    if size > machine.memory:
        raise ValueError(f"memory is at most the {machine.memory:g} MiB that {machine.name} was made with")
    make_room(machine)
    if size < (needed := min(least(machine), machine.memory)):
        raise HostError(
            f"With {size} MiB the guest in {machine.name} would run out of memory, and its kernel would end programs "
            "in it.",
            f"Leave it {needed:.0f} MiB or more.",
        )
    return size


def move(host: LiveHost, machine: LiveMachine, size: int) -> None:
    """Send a machine's balloon to leave it `size` MiB, which has been checked; returns at once."""
    memory = round(machine.memory)
    if memory not in host.kept and (found := calibrate(host, memory)):
        host.kept[memory] = found
    machine.gauge.watched = True
    machine.asked_memory = size
    with translated(f"move the balloon of {machine.name}"):
        machine.domain.setMemoryFlags(size * 1024, _LIVE)
    host.note("setmem", machine.name, f"{size}MiB", "--live")


def calibrate(host: LiveHost, memory: int) -> dict[str, float] | None:
    """What a guest of `memory` MiB has before anybody asks anything of it, in MiB; measured once for each image.

    A guest of its own is started for that, apart from all that is compared, and the answer is remembered. Whether there
    is room for it is asked as for any other.

    Parameters
    ----------
    host : LiveHost
        The host.
    memory : int
        The machine's memory in MiB.

    Returns
    -------
    dict or None
        `kept` by the guest's kernel, `used` by what runs in it, and `resident` on the host; None where it is not known
        and there is no room for another guest now, which the journal then says.
    """
    from labkit.live import starting  # which itself makes machines, each with a gauge
    from labkit.live.domain import Shape

    key = f"{host.image.digest} {host.accelerator.name} {memory}"
    file = cache_root() / "guest-memory.json"
    remembered: dict[str, dict[str, float]] = {}
    with contextlib.suppress(OSError, ValueError):
        remembered = json.loads(file.read_text())
    found = remembered.get(key)
    if not isinstance(found, dict) or not {"kept", "used", "resident"} <= set(found):
        host.progress(f"Finding out what a guest of {memory} MiB keeps for itself", 0.0)
        name = f"kept-{os.urandom(2).hex()}"
        try:
            host._reserve(name, memory)
        except HostError as error:
            host.comment(f"what a guest of {memory} MiB keeps for itself was not measured: {error.message}")
            return None
        try:
            machine = starting.start(host, name, Shape(1, memory, host.accelerator.name), cold=False)
            try:
                seen = machine.gauge.seen()
            finally:
                host.remove(machine)
        finally:
            host._reserved.discard(name)
        found = {
            "kept": memory - seen["guest_total"],
            "used": seen["guest_total"] - seen["guest_free"],
            "resident": seen["host_resident"],
        }
        with contextlib.suppress(OSError):
            writing = file.with_suffix(f".{os.getpid()}")
            writing.write_text(json.dumps({**remembered, key: found}))
            writing.rename(file)
    return found
