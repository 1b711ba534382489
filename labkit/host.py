"""What both hosts promise.

Picture a machine room with one computer in it. The computer, the *host*, has a few CPUs. On it
run *machines* (virtual machines, also called guests), and each machine has one or more virtual
CPUs, its *vCPUs*. Somebody gives the machines work, and somebody watches what each one gets.

This file says in those words what a host can be asked. Two hosts answer: the simulated one
(`labkit.model`) at once, the live one (`labkit.live`) with real guests. An experiment is written
once, against this file, and so this file imports neither of them, nor anything else of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypedDict, runtime_checkable

__all__ = [
    "Ability",
    "CpuLoad",
    "Event",
    "Host",
    "HostError",
    "Job",
    "Machine",
    "Observation",
    "Provenance",
    "Row",
    "Series",
    "mebibytes",
]

HostKind = Literal["simulated", "live"]


class HostError(Exception):
    """Something a host was asked for and could not do, in one sentence, with what to do about it.

    Parameters
    ----------
    message : str
        What went wrong, in words a learner can read.
    remedy : str
        What the person can do about it; empty where there is nothing to do.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message} {remedy}".strip())


@dataclass(frozen=True)
class Ability:
    """The answer of `Host.can`: yes and by which mechanism, or no with the reason and the remedy."""

    yes: bool
    mechanism: str = ""
    reason: str = ""
    remedy: str = ""

    def __bool__(self) -> bool:
        return self.yes

    def __repr__(self) -> str:
        if self.yes:
            return f"yes: {self.mechanism}"
        return f"no: {self.reason} {self.remedy}".strip()


@dataclass(frozen=True)
class CpuLoad:
    """A program that keeps every vCPU of a machine busy.

    Parameters
    ----------
    duty : float
        The fraction of each vCPU's time that the program asks for, above 0 and up to 1.
        At 1.0 it spins: it takes whatever it is given.

    Raises
    ------
    ValueError
        Where `duty` is not above 0 and at most 1.
    """

    duty: float = 1.0

    def __post_init__(self) -> None:
        number = isinstance(self.duty, (int, float)) and not isinstance(self.duty, bool)
        if not number or not 0.0 < self.duty <= 1.0:
            raise ValueError(f"duty must be above 0 and at most 1, not {self.duty!r}")


class Row(TypedDict, total=False):
    """One measured number: `quantity` of `machine` is `value`, in `unit`."""

    machine: str
    quantity: str
    unit: str
    value: float
    disturbed: bool


@dataclass(frozen=True)
class Series:
    """One quantity of one machine over time.

    Parameters
    ----------
    machine, quantity, unit : str
        Whose, what, and in which unit, as in a `Row`.
    times : sequence of float
        Ends of the intervals, in seconds from the start of the observation.
    values : sequence of float
        The mean of the quantity over each interval; as many as `times`.
    """

    machine: str
    quantity: str
    unit: str
    times: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class Event:
    """Something that happened at one moment or over a stretch of an observation.

    Parameters
    ----------
    time : float
        Seconds from the start of the observation.
    kind : str
        What happened. ``"run"`` is a stretch in which a vCPU ran on a CPU: the Gantt view is
        drawn from these.
    machine : str
        Whose event it is; empty for the host's own.
    seconds : float
        How long it lasted; 0 for a moment.
    vcpu, cpu : int or None
        For ``"run"``: which vCPU of the machine, on which CPU of the host.
    detail : str
        More, in words.
    """

    time: float
    kind: str
    machine: str = ""
    seconds: float = 0.0
    vcpu: int | None = None
    cpu: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class Provenance:
    """Where an observation comes from. Every result carries it.

    Parameters
    ----------
    host : {"simulated", "live"}
        Which of the two hosts it was.
    name : str
        The host in words, for instance ``"simulated host, 1 CPU, Linux's rules"``.
    accelerator : {"", "KVM", "TCG"}
        What ran the guests' instructions; empty for the simulated host.
    mechanisms : mapping of str to str
        For each ability used, the mechanism that provided it, as in ``{"shares": "cgroup"}``.
    weights : mapping of str to float
        The relative CPU weights that were really in force, by machine. They differ from the
        shares asked for where the mechanism has only so many steps.
    versions : mapping of str to str
        The software that took part, as in ``{"qemu": "7.2.22"}``.
    """

    host: HostKind
    name: str
    accelerator: str = ""
    mechanisms: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """What was seen on a host over a stretch of time.

    Parameters
    ----------
    seconds : float
        How long the host was watched, in the host's own seconds.
    rows : tuple of Row
        One number for each machine and quantity, over the whole stretch.
    series : tuple of Series
        The same quantities over time.
    events : tuple of Event
        What happened, in order of time.
    provenance : Provenance
        Which host it was, and how it did it.
    disturbed : float
        The largest fraction of an observed CPU that went to anything but the machines; above
        0.03 the rows carry ``"disturbed": True``.
    """

    seconds: float
    rows: tuple[Row, ...]
    series: tuple[Series, ...]
    events: tuple[Event, ...]
    provenance: Provenance
    disturbed: float = 0.0

    def value(self, machine: str, quantity: str) -> float:
        """The value of one row.

        Raises
        ------
        KeyError
            Where no row has that machine and quantity.
        """
        for row in self.rows:
            if row["machine"] == machine and row["quantity"] == quantity:
                return row["value"]
        raise KeyError(f"no {quantity!r} of {machine!r} was observed")

    def __repr__(self) -> str:
        lines = [f"{self.provenance.name}, watched for {self.seconds:g} s"]
        lines += [f"  {row['machine']:<10} {row['quantity']:<8} {row['value']:.3f} {row['unit']}" for row in self.rows]
        if self.disturbed > 0.03:
            lines.append(f"  disturbed: others used up to {self.disturbed:.0%} of these CPUs")
        return "\n".join(lines)


@runtime_checkable
class Job(Protocol):
    """Work that goes on while you do something else."""

    @property
    def progress(self) -> float:
        """How much is done, from 0 to 1."""

    @property
    def result(self) -> Any:
        """What the work gave, once it is done; None before."""

    def wait(self, timeout: float | None = None) -> Any:
        """Block until the work is done and return its result; None where `timeout`, in the host's seconds, is over."""

    def cancel(self) -> None:
        """Stop the work. Stopping it twice is no error."""


@runtime_checkable
class Machine(Protocol):
    """A virtual machine."""

    name: str
    vcpus: int
    memory: float  # MiB

    @property
    def state(self) -> str:
        """``"running"`` or ``"stopped"``."""

    def set(self, *, shares: int | None = None, pin: Iterable[int] | None = None) -> None:
        """Change a running machine: its CPU shares, or the host CPUs its vCPUs may run on."""

    def run(self, load: CpuLoad) -> Job:
        """Start a load in the machine; the returned job ends it with `Job.cancel`."""

    def stop(self) -> None:
        """Switch the machine off and forget it."""


@runtime_checkable
class Host(Protocol):
    """A computer that machines run on. Leaving its `with` block cleans up."""

    kind: HostKind
    name: str
    cpus: int

    def create(
        self,
        name: str,
        *,
        vcpus: int = 1,
        memory: str | float = "128 MiB",
        shares: int = 1024,
        pin: Iterable[int] | None = None,
    ) -> Machine:
        """Make a machine and switch it on.

        Parameters
        ----------
        name : str
            A letter, then letters, digits and hyphens; 20 characters at most; one of its name on a host.
        vcpus : int
            How many virtual CPUs it has, 1 to 64.
        memory : str or float
            Its memory; a number is in MiB.
        shares : int
            Its weight when CPUs are short, 2 to 262144. With twice the shares a machine gets
            twice the CPU time of another, for as long as both want more than they get.
        pin : iterable of int, optional
            The host CPUs, counted from 0, that its vCPUs may run on; all where not given.

        Raises
        ------
        HostError
            Where the host cannot carry it, with the numbers.
        ValueError
            Where an argument is outside its range.
        """

    @property
    def machines(self) -> Mapping[str, Machine]:
        """The machines on this host, by name."""

    def can(self, ability: str) -> Ability:
        """Whether the host can do something, such as ``"shares"``, and how, or why not."""

    def observe(self, seconds: float, every: float = 0.2) -> Observation:
        """Watch the host for a while.

        The simulated host runs its clock; the live host waits and reads libvirt's counters.

        Parameters
        ----------
        seconds : float
            How long.
        every : float
            The length in seconds of one interval of the series.
        """

    def journal(self) -> list[str]:
        """The plain commands that would have done what this host was asked to do."""

    def close(self) -> None:
        """Switch every machine off and leave nothing behind. Closing twice is no error."""


_UNITS = {"b": 1 / 1048576, "kib": 1 / 1024, "mib": 1.0, "gib": 1024.0}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", re.ASCII)


def mebibytes(size: str | float) -> float:
    """Read a size such as ``"128 MiB"`` or ``"1 GiB"`` into MiB; a bare number is MiB already.

    Raises
    ------
    ValueError
        Where it is not a positive size in B, KiB, MiB or GiB.
    """
    match = _SIZE.fullmatch(f"{size:f}" if isinstance(size, float) else str(size))
    factor = _UNITS.get((match[2] or "MiB").lower()) if match else None
    if not match or factor is None or float(match[1]) <= 0:
        raise ValueError(f"a size looks like '128 MiB' or '1 GiB', not {size!r}")
    return float(match[1]) * factor
