"""Several observations that followed each other, told as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from labkit.host import Event, Observation, Row

__all__ = ["one_after_the_other"]


def one_after_the_other(seen: Mapping[str, Observation]) -> Observation:
    """One observation of several, each with one quantity, which takes the name under which it stands.

    Parameters
    ----------
    seen : mapping of str to Observation
        In the order in which they were made. They come from one host; what is said of it is what the last one says.
    """
    rows: list[Row] = []
    events: list[Event] = []
    passed = disturbed = 0.0
    for quantity, one in seen.items():
        rows += [{**row, "quantity": quantity} for row in one.rows]
        events += [dataclasses.replace(event, time=event.time + passed) for event in one.events]
        passed, disturbed = passed + one.seconds, max(disturbed, one.disturbed)
        last = one
    return dataclasses.replace(
        last, seconds=passed, rows=tuple(rows), series=(), events=tuple(events), disturbed=disturbed
    )
