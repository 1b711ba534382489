"""Who reaches whom: real guests ping each other, connect to each other, or ask each other by UDP.

All senders try at the same time, and each tries all its targets at once. A try that fails is made once more, since a
guest that is emulated beside others may be slow: a wall stays one however often it is tried.
"""

from __future__ import annotations

import ipaddress
import shlex
import time
from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import TYPE_CHECKING, get_args

from labkit.host import HostError, Observation, Row
from labkit.host.networks import Reaching
from labkit.live.net.cables import Cable, between, require_machines, through
from labkit.live.net.network import room_of
from labkit.live.private.watching import Capture

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["reach"]

PORT = 7  # where nobody asks for another: the service that answers with what it was sent (RFC 862)
PATIENCE = 120.0  # seconds for all tries of a guest
LISTENS = 30.0  # seconds for a guest to begin to listen

# $1 is the port. busybox's nc serves one connection after the other; what is said in it does not matter.
_TCP_SERVER = (
    'nc -ll -p "$1" -e /bin/true >/dev/null 2>&1 & echo $!; until netstat -ltn | grep -q ":$1 "; do usleep 20000; done'
)
_UDP_SERVER = """
/tools/bin/python3 -I -S -c '
import _socket, sys
here = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
here.bind(("0.0.0.0", int(sys.argv[1])))
while True:
    here.sendto(*here.recvfrom(2048))
' "$1" >/dev/null 2>&1 &
echo $!
until netstat -lun | grep -q ":$1 "; do usleep 20000; done
"""
# $1 is the address, $2 the port.
_UDP_CLIENT = """
/tools/bin/python3 -I -S -c '
import _socket, sys
here = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
for _ in range(3):
    here.settimeout(1.0)
    try:
        here.sendto(b"labkit", (sys.argv[1], int(sys.argv[2])))
        here.recv(64)
        sys.exit(0)
    except OSError:
        pass
sys.exit(1)
' "$1" "$2"
"""


def _tries(protocol: str, port: int, cable: Cable, other: Cable) -> str:
    """The command in a guest that ends well where it reached another."""
    address = other.ip
    if protocol == "icmp":
        name = through(cable, other)
        return f"for wait in 1 2; do ping -c 1 -W $wait -I {name} {address} && break; done"
    if protocol == "tcp":
        return f"for wait in 1 2; do nc -w $wait {address} {port} -e /bin/true && break; done"
    return f"sh -c {shlex.quote(_UDP_CLIENT)} sh {address} {port}"


def _by_hand(protocol: str, port: int, cable: Cable, other: Cable) -> str:
    """What a person would type in the guest."""
    if protocol == "icmp":
        return f"ping -c 1 -I {through(cable, other)} {other.ip}"
    return f"nc {'-u ' * (protocol == 'udp')}{other.ip} {port}"


def _checked(
    host: LiveHost, pairs: Iterable[tuple[str, str]] | None, protocol: str, port: int | None, claim: str
) -> list[tuple[str, str]]:
    if protocol not in get_args(Reaching):
        raise ValueError(f"a protocol is {', '.join(get_args(Reaching))}, not {protocol!r:.40}")
    if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535):
        raise ValueError(f"a port is a whole number from 1 to 65535, not {port!r:.40}")
    if claim:
        ipaddress.IPv4Address(claim)  # a ValueError where it is none
    known = host.machines
    asked = list(permutations(known, 2)) if pairs is None else [(str(a), str(b)) for a, b in pairs]
    require_machines(host, {name for pair in asked for name in pair})
    return asked


def reach(
    host: LiveHost, pairs: Iterable[tuple[str, str]] | None, protocol: str, port: int | None, claim: str
) -> Observation:
    """Try who reaches whom; see `labkit.host.networks.Networked.reach`."""
    asked = _checked(host, pairs, protocol, port, claim)
    number = port or PORT
    ways = {(a, b): between(host.machines[a], host.machines[b]) for a, b in asked}
    begun = time.monotonic()
    serving: dict[str, int] = {}
    try:
        if protocol != "icmp":
            for name in dict.fromkeys(b for (_, b), way in ways.items() if way):
                serving[name] = _serve(host.machines[name], protocol, number)
        if claim:
            reached = {pair for pair, way in ways.items() if way and _claimed(host, *way, protocol, number, claim)}
        else:
            reached = _all_at_once(host, {pair: way for pair, way in ways.items() if way}, protocol, number)
    finally:
        for name, process in serving.items():
            host.machines[name].agent.start(["/bin/kill", "-9", str(process)])
    rows = tuple(
        Row(machine=f"{a}>{b}", quantity="reachable", unit="1", value=float((a, b) in reached)) for a, b in asked
    )
    return Observation(time.monotonic() - begun, rows, (), (), host.provenance())


def _serve(machine: LiveMachine, protocol: str, port: int) -> int:
    """Let a guest listen; its process there."""
    script = _TCP_SERVER if protocol == "tcp" else _UDP_SERVER
    done = machine.agent.run(["/bin/sh", "-c", script, "sh", str(port)], LISTENS)
    if done.status or not done.output.strip().isdigit():
        raise HostError(f"{machine.name} does not listen at {port}: {done.errors.strip() or 'nothing was said'}.")
    return int(done.output)


def _all_at_once(
    host: LiveHost, ways: Mapping[tuple[str, str], tuple[Cable, Cable]], protocol: str, port: int
) -> set[tuple[str, str]]:
    running: dict[str, int] = {}
    for sender in dict.fromkeys(a for a, _ in ways):
        tries = [
            f"( {{ {_tries(protocol, port, *way)}; }} >/dev/null 2>&1 && echo {b} ) &"
            for (a, b), way in ways.items()
            if a == sender
        ]
        script = "\n".join([*tries, "wait"])
        running[sender] = host.machines[sender].agent.start(["/bin/sh", "-c", script], capture=True)
        for (a, _), way in ways.items():
            if a == sender:
                host.comment(f"in {a}: {_by_hand(protocol, port, *way)}")
    reached: set[tuple[str, str]] = set()
    ends = time.monotonic() + PATIENCE
    while running:
        for sender, process in list(running.items()):
            if finished := host.machines[sender].agent.finished(process):
                reached |= {(sender, target) for target in finished.output.split()}
                del running[sender]
        if time.monotonic() > ends:
            raise HostError(f"{', '.join(running)} did not end trying within {PATIENCE:g} s.", "Try it again.")
        time.sleep(0.02)
    return reached


def _claimed(host: LiveHost, cable: Cable, other: Cable, protocol: str, port: int, claim: str) -> bool:
    """Whether the first packet of one who gives an address for its own arrives; seen at the target's tap."""
    name = through(cable, other)
    prepare = f"ip addr add {claim}/32 dev {name}; ip route replace {other.ip}/32 dev {name} src {claim}"
    back = f"ip route del {other.ip}/32 dev {name}; ip addr del {claim}/32 dev {name}"
    if cable.port.trunk:
        back += f"; ip route replace {other.ip}/32 dev {name} src {cable.ip}"
    kind = f"{protocol} and dst port {port}" if protocol != "icmp" else "icmp[icmptype]==icmp-echo"
    tried = _tries(protocol, port, cable, other).replace(f"-I {name}", f"-I {claim}").replace("in 1 2;", "in 2;")
    with Capture(room_of(host), other.tap, f"ether src {cable.mac} and src host {claim} and {kind}") as seen:
        cable.machine.agent.run(["/bin/sh", "-c", f"{prepare}; {{ {tried}; }} >/dev/null 2>&1; {back}"], PATIENCE)
    return bool(seen.frames)
