"""What a guest has been given to do: loads of the field's own tool, and work that comes at set times."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from labkit.host import CpuLoad, DiskLoad, HostError, Load, MemoryLoad, RequestLoad, Served
from labkit.live.agent import Finished
from labkit.live.served import Program, lines_of

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine

__all__ = ["LiveJob", "PortionJob", "RequestJob", "SpinJob", "start"]

PERIOD = 0.1  # seconds from one portion of work of a load with a duty to the next, as images/serve.py has it
BACKLOG = 2 * PERIOD  # CPU seconds to which unfinished work can pile up
ENDING = 20.0  # seconds for a server to write down its end


class LiveJob(ABC):
    """A load in a guest, until it is done, is cancelled, or the machine stops."""

    armed = False
    """Whether it waits for the word "go"."""
    settled = True
    """Whether it is known to be running."""
    coming = 0.0
    """How much memory it is still going to fill, in MiB."""

    def __init__(self, machine: LiveMachine, load: Load) -> None:
        self.load = load
        self._machine = machine
        self._result: Any = None
        self._over = False

    @property
    def duty(self) -> float:
        """The part of every vCPU's time that it asks for all the time."""
        return self.load.duty if isinstance(self.load, CpuLoad) else 0.0

    @property
    def running(self) -> bool:
        """Whether it still runs, or waits to begin."""
        if not self._over and (self._machine.state != "running" or self._ended()):
            self._leave()
        return not self._over

    def _leave(self) -> None:
        self._over = True
        self._machine.jobs = [job for job in self._machine.jobs if job is not self]

    @property
    def progress(self) -> float:
        """0 while it runs, as it has no end of its own; 1 afterwards."""
        return 0.0 if self.running else 1.0

    @property
    def result(self) -> Any:
        """What it gave; None while it runs."""
        return None if self.running else self._result

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for its end, `timeout` seconds at most; all loads of the host begin.

        Raises
        ------
        HostError
            Where no timeout is given although it has no end of its own; or where the machine ended before that.
        """
        if timeout is None and isinstance(self.load, CpuLoad | DiskLoad):
            raise HostError("This load has no end of its own.", "Give wait() a timeout, or cancel() the job.")
        self._machine.host.begin_loads()
        ends = math.inf if timeout is None else time.monotonic() + timeout
        what = f"The load in {self._machine.name}"
        while (now := time.monotonic()) < ends and self.running:
            self._machine.host.progress(what, self.progress)
            time.sleep(min(self._pause(), max(0.0, ends - now)))
        if self._over:
            self._check_served()
        return self.result

    def cancel(self) -> None:
        """Stop it. Stopping it twice is no error.

        Raises
        ------
        HostError
            Where it served requests, and its machine has ended with the record of them.
        """
        if self.running:
            self._stop()
        self._leave()
        self._check_served()

    def _check_served(self) -> None:
        if isinstance(self.load, RequestLoad) and self._result is None:
            raise self._machine.ended("before its requests were served")

    def make_ready(self) -> None:  # noqa: B027 - only what waits for a go has something to do here
        """Return when it could go."""

    def go(self) -> None:  # noqa: B027
        """Begin."""

    def _pause(self) -> float:
        """Seconds until it is worth looking again; each look takes CPU time from the guest."""
        return 0.2

    @abstractmethod
    def grow(self, vcpus: int) -> None:
        """Use the vCPUs that the machine has got."""

    @abstractmethod
    def _ended(self) -> bool:
        """Whether it has ended by itself."""

    @abstractmethod
    def _stop(self) -> None:
        """End it now."""


class SpinJob(LiveJob):
    """stress-ng, which keeps every vCPU busy."""

    settled = False

    def __init__(self, machine: LiveMachine, load: CpuLoad) -> None:
        super().__init__(machine, load)
        self._processes: list[int] = []
        self._workers = 0
        self.grow(machine.vcpus)

    def grow(self, vcpus: int) -> None:
        """Start a worker for each vCPU that has none."""
        command = ["/tools/bin/stress-ng", "--quiet", "--cpu", str(vcpus - self._workers)]
        self._machine.host.note_agent(self._machine, "guest-exec", command)
        self._processes.append(self._machine.agent.start(command))
        self._workers = vcpus
        self.settled = False

    def _ended(self) -> bool:
        finished: Finished | None = self._machine.agent.finished(self._processes[0])
        self._result = finished
        return finished is not None

    def _stop(self) -> None:
        # stress-ng ends its workers when it is asked to end.
        self._machine.agent.start(["/bin/kill", *map(str, self._processes)])


class PortionJob(LiveJob):
    """Work of the same size every `PERIOD` on each vCPU; what is left undone waits, up to `BACKLOG`."""

    armed = True
    settled = False

    def __init__(self, machine: LiveMachine, load: CpuLoad, speed: float) -> None:
        super().__init__(machine, load)
        portion = (round(speed * load.duty * PERIOD), round(speed * BACKLOG))
        self._program = Program(machine, portion=portion)

    def make_ready(self) -> None:
        """Wait until its workers are there."""
        self._program.make_ready()

    def go(self) -> None:
        """Begin."""
        self._program.say("go")
        self.armed = False

    def grow(self, vcpus: int) -> None:
        """Add workers for the new vCPUs."""
        self._program.make_ready()
        self._program.say(f"clerks {vcpus}")
        self.settled = False

    def _ended(self) -> bool:
        return False

    def _stop(self) -> None:
        self._program.make_ready()
        self._program.say("stop")
        self._program.clear_away()


class RequestJob(LiveJob):
    """A server with one worker for each vCPU, first come, first served. Its result is a `Served`."""

    armed = True

    def __init__(self, machine: LiveMachine, load: RequestLoad, speed: float, beside: float = 0.0) -> None:
        super().__init__(machine, load)
        self._requests = load
        # What a request costs beside its rounds is part of its work.
        rounds = [max(1, round((seconds - beside) * speed)) for seconds in load.work]
        self._program = Program(machine, lines_of(load.arrivals, rounds))

    def make_ready(self) -> None:
        """Wait until its workers are there."""
        self._program.make_ready()

    def go(self) -> None:
        """Begin: second 0 of all its times is when the guest hears this."""
        self._program.say("go")
        self.armed = False

    def grow(self, vcpus: int) -> None:
        """Add workers for the new vCPUs; they take their turn in the one queue."""
        self.make_ready()
        self._program.say(f"clerks {vcpus}")

    @property
    def progress(self) -> float:
        """The part of its requests that has been served."""
        if self._over or not self.running:
            return 1.0
        return 0.0 if self.armed else max(0, self._program.lines() - 2) / len(self._requests.arrivals)

    def _pause(self) -> float:
        return 0.5

    def _ended(self) -> bool:
        if self.armed or self._program.lines() < len(self._requests.arrivals) + 3:
            return False
        self._fetch()
        return True

    def _stop(self) -> None:
        if self.armed:
            never = (math.inf,) * len(self._requests.arrivals)
            self._result = Served(self._requests.arrivals, never, 0.0)
            self.make_ready()
            self._program.say("stop")
            self._program.clear_away()
            return
        self._program.say("stop")
        ends = time.monotonic() + ENDING
        while all(number != -3 for number, _began, _ended in self._program.book()):
            if time.monotonic() > ends:
                raise HostError(f"The server in {self._machine.name} did not stop.", "Stop the machine.")
            time.sleep(0.05)
        self._fetch()

    def _fetch(self) -> None:
        """Read its book, and clear it away."""
        finishes = [math.inf] * len(self._requests.arrivals)
        marks, ended = {}, {}
        for number, began, end in self._program.book():
            if number < 0:
                marks[number] = began
            else:
                ended[number] = end
        for number, end in ended.items():
            finishes[number] = end - marks[-2]
        self._result = Served(self._requests.arrivals, tuple(finishes), marks[-3] - marks[-2])
        self._program.clear_away()


def start(machine: LiveMachine, load: Load) -> LiveJob:
    """Give a machine something to do.

    Parameters
    ----------
    machine : LiveMachine
        The machine.
    load : Load
        One of them.

    Raises
    ------
    HostError
        Where it has something to do already, or the host cannot do that.
    ValueError
        Where `load` is no load.
    """
    if not isinstance(load, Load):
        raise ValueError(f"a load is a CpuLoad, a RequestLoad, a MemoryLoad or a DiskLoad, not a {type(load).__name__}")
    if any(job.running for job in list(machine.jobs)):
        raise HostError(f"{machine.name} has a load already.", "End that with job.cancel() first.")
    if isinstance(load, MemoryLoad):
        from labkit.live.filling import MemoryJob

        return MemoryJob(machine, load)
    if isinstance(load, DiskLoad):
        from labkit.live.storage import DiskJob

        return DiskJob(machine, load)
    if isinstance(load, CpuLoad) and load.duty >= 1.0:
        return SpinJob(machine, load)
    if not (able := machine.host.can("requests")):
        raise HostError(able.reason, able.remedy)
    if isinstance(load, CpuLoad):
        return PortionJob(machine, load, machine.host.speed(machine.pinned))
    if load.discipline != "queue":
        raise HostError(
            "A live server has a queue: labkit cannot share a guest's vCPUs among all requests at once yet.",
            'Ask for discipline="queue", or use the simulated host.',
        )
    speed = machine.host.speed(machine.pinned)
    return RequestJob(machine, load, speed, machine.host.known_beside)
