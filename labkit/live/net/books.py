"""A book of its own for each doorkeeper: the kernel's conntrack, in a zone apart.

A private host has one conntrack table. Without zones the doorkeepers of all ports would write into it together, of all
networks and of machines that have gone: who was let in under an old list would count as expected under a new one for
half a minute, whatever that says, as soon as a ping or a port has the same numbers again. And guests that are clones
of one saved boot do have the same numbers.

So what comes in at either side of a port's little bridge is written into a zone that no port had before
(iptables-extensions(8), CT and its ``--zone``). OpenStack's firewall for hybrid plugging does the same.
"""

from __future__ import annotations

import itertools

__all__ = ["closing", "new_number", "opening"]

_numbers = itertools.cycle(range(1, 65_536))  # zone 0 is that of all others; a process has one private host at a time


def new_number() -> int:
    """The zone of a book that is not opened yet."""
    return next(_numbers)


def opening(number: int, *devices: str) -> list[list[str]]:
    """The commands by which all that comes in at some devices of a bridge is written into one book.

    Parameters
    ----------
    number : int
        Its zone.
    *devices : str
        Ports of a bridge.
    """
    return [_command("-A", number, device) for device in devices]


def closing(number: int, *devices: str) -> list[list[str]]:
    """The commands that take away what those of `opening` have set."""
    return [_command("-D", number, device) for device in devices]


def _command(how: str, number: int, device: str) -> list[str]:
    looks = ["-m", "physdev", "--physdev-in", device]
    return ["iptables", "-w", "-t", "raw", how, "PREROUTING", *looks, "-j", "CT", "--zone", str(number)]
