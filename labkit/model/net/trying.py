"""Trying who reaches whom, and watching who sees the frames of a ping."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from itertools import permutations
from typing import get_args

import simpy
from simpy.events import Event as Moment

from labkit.host import Event, HostError, Observation, Provenance, Row, Series
from labkit.host.networks import Reaching
from labkit.model.arguments import checked_whole
from labkit.model.net.frames import Arp, Packet
from labkit.model.net.gate import Gate
from labkit.model.net.network import Cabinet
from labkit.model.net.stack import SIZES
from labkit.model.net.tape import told

__all__ = ["capture", "gates_of", "reach", "seen_by"]

PATIENCE = 1.0
"""Seconds that are waited for an answer, as with ``ping -W 1``."""
ECHO = 7
"""The port that is tried where none is named: that of the service that answers with what it was sent (RFC 862)."""
SETTLES = 1e-3  # seconds, after which also the last copy of a flooded frame has arrived
_FIRST_PORT = 49152  # of those that are free for any use (RFC 6335, 6)


def gates_of(cabinet: Cabinet, sender: str, target: str) -> tuple[Gate, Gate]:
    """The cards by which one machine would speak to another: two in one network where there are such.

    Raises
    ------
    HostError
        Where there is no such machine, or it has no card.
    """
    for name in (sender, target):
        if name not in cabinet.host.machines:
            raise HostError(f"This host has no machine {name!r:.40}.", "Name one of its machines.")
        if name not in cabinet.gates:
            raise HostError(f"{name} has no network card.", "Create it with nics=[network.port()].")
    if sender == target:
        raise HostError(f"{sender} is asked to reach itself.", "Name two machines.")
    pairs = [(one, other) for one in cabinet.gates[sender] for other in cabinet.gates[target]]
    return next((pair for pair in pairs if pair[0].port.network == pair[1].port.network), pairs[0])


def seen_by(
    cabinet: Cabinet,
    since: float,
    rows: Iterable[Row],
    series: tuple[Series, ...] = (),
    events: Iterable[Event] = (),
    how: str = "frames as events",
) -> Observation:
    """What was seen of a host's networks since a moment."""
    host = cabinet.host
    mechanisms = {"networks": f"{host.can('networks').mechanism}; {how}"}
    for ability, there in (
        ("firewall", any(g.port.rules or not g.port.spoof or _rules(cabinet, g) for g in cabinet.all_gates())),
        ("shaping", any(g.port.shape for g in cabinet.all_gates())),
    ):
        if there:
            mechanisms[ability] = host.can(ability).mechanism
    return Observation(
        seconds=host.now - since,
        rows=tuple(rows),
        series=series,
        events=tuple(events),
        provenance=Provenance("simulated", host.name, mechanisms=mechanisms, versions={"simpy": simpy.__version__}),
    )


def _rules(cabinet: Cabinet, gate: Gate) -> bool:
    return bool(cabinet.networks[gate.port.network].rules)


def _whose(cabinet: Cabinet) -> dict[str, str]:
    return {gate.stack.mac: gate.owner for gate in cabinet.all_gates()}


def reach(
    cabinet: Cabinet, pairs: Iterable[tuple[str, str]] | None, protocol: Reaching, port: int | None, claim: str
) -> Observation:
    """Try who reaches whom; see `labkit.host.networks.Networked.reach`."""
    if protocol not in get_args(Reaching):
        raise ValueError(f"protocol is one of {', '.join(get_args(Reaching))}, not {protocol!r:.40}")
    if port is not None:
        port = checked_whole("port", port, 1, 65535)
    port = None if protocol == "icmp" else port or ECHO
    if claim:
        claim = str(ipaddress.IPv4Address(claim))
    asked = list(permutations(cabinet.gates, 2) if pairs is None else pairs)
    cards = [gates_of(cabinet, *pair) for pair in asked]  # before anything is tried
    host, since = cabinet.host, cabinet.host.now
    rows = []
    cabinet.tape.start()
    for (sender, target), (one, other) in zip(asked, cards, strict=True):
        number = _FIRST_PORT + next(cabinet.numbers) % (65536 - _FIRST_PORT)
        to = number if port is None else port
        if port is not None:
            other.stack.listening.add((protocol, port))
        if claim:
            came = _claimed(one, other, protocol, number, to, claim)
        else:
            came = one.stack.probe(protocol, other.stack.address, number, to)
        before = other.stack.answered
        host.run_until(came, PATIENCE)
        # In another network or VLAN somebody else may have the same address, and have answered.
        value = float(came.triggered and came.value and (bool(claim) or other.stack.answered > before))
        rows.append(Row(machine=f"{sender}>{target}", quantity="reachable", unit="1", value=value))
        other.stack.listening.discard((protocol, to))
    said = f"{protocol}{'' if port is None else f' {port}'}{f' as {claim}' if claim else ''}"
    host.note(f"reach by {said}: {', '.join(map('>'.join, asked)) if len(asked) <= 8 else f'{len(asked)} pairs'}")
    events = told(cabinet.tape.stop(), since, _whose(cabinet))
    return seen_by(cabinet, since, rows, events=events)


def _claimed(one: Gate, other: Gate, protocol: str, number: int, port: int, claim: str) -> Moment:
    """Send a packet with another's address; comes when it arrives."""
    kind = {"icmp": "echo request", "tcp": "SYN", "udp": "request"}[protocol]
    packet = Packet(protocol, kind, claim, other.stack.address, number, port, SIZES[kind])
    came = other.stack.arrival(packet.flow)
    one.stack.send(packet)
    return came


def capture(cabinet: Cabinet, sender: str, target: str, count: int, known: bool) -> Observation:
    """Ping, and count who sees it; see `labkit.host.networks.Networked.capture`."""
    count = checked_whole("count", count, 1, 1000)
    one, other = gates_of(cabinet, sender, target)
    if one.port.network != other.port.network:
        raise HostError(f"{sender} and {target} are in no network together.", "Plug both into one.")
    for here, there in ((one, other), (other, one)):
        if known:
            here.stack.knows(there.stack.address, there.stack.mac, _tag(here, there))
        else:
            here.stack.forget(there.stack.address)
    host, since = cabinet.host, cabinet.host.now
    cabinet.tape.start()
    for _ in range(count):
        number = _FIRST_PORT + next(cabinet.numbers) % (65536 - _FIRST_PORT)
        host.run_until(one.stack.probe("icmp", other.stack.address, number, number), PATIENCE)
    host.advance(host.now + SETTLES)
    sightings = cabinet.tape.stop()
    frames = dict.fromkeys(host.machines, 0)
    for line in sightings:
        if line.sender == sender and _counts(line.frame.content):
            for name in {sender, *(name for name, _at in line.seen)} & frames.keys():  # routers see some too
                frames[name] += 1
    host.note(f"capture {count} pings from {sender} to {target}{'' if known else ', addresses unknown'}")
    rows = [Row(machine=name, quantity="frames", unit="1", value=float(number)) for name, number in frames.items()]
    return seen_by(cabinet, since, rows, events=told(sightings, since, _whose(cabinet)))


def _tag(here: Gate, there: Gate) -> int | None:
    """The tag with which one card speaks to another: at a trunk that of the first VLAN that both are in."""
    shared = set(here.port.trunk) & set(there.port.trunk or (there.port.vlan,))
    return min(shared, default=next(iter(here.port.trunk), None))


def _counts(content: Arp | Packet) -> bool:
    return content.asks if isinstance(content, Arp) else content.kind == "echo request"
