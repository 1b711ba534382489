"""How much gets through: iperf3 sends in one guest, and the kernel's counters at the other's tap say what arrives."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import psutil

from labkit.host import HostError, Observation, Row, Series
from labkit.live import counters
from labkit.live.net.cables import Cable, between
from labkit.live.net.network import room_of
from labkit.live.private.watching import counted

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost

__all__ = ["transfer"]

PORT = 5201  # iperf3's own
BEGUN = 10_000  # bytes; the two iperf3s tell each other less than that before one sends
PATIENCE = 60.0  # seconds for iperf3 to begin to send; under emulation it takes one to three
STREAMS = 4  # of TCP: while one waits, having lost a frame, the others go on
NOTED = "/run/labkit-iperf3"  # the file in which the server writes its process number
ENDS = 10.0  # seconds for the guest to end it
LONGER = 30  # seconds that it would go on, were it not ended
REMEDY = "Stop other machines or programs, then try again."


def transfer(host: LiveHost, sender: str, target: str, seconds: float, every: float) -> Observation:
    """Let a machine send as much as it can; see `labkit.host.networks.Networked.transfer`."""
    if not seconds > 0 or not 0 < every <= seconds:
        raise ValueError("seconds and every must be above 0, and every no longer than seconds")
    for name in (sender, target):
        if name not in host.machines:
            raise HostError(f"There is no machine {name:.40}.", "Look at host.machines.")
    way = between(host.machines[sender], host.machines[target])
    if way is None or sender == target:
        raise HostError(f"{sender} and {target} are in no network together.", "Plug both into one.")
    cable, other = way
    running = _begin(host, cable, other, seconds)
    try:
        busy = _busy(host)
        moments, arrived = _watch(host, running, cable, other, seconds, every)
        busy = [now - before for now, before in zip(_busy(host), busy, strict=True)]
    finally:
        with contextlib.suppress(HostError):  # a machine may have ended
            cable.machine.agent.run(["/bin/kill", "-9", str(running)], ENDS)
            other.machine.agent.run(["/bin/sh", "-c", f"kill -9 $(cat {NOTED})"], ENDS)
    passed, took, own = busy
    disturbed = max(0.0, took - own) / (passed * host.cpus)
    seen = _told(f"{sender}>{target}", moments, arrived)
    return Observation(moments[-1], *seen, (), host.provenance(), round(disturbed, 4))


def _busy(host: LiveHost) -> list[float]:
    """Seconds up to now: by the clock; those for which the CPUs were busy; and of these labkit's and the host's own."""
    first = psutil.Process(room_of(host).first)
    used = 0.0
    for process in (psutil.Process(), first, *first.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            used += sum(process.cpu_times()[:2])
    everywhere = counters.read(host.connection, [], here=True).busy
    return [time.monotonic(), sum(everywhere[cpu] for cpu in host.cpu_numbers), used]


def _begin(host: LiveHost, cable: Cable, other: Cable, seconds: float) -> int:
    listens = f"until netstat -ltn | grep -q :{PORT}; do usleep 20000; done"
    serves = f"mkdir -p /run && iperf3 -s -p {PORT} -D -I {NOTED} && {listens}"
    done = other.machine.agent.run(["/bin/sh", "-c", serves], PATIENCE)
    if done.status:
        raise HostError(f"iperf3 does not run in {other.machine.name}: {done.errors.strip()}.", REMEDY)
    words = ["iperf3", "-c", other.ip, "-p", str(PORT), "-P", str(STREAMS), "-t", str(round(seconds) + LONGER)]
    host.note_agent(other.machine, "guest-exec", ["iperf3", "-s", "-p", str(PORT), "-D"])
    host.note_agent(cable.machine, "guest-exec", words)
    return cable.machine.agent.start(["/bin/sh", "-c", 'exec "$0" "$@"', *words], capture=True)


def _watch(
    host: LiveHost, running: int, cable: Cable, other: Cable, seconds: float, every: float
) -> tuple[list[float], list[int]]:
    """The moments at which was looked, in seconds from the first byte, and the bytes that had arrived by then."""
    room, tap = room_of(host), other.tap
    before, ends = counted(room, tap).bytes_received, time.monotonic() + PATIENCE
    while counted(room, tap).bytes_received < before + BEGUN:
        if time.monotonic() > ends or (finished := cable.machine.agent.finished(running)):
            said = finished.errors.strip() if time.monotonic() <= ends and finished else "it did not begin"
            raise HostError(f"Nothing gets from {cable.machine.name} to {other.machine.name}: {said}.", REMEDY)
        time.sleep(0.005)
    began, first = time.monotonic(), counted(room, tap).bytes_received
    moments, arrived = [0.0], [0]
    for step in range(1, round(seconds / every) + 1):
        time.sleep(max(0.0, began + step * every - time.monotonic()))
        moments.append(time.monotonic() - began)
        arrived.append(counted(room, tap).bytes_received - first)
        host.progress(f"{cable.machine.name} sends", min(1.0, moments[-1] / seconds))
    return moments, arrived


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
        Series(pair, "bytes", "B", moments[1:], [float(there - here) for _, _, here, there in spans]),
    )
    return rows, series
