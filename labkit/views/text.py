"""Text twins: what a picture says, in words and a table.

A screen reader reads it, a static page shows it, and nbval compares it. What depends on the settings alone
(theory, simulated) is the same to the last digit in every run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from types import ModuleType
from typing import Any

from labkit.experiments.outcome import Outcome, bound_of
from labkit.host import Observation
from labkit.host.words import listed
from labkit.views.words import (
    Quantity,
    beside,
    family,
    number,
    quantity,
    rows_of,
    setting_line,
    signed,
    significant,
)

__all__ = [
    "DISTURBED",
    "by_quantity",
    "disturbed_line",
    "error",
    "headline",
    "host_lines",
    "live_line",
    "notice",
    "reading",
    "simulated_line",
    "table",
    "together",
    "untroubled",
]

DISTURBED = 0.03
"""Above this fraction of a CPU used by others, a live measurement is marked as disturbed."""

_ALL_OF_THEM = "together"
_ALL = 4  # up to so many machines, the sentence that is read aloud names each
# Abilities in which no rule of sharing CPUs has a part: of a simulated host that is asked for these alone, its CPUs
# and its rules tell nothing about the numbers.
_NO_CPU = frozenset(
    ["disks", "pool", "trim", "snapshots", "contents", "records", "throttle", "networks", "firewall", "shaping"]
)
_FELT = ("response_during", "response")  # what people feel comes before what machines get
_EXPONENT = re.compile(r"\b\d+(?:\.\d+)?e[+-]\d+\b")  # as in 7.767e+06
_HEAD = ("theory", "simulated", "live", "live − simulated")


def error(row: dict[str, Any]) -> float | None:
    """Live minus simulated; None where either is absent."""
    if row["live"] is None or row["simulated"] is None:
        return None
    return row["live"] - row["simulated"]


def by_quantity(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of an outcome, a list for each quantity, in the order in which they come."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row["quantity"], []).append(row)
    return grouped


def _sums(experiment: ModuleType) -> tuple[str, ...]:
    return getattr(experiment, "TOGETHER", ())


def together(experiment: ModuleType, name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A last row with the sums, for the quantities that an experiment names in ``TOGETHER``; none for others.

    A column in which any machine has no number has no sum.
    """
    if name not in _sums(experiment) or len(rows) < 2:
        return []
    last: dict[str, Any] = {"machine": _ALL_OF_THEM, "quantity": name, "unit": rows[0]["unit"]}
    for column in ("theory", "simulated", "live"):
        values = [row[column] for row in rows]
        last[column] = None if None in values else sum(values)
    return [last]


def simulated_line(seen: Observation | None, phases: bool = False, cpus: bool = True, clock: bool = True) -> str:
    """Where the simulated column comes from.

    Parameters
    ----------
    seen : Observation or None
        What the simulated host saw.
    phases : bool
        Whether it was watched in phases, so that its time is that of all of them.
    cpus : bool
        Whether its CPUs and the rules by which it shares them have a part in the numbers; else they are left out.
    clock : bool
        Whether the seconds for which it was watched have; else they are left out.
    """
    if seen is None:
        return "simulated: not run"
    name = seen.provenance.name if cpus else seen.provenance.name.partition(",")[0]
    lead = "" if name.startswith("simulated") else "simulated: "
    if not seen.seconds or not clock:  # files alone, and no machine for which time could pass
        return f"{lead}{name}"
    passed = f"{significant(seen.seconds)} s of its own clock"
    return f"{lead}{name}, {passed}{', all phases together' if phases else ''}"


def live_line(
    seen: Observation | None,
    why_not: str = "",
    needs: Iterable[str] = (),
    by_what: Mapping[str, str] | None = None,
) -> str:
    """Where the live column comes from, by which accelerator and mechanisms; or why it was not run.

    Of the mechanisms those of the abilities that were needed, where any of them is known; else all. An experiment may
    say some in sentences of its own, in ``BY_WHAT``: by the ability, with the mechanism's place, as in ``"The balloon:
    {}."``.
    """
    if seen is None:
        return f"live: not run: {why_not}" if why_not else "live: not run"
    origin = seen.provenance
    line = origin.name if origin.name.startswith("live") else f"live: {origin.name}"
    if origin.accelerator and origin.accelerator not in origin.name:
        line += f", on {origin.accelerator}"
    wanted = set(needs) & set(origin.mechanisms) or set(origin.mechanisms)
    said = {ability: form for ability, form in (by_what or {}).items() if ability in wanted & set(origin.mechanisms)}
    used = [
        f"{ability} by {_EXPONENT.sub(_written_out, mechanism)}"
        for ability, mechanism in origin.mechanisms.items()
        if ability in wanted - set(said)
    ]
    line += f", {listed(used)}" if used else ""
    return ". ".join([line, *_sentences(said, origin.mechanisms)]) if said else line


def _sentences(said: Mapping[str, str], mechanisms: Mapping[str, str]) -> list[str]:
    """Mechanisms in an experiment's own sentences; what stands behind a semicolon is a sentence of its own."""
    found = []
    for ability, form in said.items():
        first, *more = _EXPONENT.sub(_written_out, mechanisms[ability]).split("; ")
        found += [form.format(first), *(f"{part[0].upper()}{part[1:]}." for part in more)]
    return [sentence.removesuffix(".") for sentence in found[:-1]] + found[-1:]


def _written_out(found: re.Match[str]) -> str:
    return significant(float(found[0]))


def host_lines(outcome: Outcome) -> list[str]:
    """Where both columns come from; the live host's line tells of what this experiment needs of a host."""
    needs = getattr(outcome.experiment, "needs", None)
    asked = needs(outcome.settings) if callable(needs) else getattr(outcome.experiment, "NEEDS", ())
    cpus = not asked or not _NO_CPU.issuperset(asked)
    clock = cpus or hasattr(outcome.settings, "seconds")  # for so long as somebody wanted, or as long as it took
    phases = any(family(name) != name for name in outcome.experiment.QUANTITIES)
    by_what = getattr(outcome.experiment, "BY_WHAT", None)
    simulated = simulated_line(outcome.simulated, phases, cpus, clock)
    return [simulated, live_line(outcome.live, outcome.why_not_live, asked, by_what)]


def _counted(experiment: ModuleType) -> list[str]:
    """The quantities that are counts, bytes or answers, and for which the experiment allows no difference at all.

    What others do on the CPUs makes them later, and not other.
    """
    exact = [name for name, bound in getattr(experiment, "BOUNDS", {}).items() if bound == 0]
    known_here = [quantity(experiment, name) for name in exact if name in experiment.QUANTITIES]
    return [words.name for words in known_here if words.unit == "B" or (words.unit == "1" and words.said_unit)]


def untroubled(experiment: ModuleType) -> str:
    """Why others' use of the CPUs leaves an experiment's numbers as they are; empty where it does not leave all so.

    From its ``UNDISTURBED``, or because all of them are counts with a bound of 0.
    """
    if said := getattr(experiment, "UNDISTURBED", ""):
        return said
    counted = _counted(experiment)
    return "they are counts, and no matter of time" if counted and set(experiment.QUANTITIES) <= {*counted} else ""


def disturbed_line(seen: Observation | None, unmoved: str = "", counted: Sequence[str] = ()) -> str:
    """What a disturbed measurement must say of itself; empty where nothing disturbed it.

    Parameters
    ----------
    seen : Observation or None
        The measurement.
    unmoved : str
        Why its numbers hold all the same, where they do; see `untroubled`.
    counted : sequence of str
        What those of its numbers are called that are counts, and hold where the others do not.
    """
    if seen is None or seen.disturbed <= DISTURBED:
        return ""
    others = f"while it measured, others took up to {seen.disturbed:.0%} of the time of the CPUs that it ran on"
    if unmoved:
        return f"{others}: that makes it slower, and leaves the numbers as they are, for {unmoved}."
    which = "all other live numbers" if counted else "the live numbers"
    hold = f" {listed(counted)} {'hold' if len(counted) > 1 else 'holds'} all the same." if counted else ""
    return f"disturbed: {others}, so {which} tell less. Close what else is running and measure again.{hold}"


def notice(outcome: Outcome) -> str:
    """What an outcome must say of others' use of the CPUs while its live column was measured; empty where nothing."""
    experiment = outcome.experiment
    shown, bounds = by_quantity(outcome.rows), experiment.bounds(outcome.settings)
    exact = [name for name in _counted(experiment) if name in shown and bounds.get(name) == 0]
    counted = [f"“{quantity(experiment, name).name_alone}”" for name in exact]
    return disturbed_line(outcome.live, untroubled(experiment), counted)


def _furthest(rows: list[dict[str, Any]], bounds: Mapping[Any, float], words: Quantity) -> str:
    apart = [(abs(difference), row) for row in rows if (difference := error(row)) is not None]
    if not apart:
        return ""
    gap, row = max(apart, key=lambda pair: pair[0])
    apart_by = f"at most {number(gap, words.places)}{words.after_number} apart (on {row['machine']})"
    said = f"; live and simulated are {apart_by if gap else 'the same'}"
    limits = {of["machine"]: limit for _, of in apart if (limit := bound_of(bounds, of)) is not None}
    beyond = [of["machine"] for difference, of in apart if difference > limits.get(of["machine"], inf)]
    if len(set(limits.values())) > 1:  # each machine has its own
        whose = "its bound" if len(beyond) == 1 else "their bounds"
        return said + (f", {listed(beyond)} beyond {whose}" if beyond else ", each within its bound")
    bound = limits.get(row["machine"])
    return said + ("" if bound is None else f", {'beyond' if beyond else 'within'} the bound of {significant(bound)}")


def _scatter(outcome: Outcome, rows: list[dict[str, Any]], words: Quantity) -> str:
    """How wide the confidence intervals are, where the numbers are means that chance decides."""
    intervals = getattr(outcome.experiment, "intervals", None)
    widths = intervals(outcome.settings) if callable(intervals) else {}
    known = [(row["machine"], widths.get((row["machine"], row["quantity"]))) for row in rows]
    said = ", ".join(f"{machine} ± {number(width, words.places)}" for machine, width in known if width is not None)
    return f"; 95% interval: {said}{words.after_number}" if said else ""


def _about(words: Quantity) -> str:
    """What the sentence is about, where its unit does not tell: numbers in CPU need no more words."""
    if words.name == "cpu":
        return ""
    name = words.label.partition(":")[0]
    return f" {name if name[:2].isupper() else name[0].lower() + name[1:]}"


def _mebi(value: float, words: Quantity) -> str:
    """Of bytes each number has its unit, as some are also told in MiB; of others the last of a row."""
    return beside(value, words) if words.in_mebibytes else ""


def _answers(found: Sequence[tuple[float, str]]) -> str:
    """Which rows are a yes and which a no, in words."""
    said = []
    for word, answer in (("yes", True), ("no", False)):
        if names := [name for value, name in found if bool(value) is answer]:
            said.append(f"{word} ({answer:d}) for {listed(names)}")
    return ", ".join(said)


def _agreement(outcome: Outcome, rows: list[dict[str, Any]]) -> str:
    """Whether live and simulated give the same answers, where there are both, and what else need not be alike."""
    both = [row for row in rows if error(row) is not None]
    if not both:
        return ""
    apart = [row["machine"] for row in both if error(row)]
    said = f"; in this live and simulated differ for {listed(apart)}" if apart else "; in this live and simulated agree"
    bounds = outcome.experiment.bounds(outcome.settings)
    free = [row["quantity"] for row in outcome.rows if error(row) is not None and bound_of(bounds, row) is None]
    names = [f"“{quantity(outcome.experiment, name).name_alone}”" for name in dict.fromkeys(free)]
    return f"{said}; for {listed(names)} no bound is set" if names else said


def headline(outcome: Outcome) -> str:
    """The quantity that is read aloud; "" where there is none.

    The experiment's ``HEADLINE`` where it names one; else how long people wait, where that is known; else its first.
    """
    names = list(by_quantity(outcome.rows))
    wanted = (getattr(outcome.experiment, "HEADLINE", None), *_FELT, *names)
    return next((name for name in wanted if name in names), "")


def reading(outcome: Outcome) -> str:
    """One sentence that reads one quantity aloud, and names the column that it reads: live where there is one.

    Up to four machines are all named with their numbers; of more, those that have the most and the least. Where chance
    decides them, it says how wide their confidence intervals are. Where pictures beside it show other moments, an
    experiment's ``WHEN`` says which one the numbers are of, as in ``"on average"``.
    """
    name = headline(outcome)
    rows = by_quantity(outcome.rows).get(name, [])
    column = "live" if outcome.live else "simulated"
    found = [(row[column], row["machine"]) for row in rows if row[column] is not None]
    if not found:
        return "Nothing was run."
    words = quantity(outcome.experiment, name)
    if words.yes_or_no:
        return f"{column.capitalize()},{_about(words)}: {_answers(found)}{_agreement(outcome, rows)}."
    unit, places = words.after_number, words.places
    (least, lowest), (most, highest) = min(found), max(found)
    if len(found) > 1 and most - least < 0.5 * 10**-places:
        them = rows_of(outcome.experiment)
        named = f"the same for {listed([row for _, row in found]) if len(found) <= _ALL else f'every {them}'}"
        said = f"{'all machines get the same' if them == 'machine' else named}, {number(most, places)}"
        said += beside(most, words)
    elif len(found) <= _ALL:
        said = ", ".join(f"{machine} {number(value, places)}{_mebi(value, words)}" for value, machine in found)
        said += "" if words.in_mebibytes else unit
    else:
        said = f"{highest} has the most, {number(most, places)}{beside(most, words)}, and {lowest} the least, "
        said += f"{number(least, places)}{beside(least, words)}"
    furthest = _furthest(rows, outcome.experiment.bounds(outcome.settings), words)
    when = getattr(outcome.experiment, "WHEN", "")
    about = f"{_about(words)}, {when}" if when else _about(words)
    return f"{column.capitalize()}{about}: {said}{_scatter(outcome, rows, words)}{furthest}."


def table(outcome: Outcome) -> str:
    """Theory, simulated, live, and the error between the last two, as plain text.

    Parameters
    ----------
    outcome : Outcome
        The columns of one experiment; a column that was not run shows a dash.
    """
    lines = [f"{outcome.experiment.NAME}: {outcome.experiment.QUESTION}", setting_line(outcome.settings)]
    names = [*(row["machine"] for row in outcome.rows), *([_ALL_OF_THEM] if _sums(outcome.experiment) else [])]
    rows_are = rows_of(outcome.experiment)
    wide = max([len(rows_are), *map(len, names)])
    for name, rows in by_quantity(outcome.rows).items():
        words = quantity(outcome.experiment, name)
        rows = [*rows, *together(outcome.experiment, name, rows)]
        cells = [[number(row[column], words.places) for column in _HEAD[:3]] for row in rows]
        each = max(9, *(len(cell) for row in cells for cell in row))
        lines += ["", words.heading]
        lines.append("  ".join([f"{rows_are:<{wide}}", *(f"{head:>{each}}" for head in _HEAD[:3]), f"{_HEAD[3]:>16}"]))
        for row, shown in zip(rows, cells, strict=True):
            numbers = [f"{cell:>{each}}" for cell in shown]
            lines.append("  ".join([f"{row['machine']:<{wide}}", *numbers, f"{signed(error(row), words.places):>16}"]))
    lines += ["", reading(outcome), *host_lines(outcome)]
    if disturbed := notice(outcome):
        lines.append(disturbed)
    return "\n".join(line.rstrip() for line in lines)
