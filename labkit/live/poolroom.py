"""A small store of its own: a file system in memory that only this program has in its table of mounts.

Picture a cupboard that stands in a room with one door. This program makes the room (a mount namespace), puts the
cupboard in it (tmpfs, which gives out blocks of 4096 bytes until its size is reached), and sits at the door. Whoever
may look at this process reaches the cupboard through ``/proc/PID/root``, also from another namespace (proc(5)); nobody
else's list of mounts has it. An ordinary user may do so in a user namespace of his own (user_namespaces(7)). When this
program ends, the room goes, and the cupboard with it.

It ends when its owner closes its standard input or is gone. Like the guardian it runs without labkit and without site
packages. A line on standard input is a new size in bytes; each is answered by a line, ``ok`` or what went wrong.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from pathlib import Path

_NEWNS, _NEWUSER = 0x00020000, 0x10000000  # unshare(2)
_NOSUID, _NODEV, _REMOUNT, _REC, _SLAVE = 2, 4, 32, 16384, 1 << 19  # mount(2)

_libc = ctypes.CDLL(None, use_errno=True)


def _done(status: int, what: str) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    options = None if data is None else data.encode()
    _done(_libc.mount(*words, ctypes.c_ulong(flags), options), f"mount {kind or source}")


def make(place: str, size: int) -> None:
    """Make the room, and the store of `size` bytes in it.

    Raises
    ------
    OSError
        With what was not allowed as its file name.
    """
    user, group = os.geteuid(), os.getegid()
    _done(_libc.unshare(_NEWNS | (_NEWUSER if user else 0)), "unshare")
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    # What is mounted here would be seen outside else; what is unmounted outside goes here too, and is not kept busy.
    _mount("none", "/", None, _SLAVE | _REC, None)
    _mount("tmpfs", place, "tmpfs", _NOSUID | _NODEV, f"size={size},mode=700")


def _started(pid: int) -> str:
    """When a process started, so that its number is not taken for it once it is given out again."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _serve(place: str, owner: int, started: str) -> None:
    """Do what is asked, until the owner closes its end of standard input or is gone."""
    waiting = b""
    while _started(owner) == started:
        if not select.select([0], [], [], 1.0)[0]:
            continue
        read = os.read(0, 4096)
        if not read:
            return
        *lines, waiting = (waiting + read).split(b"\n")
        for line in lines:
            try:
                _mount("tmpfs", place, None, _REMOUNT | _NOSUID | _NODEV, f"size={int(line)}")
                print("ok", flush=True)
            except OSError as error:
                print(error.strerror, flush=True)


def main() -> None:
    """Make the store named on the command line and keep it."""
    place, size, owner, started = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        make(place, size)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", flush=True)
        return
    print("ok", flush=True)
    _serve(place, owner, started)


if __name__ == "__main__":
    main()
