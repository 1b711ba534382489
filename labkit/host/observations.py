"""What was seen on a host: rows, series, events, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

__all__ = ["Event", "HostKind", "Observation", "Provenance", "Row", "Series"]

HostKind = Literal["simulated", "live"]
_OF_THE_TIME = dict.fromkeys(("ready", "throttled"), "of the time")  # other pure numbers stand without a unit


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
        drawn from these. ``"throttled"`` is one in which its cap kept it from running.
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
    events : sequence of Event
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
    events: Sequence[Event]
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
        for row in self.rows:
            unit = _OF_THE_TIME.get(row["quantity"], "") if row["unit"] == "1" else row["unit"]
            lines.append(f"  {row['machine']:<10} {row['quantity']:<8} {row['value']:.3f} {unit}".rstrip())
        if self.disturbed > 0.03:
            lines.append(f"  disturbed: others took up to {self.disturbed:.0%} of the time of these CPUs")
        return "\n".join(lines)
