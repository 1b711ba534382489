"""Shaping: a token bucket at a network device of a private host.

libvirt's own ``<bandwidth>`` has no peak for what a machine sends: that is policed, which drops at once what comes too
fast, and its ``peak`` is ignored (formatnetwork, "Quality of service"). For what a machine receives it is a tree of HTB
classes whose leaves are SFQ queues, and fails where the kernel has no SFQ. Linux's TBF, which is one token bucket with
an optional second one for the peak, does what is asked (tc-tbf(8)): in any time t at most min(burst + average·t,
MTU + peak·t) bytes pass, and what comes too fast waits. It holds back what leaves the device; for what a machine sends
that is the device behind its tap (`labkit.live.net.cables`).

Bytes are those of whole frames, headers included: of TCP's full frames 1448 of 1514 are the program's own.
"""

from __future__ import annotations

from labkit.host import HostError
from labkit.live.private.room import Room

__all__ = ["shape"]

FRAME = 1600  # bytes; the second bucket holds one frame of Ethernet with its header and a VLAN tag, rounded up
LATENCY = "50ms"
"""From it tc reckons how many bytes may wait: rate·latency + burst, or at a peak peak·latency + one frame where that is
less (tc-tbf(8)). Behind an empty bucket the last of so many waits longer than that."""


def shape(room: Room, device: str, average: float, *, peak: float | None = None, burst: float) -> list[str]:
    """Let no more leave a device than a token bucket allows.

    Parameters
    ----------
    room : Room
        The private host.
    device : str
        Which.
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
