"""Whose a machine is: the marks on everything that labkit makes, and the broom that goes by them.

Every process with live guests has one directory, ``/tmp/labkit-<user>/<id>``. The id is part of the names of
its machines. The directory holds who owns it and until when; nothing without that mark is ever touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from labkit.host import HostError
from labkit.live import capacity, guardian
from labkit.live.errors import explained

__all__ = ["Owned", "clean", "clock", "hosts", "renew", "settle_in"]

EXPIRES_AFTER = 12 * 3600  # seconds; a day's workshop fits, a forgotten kernel does not stay for ever
_MARK = "owner.json"


@dataclass(frozen=True)
class Owned:
    """One host's directory and its mark.

    Parameters
    ----------
    root : str
        The directory.
    owner, started : int, str
        The owning process and when it started, so that a reused number is not taken for it.
    boot : str
        The boot of this machine in which it was made.
    created, expires : float
        Seconds of this boot, as `clock` counts them: somebody who sets the computer's clock ends nobody's host.
    """

    root: str
    owner: int
    started: str
    boot: str
    created: float
    expires: float

    @property
    def id(self) -> str:
        """The host's unique id: eight hexadecimal digits."""
        return Path(self.root).name

    @property
    def alone(self) -> bool:
        """Whether its owner is gone."""
        return self.boot != boot_id() or guardian.start_time(self.owner) != self.started

    @property
    def abandoned(self) -> bool:
        """Whether its owner is gone, or its time is up."""
        return self.alone or clock() > self.expires


def boot_id() -> str:
    """This boot of the machine, as the kernel names it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def clock() -> float:
    """Seconds since the computer was switched on, sleep included (clock_gettime(2), CLOCK_BOOTTIME).

    All processes see the same, and nobody can set it.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _street() -> Path:
    """The directory that this user's hosts lie in.

    Paths of UNIX sockets end at 108 bytes (unix(7)), so it is a short one and not the cache.
    """
    street = Path(f"/tmp/labkit-{os.getuid()}")
    with explained(f"make the directory {street}"):
        street.mkdir(mode=0o700, exist_ok=True)
    found = street.lstat()
    if street.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise HostError(f"{street} is not safe to use: it belongs to or is open to somebody else.", f"Remove {street}.")
    return street


def settle_in() -> tuple[Owned, int]:
    """Make a directory for this process, marked as its own, with a guardian that clears it up afterwards.

    Returns
    -------
    Owned
        The directory and its mark.
    int
        A file descriptor; the guardian acts when it is closed, which the kernel does at the latest when this
        process ends.

    Raises
    ------
    HostError
        Where that cannot be, as on a full disk; nothing of it stays.
    """
    clean(expired=False)
    capacity.require_place(str(_street()))
    root = _street() / secrets.token_hex(4)
    with explained("make a directory for the live host"):
        try:
            root.mkdir(mode=0o700)
            return _marked(root)
        except BaseException:  # no guardian knows of it yet
            shutil.rmtree(root, ignore_errors=True)
            raise


def _marked(root: Path) -> tuple[Owned, int]:
    """Write the mark into the directory, and start its guardian."""
    started, now = guardian.start_time(os.getpid()) or "", clock()
    owned = Owned(str(root), os.getpid(), started, boot_id(), now, now + EXPIRES_AFTER)
    (root / _MARK).write_text(json.dumps(asdict(owned)))
    reading, writing = os.pipe()
    try:
        subprocess.Popen(
            [sys.executable, "-I", "-S", guardian.__file__, str(root), str(owned.owner), started],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return owned, writing


def renew(root: str) -> None:
    """Put the end of a host's time off, as it is being used."""
    mark = Path(root) / _MARK
    with contextlib.suppress(OSError, ValueError):
        changed = json.loads(mark.read_text()) | {"expires": clock() + EXPIRES_AFTER}
        writing = mark.with_suffix(".new")
        try:
            writing.write_text(json.dumps(changed))
            writing.rename(mark)
        finally:
            writing.unlink(missing_ok=True)


def hosts() -> list[Owned]:
    """This user's hosts, those in use and those that were left."""
    found = []
    for directory in sorted(_street().iterdir()):
        with contextlib.suppress(OSError, ValueError, TypeError):
            mark = Owned(**json.loads((directory / _MARK).read_text()))
            if mark.root == str(directory) and (directory / _MARK).stat().st_uid == os.getuid():
                found.append(mark)
    return found


def clean(dry_run: bool = False, *, expired: bool = True) -> list[str]:
    """Remove what labkit made and nobody owns any more: guests, control groups, directories.

    Parameters
    ----------
    dry_run : bool
        Only say what would be removed.
    expired : bool
        Whether hosts count whose owner lives but whose time is up.

    Returns
    -------
    list of str
        What was (or would be) removed, in words. A host in use is left alone until it expires.
    """
    done: list[str] = []
    for host in hosts():
        if not (host.abandoned if expired else host.alone):
            continue
        if dry_run:
            done += [f"process {pid}" for pid in guardian.processes_of(host.root)]
            done += [f"control group {group}" for group in guardian.control_groups_left(host.root)]
            if (Path(host.root) / guardian.KERNEL_SETTINGS).exists():
                done.append("settings of the kernel's page merging, to be put back")
            done.append(f"directory {host.root}")
        else:
            done += guardian.end_everything(host.root, quiet=0.2)
    return done
