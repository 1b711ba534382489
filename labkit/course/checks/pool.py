"""Is the pool below 80% again, and is every file still there?

Two machines, `web` and `mail`, have a thin disk each in one pool, and a third disk in it, `archive`, belongs to a machine
that is switched off. Both machines have deleted a good deal. Their own books show the room as free; the pool's do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from labkit.course.exercise import Verdict
from labkit.host import Host, HostError
from labkit.host.pools import Pool

__all__ = ["TARGET", "below_goal", "full_pool", "look"]

TARGET = 0.8
"""Below which part of its size the pool is to be."""

PROMISED = 64.0  # MiB that each disk promises
ARCHIVE = 6.0  # MiB on the disk of the machine that is switched off
_KEPT = {"web": ("letters", 8.0), "mail": ("inbox", 6.0)}
_SPARE = 0.94  # how full the pool is at the beginning


class Place:
    """A pool with its machines, and what was in it when it was handed over.

    Parameters
    ----------
    host : Host
        Where it is.
    values : mapping
        The learner's: ``web`` and ``mail`` say how many MiB each of these has deleted.
    """

    def __init__(self, host: Host, values: Mapping[str, Any]) -> None:
        self.host = host
        self.pool: Pool = host.pool(2 * PROMISED)
        disks = [self.pool.disk(f"{name}-data", PROMISED) for name in _KEPT]
        machines = [host.create(name, disks=[disk]) for name, disk in zip(_KEPT, disks, strict=True)]
        archive = self.pool.disk("archive", PROMISED)
        archive.write(0, int(ARCHIVE) << 20)
        self._archive = archive.guest_bytes
        for machine in machines:
            volume = machine.volume(f"{machine.name}-data")
            volume.save("old-logs", float(values[machine.name]))
            volume.save(*_KEPT[machine.name])
            volume.delete("old-logs")
        self.size = self.pool.size
        self.full = int(self.pool.used / _SPARE)  # what counts as its whole size: a pool cannot become smaller
        self.files = self._files()

    def _files(self) -> dict[str, Mapping[str, str]]:
        return {name: self.host.machines[name].volume(f"{name}-data").files for name in _KEPT}

    def lost(self) -> str:
        """What is not there any more, in words; empty where all is."""
        for name in _KEPT:
            if name not in self.host.machines:
                return f"{name} is switched off, and people need it"
            if self.host.machines[name].state != "running":
                return f"{name} does not run"
        archive = self.pool.disks.get("archive")
        if archive is None:
            return "the disk archive is gone, and nobody has another copy of what was on it"
        if archive.guest_bytes != self._archive:
            return "something is missing on the disk archive"
        for name, files in self._files().items():
            for file, checksum in self.files[name].items():
                if files.get(file) != checksum:
                    return f"{name} has lost {file}"
        return ""
