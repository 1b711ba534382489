"""What a firewall between a bridge's ports asks of the kernel, and what that would do to the computer's own bridges.

libvirt's nwfilter keeps its books with iptables, which looks at packets; it sees what passes from port to port of a
bridge only with the kernel's module br_netfilter. A private host has the module's settings for itself (Linux 5.3 and
later), but a module is loaded for the whole computer: from then on the frames of the computer's own bridges, docker0
or virbr0, pass the computer's own iptables too, and may be thrown away there. The kernel loads it by itself as soon as
a rule asks for it, so this has to be looked at before.

Source: Documentation/networking/ip-sysctl.rst, /proc/sys/net/bridge; net/netfilter/xt_physdev.c.
"""

from __future__ import annotations

from pathlib import Path

from labkit.host import HostError
from labkit.live.private.room import Room

__all__ = ["require_harmless", "require_in_force"]

SETTINGS = Path("/proc/sys/net/bridge")  # there where the module is
LINKS = Path("/sys/class/net")
_LOADED = "modprobe br_netfilter && sysctl -w " + " ".join(
    f"net.bridge.bridge-nf-call-{tables}=0" for tables in ("iptables", "ip6tables", "arptables")
)


def require_harmless() -> None:
    """Refuse a firewall that would change how the computer's own bridges work.

    Raises
    ------
    HostError
        Where the module is not loaded yet and the computer has bridges; with how to load it so that these stay as they
        are.
    """
    if SETTINGS.is_dir():
        return
    if bridges := sorted(place.parent.name for place in LINKS.glob("*/bridge")):
        raise HostError(
            "A firewall needs the kernel's module br_netfilter, and with it frames on this computer's own bridges"
            f" ({', '.join(bridges)}) would pass its iptables too.",
            f"As root, load it so that these stay as they are: {_LOADED}",
        )


def require_in_force(room: Room) -> None:
    """Make sure that a private host's iptables is shown what passes its bridges, once a rule has asked for that.

    Raises
    ------
    HostError
        Where it is not, and rules would let everything through.
    """
    shown = room.run(["cat", str(SETTINGS / "bridge-nf-call-iptables")], check=False).stdout.strip()
    if shown != "1":
        raise HostError(
            "The kernel does not show iptables what passes a bridge, so rules would let everything through.",
            f"As root: {_LOADED}; it takes Linux 5.3 or later.",
        )
