"""Starting a guest from a saved boot instead of from power-on.

A guest of each shape boots once and is saved, its memory written to a file, as ``virsh save`` does. Later ones start as
clones of it: the file's header holds the domain XML, and with another XML it restores as another machine. Its name,
uuid and network address are new; what is inside the saved memory (the clock, the address, the state of the random
number generator) is put right through the agent.

The header is that of libvirt's ``virQEMUSaveHeader`` (src/qemu/qemu_saveimage.h, version 2): magic, then in the
saving machine's byte order version, length of XML and cookie, was-running flag, compression, offset of the cookie.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from labkit.host import HostError
from labkit.live.domain import Shape
from labkit.live.places import cache_root

__all__ = ["clone", "forget", "key_of", "once"]

_HEADER = struct.Struct("=16s5I56x")
_MAGIC = b"LibvirtQemudSave"
KEPT = 12  # saved shapes, of 50 to 150 MB each; the one not used for longest makes room


def key_of(shape: Shape, image_digest: str, versions: dict[str, str]) -> str:
    """The name of a saved boot: it changes with anything that a saved memory depends on."""
    described = json.dumps({"layout": 2, "shape": asdict(shape), "image": image_digest, **versions}, sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _shelf() -> Path:
    shelf = cache_root() / "saved"
    shelf.mkdir(mode=0o700, exist_ok=True)
    return shelf


@contextlib.contextmanager
def _locked(key: str) -> Iterator[None]:
    with (_shelf() / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def once(key: str, make: Callable[[Path], None]) -> Path:
    """The file of a saved boot, made by `make` where there is none yet.

    Parameters
    ----------
    key : str
        Which one.
    make : callable
        Given a path that does not exist, saves a freshly booted guest there. Of several processes that ask at once,
        one makes it.
    """
    file = _shelf() / key
    if not file.exists():
        with _locked(key):
            if not file.exists():
                making = file.with_suffix(f".making-{os.getpid()}")
                try:
                    make(making)
                    making.rename(file)
                finally:
                    making.unlink(missing_ok=True)
                _make_room(file)
    os.utime(file)
    return file


def _make_room(new: Path) -> None:
    """Remove those not used for longest, but never the new one: by a clock that was set it may look the oldest.

    Also what killed processes were making: whoever still makes one holds its lock.
    """
    others = [path for path in _shelf().iterdir() if not path.suffix and path != new]
    for file in sorted(others, key=_used, reverse=True)[KEPT - 1 :]:
        file.unlink(missing_ok=True)
    for part in _shelf().glob("*.making-*"):
        with (_shelf() / f"{part.stem}.lock").open("w") as lock, contextlib.suppress(BlockingIOError):
            if part.stem != new.name:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink(missing_ok=True)


def _used(file: Path) -> float:
    """When it was last used, by the computer's clock; at no time, where another process has just removed it."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def forget(key: str) -> None:
    """Remove a saved boot that did not start."""
    (_shelf() / key).unlink(missing_ok=True)


@contextlib.contextmanager
def clone(saved: Path, place: Path, rewrite: Callable[[str], str], *, by_pipe: bool) -> Iterator[None]:
    """Hold out a saved guest under another domain XML, for the length of a ``with`` block.

    Parameters
    ----------
    saved : pathlib.Path
        The saved guest.
    place : pathlib.Path
        Where to hold it out; libvirt is to restore from there within the block.
    rewrite : callable
        Given the saved XML, returns that of the clone.
    by_pipe : bool
        Through a named pipe, which takes no disk space and no time for writing; only for a libvirt that opens what it
        restores from once. Otherwise it is copied.

    Raises
    ------
    HostError
        Where the file is not a saved guest, or is cut short, or cannot be copied.
    """
    with saved.open("rb") as source:
        head = _changed_head(source, rewrite)
        with (_piped if by_pipe else _copied)(place, head, source):
            yield


@contextlib.contextmanager
def _copied(copy: Path, head: bytes, source: BinaryIO) -> Iterator[None]:
    try:
        with copy.open("xb") as target:
            target.write(head)
            shutil.copyfileobj(source, target, 1 << 22)
        yield
    except OSError as error:
        raise HostError(f"The saved boot could not be copied: {error.strerror}.", f"Free {copy.parent}.") from error
    finally:
        copy.unlink(missing_ok=True)


@contextlib.contextmanager
def _piped(pipe: Path, head: bytes, source: BinaryIO) -> Iterator[None]:
    os.mkfifo(pipe, 0o600)
    # With a reading end of ours the writer's open() does not wait for libvirt, which may never come.
    ours = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    feeder = threading.Thread(target=_feed, args=(pipe, head, source), name="labkit-restore", daemon=True)
    try:
        feeder.start()
        yield
    finally:
        os.close(ours)
        feeder.join(10.0)
        pipe.unlink(missing_ok=True)


def _feed(pipe: Path, head: bytes, source: BinaryIO) -> None:
    """Write the header and then the saved memory; ends early where the reader goes away."""
    with contextlib.suppress(BrokenPipeError), pipe.open("wb", buffering=0) as target:
        with contextlib.suppress(OSError):
            fcntl.fcntl(target, fcntl.F_SETPIPE_SZ, 1 << 20)
        target.write(head)
        offset, end = source.tell(), os.fstat(source.fileno()).st_size
        while offset < end:
            offset += os.sendfile(target.fileno(), source.fileno(), offset, end - offset)


def _changed_head(source: BinaryIO, rewrite: Callable[[str], str]) -> bytes:
    """Read libvirt's header, XML and cookie, and return them with the XML changed."""
    damaged = HostError("The saved boot is damaged.", "It is made again at the next start.")
    head = source.read(_HEADER.size)
    if len(head) < _HEADER.size or not head.startswith(_MAGIC):
        raise damaged
    magic, version, length, running, compression, cookie_at = _HEADER.unpack(head)
    data = source.read(length)
    if version != 2 or len(data) < length:
        raise damaged
    xml, cookie = (data[:cookie_at], data[cookie_at:]) if cookie_at else (data, b"")
    body = rewrite(xml.rstrip(b"\0").decode()).encode() + b"\0"
    changed = _HEADER.pack(magic, version, len(body) + len(cookie), running, compression, cookie_at and len(body))
    return changed + body + cookie
