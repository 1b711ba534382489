"""Opening a private host: libvirt's own daemon, started in namespaces that nobody else is in.

What happens, as commands (root needs no ``--user`` part)::

    unshare --user --map-root-user --map-auto --net --mount --ipc --uts --pid --fork --kill-child first.py
    libvirtd -f DIRECTORY/etc/libvirtd.conf
    virsh -c qemu+unix:///system?socket=DIRECTORY/sock/libvirt-sock

Nothing of the computer's own network can be seen from in there, let alone changed, and no traffic has a way out. What
may stay of it are modules that the kernel has loaded; for the one that the computer's own network would feel see
`labkit.live.private.bridged`.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.live import guardian, ownership
from labkit.live.driver import Driver, load_libvirt, settings_for_qemu
from labkit.live.errors import explained, translated
from labkit.live.places import cache_root
from labkit.live.private import first, forbidden, programs, switch
from labkit.live.private.room import Room

if TYPE_CHECKING:
    import libvirt

__all__ = ["PrivateDriver", "open_private", "shared"]

PATIENCE = 20.0  # seconds for the daemon to answer; on an idle computer it takes a fraction of one


@dataclass(frozen=True)
class PrivateDriver(Driver):
    """The way to libvirt in a private host.

    Parameters
    ----------
    room : Room
        Its namespaces.
    pipe : int
        The host ends when this file descriptor closes; at the latest the kernel closes it, with this process.
    guardian_pipe : int
        The same for the guardian, which clears the directory away.
    launcher : subprocess.Popen
        The program in whose hands the namespaces are.
    """

    room: Room
    pipe: int
    guardian_pipe: int
    launcher: subprocess.Popen[str] = field(repr=False)
    opened_by: int = field(default_factory=os.getpid)
    closed: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def where(self) -> str:
        """In words where its machines run."""
        return "a private host on this computer"

    def run(self, command: Sequence[str | Path], *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program inside; see `Room.run`."""
        return self.room.run(command, check=check)

    def threads_here(self, process: int, threads: list[int]) -> list[int]:
        """The numbers out here of threads that QEMU names; see `Driver.threads_here`."""
        known = self.room.threads(process)
        return [known[thread] for thread in threads]

    @property
    def open(self) -> bool:
        """Whether it is still there."""
        return self.opened_by == os.getpid() and not self.closed.is_set() and self.launcher.poll() is None

    def close(self) -> None:
        """End it with all that is in it, and remove its directory; closing twice is no error."""
        if os.getpid() != self.opened_by or self.root is None or self.closed.is_set():
            return  # a forked child has nothing of its own here; and a pipe's number may be another file's by now
        self.closed.set()
        atexit.unregister(self.close)
        import libvirt

        with contextlib.suppress(libvirt.libvirtError):  # the daemon may be gone before us
            self.connection.close()
        _end(self.launcher, self.root, self.pipe, self.guardian_pipe)


def _end(launcher: subprocess.Popen[str], root: Path, *pipes: int) -> None:
    for pipe in pipes[:-1]:
        with contextlib.suppress(OSError):
            os.close(pipe)
    try:
        launcher.wait(5)
    except subprocess.TimeoutExpired:
        launcher.kill()  # with --kill-child, which takes all inside with it
        launcher.wait(5)
    if launcher.stdout:
        launcher.stdout.close()
    if root.exists():
        guardian.end_everything(str(root), quiet=0.0 if not guardian.processes_of(str(root)) else 0.2)
    with contextlib.suppress(OSError):
        os.close(pipes[-1])


def _remembered() -> Path:
    """Where libvirt's capability cache is kept between private hosts; libvirt checks it by itself."""
    return cache_root() / "capabilities" / f"private-{os.geteuid()}"


def _configure(root: Path) -> None:
    """Write the daemon's settings, and those of its QEMU driver."""
    sock = root / "sock"
    daemon = {
        "unix_sock_dir": f'"{sock}"',
        "unix_sock_rw_perms": '"0700"',
        "auth_unix_rw": '"none"',  # the directory lets nobody in but its owner
        "auth_unix_ro": '"none"',
        "host_uuid": f'"{uuid.uuid4()}"',
        "log_outputs": f'"3:file:{root}/libvirtd.log"',
    }
    qemu = settings_for_qemu(as_root=True)
    for directory in (root / "etc", sock):
        directory.mkdir(mode=0o700)
    for name, settings in (("libvirtd.conf", daemon), ("qemu.conf", qemu)):
        (root / "etc" / name).write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
    capabilities = root / "capabilities"
    with contextlib.suppress(OSError):  # also where there is none yet, or another process is just writing it
        shutil.copytree(_remembered(), capabilities)
    capabilities.mkdir(exist_ok=True)


def _launch(root: Path, told: dict[str, str]) -> tuple[subprocess.Popen[str], int]:
    """Make the namespaces, with their first program; returns its launcher and the pipe that keeps it alive."""
    settings = {
        "root": str(root),
        "libvirtd": programs.find("libvirtd"),
        "ip": programs.find("ip"),
        "cache": str(cache_root()),
        "environment": told,
    }
    (root / "private.json").write_text(json.dumps(settings))
    kinds = ["--net", "--mount", "--ipc", "--uts", "--pid", "--fork", "--kill-child"]
    if os.geteuid():
        kinds = ["--user", "--map-root-user", "--map-auto", *kinds]
    reading, writing = os.pipe()
    try:
        with (root / "first.log").open("w") as log:
            launcher = subprocess.Popen(
                [programs.find("unshare") or "unshare", *kinds, "--"]
                + [sys.executable, "-I", "-S", str(first.__file__), str(root / "private.json")],
                stdin=reading,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd="/",
                env=told,
                start_new_session=True,  # Ctrl-C in a terminal is for the learner's program, not for this one
            )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return launcher, writing


def _answering(root: Path, launcher: subprocess.Popen[str]) -> libvirt.virConnect:
    """The connection to the daemon, as soon as it answers."""
    import libvirt

    socket = root / "sock" / "libvirt-sock"
    uri = address(root)
    ends = time.monotonic() + PATIENCE
    while launcher.poll() is None:
        if socket.exists():
            try:
                return libvirt.open(uri)
            except libvirt.libvirtError:  # the socket is there a moment before somebody listens
                if time.monotonic() > ends:
                    raise
        elif time.monotonic() > ends:
            break
        time.sleep(0.005)
    raise _why(root)


def _why(root: Path) -> HostError:
    """Why it did not open, by what its programs have said: the daemon's last complaint, or else the first program's."""
    said = {"first.log": "", "libvirtd.log": ""}
    for name in said:
        with contextlib.suppress(OSError):
            said[name] = (root / name).read_text(errors="replace")
    # The daemon's very last word is only that it gives up.
    complaints = re.findall(r": error : \S+ : (?!Driver state init)(.*)", said["libvirtd.log"])
    return forbidden.refused("\n".join([said["first.log"], *complaints[-1:]]))


def address(root: Path) -> str:
    """libvirt's address of the daemon of a private host, by the host's directory."""
    return f"qemu+unix:///system?socket={root}/sock/libvirt-sock"


def open_private() -> PrivateDriver:
    """Open a private host: libvirt with virtual networks, firewalls and bridges of its own.

    Returns
    -------
    PrivateDriver
        The way to it; a `labkit.live.livehost.LiveHost` can be opened on it.

    Raises
    ------
    HostError
        Where a program is missing or namespaces are not to be had, with the reason and the remedy.
    """
    if not sys.platform.startswith("linux"):
        raise HostError("A private host needs Linux.", forbidden.ELSEWHERE)
    parts = programs.OPENING + (programs.AS_USER if os.geteuid() else ())
    programs.require(parts, "A private host")
    if no := forbidden.foreseen():
        raise no
    load_libvirt()
    owned, guardian_pipe = ownership.settle_in()
    root = Path(owned.root)
    pipe, launcher = -1, None
    try:
        with explained("prepare the private host"):
            _configure(root)
            told = switch.environment()
            launcher, pipe = _launch(root, told)
        assert launcher.stdout is not None
        number = launcher.stdout.readline().strip()
        if not number:
            launcher.wait(5)
            raise _why(root)
        with translated("reach the private host's libvirt"):
            connection = _answering(root, launcher)
            connection.getVersion()  # finds out what QEMU can do, and files it
        with contextlib.suppress(OSError):  # only a memory; a full disk must not stop a host that works
            shutil.copytree(root / "capabilities", _remembered(), dirs_exist_ok=True)
        driver = PrivateDriver(
            connection,
            address(root),
            root,
            owned.id,
            room=Room(int(number), told, guardian.start_time(int(number))),
            pipe=pipe,
            guardian_pipe=guardian_pipe,
            launcher=launcher,
        )
    except BaseException:
        if launcher is not None:
            _end(launcher, root, pipe, guardian_pipe)
        else:
            os.close(guardian_pipe)
        raise
    atexit.register(driver.close)
    return driver


_lock = threading.Lock()
_shared: PrivateDriver | None = None


def shared() -> PrivateDriver:
    """The private host of this process, opened once and used by all who ask; anew where it has ended.

    Raises
    ------
    HostError
        As `open_private`.
    """
    global _shared
    with _lock:
        if _shared is None or not _shared.open or not _shared.root or not _shared.root.is_dir():
            if _shared is not None:
                _shared.close()
            _shared = open_private()
        return _shared
