"""Shaping: a token bucket on the host's end of a machine's cable for what it receives, a meter for what it sends.

libvirt's own ``<bandwidth>`` sets up a tree of HTB classes whose leaves are SFQ queues. Where the kernel has no SFQ
that fails, and Linux's TBF, which is one token bucket with an optional second one for the peak, does what is asked
(tc-tbf(8)): in any time t at most min(burst + average·t, MTU + peak·t) bytes pass. What a machine sends has no queue at
the host's end to wait in; it is policed, by a meter of Open vSwitch (ovs-ofctl(8), add-meter), which drops what is too
much and knows no peak, as libvirt's outbound ``<bandwidth>`` does.

Bytes are those of whole frames, headers included: of TCP's full frames 1448 of 1514 are the program's own.
"""

from __future__ import annotations

from labkit.host import HostError
from labkit.live.private.room import Room

__all__ = ["police", "shape", "unpolice", "unshape"]

FRAME = 1600  # bytes; the second bucket holds one frame of Ethernet with its header and a VLAN tag, rounded up
LATENCY = "50ms"  # how long a packet may wait for tokens before it is dropped


def shape(room: Room, device: str, average: float, *, peak: float | None = None, burst: float) -> list[str]:
    """Let a machine receive no more than a token bucket allows.

    Parameters
    ----------
    room : Room
        The private host.
    device : str
        The host's end of the machine's cable; what leaves it is what the machine receives.
    average, peak : float
        Mbit/s: for long, and for as long as the burst lasts.
    burst : float
        MB (10^6 bytes) that may pass at the peak rate.

    Returns
    -------
    list of str
        The command that did it.

    Raises
    ------
    HostError
        Where the numbers do not go together, or the kernel refuses.
    """
    if not average > 0 or not burst > 0 or (peak is not None and not peak > average):
        raise HostError("A bucket has average > 0, burst > 0 and peak > average.", "Change the numbers.")
    command = ["tc", "qdisc", "replace", "dev", device, "root", "tbf"]
    command += ["rate", f"{round(average * 1e6)}bit", "burst", f"{round(burst * 1e6)}b", "latency", LATENCY]
    if peak is not None:
        command += ["peakrate", f"{round(peak * 1e6)}bit", "mtu", str(FRAME)]
    room.run(command)
    return command


def unshape(room: Room, device: str) -> None:
    """Take the bucket away, if there is one."""
    room.run(["tc", "qdisc", "del", "dev", device, "root"], check=False)


def _port(room: Room, device: str) -> str:
    return room.run(["ovs-vsctl", "get", "interface", device, "ofport"]).stdout.strip()


def police(room: Room, switch: str, device: str, average: float, *, burst: float) -> list[list[str]]:
    """Drop what a machine sends beyond a token bucket; only on a port of Open vSwitch.

    Parameters
    ----------
    room : Room
        The private host.
    switch, device : str
        The switch, and the host's end of the machine's cable.
    average : float
        Mbit/s.
    burst : float
        MB (10^6 bytes) that may pass at once.

    Returns
    -------
    list of list of str
        The commands that did it.

    Raises
    ------
    HostError
        Where the numbers do not go together, or the switch refuses.
    """
    if not average > 0 or not burst > 0:
        raise HostError("A bucket has average > 0 and burst > 0.", "Change the numbers.")
    unpolice(room, switch, device)
    port = _port(room, device)
    bucket = f"rate={round(average * 1000)},burst_size={round(burst * 8000)}"  # kbit/s and kbit
    commands = [
        ["ovs-ofctl", "-O", "OpenFlow13", "add-meter", switch, f"meter={port},kbps,burst,band=type=drop,{bucket}"],
        [
            "ovs-ofctl",
            "-O",
            "OpenFlow13",
            "add-flow",
            switch,
            f"priority=100,in_port={port},actions=meter:{port},normal",
        ],
    ]
    for command in commands:
        room.run(command)
    return commands


def unpolice(room: Room, switch: str, device: str) -> None:
    """Take the meter away, if there is one."""
    port = _port(room, device)
    room.run(
        ["ovs-ofctl", "-O", "OpenFlow13", "--strict", "del-flows", switch, f"priority=100,in_port={port}"], check=False
    )
    room.run(["ovs-ofctl", "-O", "OpenFlow13", "del-meter", switch, f"meter={port}"], check=False)
