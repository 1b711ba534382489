"""Several looks at a host, one after another, told as one.

A film of three reels, pasted together: each begins where the one before it ends.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

from labkit.host import Event, Observation, Row, Series, Served

__all__ = ["EVENTS", "joined", "mean_response", "suffixed"]

EVENTS = 20_000
"""How many events a joined observation keeps at most, the first ones."""


def suffixed(seen: Observation, suffix: str, quantities: Iterable[str]) -> list[Row]:
    """The rows of a phase, each quantity named after it: `cpu` becomes ``cpu_before``.

    Parameters
    ----------
    seen : Observation
        The phase.
    suffix : str
        Its name.
    quantities : iterable of str
        Which quantities of it, by their names without suffix.
    """
    wanted = set(quantities)
    return [Row(**{**row, "quantity": f"{row['quantity']}_{suffix}"}) for row in seen.rows if row["quantity"] in wanted]


def joined(parts: Sequence[Observation], rows: Sequence[Row]) -> Observation:
    """One observation of several that followed each other.

    Parameters
    ----------
    parts : sequence of Observation
        What was seen, in order; at least one.
    rows : sequence of Row
        The rows of the whole.

    Returns
    -------
    Observation
        Series and events on one axis of time that begins with the first part. The provenance is that of the last
        part, with the mechanisms of all; it was as disturbed as the worst of them.
    """
    lines: dict[tuple[str, str, str], tuple[list[float], list[float]]] = {}
    events: list[Event] = []
    mechanisms: dict[str, str] = {}
    weights: dict[str, float] = {}
    start = 0.0
    for part in parts:
        for line in part.series:
            times, values = lines.setdefault((line.machine, line.quantity, line.unit), ([], []))
            times.extend(start + time for time in line.times)
            values.extend(line.values)
        for event in part.events:
            if len(events) >= EVENTS:
                break
            events.append(dataclasses.replace(event, time=start + event.time))
        mechanisms |= part.provenance.mechanisms
        weights |= part.provenance.weights
        start += part.seconds
    return Observation(
        seconds=start,
        rows=tuple(rows),
        series=tuple(Series(*key, tuple(times), tuple(values)) for key, (times, values) in lines.items()),
        events=tuple(events),
        provenance=dataclasses.replace(parts[-1].provenance, mechanisms=mechanisms, weights=weights),
        disturbed=max(part.disturbed for part in parts),
    )


def mean_response(served: Served, since: float = 0.0, until: float = math.inf, ended: float = math.inf) -> float | None:
    """The mean response time in seconds of the requests that came in a phase; None where none came.

    Parameters
    ----------
    served : Served
        What became of all of them.
    since, until : float
        The phase: those that came from `since` until just before `until`.
    ended : float
        When nobody looked any more, in seconds from the beginning of the load. One that was not done by then counts
        with what it had waited, so that a load that ended a little later on one host tells no other story.
    """
    seen = dataclasses.replace(served, ended=min(served.ended, ended))
    responses = seen.responses(since, until)
    return math.fsum(responses) / len(responses) if responses else None
