"""Collecting QEMUs that have ended, so that nobody waits for a zombie.

libvirt puts each QEMU into the background, where process 1 becomes its parent and is to collect it when it ends. Many a
container's process 1 never does, and libvirt then waits up to 40 s for each QEMU that it stops. So the process with the
embedded host adopts its QEMUs and collects them itself, these and no other children.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["adopt_orphans", "collect", "collecting"]

ORPHANED = 0.5  # seconds
"""A child that has been a zombie for so long has nobody who waits for it.

libvirt waits for the programs that it starts itself, and would miss the status of one collected under its hands.
"""

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


def adopt_orphans() -> None:
    """Make this process the parent of those that its children leave behind."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def collect(process: int) -> None:
    """Wait in the background for one QEMU to end, and collect it."""

    def wait() -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process, 0)

    threading.Thread(target=wait, name="labkit-collect", daemon=True).start()


def _ended_qemus() -> Iterator[int]:
    """The QEMUs that are children of this process, have ended, and have not been collected."""
    me = str(os.getpid())
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                with contextlib.suppress(OSError):
                    name, _, rest = Path(f"/proc/{child}/stat").read_text().partition("(")[2].rpartition(")")
                    state, parent = rest.split()[:2]
                    if state == "Z" and parent == me and name.startswith("qemu-"):
                        yield int(child)


@contextlib.contextmanager
def collecting() -> Iterator[None]:
    """Collect every QEMU that ends inside the block, those included that libvirt starts to ask what it can do."""
    over = threading.Event()

    def watch() -> None:
        since: dict[int, float] = {}
        while not over.wait(0.05):
            now = time.monotonic()
            since = {child: since.get(child, now) for child in _ended_qemus()}
            for child, seen in since.items():
                if now - seen > ORPHANED:
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(child, os.WNOHANG)

    watcher = threading.Thread(target=watch, name="labkit-collecting", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
