"""Reaching libvirt: its QEMU driver inside this very process, or the daemon that a person names.

libvirt is imported late and only here and where its constants are needed: everything simulated works without it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import grp
import os
import pwd
import shutil
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labkit.host import HostError
from labkit.live import guardian, ownership, reaping
from labkit.live.errors import translated
from labkit.live.places import cache_root
from labkit.live.shares import control_groups_writable

if TYPE_CHECKING:
    import libvirt

__all__ = ["Driver", "embedded", "load_libvirt", "named", "settings_for_qemu"]

INSTALL = "Run ./course open, which installs what is missing and says what."


@dataclass(frozen=True)
class Driver:
    """A way to libvirt.

    Parameters
    ----------
    connection : libvirt.virConnect
        The open connection.
    uri : str
        What it is a connection to.
    root : pathlib.Path or None
        The directory of an embedded host; None for a daemon's.
    id : str
        The unique part of the names of the machines made through it.
    """

    connection: libvirt.virConnect
    uri: str
    root: Path | None
    id: str

    @property
    def privileged(self) -> bool:
        """Whether libvirt runs as root and so may set control groups itself."""
        return os.geteuid() == 0 if self.root else urlsplit(self.uri).path == "/system"

    @property
    def where(self) -> str:
        """In words where its machines run; for one whose directory is on this computer."""
        return "this computer"

    def threads_here(self, process: int, threads: list[int]) -> list[int]:
        """The numbers out here of threads that QEMU names; `process` is its own number out here.

        They are the same, but in a private host, whose processes are counted anew (`labkit.live.private`).
        """
        del process
        return threads


@functools.cache
def load_libvirt() -> ModuleType:
    """Import libvirt, start its event loop, and keep its messages off the screen.

    Raises
    ------
    HostError
        Where it cannot be imported, with what to install.
    """
    # libvirt reads this once, at its first call. What goes wrong it also raises, and a notebook is no place for a log.
    os.environ.setdefault("LIBVIRT_LOG_OUTPUTS", "4:file:/dev/null")
    try:
        import libvirt
    except ImportError as error:
        raise HostError("The Python module libvirt is not installed here.", INSTALL) from error
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()

    def turn() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=turn, name="labkit-libvirt-events", daemon=True).start()
    return libvirt


def settings_for_qemu(*, as_root: bool) -> dict[str, str]:
    """The driver's settings: QEMU runs as whoever runs us, and logs to files.

    With the default log daemon each start waits 76 s for it, and with another user for QEMU libvirt's cached
    capabilities never count as valid where /dev/kvm is not open to that user.

    Parameters
    ----------
    as_root : bool
        Whether libvirt takes itself for root's, as it also does in a user namespace.
    """
    settings = {"stdio_handler": '"file"', "security_driver": '"none"', "namespaces": "[]", "remember_owner": "0"}
    if as_root:
        group = os.getegid() if os.geteuid() == 0 else 0
        settings |= {"user": f'"{pwd.getpwuid(0).pw_name}"', "group": f'"{grp.getgrgid(group).gr_name}"'}
        if os.geteuid() or not control_groups_writable():
            settings["cgroup_controllers"] = "[]"  # libvirt would wait for groups that it cannot make
    return settings


def _configure(root: Path) -> None:
    """Write the driver's settings where it looks for them."""
    settings = settings_for_qemu(as_root=os.geteuid() == 0)
    (root / "etc").mkdir(mode=0o700)
    (root / "etc" / "qemu.conf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))


def _remembered_capabilities() -> Path:
    """Where libvirt's capability cache is kept between hosts: finding them out anew takes seconds.

    libvirt checks each entry against QEMU, the kernel and /dev/kvm by itself, so an old one does no harm.
    """
    return cache_root() / "capabilities" / f"user-{os.geteuid()}"


_lock = threading.Lock()
_open: Driver | None = None
_opened_by = 0


def embedded() -> Driver:
    """libvirt's QEMU driver in this process, opened once and shared by every host of the process.

    Raises
    ------
    HostError
        Where libvirt or its QEMU driver is missing or does not start.
    """
    global _open
    with _lock:
        if _open is None:
            _open = _start_embedded()
        elif _open.root is None or not _open.root.is_dir() or _opened_by != os.getpid():
            raise HostError(
                "The live host of this process has been cleared away, or belongs to the process it was forked from.",
                "Restart the notebook's kernel, or begin a new process.",
            )
        return _open


def _start_embedded() -> Driver:
    global _opened_by
    if not sys.platform.startswith("linux"):
        raise HostError("Live guests need Linux.", "The simulated host works everywhere.")
    if shutil.which("qemu-system-x86_64") is None:
        raise HostError("QEMU is not installed here.", INSTALL)
    owned, pipe = ownership.settle_in()
    root = Path(owned.root)
    try:
        libvirt = load_libvirt()
        reaping.adopt_orphans()
        _configure(root)
        remembered = _remembered_capabilities()
        if remembered.is_dir():
            with contextlib.suppress(OSError):  # also where another process is just writing it
                shutil.copytree(remembered, root / "cache" / "qemu" / "capabilities")
        uri = f"qemu:///embed?root={root}"
        with translated("open libvirt's QEMU driver"), reaping.collecting():
            connection = libvirt.open(uri)
            connection.getVersion()  # finds out what QEMU can do, and files it
        _opened_by = os.getpid()
        with contextlib.suppress(OSError):  # only a memory; a full disk must not stop a host that works
            shutil.copytree(root / "cache" / "qemu" / "capabilities", remembered, dirs_exist_ok=True)
    except BaseException:
        os.close(pipe)
        raise
    atexit.register(_leave, connection, str(root), pipe)
    return Driver(connection, uri, root, owned.id)


def _leave(connection: libvirt.virConnect, root: str, pipe: int) -> None:
    """End at once what the guardian would end a moment later, so that an exit leaves nothing even for that moment."""
    if os.getpid() != _opened_by:
        return  # a forked child that ends has nothing to clear away
    connection.close()
    guardian.end_everything(root, quiet=0.0 if not guardian.processes_of(root) else 0.2)
    os.close(pipe)


def named(uri: str) -> Driver:
    """The libvirt that a person names, such as ``qemu:///system`` or ``qemu+ssh://host/system``.

    Raises
    ------
    HostError
        Where it cannot be reached, with libvirt's own words; or where it is an embedded host, whose guests nobody
        would end.
    """
    if uri.partition("?")[0].endswith(":///embed"):
        raise HostError(
            f"{uri:.80} is a host inside this process, and labkit makes that one itself.",
            "Name no address, and unset LABKIT_URI, to have it.",
        )
    libvirt = load_libvirt()
    with translated(f"reach {uri}"):
        connection = libvirt.open(uri)
    return Driver(connection, uri, None, os.urandom(4).hex())
