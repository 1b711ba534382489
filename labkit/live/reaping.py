"""Collecting QEMUs that have ended, so that nobody waits for a zombie.

libvirt puts each QEMU into the background, where process 1 becomes its parent and is to collect it when it ends. Many a
container's process 1 never does, and libvirt then waits up to 40 s for each QEMU that it stops. So the process with the
embedded host adopts its QEMUs and collects them itself, these and no other children.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Watched", "adopt_orphans", "collect", "collecting"]

ORPHANED = 0.5  # seconds
"""A child that has been a zombie for so long has nobody who waits for it.

libvirt waits for the programs that it starts itself, and would miss the status of one collected under its hands.
"""

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


def adopt_orphans() -> None:
    """Make this process the parent of those that its children leave behind."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _killed_for_memory() -> int:
    """How many processes Linux has killed because memory ran out (proc(5), /proc/vmstat, oom_kill)."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/vmstat").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("oom_kill ")))
    return 0


class Watched:
    """One QEMU, waited for in the background and collected when it ends.

    Parameters
    ----------
    process : int
        Its number.
    """

    def __init__(self, process: int) -> None:
        self._process = process
        self._killed_before = _killed_for_memory()
        self._how = ""
        self._thread = threading.Thread(target=self._wait, name="labkit-collect", daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        with contextlib.suppress(ChildProcessError):
            _, status = os.waitpid(self._process, 0)
            if os.WIFSIGNALED(status):
                self._how = f"QEMU was ended by signal {os.WTERMSIG(status)} ({signal.strsignal(os.WTERMSIG(status))})"
                if os.WTERMSIG(status) == signal.SIGKILL and _killed_for_memory() > self._killed_before:
                    self._how = "Linux killed QEMU because memory ran out"

    def how_it_ended(self) -> str:
        """In words what killed it; empty where it runs, or ended by itself."""
        self._thread.join(0.5)
        return self._how


def collect(process: int) -> Watched:
    """Wait in the background for one QEMU to end, and collect it."""
    return Watched(process)


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
