"""The chart recorder: one stroke for each stretch in which a vCPU was on a CPU, or was kept from it by its cap.

The pen writes; nobody reads yet. The strokes are kept as they come, and put in order when somebody looks.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from labkit.host import Event
from labkit.model.rolled import Rolled

if TYPE_CHECKING:
    from labkit.model.bandwidth import Held
    from labkit.model.cpu import Span
    from labkit.model.simulated import SimulatedHost

__all__ = ["SPANS", "Chart"]

SPANS = 20_000
"""How many stretches a time line holds at most; where there were more, an event ``"cut"`` says so."""


class Chart:
    """Collects what all CPUs of a host run, and who is throttled, until there is too much of it.

    Parameters
    ----------
    host : SimulatedHost
        The host that is recorded, from now on.
    """

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host
        self._start = host.now
        self._runs: list[Span] = []
        self._held: list[Held] = []
        self._recording = True
        host.scheduler.caps.spans = self._held
        for cpu in host.scheduler.cpus:
            cpu.spans = self._runs
            cpu.started = max(cpu.started, host.now)  # what it did before is not part of this observation

    def look(self) -> None:
        """Stop recording where the chart has become too long."""
        if self._recording and len(self._runs) + len(self._held) > SPANS:
            self._stop()

    def _stop(self) -> None:
        self._recording = False
        now = self._host.now
        scheduler = self._host.scheduler
        for cpu in scheduler.cpus:
            cpu.spans = None
            if cpu.current is not None and now > cpu.started:
                self._runs.append((cpu.started, now, cpu.current, cpu.index))
        scheduler.caps.spans = None
        self._held += [(vcpu.since, now, vcpu) for vcpu in scheduler.caps.throttled() if now > vcpu.since]

    def timeline(self) -> Rolled[Event]:
        """What has been recorded, as events in order of time; nothing is recorded any more."""
        if self._recording:
            self._stop()
        # Who was let go at the very moment at which the observation began was not throttled in it.
        held = [(max(begin, self._start), end, vcpu) for begin, end, vcpu in self._held if end > self._start]
        length = min(len(self._runs) + len(held), SPANS + 1)  # one for the "cut"
        return Rolled(length, partial(_events, self._start, self._runs, held))


def _events(start: float, runs: list[Span], held: list[Held]) -> tuple[Event, ...]:
    """The strokes as events, in order of time counted from `start`."""
    strokes = [(begin, cpu, vcpu.rank, end) for begin, end, vcpu, cpu in runs]
    strokes += [(begin, -1, vcpu.rank, end) for begin, end, vcpu in held]
    strokes.sort()
    events = [
        Event(begin - start, "throttled", name, end - begin, vcpu)
        if cpu < 0
        else Event(begin - start, "run", name, end - begin, vcpu, cpu)
        for begin, cpu, (name, vcpu), end in strokes[:SPANS]
    ]
    if len(strokes) > SPANS:
        cut = strokes[SPANS][0] - start
        detail = f"the time line is kept up to here, {SPANS} stretches; rows and series cover the whole observation"
        events.append(Event(cut, "cut", detail=detail))
    return tuple(events)
