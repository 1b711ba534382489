"""The live host: this computer, with real guests on it."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from labkit.host import Ability, HostError, HostKind, Observation, Provenance, mebibytes
from labkit.host.networks import Port
from labkit.live import (
    abilities,
    accelerator,
    attaching,
    capacity,
    caps,
    changing,
    delegated,
    observing,
    ownership,
    reaping,
    speed,
    starting,
)
from labkit.live import shares as share_mechanisms
from labkit.live.bootable import BootsFromDisks
from labkit.live.disks import LiveDisk, Shelf
from labkit.live.domain import Shape
from labkit.live.driver import Driver
from labkit.live.errors import explained, translated
from labkit.live.further import DoesMore
from labkit.live.image import Image
from labkit.live.journal import Journal
from labkit.live.ksm import KernelSharing
from labkit.live.machine import LiveMachine
from labkit.live.net import cables
from labkit.live.net.host import HasNetworks
from labkit.live.net.network import clear
from labkit.live.pools import make_pool

__all__ = ["LiveHost"]

_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}", re.ASCII | re.IGNORECASE)


class LiveHost(HasNetworks, BootsFromDisks, DoesMore):
    """Real machines on this computer, through libvirt.

    Leaving its ``with`` block switches its machines off. Should the process that opened it be killed, a guardian
    does so.

    Parameters
    ----------
    driver : Driver
        The way to libvirt.
    image : Image
        The guest.
    progress : callable
        Told what is going on and how much of it is done, from 0 to 1.
    """

    kind: HostKind = "live"

    def __init__(
        self, driver: Driver, image: Image, progress: Callable[[str, float], None] = lambda _text, _done: None
    ) -> None:
        super().__init__()
        self.driver = driver
        self.image = image
        self.progress = progress
        self.root = driver.root
        self.connection = driver.connection
        with translated("ask libvirt for its version"):
            there = range(self.connection.getInfo()[2])
            versions = {"qemu": self.connection.getVersion(), "libvirt": self.connection.getLibVersion()}
        self.versions = {name: f"{v // 1000000}.{v // 1000 % 1000}.{v % 1000}" for name, v in versions.items()}
        # The CPUs of a host are counted from 0; these are the numbers that the kernel has for them.
        self.cpu_numbers = sorted(os.sched_getaffinity(0)) if self.root else list(there)
        self.cpus = len(self.cpu_numbers)
        self._id = os.urandom(2).hex()
        self._machines: dict[str, LiveMachine] = {}
        self._reserved: set[str] = set()
        self._lock = threading.RLock()
        self._closed = False
        self._opened_by = os.getpid()
        self._journal = Journal()
        self.shelf = Shelf(self.root, self._id, self._journal, self.provenance, progress)
        shares: share_mechanisms.Shares = delegated.found(driver) or share_mechanisms.mechanism(driver.privileged)
        self.shares = shares
        self._weights: dict[str, float] = {}
        self.known_speed = self.known_beside = 0.0
        self._sharing: KernelSharing | None = None
        self.kept: dict[int, dict[str, float]] = {}  # what guests have from the start, by their MiB
        self.accelerator = accelerator.choose(
            lambda: starting.probe(self),
            {**self.versions, "image": image.digest, "user": str(os.geteuid()), "uri": "" if self.root else driver.uri},
            here=self.root is not None,
        )

    @property
    def name(self) -> str:
        """The host in words."""
        where = self.driver.where if self.root else self.driver.uri
        return f"live host, {where}, {self.accelerator.name}"

    def __repr__(self) -> str:
        lines = [f"{self.name}, QEMU {self.versions['qemu']}, {self.cpus} CPUs"]
        return "\n".join(lines + [f"  {machine!r}" for machine in self._machines.values()])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def machines(self) -> Mapping[str, LiveMachine]:
        """The machines on this host, by name."""
        return dict(self._machines)

    def domain_name(self, name: str) -> str:
        """The name that libvirt knows a machine by: it holds the ids of the process's host and of this one."""
        return f"lk-{self.driver.id}-{self._id}-{name}"

    def _reserve(self, name: str, memory: int) -> None:
        with self._lock:
            if self._closed:
                raise HostError("This host is closed.", "Open another with labkit.live().")
            if name in self._machines or name in self._reserved:
                raise HostError(f"There is a machine {name} already.", "Stop it first, or take another name.")
            promised = sum(machine.owed for machine in self._machines.values())
            capacity.require(memory, promised, len(self._machines) + len(self._reserved))
            if self.root:
                capacity.require_place(str(self.root))
                ownership.renew(str(self.root))
            self._reserved.add(name)

    @explained("start the machine")
    def create(
        self,
        name: str,
        *,
        vcpus: int = 1,
        memory: str | float = "128 MiB",
        shares: int = 1024,
        pin: Iterable[int] | None = None,
        cap: float = math.inf,
        reservation: float = 0.0,
        maximum_vcpus: int | None = None,
        disks: Sequence[LiveDisk] = (),
        nics: Sequence[Port] = (),
        cold: bool = False,
    ) -> LiveMachine:
        """Make a machine, switch it on, and return when the agent in it answers.

        Parameters are those of `labkit.host.Host.create`; with `cold` it boots from power-on although a saved boot
        is there.

        Raises
        ------
        HostError
            Where it cannot be carried, cannot have what is asked for it, or does not come up; what had begun is then
            undone.
        ValueError
            Where an argument is outside its range.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("a name is a letter, then letters, digits and hyphens, 20 characters at most")
        size = round(mebibytes(memory))
        changing.within("vcpus", vcpus, 1, 64)
        changing.within("memory in MiB", size, starting.LEAST_MEMORY, 65536)
        changing.within("shares", shares, 2, 262144)
        most = vcpus if maximum_vcpus is None else maximum_vcpus
        changing.within("maximum_vcpus", most, vcpus, 64)
        cpus = changing.checked_cpus(self, pin)
        disks, nics = attaching.checked_disks(self, disks), cables.checked_nics(self, nics)
        self.require_cap(caps.checked(cap), vcpus)
        if not isinstance(reservation, (int, float)) or isinstance(reservation, bool) or not reservation >= 0:
            raise ValueError(f"reservation is a number of CPUs, 0 or more, not {reservation!r:.40}")
        if reservation and not (able := self.can("reservation")):
            raise HostError(able.reason, able.remedy)
        self._reserve(name, size)
        machine = None
        try:
            shape = Shape(vcpus, size, self.accelerator.name, most - vcpus, attaching.slots_for(disks, nics))
            machine = starting.start(self, name, shape, cold=cold)
            machine.shares = shares
            with self._lock:
                self._machines[name] = machine
            # Pinned from the start: a machine that wandered would take CPU time from those that are watched.
            self.change(machine, shares=shares, pin=cpus, cap=cap)
            for disk in disks:
                attaching.attach(self, machine, disk)
            for port in nics:
                cables.plug(self, machine, port)
            return machine
        except BaseException:
            if machine is not None:
                self.remove(machine)
            raise
        finally:
            self._reserved.discard(name)

    @explained("change the machine")
    def change(
        self,
        machine: LiveMachine,
        *,
        shares: int | None = None,
        pin: Iterable[int] | None = None,
        cap: float | None = None,
        vcpus: int | None = None,
        memory: str | float | None = None,
    ) -> None:
        """Carry out `LiveMachine.set`."""
        changing.change(self, machine, shares=shares, pin=pin, cap=cap, vcpus=vcpus, memory=memory)

    def pin(self, machine: LiveMachine, cpus: tuple[int, ...]) -> None:
        """Let a machine's vCPUs run on some of the host's CPUs only."""
        changing.pin_to(self, machine, cpus)

    def weigh(self, machine: LiveMachine, shares: int) -> None:
        """Give a machine its shares; they stay as they were where that is refused."""
        with self._lock:
            before, machine.shares = machine.shares, shares
            try:
                self._weights = self.shares.apply(list(self._machines.values()), self._journal)
            except BaseException:
                machine.shares = before
                raise

    def weigh_new_vcpus(self, machine: LiveMachine) -> None:
        """Give the vCPUs that a machine has just got the weight of its others."""
        with self._lock:
            self.shares.extend(machine)

    def require_cap(self, cap: float, vcpus: int) -> None:
        """Refuse a cap that machines cannot have here, before anything is done.

        Raises
        ------
        HostError
            With the reason and the remedy.
        """
        if math.isinf(cap):
            return
        if not (able := self.can("cap")):
            raise HostError(able.reason, able.remedy)
        caps.quota(cap, vcpus)

    def speed(self, pin: tuple[int, ...] | None) -> float:
        """How many rounds of the guest's server a vCPU does in a CPU second; found out once for each host."""
        with self._lock:
            if not self.known_speed:
                self.known_speed, self.known_beside = speed.calibrate(self, pin)
            return self.known_speed

    def begin_loads(self) -> None:
        """Let all loads begin that wait for it."""
        observing.begin(self, list(self._machines.values()))

    def remove(self, machine: LiveMachine) -> None:
        """Carry out `LiveMachine.stop`."""
        if self.end_domain(machine.domain_name):
            self._journal.virsh("destroy", machine.name)
        if isinstance(self.shares, delegated.DelegatedGroups):
            self.shares.release(machine)
        with self._lock:
            if self._machines.get(machine.name) is machine:
                del self._machines[machine.name]
                self._weights.pop(machine.name, None)
        for disk in list(machine.disks.values()):
            attaching.release(machine, disk)
        cables.pull_out(machine)
        if self.root:
            self.console_file(machine.name).unlink(missing_ok=True)

    def end_domain(self, name: str) -> bool:
        """Switch a domain of ours off, if it is there; whether it was."""
        import libvirt

        with contextlib.suppress(libvirt.libvirtError), reaping.collecting():
            self.connection.lookupByName(name).destroy()
            return True
        return False

    def console_file(self, name: str) -> Path:
        """Where what a machine prints is kept; only an embedded host has such a file."""
        assert self.root is not None
        return self.root / f"{self._id}-{name}.console"

    def note_agent(self, machine: LiveMachine, what: str, command: Iterable[str]) -> None:
        """Write a call of the agent into the journal."""
        import json

        words = list(command)
        arguments = {"path": words[0], "arg": words[1:], "capture-output": True}
        self._journal.virsh("qemu-agent-command", machine.name, json.dumps({"execute": what, "arguments": arguments}))

    def note(self, *words: str | int | float) -> None:
        """Write a ``virsh`` command into the journal."""
        self._journal.virsh(*words)

    def comment(self, text: str) -> None:
        """Write a remark into the journal."""
        self._journal.note(text)

    def disk(
        self,
        name: str,
        size: str | float | None = None,
        *,
        format: str = "qcow2",
        cluster: int | None = None,
        backing: LiveDisk | None = None,
    ) -> LiveDisk:
        """Make a virtual disk, a real file; see `labkit.host.Host.disk` and `labkit.live.disks`."""
        return self.shelf.make(name, size, format, cluster, backing)

    pool = make_pool

    def share_pages(self, rate: float | None = None) -> KernelSharing:
        """Let the kernel look for equal pages, `rate` in a second, until it is stopped; see `labkit.live.ksm`."""
        self._sharing = KernelSharing(self, self._machines.__getitem__, rate)
        return self._sharing

    def can(self, ability: str) -> Ability:
        """Whether this host can do something, such as ``"shares"``, and how, or why not."""
        return abilities.ability_of(self, ability)

    @explained("watch the machines")
    def observe(self, seconds: float, every: float = 0.2) -> Observation:
        """Wait, and read libvirt's counters; begins when all loads are running.

        Raises
        ------
        HostError
            Where a machine ends meanwhile, or a load does not begin.
        """
        if not seconds > 0 or not every > 0:
            raise ValueError("seconds and every must be above 0")
        return observing.observe(self, list(self._machines.values()), seconds, every)

    def provenance(self) -> Provenance:
        """Where this host's observations come from."""
        versions = {**self.versions, "kernel": platform.release()}
        return Provenance(
            "live", self.name, self.accelerator.name, abilities.mechanisms_of(self), dict(self._weights), versions
        )

    def journal(self) -> list[str]:
        """The plain commands that would have done what this host was asked to do."""
        where = self.driver.uri if self.root is None else "qemu:///system, or wherever you are at home"
        head = f"# With a libvirt of your own (virsh -c {where}); machine.xml() is the file that create asks for."
        return [head, *self._journal.lines()]

    def close(self) -> None:
        """Switch every machine off and leave nothing of them behind. Closing twice is no error."""
        if os.getpid() != self._opened_by:
            return  # a forked child has nothing of its own here
        self._closed = True
        try:
            if self._sharing is not None:
                self._sharing.stop()
            for machine in list(self._machines.values()):
                self.remove(machine)
        finally:  # also those that an interrupt kept from being removed, or from ever becoming a machine
            self._machines.clear()
            for domain in self._domains():
                self.end_domain(domain)
            clear(self)
            self.shelf.clear()

    def _domains(self) -> list[str]:
        import libvirt

        with contextlib.suppress(libvirt.libvirtError):
            return [d.name() for d in self.connection.listAllDomains() if d.name().startswith(self.domain_name(""))]
        return []
