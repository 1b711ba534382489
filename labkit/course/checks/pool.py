"""Is the pool below 80% again, and is every file still there?

Two machines, `web` and `mail`, have a thin disk each in one pool, and a third disk in it, `archive`, belongs to a
machine that is switched off. Both machines have deleted a good deal. Their own books show the room as free; the pool's
do not.

A change is a function of ``host`` and ``pool``. What it can call:

- ``host.machines["web"].volume("web-data")``, the file system on a machine's disk: its ``files``, and
  ``delete(name)``, ``save(name, size)``, ``trim()``; of ``mail`` it is ``"mail-data"``
- ``pool.disks["archive"]``, a disk: ``remove()``
- ``pool.grow(size)``
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from labkit.course.exercise import Verdict
from labkit.course.mistakes import MISTAKES, in_words
from labkit.host import Host, HostError
from labkit.host.pools import Pool
from labkit.views.running import Teller
from labkit.views.watched import WatchedHost

__all__ = ["TARGET", "below_goal", "full_pool", "look"]

TARGET = 0.8
"""Below which part of its size the pool is to be."""

SIZE = 64.0  # MiB that the pool has, and that each of its disks promises
_KEPT = {"web": ("letters", 8.0), "mail": ("inbox", 6.0)}
_FULL = 0.94  # of the pool is given out at the beginning, or a little less
MEBI = 1 << 20
CALLS = (
    'What can be called: `host.machines["web"].volume("web-data")` has `files`, `delete(name)`, `save(name, size)` and '
    '`trim()`, and so has `mail` with `"mail-data"`; `pool.disks["archive"].remove()`; `pool.grow(size)`.'
)
_STEPS = 4  # told while the place is made, besides starting the machines


class Place:
    """A pool with its machines, and what was in it when it was handed over.

    Parameters
    ----------
    host : Host
        Where it is; it can do ``"pool"`` and ``"files"``.
    values : mapping
        The learner's: ``web`` and ``mail`` say how many MiB each of these has deleted.
    """

    def __init__(self, host: Host, values: Mapping[str, Any]) -> None:
        for ability in ("pool", "files"):
            if not (answer := host.can(ability)):
                raise HostError(answer.reason, answer.remedy)
        self.host = host
        self.pool: Pool = host.pool(SIZE)
        disks = [self.pool.disk(f"{name}-data", SIZE) for name in _KEPT]
        machines = [host.create(name, disks=[disk]) for name, disk in zip(_KEPT, disks, strict=True)]
        for machine in machines:
            filling = f"Filling {machine.name}-data"
            self._tell(filling, 0.0)
            volume = machine.volume(f"{machine.name}-data")
            self._tell(filling, 0.3)
            volume.save("old-logs", float(values[machine.name]))
            self._tell(filling, 0.7)
            volume.save(*_KEPT[machine.name])
            volume.delete("old-logs")
        self._archive = self.pool.disk("archive", SIZE)
        self._archive.write(0, int(_FULL * SIZE - self.pool.used / MEBI) * MEBI)
        self._held = self._archive.guest_bytes
        self._tell("Looking at every file", 0.0)
        self._files = self._seen()
        self.begun = self.pool.used

    def _tell(self, words: str, done: float) -> None:
        """Say what is being done, where the host tells its progress; the simulated one answers at once."""
        tell = getattr(self.host, "progress", None)
        if callable(tell):
            tell(words, done)

    def _seen(self) -> dict[str, Mapping[str, str]]:
        return {name: self.host.machines[name].volume(f"{name}-data").files for name in _KEPT}

    def table(self) -> str:
        """What there is to be seen of the pool, as lines of text."""
        lines = [f"{'':<12}{'MiB in the pool':>16}{'MiB in files':>14}"]
        for name, disk in self.pool.disks.items():
            kept = "not known" if name == "archive" else f"{_KEPT[name.removesuffix('-data')][1]:.0f}"
            lines.append(f"{name:<12}{disk.store_bytes / MEBI:>16.1f}{kept:>14}")
        used = self.pool.used
        return "\n".join([*lines, f"{'all of it':<12}{used / MEBI:>16.1f}  of {SIZE:.0f}: {used / self.pool.size:.0%}"])

    def lost(self) -> str:
        """What is not there any more, in words; empty where all is."""
        for name in _KEPT:
            if name not in self.host.machines or self.host.machines[name].state != "running":
                return f"{name} does not run any more, and people need it"
        archive = self.pool.disks.get("archive")
        if archive is None:
            return "the disk archive is gone, and nobody has another copy of what was on it"
        if archive.guest_bytes != self._held or not archive.intact():
            return "something is missing on the disk archive"
        for name, files in self._seen().items():
            for file, checksum in self._files[name].items():
                if files.get(file) != checksum:
                    return f"{name} has lost {file}"
        return ""


@contextmanager
def full_pool(values: Mapping[str, Any], where: Literal["live", "simulated"] = "live") -> Iterator[tuple[Place, str]]:
    """The pool with its machines, and a sentence that says which host it is on.

    Parameters
    ----------
    values : mapping
        The learner's; see `Place`.
    where : {"live", "simulated"}
        With ``"live"`` real guests; where there can be none, the simulated host, and the sentence says why.
    """
    import labkit

    said, host, place, tell = "", None, None, Teller()
    if where == "live":
        print("Starting two machines and filling their disks; with real guests that takes half a minute.", flush=True)
        try:
            host = WatchedHost(lambda step: labkit.live(progress=step), tell, len(_KEPT), steps=_STEPS)
            place = Place(host, values)
            said = f"On real guests ({host.name})."
        except HostError as error:
            if host is not None:
                host.close()
            host, said = None, f"On the simulated host, as real guests cannot be had: {error}"
            tell.done()
        except BaseException:  # somebody stopped it: nothing is left behind
            if host is not None:
                host.close()
            tell.done()
            raise
    if host is None:
        host = labkit.simulated(cpus=2)
        place = Place(host, values)
    try:
        with host:
            assert place is not None
            yield place, said or "On the simulated host."
    finally:
        tell.done()


def look(values: Mapping[str, Any], where: Literal["live", "simulated"] = "live") -> None:
    """Print what there is to be seen of the pool, as a table; see `full_pool`."""
    with full_pool(values, where) as (place, said):
        print(f"{place.table()}\n{said}")


def below_goal(
    values: Mapping[str, Any],
    given: Callable[[Host, Pool], Any],
    where: Literal["live", "simulated"] = "live",
) -> Verdict:
    """The pool is below `TARGET`, as large as it was, and nothing is lost that anybody had.

    Parameters
    ----------
    values : mapping
        ``web`` and ``mail``: how many MiB each of these has deleted.
    given : callable
        What is to be done, with a host and its pool; it is tried on a host of its own.
    where : {"live", "simulated"}
        On which host it is tried; see `full_pool`.
    """
    with full_pool(values, where) as (place, said):
        place._tell("Doing what you wrote", 0.0)
        try:
            given(place.host, place.pool)
        except MISTAKES as error:
            return Verdict(False, f"{in_words(error)} {CALLS}")
        place._tell("Looking at every file again", 0.0)
        verdict = _judged(place)
    return Verdict(verdict.done, f"{verdict.said} {said}")


def _judged(place: Place) -> Verdict:
    if lost := place.lost():
        return Verdict(False, f"The pool is emptier, but {lost}.")
    used, size = place.pool.used, place.pool.size
    saw = f"The pool has given out {used / MEBI:.1f} MiB of {size / MEBI:.0f}, {used / size:.1%}"
    if size > SIZE * MEBI:
        return Verdict(False, f"{saw}: it has grown, and there is no money for that.")
    if used >= TARGET * size:
        return Verdict(False, f"{saw}; it was {place.begun / size:.1%}, and it is to be below {TARGET:.0%}.")
    return Verdict(True, f"{saw}, and every file is there.")
