"""A file that is either the old one or the new one, never half of each.

Picture a ledger page that is copied out fair on a fresh sheet, dried, and only then put in the place of the
old one. A person who looks at any moment sees one whole page. A key on a hook by the ledger says who may
write; whoever dies with the key in hand has let go of it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, Pyodide
    fcntl = None  # type: ignore[assignment]

__all__ = ["locked", "write_atomically"]

_STALE_AFTER = 60.0


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content so that a crash at any moment leaves the old or the new one whole.

    Parameters
    ----------
    path : Path
        The file; its folder is made where there is none.
    content : bytes
        All of what it shall hold.

    Raises
    ------
    OSError
        Where it cannot be written; the old file is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write(path, content)
    except FileNotFoundError:  # somebody whose clock was set took our part for one that a killed writer had left
        _write(path, content)
    _sync_folder(path.parent)
    _sweep(path)


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as part:
            part.write(content)
            part.flush()
            os.fsync(part.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut, where folders can be synced."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sweep(path: Path) -> None:
    """Remove the parts that killed writers left."""
    for part in path.parent.glob(f".{path.name}-*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > _STALE_AFTER:
                part.unlink()


@contextlib.contextmanager
def locked(path: Path, patience: float = 10.0) -> Iterator[bool]:
    """Hold the key to a file, so that two processes do not change it at once.

    Where there are no locks (Windows, some network folders), or nobody hands over the key within
    `patience` seconds, it goes on without.

    Parameters
    ----------
    path : Path
        The file to be changed; the lock is a hidden file beside it.
    patience : float
        Seconds to wait for the key.

    Yields
    ------
    bool
        Whether the key is held.
    """
    if fcntl is None:
        yield False
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.parent / f".{path.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield False
        return
    try:
        yield _take(handle, patience)
    finally:
        os.close(handle)  # closing it lets go of the lock


def _take(handle: int, patience: float) -> bool:
    give_up = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.01)
        except OSError:
            return False
        else:
            return True
