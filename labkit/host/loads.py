"""What a machine can be given to do: to spin, to serve requests, to fill memory, or to keep a disk busy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["CpuLoad", "DiskLoad", "Load", "MemoryLoad", "RequestLoad", "Served"]


@dataclass(frozen=True)
class CpuLoad:
    """A program that keeps every vCPU of a machine busy.

    Parameters
    ----------
    duty : float
        The fraction of each vCPU's time that the program asks for, above 0 and up to 1.
        At 1.0 it spins: it takes whatever it is given.

    Raises
    ------
    ValueError
        Where `duty` is not above 0 and at most 1.
    """

    duty: float = 1.0

    def __post_init__(self) -> None:
        number = isinstance(self.duty, (int, float)) and not isinstance(self.duty, bool)
        if not number or not 0.0 < self.duty <= 1.0:
            raise ValueError(f"duty must be above 0 and at most 1, not {self.duty!r}")


@dataclass(frozen=True)
class RequestLoad:
    """A server to which requests come, each with its own piece of work.

    Parameters
    ----------
    arrivals : tuple of float
        When each request comes, in seconds from the beginning of the load, in order.
    work : tuple of float
        How much CPU time each of them needs, in CPU seconds; as many as `arrivals`.
    discipline : {"queue", "sharing"}
        ``"queue"``: one worker for each vCPU that the machine has, also for one that it gets later; a request
        waits until a worker is free, first come, first served. ``"sharing"``: a thread for each request at once,
        and all of them share the vCPUs equally, no request more than one vCPU.

    Raises
    ------
    ValueError
        Where the two differ in length or are empty, a time is below 0 or before the one ahead of it, or a piece
        of work is not above 0.
    """

    arrivals: tuple[float, ...]
    work: tuple[float, ...]
    discipline: Literal["queue", "sharing"] = "queue"

    def __post_init__(self) -> None:
        if not self.arrivals or len(self.arrivals) != len(self.work):
            raise ValueError("arrivals and work must be of one length, and not empty")
        if self.discipline not in ("queue", "sharing"):
            raise ValueError(f"discipline is 'queue' or 'sharing', not {self.discipline!r:.40}")
        before = 0.0
        for time in self.arrivals:
            if not before <= time < math.inf:
                raise ValueError(f"arrivals must be in order, from 0 on, not {time!r:.40} after {before!r}")
            before = time
        for seconds in self.work:
            if not 0.0 < seconds < math.inf:
                raise ValueError(f"work must be above 0 CPU seconds, not {seconds!r:.40}")


@dataclass(frozen=True)
class Served:
    """What became of the requests of a `RequestLoad`.

    Parameters
    ----------
    arrivals, finishes : tuple of float
        When each request came and was done, in seconds from the beginning of the load; infinite where it never was.
    ended : float
        When the load ended, on the same clock.
    """

    arrivals: tuple[float, ...]
    finishes: tuple[float, ...]
    ended: float

    def responses(self, since: float = 0.0, until: float = math.inf) -> tuple[float, ...]:
        """Seconds from coming to being done, for the requests that came from `since` until just before `until`.

        One that was not done when the load ended counts with what it had waited by then: it took longer than that.
        """
        return tuple(
            min(finish, self.ended) - arrival
            for arrival, finish in zip(self.arrivals, self.finishes, strict=True)
            if since <= arrival < min(until, self.ended)
        )


@dataclass(frozen=True)
class MemoryLoad:
    """A program that fills memory with known content, and keeps it until it is cancelled.

    Its `Job` is done, as `Job.wait` sees it, when the memory is full; `Job.cancel` gives the memory back to the guest.

    Parameters
    ----------
    size : float
        How much it fills, in MiB; 0 is a program that is started and fills nothing.
    identical : float
        Which part of its pages, from 0 to 1, is the same in every machine with such a load: no two of them are equal
        within a machine, and the first of one machine equals the first of another.
    seed : int
        Decides what is in the other pages, no two of which are equal. Two loads of one seed have the same.

    Raises
    ------
    ValueError
        Where a number is outside its range.
    """

    size: float
    identical: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for what, value, most in (("size", self.size, 65536), ("identical", self.identical, 1)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
                raise ValueError(f"{what} must be a number from 0 to {most}, not {value!r:.40}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**31:
            raise ValueError(f"seed must be a whole number from 0 to 2147483647, not {self.seed!r:.40}")

    @property
    def pages(self) -> tuple[int, int]:
        """How many pages of 4096 bytes are identical, and how many are its own."""
        total = round(self.size * 256)
        alike = round(total * self.identical)
        return alike, total - alike


@dataclass(frozen=True)
class DiskLoad:
    """A program that reads or writes blocks of one disk, anywhere on it, as fast as it gets answers.

    It ends when it is cancelled. What was on the disk is lost where it writes.

    Parameters
    ----------
    disk : str
        The disk's name; the machine has it.
    operation : {"write", "read"}
        What it does.
    block : int
        Bytes of a block: a power of two from 512 to 1 MiB.
    depth : int
        How many requests are under way at once, 1 to 64: when one is answered the next one is sent.

    Raises
    ------
    ValueError
        Where an argument is outside its range.
    """

    disk: str
    operation: Literal["write", "read"] = "write"
    block: int = 4096
    depth: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.disk, str) or not self.disk:
            raise ValueError(f"disk is the name of a disk, not {self.disk!r:.40}")
        if self.operation not in ("write", "read"):
            raise ValueError(f"operation is 'write' or 'read', not {self.operation!r:.40}")
        if self.block not in [1 << bits for bits in range(9, 21)]:
            raise ValueError(f"block must be a power of two from 512 to 1048576, not {self.block!r:.40}")
        if isinstance(self.depth, bool) or not isinstance(self.depth, int) or not 1 <= self.depth <= 64:
            raise ValueError(f"depth must be a whole number from 1 to 64, not {self.depth!r:.40}")


Load = CpuLoad | RequestLoad | MemoryLoad | DiskLoad
