"""A live run in a thread of its own: it goes on until somebody stops it, or, where it has an end, until that.

It boots the guests, watches them in short stretches, and after each tells the panel what they got. A simulated host
with the same machines runs beside it for the same stretches and is changed at the same moments, so the two curves can
be compared at every point. One session runs at a time: two would measure each other.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from labkit.experiments.outcome import Outcome, compare
from labkit.host import HostError
from labkit.host.memory import QUANTITIES as MEMORY
from labkit.host.tallies import QUANTITIES as DISKS
from labkit.views.asked import Openers
from labkit.views.cells import Cell
from labkit.views.frame import Curve, curves_of
from labkit.views.tape import KEPT, Tape
from labkit.views.watched import Stopped, WatchedHost, machines_of, steps_of

__all__ = ["TAKEN_OVER", "Audience", "Session", "stop_running", "streams"]

TAKEN_OVER = "Another cell's live run has taken over; the guests of this one were switched off."
"""Why a run was ended whose place another one needs."""

_STRETCH = 1.0  # s between two tellings
_AT_ANY_MOMENT = {"cpu", "ready", "throttled", *MEMORY, *DISKS}  # what `Host.observe` gives
_EVERY = 0.25  # s between two points of a curve
_PATIENCE = 90  # s for another session to end; a guest that no longer answers may take a minute of it

_running: list[Session] = []
_running_guard = threading.Lock()


@dataclass(frozen=True)
class Audience:
    """Whom a session tells; each is called from the session's thread.

    Parameters
    ----------
    progress : callable
        What is being done, in words, and how much of it is done, from 0 to 1.
    step : callable
        The outcome so far, the curves, and the stretch of time they cover.
    journal : callable
        The commands so far, whenever there are new ones.
    end : callable
        How it ended: an error, or None where somebody stopped it.
    """

    progress: Callable[[str, float], None]
    step: Callable[[Outcome, list[Curve], tuple[float, float]], None]
    journal: Callable[[list[str]], None]
    end: Callable[[HostError | None], None]


def streams(experiment: ModuleType) -> bool:
    """Whether its machines can be watched without end and changed meanwhile; else a live run is one run, with an end.

    That takes `prepare` and `adjust`, and that all its quantities can be read off at any moment. A mean response time,
    or what happened before, during and after something, is known only at the end.
    """
    able = hasattr(experiment, "prepare") and hasattr(experiment, "adjust")
    return able and set(experiment.QUANTITIES) <= _AT_ANY_MOMENT


class Session:
    """One live run: without end where the experiment `streams`, else once from its beginning to its end.

    Parameters
    ----------
    experiment : module
        The experiment.
    settings : object
        Its settings at the start.
    openers : Openers
        How the two hosts are opened.
    audience : Audience
        Whom to tell.
    cell : Cell, optional
        Whose run it is: when that cell runs again, it ends.
    """

    def __init__(
        self, experiment: ModuleType, settings: Any, openers: Openers, audience: Audience, cell: Cell | None = None
    ) -> None:
        self.experiment, self.settings = experiment, settings
        self.openers, self.audience = openers, audience
        self.cell = cell or Cell()
        self.why = ""  # why it was ended, where that was not the person's wish
        self._wanted = settings
        self._stop = threading.Event()
        self._streaming = False
        self._thread = threading.Thread(target=self._work, name=f"labkit live {experiment.NAME}", daemon=True)

    def start(self) -> None:
        """Begin; any other session is stopped first."""
        self._thread.start()

    def adjust(self, settings: Any) -> None:
        """Change the running machines at the end of the present stretch; the latest wish wins."""
        self._wanted = settings

    def stop(self, wait: float = 0.0, why: str = "") -> None:
        """Ask it to end, and wait up to so many seconds until its guests are gone."""
        if not self.stopping:
            self.why = why
        self._stop.set()
        if wait and self._thread is not threading.current_thread() and self._thread.is_alive():
            self._thread.join(wait)

    @property
    def alive(self) -> bool:
        """Whether it still has, or may have, guests."""
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stop.is_set()

    def _work(self) -> None:
        problem: HostError | None = HostError("The live run ended unexpectedly.", "The kernel's log has the reason.")
        try:
            self._take_the_floor()
            machines = machines_of(self.experiment, self.settings)
            opens = functools.partial(self.openers.open_live, settings=self.settings)
            steps = steps_of(self.experiment, self.settings)
            with WatchedHost(opens, self._booting, machines, self._stop, steps) as host:
                if streams(self.experiment):
                    self._watch(host)
                else:
                    self._once(host)
                    problem = None
        except Stopped:
            problem = None
        except HostError as error:
            problem = error
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            problem = HostError(f"The live run ended: {error}", "Switch to Live again; `labkit doctor` tells more.")
            problem.__cause__ = error
        finally:
            with _running_guard:
                if self in _running:
                    _running.remove(self)
            self.audience.end(problem)

    def _take_the_floor(self) -> None:
        """Come to be the one session that runs; of two that begin at once, one waits until the other has ended."""
        for _again in range(_PATIENCE):
            if self._stop.is_set():
                raise Stopped
            with _running_guard:
                if not _running:
                    _running.append(self)
                    return
            stop_running(1.0, TAKEN_OVER)
        raise HostError("Another live run has not ended yet.", "Wait until it has, or restart the notebook's kernel.")

    def _booting(self, words: str, done: float) -> None:
        if not self._streaming:
            self.audience.progress(words, done)

    def _once(self, host: WatchedHost) -> None:
        measured = self.experiment.run(host, self.settings)
        self.audience.journal(host.journal())
        settings = self.settings
        beside = compare(self.experiment, settings, simulated=lambda: self.openers.simulated(settings)).simulated
        outcome = Outcome(self.experiment, settings, beside, measured, {"simulated": None, "live": measured.seconds})
        curves = curves_of(outcome)
        self.audience.step(outcome, curves, (0.0, max((curve.times[-1] for curve in curves if curve.times), default=0)))

    def _watch(self, host: WatchedHost) -> None:
        machines = self.experiment.prepare(host, self.settings)
        self.audience.journal(host.journal())
        earlier: list[Any] = []
        with self.openers.simulated(self.settings) as twin:
            beside = self.experiment.prepare(twin, self.settings)
            live, simulated, theory = Tape("live"), Tape("simulated"), Tape("theory")
            while True:
                if self._wanted is not self.settings:
                    earlier.append(self.settings)
                    self.settings = self._wanted
                    self.experiment.adjust(machines, self.settings)
                    self.experiment.adjust(beside, self.settings)
                    live.changed()
                    simulated.changed()
                    self.audience.journal(host.journal())
                seen = host.observe(seconds=_STRETCH, every=_EVERY)
                self._streaming = True
                live.add(seen)
                # Real seconds are never quite round; as many points as live, and no sliver of an interval at the end.
                simulated.add(twin.observe(seconds=seen.seconds, every=seen.seconds * _EVERY / _STRETCH))
                seconds = {"simulated": None, "live": live.now}
                seen_so_far = simulated.mean(), live.mean()
                outcome = Outcome(self.experiment, self.settings, *seen_so_far, seconds, earlier=tuple(earlier))
                levels = {(r["machine"], r["quantity"]): r["theory"] for r in outcome.rows if r["theory"] is not None}
                theory.level(levels, live.now - seen.seconds, live.now)
                curves = [*theory.curves, *simulated.curves, *live.curves]
                self.audience.step(outcome, curves, (window(live.now), live.now))


def window(now: float) -> float:
    """Where the curves begin: at 0 for the first minute; after that they slide, and show the last half of one."""
    return 0.0 if now <= KEPT else now - KEPT / 2


def stop_running(wait: float = 30.0, why: str = "", again: Cell | None = None) -> None:
    """End the sessions of this process, and wait until their guests are gone.

    Parameters
    ----------
    wait : float
        Up to so many seconds for each.
    why : str
        What to tell whoever watches one; nothing where the person wished it.
    again : Cell, optional
        Only those that an earlier run of this cell began.
    """
    with _running_guard:
        others = list(_running)
    for session in others:
        if again is None or again.repeats(session.cell):
            session.stop(wait, why)
