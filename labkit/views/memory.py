"""Where a machine's memory is: in use, idle, free, shared, in the balloon, or on the host's disk.

Picture each machine's memory as a shelf that is as long as what it was promised, and the host's as one long shelf on
which they all have to find room. What a host saw is laid out on them, part after part, always in the same order.

An observation need not tell all parts. From what Linux in a guest says of itself (`guest_total`, `guest_free`) follows
what it uses; what is missing from the promised memory is its kernel's own, and beyond that in the balloon. Where it is
known how much of that the guest would like to have (`short`), it is laid out by itself.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labkit.experiments.outcome import Outcome
from labkit.host.memory import GUEST
from labkit.host.words import listed
from labkit.views.words import number, significant

if TYPE_CHECKING:
    from labkit.views.frame import Curve

__all__ = ["PARTS", "Part", "entry", "host_size", "on_host", "parts_of", "promised", "sentences", "states"]


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a machine's memory.

    Parameters
    ----------
    name : str
        As an observation's quantity has it.
    label : str
        In words.
    colour, pattern : str
        How it is drawn: a colour of Okabe and Ito's, and a pattern, as no part is told by colour alone.
    """

    name: str
    label: str
    colour: str
    pattern: str


PARTS = (
    Part("kernel", "the guest kernel's own", "#8C8C8C", "vertical"),
    Part("used", "used by the guest", "#0072B2", "solid"),
    Part("working_set", "working set: in use now", "#0072B2", "solid"),
    Part("idle", "idle: holds something, not used lately", "#56B4E9", "dots"),
    Part("shared", "shared: kept once for several machines", "#009E73", "cross"),
    Part("free", "free in the guest", "#F0E442", "horizontal"),
    Part("short", "short: wanted, and not there", "#D55E00", "back"),
    Part("ballooned", "ballooned: in the host's hands", "#E69F00", "diagonal"),
    Part("swapped", "swapped: on the host's disk", "#D55E00", "back"),
)
"""All parts, in the order in which they are laid out."""

# What the host holds for a machine, of whatever part: colours that no part has, or "held" would look like "in use".
# Neighbours differ in pattern as well as in colour: in a small plot four browns alone are hard to tell apart.
_BROWNS = ("#8C6D46", "#CDB38B", "#5F4526", "#A9744F")
_LAID = ("plus", "solid", "dots", "cross")
_HELD = tuple({"colour": _BROWNS[place % 4], "pattern": _LAID[(place + place // 4) % 4]} for place in range(16))

_ELSEWHERE = ("shared", "short", "ballooned", "swapped")  # promised to the machine, and no room of its own on the host
_RESIDENT = "host_resident"
_KNOWN = {part.name for part in PARTS} | {"guest_total", "guest_free", _RESIDENT}
_COLUMNS = ("simulated", "live")
_SLIVER = 1e-6  # s; two clocks that agree to this show the same moment
_MOST_STATES = 8  # stretches that a sentence names
_HOST = ("host_memory", "host")  # what the setting is called that says how much the host has


def parts_of(seen: Mapping[str, float], promise: float | None = None) -> dict[str, float]:
    """The parts of one machine's memory, in MiB, as far as they follow from what was seen.

    Parameters
    ----------
    seen : mapping of str to float
        Quantities, in MiB.
    promise : float, optional
        The memory that the machine was made with, in MiB.
    """
    found = {part.name: max(0.0, seen[part.name]) for part in PARTS if part.name in seen}
    if found.keys() <= {"short"}:
        found = {}
    if "guest_total" in seen and "guest_free" in seen:
        found = {name: found[name] for name in ("shared", "swapped") if name in found}
        found["used"] = max(0.0, seen["guest_total"] - seen["guest_free"])
        found["free"] = max(0.0, seen["guest_free"])
        if promise is not None:
            missing = max(0.0, promise - seen["guest_total"])
            found["kernel"] = min(missing, GUEST.kept(promise))
            found["ballooned"] = missing - found["kernel"]
            if "short" in seen:
                found["short"] = min(found["ballooned"], max(0.0, seen["short"]))
                found["ballooned"] -= found["short"]
    return {part.name: found[part.name] for part in PARTS if part.name in found}


def on_host(seen: Mapping[str, float], parts: Mapping[str, float]) -> float | None:
    """How much room a machine takes on the host, in MiB: as measured, else the sum of its parts that need room."""
    if _RESIDENT in seen:
        return max(0.0, seen[_RESIDENT])
    return sum(value for name, value in parts.items() if name not in _ELSEWHERE) if parts else None


def promised(outcome: Outcome) -> dict[str, float]:
    """What each machine was promised, in MiB, by its name, as the setting ``promised`` or ``memory`` says."""
    names = list(dict.fromkeys(row["machine"] for row in outcome.rows))
    memory = getattr(outcome.settings, "promised", getattr(outcome.settings, "memory", None))
    if isinstance(memory, tuple):
        return dict(zip(names, memory, strict=False))
    return dict.fromkeys(names, float(memory)) if isinstance(memory, (int, float)) else {}


def host_size(outcome: Outcome) -> float | None:
    """How much memory the host has for its machines, in MiB; None where no setting says so."""
    found = (getattr(outcome.settings, name, None) for name in _HOST)
    return next((float(size) for size in found if isinstance(size, (int, float))), None)


def _seen(outcome: Outcome, column: str) -> dict[str, dict[str, float]]:
    """Every machine's quantities of memory in a column, at the end where they were seen over time."""
    observed = {"simulated": outcome.simulated, "live": outcome.live}[column]
    names = {row["machine"] for row in outcome.rows}
    seen: dict[str, dict[str, float]] = {}
    for line in observed.series if observed else ():
        ours = line.quantity in _KNOWN and line.unit == "MiB"  # a pool of disks tells what is `used`, too, in B
        if ours and line.machine in names and line.values:
            seen.setdefault(line.machine, {})[line.quantity] = line.values[-1]
    over_time = set(seen)
    for row in outcome.rows:
        if row["machine"] in over_time:
            continue
        if row["unit"] == "MiB" and row[column] is not None:
            seen.setdefault(row["machine"], {})[row["quantity"]] = row[column]
    return seen


def _lines(curves: Iterable[Curve], column: str) -> dict[str, tuple[Sequence[float], dict[str, Sequence[float]]]]:
    """Every machine's quantities over time in a column, all at the times of the one that was seen most often."""
    seen: dict[str, list[Curve]] = {}
    for curve in curves:
        if curve.column == column and curve.quantity in _KNOWN and curve.times:
            seen.setdefault(curve.machine, []).append(curve)
    lines: dict[str, tuple[Sequence[float], dict[str, Sequence[float]]]] = {}
    for machine, those in seen.items():
        times = max((curve.times for curve in those), key=len)
        lines[machine] = times, {curve.quantity: _at(curve, times) for curve in those}
    return lines


def _at(curve: Curve, times: Sequence[float]) -> Sequence[float]:
    """A curve's values at other times: each is that of the interval in which the time lies."""
    last = len(curve.times) - 1
    return [curve.values[min(bisect_left(curve.times, time - _SLIVER), last)] for time in times]


def entry(
    outcome: Outcome,
    curves: Iterable[Curve],
    machines: Mapping[str, int],
    put: Callable[[Iterable[float]], int],
) -> dict[str, Any] | None:
    """What the browser draws of the machines' memory; None where the outcome is not about memory.

    Parameters
    ----------
    outcome : Outcome
        The columns.
    curves : iterable of Curve
        What was seen over time.
    machines : mapping of str to int
        Each machine's place in the frame.
    put : callable
        Keeps numbers with the frame, and says where they begin.
    """
    units = outcome.experiment.QUANTITIES
    curves = [curve for curve in curves if units.get(curve.quantity, "MiB") == "MiB"]
    promises, rows = promised(outcome), []
    present: set[str] = set()
    for column in _COLUMNS:
        now, over_time = _seen(outcome, column), _lines(curves, column)
        for machine, place in machines.items():
            seen = now.get(machine, {})
            parts = parts_of(seen, promises.get(machine))
            times, values = over_time.get(machine, ((), {}))
            moments = [{name: line[index] for name, line in values.items()} for index in range(len(times))]
            stretches = [parts_of(moment, promises.get(machine)) for moment in moments]
            parts, room = (stretches[-1], on_host(moments[-1], stretches[-1])) if stretches else (parts, None)
            if not parts:
                continue
            present |= parts.keys()
            row: dict[str, Any] = {"machine": place, "column": column, "promised": promises.get(machine)}
            row |= {"parts": parts, "host": on_host(seen, parts) if room is None else room}
            if len(times) > 1:
                names = list(stretches[0])
                row |= {"n": len(times), "t": put(times)}
                row["v"] = {name: put(one.get(name, 0.0) for one in stretches) for name in names}
                row["h"] = put(on_host(*pair) or 0.0 for pair in zip(moments, stretches, strict=True))
            rows.append(row)
    if not rows:
        return None
    looks = [dataclasses.asdict(part) for part in PARTS if part.name in present]
    held = [_HELD[place % len(_HELD)] for place in range(len(machines))]
    return {"parts": looks, "rows": rows, "host": host_size(outcome), "held": held}


def sentences(outcome: Outcome) -> list[str]:
    """The same in words, a sentence for each machine and column, and the host's states where there are any.

    None where the outcome is not about memory.
    """
    promises, said = promised(outcome), []
    for column in _COLUMNS:
        for machine, seen in _seen(outcome, column).items():
            parts = parts_of(seen, promises.get(machine))
            if parts:
                labels = {part.name: part.label.partition(":")[0] for part in PARTS}
                shown = listed([f"{labels[name]} {number(value, 1)}" for name, value in parts.items()])
                room = on_host(seen, parts)
                takes = f"; on the host it takes {number(room, 1)} MiB" if room is not None else ""
                said.append(f"memory of {machine}, {column}: {shown} MiB{takes}")
    return said + states(outcome)


def states(outcome: Outcome) -> list[str]:
    """In which states the host was and when, a sentence for each column that tells of any.

    That is what events of the kind ``"state"`` say; their ``detail`` is the state's name.
    """
    said = []
    for column, seen in zip(_COLUMNS, (outcome.simulated, outcome.live), strict=True):
        found = [
            f"{event.detail} from {significant(event.time, 4)} s to {significant(event.time + event.seconds, 4)} s"
            for event in (seen.events if seen else ())
            if event.kind == "state"
        ]
        if len(found) > _MOST_STATES:
            found[_MOST_STATES - 1 :] = [f"in {len(found) - _MOST_STATES + 1} more stretches another"]
        if found:
            said.append(f"the host, {column}, was in the state {listed(found)}")
    return said
