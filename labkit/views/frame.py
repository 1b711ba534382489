"""What the browser needs to draw one state of the host: a few words, and one compact block of numbers.

A frame is a plain dict. Its curves and time line lie one after another in `data`, as 32-bit floats, and the rest of
the frame says where each begins. So a redraw is one message with one buffer.
"""

from __future__ import annotations

import dataclasses
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labkit.experiments.outcome import Outcome
from labkit.host import Observation
from labkit.views import matrices, memory, text
from labkit.views.palette import COLUMNS, looks_for_browser
from labkit.views.words import family, known, quantity, rows_of, setting_line

__all__ = ["Curve", "build", "curves_of"]

_TIME_LINE = 1.0  # s of the run that the time line covers
_LED_UP = 0.2  # s of them before the moment that it is about, where there is one
_MOST_BLOCKS = 6000
_THROTTLED = -1.0  # in the place of a CPU's number: a stretch in which a cap kept the machine off all of them
_WHOLE = {"CPU": 1.0, "1": 1.0}  # axes reach at least there, so that lengths can be compared over time


@dataclasses.dataclass(frozen=True)
class Curve:
    """One line of a chart: a column's quantity of a machine over time, in seconds."""

    column: str
    machine: str
    quantity: str
    times: Sequence[float]
    values: Sequence[float]


class _Block:
    """The numbers of a frame; equal stretches, such as the times that all curves share, are kept once."""

    def __init__(self) -> None:
        self.numbers = array("f")
        self._places: dict[bytes, int] = {}

    def put(self, values: Iterable[float]) -> int:
        """Where those numbers begin."""
        stretch = array("f", values)
        key = stretch.tobytes()
        if key not in self._places:
            self._places[key] = len(self.numbers)
            self.numbers.extend(stretch)
        return self._places[key]

    def bytes(self) -> bytes:
        """The numbers as the browser reads them: little-endian."""
        if sys.byteorder == "big":
            self.numbers.byteswap()
        return self.numbers.tobytes()


def curves_of(outcome: Outcome) -> list[Curve]:
    """The curves of an outcome: what each host saw over time, and theory as a level line.

    A quantity that no host has seen over time, such as a mean response time, has no curves, nor has its theory.
    """
    curves = []
    hosts = [(column, seen) for column, seen in (("simulated", outcome.simulated), ("live", outcome.live)) if seen]
    longest = max((seen.seconds for _, seen in hosts), default=0.0)
    over_time = {line.quantity for _, seen in hosts for line in seen.series}
    for row in outcome.rows:
        if row["theory"] is not None and row["quantity"] in over_time:
            levels = (row["theory"], row["theory"])
            curves.append(Curve("theory", row["machine"], row["quantity"], (0.0, longest), levels))
    for column, seen in hosts:
        for line in seen.series:
            curves.append(Curve(column, line.machine, line.quantity, line.times, line.values))
    return curves


def _moment(outcome: Outcome) -> tuple[float | None, str]:
    """When that happens which the experiment is about, in s, and what: of one in phases its setting ``at``."""
    if all(family(name) == name for name in outcome.experiment.QUANTITIES):
        return None, ""
    abouts = {field.name: field.metadata.get("about", "") for field in dataclasses.fields(outcome.settings)}
    return getattr(outcome.settings, "at", None), abouts.get("at", "")


def _time_line(
    seen: Observation | None, machines: Mapping[str, int], block: _Block, moment: float | None, about: str
) -> dict[str, Any]:
    """The blocks of the CPUs' time line, four numbers a block: start, length (ms), CPU and machine of each.

    In the place of the CPU, -1 stands for a stretch in which its cap kept the machine off every CPU.
    """
    packed = array("f")
    begin = max(0.0, (moment or 0.0) - _LED_UP)
    cpus, end = 1, min(begin + _TIME_LINE, seen.seconds if seen else 0.0)
    for event in seen.events if seen else ():
        cpu = _THROTTLED if event.kind == "throttled" else event.cpu if event.kind == "run" else None
        if cpu is None or event.machine not in machines:
            continue
        if event.time >= end:
            break
        start = max(event.time, begin)
        length = min(event.time + event.seconds, end) - start
        if length < 0 or event.time < begin and length == 0:
            continue
        if len(packed) >= 4 * _MOST_BLOCKS:
            end = event.time
            break
        packed.extend((start * 1000, length * 1000, cpu, machines[event.machine]))
        cpus = max(cpus, int(cpu) + 1)
    at = len(block.numbers)
    block.numbers.extend(packed)
    place = {"at": at, "n": len(packed) // 4}
    middle = {"moment": None if moment is None else moment * 1000, "about": about}
    return {"cpus": cpus, "from": begin * 1000, "ms": end * 1000, **middle, **place, "note": "simulated"}


def _over_time(name: str, outcome: Outcome, curves: list[dict[str, Any]], machines: int) -> dict[str, Any]:
    """What goes on through the phases of an experiment: curves alone; bars and numbers are those of the phases."""
    (unit,) = {one for phase, one in outcome.experiment.QUANTITIES.items() if family(phase) == name}
    words = known(name, unit)
    label = f"{words.label.partition(':')[0]}, from the beginning to the end"
    heading = f"{label} ({words.unit_words})"
    entry: dict[str, Any] = {"name": name, "unit": unit, "heading": heading, "places": words.places, "curves": curves}
    entry |= {"label": label, "fraction": words.is_fraction, "bytes": words.in_mebibytes}
    return entry | {column: [None] * machines for column in COLUMNS}


def _column(rows: list[dict[str, Any]], column: str, machines: Mapping[str, int]) -> list[float | None]:
    by_machine = {row["machine"]: row[column] for row in rows}
    return [by_machine.get(machine) for machine in machines]


def _possible(entry: Mapping[str, Any], settings: Any) -> float | None:
    """The most that can be measured: a fraction's whole, and of CPUs one for each vCPU; None where nothing is known."""
    if entry["fraction"] or entry.get("answer"):
        return 1.0
    if entry["unit"] != "CPU":
        return None
    counts = [1.0]
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name == "vcpus" or field.metadata.get("unit") in ("vCPU", "vCPUs"):
            counts += [float(one) for one in (value if isinstance(value, tuple) else (value,))]
    return max(counts)


def _scales(quantities: list[dict[str, Any]], settings: Any, numbers: Sequence[float]) -> None:
    """Where each quantity's axis ends; the phases of one quantity end at the same, to be compared by eye.

    `whole`: it reaches at least there. `top`: it ends there whatever is measured; None where nothing is known.
    """
    for entry in quantities:
        related = [other for other in quantities if family(other["name"]) == family(entry["name"])]
        foreseen = [value for other in related for name in ("theory", "simulated") for value in other[name] if value]
        for line in (line for other in related for line in other["curves"] if line["column"] != "live"):
            foreseen.append(max(numbers[line["v"] : line["v"] + line["n"]]))
        measured = [value for other in related for value in other["live"] if value]
        possible = _possible(entry, settings)
        # A clock's ticks can make a fraction of the time a little more than all of it, and a CPU's use too: the axis of
        # fractions ends at all of it, that of CPUs leaves a twentieth more; the numbers are shown as they are.
        spare = 1.0 if entry["fraction"] or entry.get("answer") else 1.05
        entry["top"] = None if possible is None else spare * max([possible, *foreseen])
        entry["whole"] = _WHOLE.get(entry["unit"], 0.0)
        if len(related) > 1:
            entry["whole"] = max([entry["whole"], *foreseen, *measured])


def build(
    outcome: Outcome,
    serial: int,
    *,
    curves: Iterable[Curve] | None = None,
    time_line: Observation | None = None,
    span: tuple[float, float] | None = None,
    begun: int = 0,
) -> dict[str, Any]:
    """One frame.

    Parameters
    ----------
    outcome : Outcome
        The bars and the tables.
    serial : int
        The frame's number; the view shows it in ``data-drawn`` once the frame is on screen.
    curves : iterable of Curve, optional
        The lines; the outcome's own where not given.
    time_line : Observation, optional
        The observation whose ``"run"`` events make the CPUs' time line; the outcome's simulated one where not given.
    span : tuple of float, optional
        The stretch of time that the curves show, in seconds.
    begun : int
        How often the person went back to the beginning: with another number than before, every axis begins anew, and
        nothing is shown of what was before.
    """
    rows, block = outcome.rows, _Block()
    machines = {name: place for place, name in enumerate(dict.fromkeys(row["machine"] for row in rows))}
    lines: dict[str, list[dict[str, Any]]] = {}
    latest = 0.0
    shown = list(curves if curves is not None else curves_of(outcome))
    for curve in shown:
        if curve.machine not in machines or not curve.times:
            continue
        latest = max(latest, curve.times[-1])
        packed = {"column": curve.column, "machine": machines[curve.machine], "n": len(curve.times)}
        packed |= {"t": block.put(curve.times), "v": block.put(curve.values)}
        lines.setdefault(curve.quantity, []).append(packed)
    quantities, who = [], matrices.asks_only_who(outcome)
    for name, those in text.by_quantity(rows).items():
        words = quantity(outcome.experiment, name)
        entry: dict[str, Any] = {"name": name, "unit": words.unit, "heading": words.heading, "places": words.places}
        entry["label"], entry["counted"] = words.label, words.counted
        entry["fraction"], entry["answer"], entry["bytes"] = words.is_fraction, words.yes_or_no, words.in_mebibytes
        entry["together"] = bool(text.together(outcome.experiment, name, those))
        entry |= {column: _column(those, column, machines) for column in COLUMNS}
        entry["later"] = name not in getattr(outcome.experiment, "DRAWN", (name,))
        entry["instead"] = matrices.grid(outcome) if who else ""  # of its bars, as HTML
        quantities.append(entry | {"curves": lines.get(name, [])})
    for name in dict.fromkeys(family(entry["name"]) for entry in quantities):
        if name in lines and not any(entry["name"] == name for entry in quantities):
            quantities.append(_over_time(name, outcome, lines[name], len(machines)))
    _scales(quantities, outcome.settings, block.numbers)
    time_line = time_line or outcome.simulated
    simulated, live = text.host_lines(outcome)
    where = [simulated] if outcome.simulated else []
    if outcome.live or outcome.why_not_live:
        where.append(live)
    where += getattr(outcome.experiment, "notes", lambda _settings: [])(outcome.settings)
    if notice := text.notice(outcome):
        where.append(notice)
    where += memory.states(outcome)
    frame = {
        "serial": serial,
        "begun": begun,
        "asked": setting_line(outcome.settings),
        "mode": "live" if outcome.live else "simulated",
        "where": where,
        "reading": text.reading(outcome),
        "machines": looks_for_browser(list(machines)),
        "rows": rows_of(outcome.experiment),
        "never_live": hasattr(outcome.experiment, "NOT_LIVE"),
        "quantities": quantities,
        "span": list(span or (0.0, latest)),
        "gantt": _time_line(time_line, machines, block, *_moment(outcome)),
        "memory": memory.entry(outcome, shown, machines, block.put),
    }
    return frame | {"data": block.bytes()}
