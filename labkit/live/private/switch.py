"""Open vSwitch inside a private host: a switch with VLANs, run as two ordinary programs.

Its userspace datapath asks nothing of the kernel but taps. Where the package is not installed, it is downloaded and
unpacked into labkit's cache like the guest's own programs: so no service of the system is ever there to be started.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labkit.host import HostError
from labkit.live.image_packages import OwnFiles, Packages
from labkit.live.places import cache_root
from labkit.live.private import programs
from labkit.live.private.room import Room

__all__ = ["Learnt", "Programs", "add", "environment", "fetch", "found", "learnt", "start"]

_PACKAGES = ("openvswitch-switch", "openvswitch-common")
_DAEMONS = ("ovsdb-server", "ovs-vswitchd")
_TOOLS = ("ovsdb-tool", "ovs-vsctl", "ovs-appctl", "ovs-ofctl")
_SCHEMA = "vswitch.ovsschema"
_RUN = "/run/openvswitch"
_lock = threading.Lock()


@dataclass(frozen=True)
class Programs:
    """Where Open vSwitch is.

    Parameters
    ----------
    programs, libraries : pathlib.Path or None
        The directories of a copy in the cache; None for the system's own.
    vswitchd : str
        The switch's daemon.
    schema : pathlib.Path
        What its database is made from.
    """

    programs: Path | None
    libraries: Path | None
    vswitchd: str
    schema: Path


def _cached() -> Path:
    """Where a copy lies; one for each distribution and its version, as it uses the system's libraries."""
    system = {"ID": "linux", "VERSION_ID": ""}
    with contextlib.suppress(OSError):
        system |= platform.freedesktop_os_release()
    return cache_root() / "programs" / f"openvswitch-{system['ID']}{system['VERSION_ID']}"


def found() -> Programs | None:
    """Where Open vSwitch is: in the system, or in labkit's cache; None where it is in neither."""
    schema = Path("/usr/share/openvswitch") / _SCHEMA
    daemon = programs.find("ovs-vswitchd")
    if daemon and schema.is_file() and all(map(programs.find, ("ovsdb-server", *_TOOLS))):
        return Programs(None, None, daemon, schema)
    cached = _cached()
    if (cached / "made.json").is_file():
        return Programs(cached / "bin", cached / "lib", str(cached / "bin" / "ovs-vswitchd"), cached / _SCHEMA)
    return None


def environment() -> dict[str, str]:
    """What programs in a private host are told, so that libvirt and the learner find Open vSwitch there.

    The cache's directories are named whether they are filled yet or not: it may be fetched while the host is open.
    """
    if (there := found()) and there.programs is None:
        return programs.environment()
    return programs.environment(before=(_cached() / "bin",), libraries=(_cached() / "lib",))


def fetch(tell: Callable[[str], None] = lambda _sentence: None) -> Programs:
    """Have Open vSwitch: where it is nowhere yet, unpack the distribution's packages into labkit's cache.

    Parameters
    ----------
    tell : callable
        Told in words what is going on.

    Raises
    ------
    HostError
        Where there is no apt, or the packages cannot be downloaded.
    """
    with _lock:
        if there := found():
            return there
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            raise HostError(
                "Open vSwitch is not installed here, and there is no apt to get it with.",
                "Install your distribution's package openvswitch; its service need not run.",
            )
        (cache_root() / "programs").mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=cache_root() / "programs") as work:
            packages = Packages(Path(work), tell)
            packages.fetch(_PACKAGES)
            made = Path(work) / "made"
            _lay_out(packages, Path(work) / "unpacked", made)
            shutil.rmtree(_cached(), ignore_errors=True)
            with contextlib.suppress(FileExistsError):  # another process was quicker
                made.rename(_cached())
    there = found()
    assert there is not None
    return there


def _lay_out(packages: Packages, unpacked: Path, made: Path) -> None:
    """Gather the programs, and those libraries that this system does not have."""
    for name in ("bin", "lib"):
        (made / name).mkdir(parents=True)
    own = OwnFiles()
    for name in (*_DAEMONS, *_TOOLS):
        files = [file for file in sorted(unpacked.rglob(name)) if file.is_file() and os.access(file, os.X_OK)]
        if not files:
            raise HostError(f"The packages of Open vSwitch do not hold {name}.", "Install openvswitch-switch instead.")
        shutil.copy2(files[0], made / "bin" / name)
        try:
            own.libraries(files[0])
            continue  # all of them are in the system
        except HostError:
            wanted = packages.libraries(files[0])
        for library, file in wanted.items():
            if "/" not in library and not _in_system(library):
                shutil.copy2(file, made / "lib" / library)
    shutil.copy2(next(iter(unpacked.rglob(_SCHEMA))), made / _SCHEMA)
    (made / "made.json").write_text(json.dumps(packages.contents()))


def _in_system(library: str) -> bool:
    with contextlib.suppress(HostError):
        return OwnFiles._library(library).is_file()
    return False


def start(room: Room, tell: Callable[[str], None] = lambda _sentence: None) -> None:
    """Start Open vSwitch in a private host, where it does not run yet.

    Raises
    ------
    HostError
        Where it cannot be had, or does not start.
    """
    there = fetch(tell)
    with _lock:
        if _runs(room, "ovs-vswitchd"):
            return
        quiet = ["--detach", "--no-chdir", "-vconsole:off", "-vsyslog:off"]
        database, socket = f"{_RUN}/conf.db", f"unix:{_RUN}/db.sock"
        # An interrupt may have come after any of these, so each begins where the one before left off.
        if not _runs(room, "ovsdb-server"):
            room.run(["rm", "-f", database, f"{_RUN}/.conf.db.~lock~"])
            room.run(["ovsdb-tool", "create", database, str(there.schema)])
            remote = f"--remote=p{socket}"
            room.run(["ovsdb-server", database, remote, *quiet, f"--pidfile={_RUN}/ovsdb-server.pid"])
        room.run(["ovs-vsctl", "--no-wait", "init"])
        room.run([there.vswitchd, socket, *quiet, f"--pidfile={_RUN}/ovs-vswitchd.pid"])


def _runs(room: Room, daemon: str) -> bool:
    return room.run(["ovs-appctl", "-t", daemon, "version"], check=False).returncode == 0


def add(room: Room, name: str) -> None:
    """Make a switch; libvirt then connects cards to it by its name.

    Parameters
    ----------
    room : Room
        Where.
    name : str
        Its name, which is also that of its own network device: 15 letters at most.
    """
    room.run(["ovs-vsctl", "add-br", name, "--", "set", "bridge", name, "datapath_type=netdev"])


@dataclass(frozen=True)
class Learnt:
    """One entry of a switch's table: behind which port a card is.

    Parameters
    ----------
    port : str
        The port's name, as libvirt gave it to the machine's tap.
    vlan : int
        In which VLAN; 0 for none.
    mac : str
        The card's address.
    age : int
        Seconds since it was last heard of.
    """

    port: str
    vlan: int
    mac: str
    age: int


def learnt(room: Room, name: str) -> tuple[Learnt, ...]:
    """What a switch has learnt about who is where (``ovs-appctl fdb/show``)."""
    ports = dict(re.findall(r"^\s*(\d+)\(([^)]+)\)", room.run(["ovs-ofctl", "show", name]).stdout, re.MULTILINE))
    found = []
    for line in room.run(["ovs-appctl", "fdb/show", name]).stdout.splitlines()[1:]:
        port, vlan, mac, age = line.split()
        if age.isdigit():
            found.append(Learnt(ports.get(port, port), int(vlan), mac, int(age)))
    return tuple(found)
