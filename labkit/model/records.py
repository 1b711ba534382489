"""A program that keeps records, its guest's page cache, and what of it all has reached the disk.

Picture a clerk with two books and a tray. Whatever is to go into a book is first put into the tray; from there it is
written into the books when somebody says so (*fsync* for one book, *freeze* for both and the index besides), or when it
has lain there for half a minute. A photograph of the books does not show the tray.

The times are Linux's (Documentation/admin-guide/sysctl/vm.rst: dirty_writeback_centisecs 500, dirty_expire_centisecs
3000). That a file's new blocks get a place only when they are written down, so that the journal says nothing of them
before, is ext4's delayed allocation; that its journal has to be replayed after anything but an unmount or a freeze, its
INCOMPAT_RECOVER (Documentation/filesystems/ext4).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from simpy import Environment
from simpy.events import Event, Timeout

__all__ = ["Found", "RecordKeeper"]

WAKES = 5.0  # seconds between two looks of the kernel at what lies there to be written down
EXPIRES = 30.0  # seconds after which it is written down
WRITE = 0.0001  # seconds for a record to go to the page cache; nothing that is compared depends on it
SYNC = 0.01  # seconds for a file to be written down; likewise
PAUSE = 0.02  # seconds between two records, once all that were asked for are there
AFTERWARDS = 500  # records more
FILES = ("log", "table")


@dataclass(frozen=True)
class Found:
    """What a disk has: the records of each file, and whether its journal is to be replayed.

    The records come out of the model; of the journal it is stated, not computed: 1 after anything but a freeze.
    """

    records: Mapping[str, frozenset[int]]
    recovery: int


class RecordKeeper:
    """The clerk.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    count : int
        How many records there are to be until `enough` comes.
    synced : str
        One of `labkit.host.snapshots.SYNCED`.
    """

    def __init__(self, env: Environment, count: int, synced: str) -> None:
        self.env = env
        self.enough = Event(env)
        self._synced = {"log": ("log",), "both": FILES, "none": ()}[synced]
        self._tray: dict[str, dict[int, float]] = {file: {} for file in FILES}  # record to when it was put there
        self._books: dict[str, set[int]] = {file: set() for file in FILES}
        self._over = False
        env.process(self._keep(count))
        env.process(self._age())

    def stop(self) -> None:
        """Write no more: the machine has ended, or is another now."""
        self._over = True

    def _keep(self, count: int) -> Generator[Event]:
        for number in range(1, count + AFTERWARDS + 1):
            for file in FILES:
                if self._over:
                    return
                self._tray[file][number] = self.env.now
                yield Timeout(self.env, WRITE)
                if file in self._synced and not self._over:
                    yield Timeout(self.env, SYNC)
                    self._write_down(file)
            if number == count:
                self.enough.succeed()
            if number >= count:
                yield Timeout(self.env, PAUSE)

    def _age(self) -> Generator[Event]:
        while not self._over:
            yield Timeout(self.env, WAKES)
            for file in FILES:
                self._write_down(file, self.env.now - EXPIRES)

    def _write_down(self, file: str, until: float = float("inf")) -> None:
        ripe = [number for number, since in self._tray[file].items() if since <= until]
        self._books[file].update(ripe)
        for number in ripe:
            del self._tray[file][number]

    def on_disk(self, *, freeze: bool) -> Found:
        """What a copy of the disk has that is made now; with `freeze` the guest writes everything down before."""
        if freeze:
            for file in FILES:
                self._write_down(file)
        return Found({file: frozenset(numbers) for file, numbers in self._books.items()}, int(not freeze))
