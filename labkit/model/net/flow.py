"""A program that sends as much as it can, as iperf3 does: by frames, or where there would be too many, as water.

By frames it keeps a window's worth under way: each frame that arrives is acknowledged, and lets the next go. What is
lost in a full queue is not acknowledged, so that less is under way from then on; where nothing comes any more the
window is sent anew, after the shortest time that Linux waits (TCP_RTO_MIN, 200 ms). How a TCP looks for its window
(congestion control) is not modelled: for a bucket that is asked for more than it gives without end it makes no
difference what asks.
"""

from __future__ import annotations

from collections.abc import Sequence

from simpy import Environment
from simpy.events import Event, Timeout

from labkit.host import Observation, Row, Series
from labkit.host.ports import checked_senders
from labkit.model.arguments import checked_seconds
from labkit.model.net.fluid import FULL, Water, pour
from labkit.model.net.frames import HEADER, Packet
from labkit.model.net.gate import Gate
from labkit.model.net.network import Cabinet
from labkit.model.net.outlet import CARD
from labkit.model.net.stack import SIZES
from labkit.model.net.trying import PATIENCE, gates_of, seen_by

__all__ = ["Stream", "transfer"]

INTERVALS = 100_000  # of a transfer, at the most
FRAMES = 50_000
"""Frames up to which a transfer is computed frame by frame."""
WINDOW = 44
"""Frames under way at once: 64 KiB, what a TCP has without window scaling (RFC 9293)."""
RESEND = 0.2  # seconds
PORT = 5201  # iperf3's; each further sender has the next
OWN_PORT = 49151


class Stream:
    """Frames from one machine to another, for as long as the clock runs.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    sender, target : Gate
        From where to where; they have shaken hands.
    port : int
        To which port of TCP.
    """

    def __init__(self, env: Environment, sender: Gate, target: Gate, port: int = PORT) -> None:
        self._env = env
        self._port = port
        self._sender, self._target = sender.stack, target.stack
        self._under_way = 0
        self._heard = False
        self.arrived = 0
        self.over = False
        self._target.takes["tcp", port] = self._took
        self._sender.takes["tcp", OWN_PORT] = self._acknowledged
        self._fill()
        self._watch()

    def _fill(self) -> None:
        here, there = self._sender.address, self._target.address
        while self._under_way < WINDOW:
            self._under_way += 1
            self._sender.send(Packet("tcp", "data", here, there, OWN_PORT, self._port, SIZES["data"]))

    def _took(self, packet: Packet) -> None:
        if packet.kind == "data" and not self.over:
            self.arrived += packet.size + HEADER
            protocol, source, source_port, destination, port = packet.flow_back  # a router may have changed who sends
            self._target.send(Packet(protocol, "ACK", source, destination, source_port, port, SIZES["ACK"]))

    def _acknowledged(self, packet: Packet) -> None:
        if packet.kind == "ACK" and not self.over:
            self._heard = True
            self._under_way -= 1
            self._fill()

    def _watch(self, _event: Event | None = None) -> None:
        if self.over:
            return
        if not self._heard:
            self._under_way = 0 if _event else self._under_way
            self._fill()
        self._heard = False
        Timeout(self._env, RESEND).callbacks.append(self._watch)

    def stop(self) -> None:
        """Send no more."""
        self.over = True
        self._target.takes.pop(("tcp", self._port), None)
        self._sender.takes.pop(("tcp", OWN_PORT), None)


def _expected(one: Gate, seconds: float) -> float:
    """How many frames there will be, at the most."""
    shape, card = one.port.shape, CARD * seconds
    return (card if shape is None else min(card, shape.burst * 1e6 + shape.average * 1e6 / 8 * seconds)) / FULL


def _meet(cabinet: Cabinet, one: Gate, other: Gate, port: int) -> bool:
    """Let two machines shake hands; whether they did."""
    other.stack.listening.add(("tcp", port))
    met = one.stack.probe("tcp", other.stack.address, OWN_PORT, port)
    cabinet.host.run_until(met, PATIENCE)
    other.stack.listening.discard(("tcp", port))
    return bool(met.triggered and met.value)


def _begin(cabinet: Cabinet, pairs: Sequence[tuple[Gate, Gate] | None], seconds: float) -> list[Stream | Water | None]:
    """Let those flow that have met, all at once: as frames, or where there would be too many, as water."""
    env = cabinet.host.env
    if sum(_expected(pair[0], seconds) for pair in pairs if pair) <= FRAMES:
        return [Stream(env, *pair, PORT + place) if pair else None for place, pair in enumerate(pairs)]
    flows = [Water(env, pair[0].buckets) if pair else None for pair in pairs]
    for gate in {pair[1] for pair in pairs if pair}:  # a machine with two cards has two cables
        pour(env, [flow for flow, pair in zip(flows, pairs, strict=True) if flow and pair and pair[1] is gate])
    return list(flows)


def transfer(cabinet: Cabinet, sender: str | Sequence[str], target: str, seconds: float, every: float) -> Observation:
    """Send as much as can be; see `labkit.host.networks.Networked.transfer`."""
    seconds = checked_seconds("seconds", seconds, 0.1, 3600.0)
    every = min(checked_seconds("every", every, max(0.001, seconds / INTERVALS), 3600.0), seconds)
    names = checked_senders(sender)
    gates = [gates_of(cabinet, name, target) for name in names]
    host, since = cabinet.host, cabinet.host.now
    met = [_meet(cabinet, *pair, PORT + place) for place, pair in enumerate(gates)]
    start = host.now
    flows = _begin(cabinet, [pair if can else None for pair, can in zip(gates, met, strict=True)], seconds)
    water = any(isinstance(flow, Water) for flow in flows)
    how = "the flow as water, as its frames would be too many" if water else "frames as events"
    count = max(round(seconds / every), 1)
    ends = [min(number * every, seconds) for number in range(1, count)] + [seconds]
    arrived = [{0.0: 0.0} for _flow in flows]
    for mark in sorted({*ends, seconds / 2}):
        host.advance(start + mark)
        for found, flow in zip(arrived, flows, strict=True):
            found[mark] = float(flow.arrived) if flow else 0.0
    for flow in flows:
        if flow:
            flow.stop()
    rows: list[Row] = []
    series: list[Series] = []
    for name, found in zip(names, arrived, strict=True):
        for row, line in _told(f"{name}>{target}", found, ends):
            rows.append(row)
            series.append(line)
    host.note(f"transfer from {', '.join(names)} to {target} seconds={seconds:g}")
    return seen_by(cabinet, since, rows, tuple(series), how=how)


def _told(pair: str, arrived: dict[float, float], ends: list[float]) -> list[tuple[Row, Series]]:
    """What is said of one sender: how fast at last, and how much in all; and how both came to be."""
    seconds = ends[-1]
    steady = (arrived[seconds] - arrived[seconds / 2]) / (seconds / 2) * 8 / 1e6
    parts = list(zip([0.0, *ends], ends, strict=False))
    came = [arrived[end] - arrived[begin] for begin, end in parts]
    rates = [8 / 1e6 * part / (end - begin) for part, (begin, end) in zip(came, parts, strict=True)]
    return [
        (
            Row(machine=pair, quantity="rate", unit="Mbit/s", value=steady),
            Series(pair, "rate", "Mbit/s", ends, rates),
        ),
        (
            Row(machine=pair, quantity="bytes", unit="B", value=arrived[seconds]),
            Series(pair, "bytes", "B", ends, [arrived[end] for end in ends]),
        ),
    ]
