"""The first program of a private host: process 1 of namespaces that nobody else is in.

Picture an empty room with its own address book, its own network sockets in the wall, and a light switch at the door.
This program furnishes it: an empty ``/run``, libvirt's own directories, a ``/sys`` that shows the room's network and
not the computer's. It then starts libvirt's daemon, collects every process that ends, and stays. When the owner's pipe
closes, or the daemon ends, it ends too, and the kernel ends all else in the room with it (pid_namespaces(7)): there is
no way for a guest to stay behind.

Like the guardian it runs without labkit and without site packages.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

# mount(2)
_NOSUID, _NODEV, _NOEXEC, _BIND, _REC = 2, 4, 8, 4096, 16384

_libc = ctypes.CDLL(None, use_errno=True)

OWN = ("/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt")
"""Where libvirt's daemon keeps what it knows; the paths are built into it."""

QEMUS_ACCOUNT = ("libvirt-qemu", 64055)
"""The account that Debian's libvirt has for QEMU, and the number that Debian keeps for it (base-passwd's list)."""

NAME = "labkit-private"
"""What the process is called, so that the guardian knows it for ours; 15 letters at most (proc(5), comm)."""


def mount(source: str, target: str | Path, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Call mount(2).

    Raises
    ------
    OSError
        With what was to be mounted where, as its file name.
    """
    words = [os.fsencode(word) or None for word in (source, str(target), kind)]
    if _libc.mount(*words, ctypes.c_ulong(flags), data.encode() or None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"mount {kind or source} on {target}")


def _same_again(place: Path, aside: Path) -> None:
    """Put an own copy in the place of a directory, in which everything is as it was and more can be made.

    Each entry is bound from the directory itself, which nothing is written to; links stay links.
    """
    aside.mkdir(parents=True)
    mount(str(place), aside, flags=_BIND | _REC)
    mount("tmpfs", place, "tmpfs", _NOSUID | _NODEV, "mode=755")
    for entry in aside.iterdir():
        copy = place / entry.name
        with contextlib.suppress(PermissionError, FileNotFoundError):  # as they are for the owner too
            mode = entry.lstat().st_mode
            if stat.S_ISLNK(mode):
                copy.symlink_to(entry.readlink())
                continue
            if stat.S_ISDIR(mode):
                copy.mkdir()
            elif stat.S_ISREG(mode):
                copy.touch()
            else:
                continue
            mount(str(entry), copy, flags=_BIND | _REC)


def _empty_run(cache: Path, door: Path) -> None:
    """Cover ``/run``, where the sockets of the computer's services are; the learner's cache stays, should it be there.

    `door` is a directory outside ``/run`` by which the cache is carried over.
    """
    kept = cache.resolve()
    inside = kept.is_relative_to("/run")
    if inside:
        door.mkdir()
        mount(str(kept), door, flags=_BIND | _REC)
    mount("tmpfs", "/run", "tmpfs", _NOSUID | _NODEV, "mode=755")
    if inside:
        kept.mkdir(parents=True)
        mount(str(door), kept, flags=_BIND | _REC)


def _account(name: str, number: int, place: Path) -> None:
    """Let an account exist in here: libvirt, which takes itself for root's, asks for it, and QEMU never runs as it.

    Parameters
    ----------
    name, number : str, int
        Its name, and its id.
    place : pathlib.Path
        A directory for the changed files.
    """
    for file, line in (
        ("passwd", f"{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin"),
        ("group", f"{name}:x:{number}:"),
    ):
        there = Path("/etc", file).read_text()
        if not any(known.startswith(f"{name}:") for known in there.splitlines()):
            copy = place / file
            copy.write_text(f"{there.rstrip()}\n{line}\n")
            mount(str(copy), Path("/etc", file), flags=_BIND)


def furnish(configuration: Path, aside: Path, cache: Path) -> None:
    """Arrange the directories of the room.

    Parameters
    ----------
    configuration : pathlib.Path
        The directory that the daemon is to see as ``/etc/libvirt``.
    aside : pathlib.Path
        A path, below the room's own ``/run``, to keep in view what is covered.
    cache : pathlib.Path
        labkit's cache, with the guest's image and the saved boots, which is seen in any case.
    """
    _empty_run(cache, configuration.parent / "cache")
    for name in ("lock", "libvirt", "openvswitch"):
        Path("/run", name).mkdir()
    groups = aside / "cgroup"
    groups.mkdir(parents=True)
    mount("/sys/fs/cgroup", groups, flags=_BIND | _REC)
    # Which network /sys/class/net shows is decided when /sys is mounted.
    mount("sysfs", "/sys", "sysfs", _NOSUID | _NODEV | _NOEXEC)
    mount(str(groups), "/sys/fs/cgroup", flags=_BIND | _REC)
    for own in map(Path, OWN):
        if not own.is_dir():
            if not own.parent.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(own.parent))
            _same_again(own.parent, aside / own.parent.relative_to("/"))
            own.mkdir()
        mount("tmpfs", own, "tmpfs", _NOSUID | _NODEV, "mode=755")
    mount(str(configuration), OWN[0], flags=_BIND)
    _account(*QEMUS_ACCOUNT, configuration.parent)


def _reap() -> list[tuple[int, int]]:
    """Collect all that have ended: their numbers in here, and how."""
    ended = []
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended.append(found)
    return ended


def _keep(daemon: int, ends: Path) -> str:
    """Stay until the owner's pipe closes or the daemon ends; returns why it is over."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.set_blocking(reading, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writing)
    while True:
        for process, status in _reap():
            if process == daemon:
                return f"libvirt's daemon ended ({os.waitstatus_to_exitcode(status)})"
            if os.WIFSIGNALED(status):
                with contextlib.suppress(OSError), ends.open("a") as file:
                    file.write(f"{process} {os.WTERMSIG(status)}\n")
        ready, _, _ = select.select([0, reading], [], [])
        if reading in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(reading, 4096)
        if 0 in ready and not os.read(0, 1):
            return "the owner is gone"


def main() -> None:
    """Furnish, start the daemon, and stay."""
    settings: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    root = Path(settings["root"])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    Path("/proc/self/comm").write_text(NAME)
    # /proc is still the computer's, in which this process has another number than its own 1.
    outside = Path("/proc/self").readlink()
    try:
        mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
        furnish(root / "etc", Path("/run/labkit"), Path(settings["cache"]))
        cache = Path(OWN[2], "qemu")
        cache.mkdir()
        (cache / "capabilities").symlink_to(root / "capabilities")
        subprocess.run([settings["ip"], "link", "set", "lo", "up"], check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"{error}")
    print(outside, flush=True)
    daemon = subprocess.Popen(
        [settings["libvirtd"], "-f", str(root / "etc" / "libvirtd.conf"), "-p", "/run/libvirtd.pid"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        env=settings["environment"],
        cwd="/",
        preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)],
    )
    why = _keep(daemon.pid, root / "ends")
    if why != "the owner is gone":
        print(why, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
