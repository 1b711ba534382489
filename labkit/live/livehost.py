"""The live host: this computer, with real guests on it."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from labkit.host import Ability, HostError, HostKind, Observation, Provenance, Row, Series, mebibytes
from labkit.live import accelerator, capacity, counters, ownership, reaping, starting
from labkit.live import shares as share_mechanisms
from labkit.live.domain import Shape
from labkit.live.driver import Driver
from labkit.live.errors import translated
from labkit.live.image import Image
from labkit.live.journal import Journal
from labkit.live.machine import LiveMachine

__all__ = ["LiveHost"]

_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}", re.ASCII | re.IGNORECASE)
SETTLED = 0.9  # of what a load asks for; from there on it counts as running
SETTLE_AT_MOST = 30.0  # seconds


class LiveHost:
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
        self._shares = share_mechanisms.mechanism(driver.privileged)
        self._weights: dict[str, float] = {}
        self.accelerator = accelerator.choose(
            lambda: starting.probe(self),
            {**self.versions, "image": image.digest, "user": str(os.geteuid()), "uri": "" if self.root else driver.uri},
            here=self.root is not None,
        )

    @property
    def name(self) -> str:
        """The host in words."""
        where = "this computer" if self.root else self.driver.uri
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
                ownership.renew(str(self.root))
            self._reserved.add(name)

    def create(
        self,
        name: str,
        *,
        vcpus: int = 1,
        memory: str | float = "128 MiB",
        shares: int = 1024,
        pin: Iterable[int] | None = None,
        cold: bool = False,
    ) -> LiveMachine:
        """Make a machine, switch it on, and return when the agent in it answers.

        Parameters are those of `labkit.host.Host.create`; with `cold` it boots from power-on although a saved boot
        is there.

        Raises
        ------
        HostError
            Where it cannot be carried or does not come up; what had begun is then undone.
        ValueError
            Where an argument is outside its range.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("a name is a letter, then letters, digits and hyphens, 20 characters at most")
        size = round(mebibytes(memory))
        _within("vcpus", vcpus, 1, 64)
        _within("memory in MiB", size, starting.LEAST_MEMORY, 65536)
        _within("shares", shares, 2, 262144)
        cpus = self._cpus(pin)
        self._reserve(name, size)
        machine = None
        try:
            shape = Shape(vcpus, size, self.accelerator.name)
            machine = starting.start(self, name, shape, cold=cold)
            machine.shares = shares
            with self._lock:
                self._machines[name] = machine
            # Pinned from the start: a machine that wandered would take CPU time from those that are watched.
            self.change(machine, shares=shares, pin=cpus if cpus is not None else None)
            return machine
        except BaseException:
            if machine is not None:
                self.remove(machine)
            raise
        finally:
            self._reserved.discard(name)

    def _cpus(self, pin: Iterable[int] | None) -> tuple[int, ...] | None:
        if pin is None:
            return None
        cpus = tuple(dict.fromkeys(pin))
        if not cpus or any(isinstance(cpu, bool) or not isinstance(cpu, int) or cpu < 0 for cpu in cpus):
            raise ValueError("pin takes one or more of the host's CPUs, counted from 0")
        if max(cpus) >= self.cpus:
            raise HostError(f"This host has {self.cpus} CPUs, and CPU {max(cpus)} is none of them.", "Ask for fewer.")
        return cpus

    def change(self, machine: LiveMachine, *, shares: int | None = None, pin: Iterable[int] | None = None) -> None:
        """Carry out `LiveMachine.set`."""
        if pin is not None:
            cpus = self._cpus(pin) or ()
            self._pin(machine, cpus)
        if shares is not None:
            _within("shares", shares, 2, 262144)
            with self._lock:
                before, machine.shares = machine.shares, shares
                try:
                    self._weights = self._shares.apply(list(self._machines.values()), self._journal)
                except BaseException:
                    machine.shares = before
                    raise

    def _pin(self, machine: LiveMachine, cpus: tuple[int, ...]) -> None:
        numbers = [self.cpu_numbers[cpu] for cpu in cpus]
        every = max(self.cpu_numbers) + 1
        wanted = tuple(number in numbers for number in range(every))
        # QEMU's own threads go to the other CPUs where there are any, so that they do not compete with the vCPUs.
        others = [number for number in self.cpu_numbers if number not in numbers]
        with translated(f"pin {machine.name}"):
            for vcpu in range(machine.vcpus):
                machine.domain.pinVcpu(vcpu, wanted)
                self._journal.virsh("vcpupin", machine.name, vcpu, ",".join(map(str, numbers)))
            if others:
                machine.domain.pinEmulator(tuple(number in others for number in range(every)), 0)
                self._journal.virsh("emulatorpin", machine.name, ",".join(map(str, others)))
        machine.pinned = cpus

    def remove(self, machine: LiveMachine) -> None:
        """Carry out `LiveMachine.stop`."""
        if self.end_domain(machine.domain_name):
            self._journal.virsh("destroy", machine.name)
        with self._lock:
            if self._machines.get(machine.name) is machine:
                del self._machines[machine.name]
                self._weights.pop(machine.name, None)
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

    def can(self, ability: str) -> Ability:
        """Whether this host can do something, such as ``"shares"``, and how, or why not."""
        later = Ability(False, reason=f"labkit's live host cannot do {ability!r} yet.")
        agent = Ability(True, "QEMU's guest agent")
        known = {
            "shares": self._shares.ability,
            "pin": Ability(True, "libvirt's vcpupin"),
            "command": agent,
            "console": Ability(True, "the machine's serial port"),
        }
        return known.get(ability, later)

    def observe(self, seconds: float, every: float = 0.2) -> Observation:
        """Wait, and read libvirt's counters; begins when all loads are running.

        Raises
        ------
        HostError
            Where a machine ends meanwhile, or a load does not begin.
        """
        if not seconds > 0 or not every > 0:
            raise ValueError("seconds and every must be above 0")
        machines = list(self._machines.values())
        self._settle(machines)
        readings = [self._read(machines)]
        begun = readings[0].time
        steps = max(1, round(seconds / every))
        for step in range(1, steps + 1):
            due = begun + seconds * step / steps
            if step < steps and time.monotonic() > due:
                continue  # late, on a busy computer: a very short interval would say nothing, as counters tick
            time.sleep(max(0.0, due - time.monotonic()))
            readings.append(self._read(machines))
            self.progress("Measuring", step / steps)
        self._journal.virsh("domstats", "--vcpu", *(machine.name for machine in machines))
        return self._observation(machines, readings)

    def _read(self, machines: list[LiveMachine]) -> counters.Reading:
        return counters.read(self.connection, machines, here=self.root is not None)

    def _settle(self, machines: list[LiveMachine]) -> None:
        """Return when every load keeps its vCPUs as busy as it is meant to, whatever they are given."""
        waiting = [machine for machine in machines if any(not job.settled for job in machine.jobs)]
        if not waiting:
            return
        ends = time.monotonic() + SETTLE_AT_MOST
        before = self._read(waiting)
        while waiting:
            self.progress(f"Waiting for the load in {', '.join(machine.name for machine in waiting)}", 0.0)
            time.sleep(0.25)
            now = self._read(waiting)
            elapsed = now.time - before.time
            for machine in list(waiting):
                name = machine.name
                wanted = now.ran[name] - before.ran[name] + now.delayed[name] - before.delayed[name]
                duty = max(job.load.duty for job in machine.jobs)
                if wanted >= SETTLED * duty * elapsed * machine.vcpus:
                    waiting.remove(machine)
                    for job in machine.jobs:
                        job.settled = True
            before = now
            if waiting and time.monotonic() > ends:
                raise HostError(f"The load in {waiting[0].name} did not begin.", "Look at machine.console().")

    def _observation(self, machines: list[LiveMachine], readings: list[counters.Reading]) -> Observation:
        first, last = readings[0], readings[-1]
        everywhere = range(self.cpus)
        watched = {cpu for machine in machines for cpu in machine.pinned or everywhere} or set(everywhere)
        disturbed = counters.disturbance(first, last, [self.cpu_numbers[cpu] for cpu in sorted(watched)])
        rows, series = [], []
        for machine in machines:
            for quantity, unit, divisor in (("cpu", "CPU", 1), ("ready", "1", machine.vcpus)):
                totals = [(r.ran if quantity == "cpu" else r.delayed)[machine.name] for r in readings]
                times = [r.time - first.time for r in readings]
                row: Row = {"machine": machine.name, "quantity": quantity, "unit": unit}
                row["value"] = (totals[-1] - totals[0]) / (last.time - first.time) / divisor
                if disturbed > 0.03:
                    row["disturbed"] = True
                rows.append(row)
                rates = [
                    (totals[i + 1] - totals[i]) / (times[i + 1] - times[i]) / divisor for i in range(len(times) - 1)
                ]
                series.append(Series(machine.name, quantity, unit, tuple(times[1:]), tuple(rates)))
        return Observation(
            last.time - first.time, tuple(rows), tuple(series), (), self.provenance(), round(disturbed, 4)
        )

    def provenance(self) -> Provenance:
        """Where this host's observations come from."""
        mechanisms = {
            "shares": self._shares.ability.mechanism or self._shares.ability.reason,
            "pin": "libvirt's vcpupin",
        }
        versions = {**self.versions, "kernel": platform.release()}
        return Provenance("live", self.name, self.accelerator.name, mechanisms, dict(self._weights), versions)

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
            for machine in list(self._machines.values()):
                self.remove(machine)
        finally:  # also those that an interrupt kept from being removed, or from ever becoming a machine
            self._machines.clear()
            for domain in self._domains():
                self.end_domain(domain)

    def _domains(self) -> list[str]:
        import libvirt

        with contextlib.suppress(libvirt.libvirtError):
            return [d.name() for d in self.connection.listAllDomains() if d.name().startswith(self.domain_name(""))]
        return []


def _within(what: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{what} must be a whole number from {least} to {most}, not {value!r:.40}")
