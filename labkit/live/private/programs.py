"""The programs that a private host is made of: which are here, what each is for, and where the others come from.

All are found without root's search path, since an ordinary user's often leaves out ``/usr/sbin``, and none of them is
ever started as a service of the system.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from labkit.host import HostError

__all__ = ["FILTERING", "LOOKING", "NETWORKS", "OPENING", "SHAPING", "Part", "absent", "environment", "find", "require"]

_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Part:
    """A program that is needed.

    Parameters
    ----------
    program : str
        Its name.
    package : str
        Debian's package of it.
    """

    program: str
    package: str


OPENING = (
    Part("libvirtd", "libvirt-daemon"),
    Part("qemu-system-x86_64", "qemu-system-x86"),
    Part("unshare", "util-linux"),
    Part("nsenter", "util-linux"),
    Part("ip", "iproute2"),
)
"""What it takes to open one."""

AS_USER = (Part("newuidmap", "uidmap"), Part("newgidmap", "uidmap"))
"""What it takes besides where an ordinary user does: the programs that hand out the user's own spare ids."""

NETWORKS = (Part("dnsmasq", "dnsmasq-base"), Part("iptables", "iptables"))
"""What libvirt's own networks ask for, those of ``virsh net-create``: DHCP and NAT. The lessons' switches do not."""

SHAPING = (Part("tc", "iproute2"),)
"""What it takes to hold a machine's sending back."""

FILTERING = (Part("iptables", "iptables"), Part("ip6tables", "iptables"), Part("ebtables", "iptables"))
"""What libvirt's nwfilter calls."""

LOOKING = (Part("tcpdump", "tcpdump"),)
"""What it takes to see who sees which frame."""


def find(program: str) -> str | None:
    """The path of a program, or None."""
    return shutil.which(program, path=f"{_PLACES}:{os.environ.get('PATH', '')}")


def absent(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Those of some parts that are not here."""
    return tuple(part for part in parts if find(part.program) is None)


def require(parts: tuple[Part, ...], what: str) -> None:
    """Refuse what cannot be for want of a program.

    Parameters
    ----------
    parts : tuple of Part
        What is needed.
    what : str
        What for, as the subject of a sentence: ``"A private host"``.

    Raises
    ------
    HostError
        With all that is missing, and the packages that hold it.
    """
    if missing := absent(parts):
        programs = ", ".join(part.program for part in missing)
        packages = " ".join(dict.fromkeys(part.package for part in missing))
        raise HostError(
            f"{what} needs {programs}, not installed here.",
            f"Run ./course open; or, as root: apt-get install --no-install-recommends {packages} (it starts nothing).",
        )


def environment(*, before: tuple[Path, ...] = (), libraries: tuple[Path, ...] = ()) -> dict[str, str]:
    """What programs inside are told: where programs are, and nothing of the learner's own.

    Parameters
    ----------
    before : tuple of pathlib.Path
        Directories of programs that come first.
    libraries : tuple of pathlib.Path
        Directories of libraries that these need and the system does not have.
    """
    path = ":".join([*map(str, before), _PLACES])
    told = {"PATH": path, "LC_ALL": "C", "HOME": "/run"}
    if libraries:
        told["LD_LIBRARY_PATH"] = ":".join(map(str, libraries))
    return told
