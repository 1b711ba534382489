"""How much gets through: iperf3 sends in guests, and the kernel's counters say what arrives.

Of one sender what is counted is what arrives at the target's tap. Of several that tap has the frames of all, so each is
counted where its frames enter the switch, behind its rules and its bucket: what is lost after that is counted too.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from labkit.host import HostError, Observation, Row, Series
from labkit.host.ports import checked_senders
from labkit.host.words import listed
from labkit.live import counters
from labkit.live.net.cables import Cable, way
from labkit.live.net.network import room_of
from labkit.live.private.room import Room
from labkit.live.private.watching import counted

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost

__all__ = ["transfer"]

PORT = 5201  # iperf3's own; each further sender has the next
BEGUN = 10_000  # bytes; the two iperf3s tell each other less than that before one sends
PATIENCE = 60.0  # seconds for iperf3 to begin to send; under emulation it takes one to three
STREAMS = 4  # of TCP: while one waits, having lost a frame, the others go on
NOTED = "/run/labkit-iperf3"  # with the port behind it the file in which a server writes its process number
ENDS = 10.0  # seconds for the guest to end it
LONGER = 30  # seconds that it would go on, were it not ended
REMEDY = "Stop other machines or programs, then try again."


@dataclass
class Flow:
    """What one sender sends.

    Parameters
    ----------
    cable, other : Cable
        The sender's and the target's.
    port : int
        Of TCP.
    alone : bool
        Whether nobody else sends to the target.
    """

    cable: Cable
    other: Cable
    port: int
    alone: bool
    running: int = 0  # the process number of iperf3 in the sender
    before: int = 0  # what had passed before it was asked to send
    first: int = 0  # what had passed when it began, and when that was
    began: float = 0.0
    moments: list[float] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)

    @property
    def pair(self) -> str:
        """Both names."""
        return f"{self.cable.machine.name}>{self.other.machine.name}"

    def passed(self, room: Room) -> int:
        """How many bytes have passed the place where it is counted."""
        if self.alone:
            return counted(room, self.other.tap).bytes_received
        return counted(room, self.cable.port_name).bytes_sent

    def look(self, room: Room) -> None:
        """Write down how much has arrived by now.

        The clock is read before the first count and after each other: so no more can have arrived than the bucket lets
        through in the time that is written down, however long the reading takes.
        """
        if not self.moments:
            self.began = time.monotonic()
            self.first = self.passed(room)
            self.moments, self.arrived = [0.0], [0]
            return
        now = self.passed(room)
        self.moments.append(time.monotonic() - self.began)
        self.arrived.append(now - self.first)


def transfer(host: LiveHost, sender: str | Sequence[str], target: str, seconds: float, every: float) -> Observation:
    """Let machines send as much as they can; see `labkit.host.networks.Networked.transfer`."""
    if not seconds > 0 or not 0 < every <= seconds:
        raise ValueError("seconds and every must be above 0, and every no longer than seconds")
    flows = _flows(host, sender, target)
    try:
        for flow in flows:
            _listen(host, flow)
        for flow in flows:  # when all listen: then they begin within a moment
            _send(host, flow, seconds)
        busy = _busy(host)
        _watch(host, flows, seconds, every)
        busy = [now - before for now, before in zip(_busy(host), busy, strict=True)]
    finally:
        for flow in flows:
            with contextlib.suppress(HostError):  # a machine may have ended
                if flow.running:
                    flow.cable.machine.agent.run(["/bin/kill", "-9", str(flow.running)], ENDS)
                flow.other.machine.agent.run(["/bin/sh", "-c", f"kill -9 $(cat {NOTED}-{flow.port})"], ENDS)
    passed, took, own = busy
    disturbed = max(0.0, took - own) / (passed * host.cpus)
    told = [_told(flow.pair, flow.moments, flow.arrived) for flow in flows]
    rows = tuple(row for those, _series in told for row in those)
    series = tuple(line for _rows, those in told for line in those)
    return Observation(
        max(flow.moments[-1] for flow in flows), rows, series, (), host.provenance(), round(disturbed, 4)
    )


def _flows(host: LiveHost, sender: str | Sequence[str], target: str) -> list[Flow]:
    """Who is to send, by which cables.

    Raises
    ------
    HostError
        Where there is no such machine, or no way.
    """
    names = checked_senders(sender)
    ways = [way(host, name, target) for name in names]
    return [Flow(*cables, PORT + place, alone=len(names) == 1) for place, cables in enumerate(ways)]


def _busy(host: LiveHost) -> list[float]:
    """Seconds up to now: by the clock; those for which the CPUs were busy; and of these labkit's and the host's own."""
    first = psutil.Process(room_of(host).first)
    used = 0.0
    for process in (psutil.Process(), first, *first.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            used += sum(process.cpu_times()[:2])
    everywhere = counters.read(host.connection, [], here=True).busy
    return [time.monotonic(), sum(everywhere[cpu] for cpu in host.cpu_numbers), used]


def _listen(host: LiveHost, flow: Flow) -> None:
    """Start the server in the target, and wait until it listens."""
    serves = ["iperf3", "-s", "-p", str(flow.port), "-D", "-I", f"{NOTED}-{flow.port}"]
    listens = f"until netstat -ltn | grep -q :{flow.port}; do usleep 20000; done"
    done = flow.other.machine.agent.run(
        ["/bin/sh", "-c", f"mkdir -p /run && {' '.join(serves)} && {listens}"], PATIENCE
    )
    if done.status:
        raise HostError(f"iperf3 does not run in {flow.other.machine.name}: {done.errors.strip()}.", REMEDY)
    host.note_agent(flow.other.machine, "guest-exec", serves[:5])


def _send(host: LiveHost, flow: Flow, seconds: float) -> None:
    """Start the client in the sender; it goes on until it is ended."""
    flow.before = flow.passed(room_of(host))
    words = ["iperf3", "-c", flow.other.ip, "-p", str(flow.port)]
    words += ["-P", str(STREAMS), "-t", str(round(seconds) + LONGER)]
    host.note_agent(flow.cable.machine, "guest-exec", words)
    flow.running = flow.cable.machine.agent.start(words, capture=True)


def _watch(host: LiveHost, flows: Sequence[Flow], seconds: float, every: float) -> None:
    """Look at each from its first byte on, for as long as was asked."""
    room, count = room_of(host), round(seconds / every)
    ends = time.monotonic() + PATIENCE
    while waiting := [flow for flow in flows if len(flow.moments) <= count]:
        due = [time.monotonic() + 0.005]
        for flow in waiting:
            if not flow.moments:
                if flow.passed(room) >= flow.before + BEGUN:
                    flow.look(room)
                elif time.monotonic() > ends or (finished := flow.cable.machine.agent.finished(flow.running)):
                    said = finished.errors.strip() if time.monotonic() <= ends and finished else "it did not begin"
                    raise HostError(f"Nothing gets by the way {flow.pair}: {said}.", REMEDY)
                continue
            next_look = flow.began + len(flow.moments) * every
            if time.monotonic() >= next_look:
                flow.look(room)
                next_look += every
            due.append(next_look)
        if all(flow.moments for flow in flows):
            host.progress(_who(flows), min(1.0, min(len(flow.moments) for flow in flows) / count))
            time.sleep(max(0.0, min(due[1:], default=0.0) - time.monotonic()))
        else:
            time.sleep(max(0.0, min(due) - time.monotonic()))
    begun = [flow.began for flow in flows]
    if max(begun) - min(begun) > seconds / 2:
        raise HostError("The senders did not begin at the same time.", f"{REMEDY[:-1]}, or let them send for longer.")


def _who(flows: Sequence[Flow]) -> str:
    names = [flow.cable.machine.name for flow in flows]
    return f"{listed(names)} send{'s'[: len(names) == 1]}"


def _told(pair: str, moments: list[float], arrived: list[int]) -> tuple[tuple[Row, ...], tuple[Series, ...]]:
    half = next(place for place, moment in enumerate(moments) if moment >= moments[-1] / 2)
    half = min(half, len(moments) - 2)
    steady = (arrived[-1] - arrived[half]) * 8e-6 / (moments[-1] - moments[half])
    spans = list(zip(moments, moments[1:], arrived, arrived[1:], strict=False))
    rates = [(there - here) * 8e-6 / (end - begin) for begin, end, here, there in spans]
    rows = (
        Row(machine=pair, quantity="rate", unit="Mbit/s", value=steady),
        Row(machine=pair, quantity="bytes", unit="B", value=float(arrived[-1])),
    )
    series = (
        Series(pair, "rate", "Mbit/s", moments[1:], rates),
        Series(pair, "bytes", "B", moments[1:], list(map(float, arrived[1:]))),
    )
    return rows, series
