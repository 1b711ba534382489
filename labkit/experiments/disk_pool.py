"""When is a thin pool full, and what becomes of the guests that write to it?

Several guests have a thin disk each, all in one pool, and together they were promised more than it has. Each writes at
a steady rate. Somebody is told when the pool is 70, 80 and 90% full. When the last block is given out, each guest that
wants another is paused. Somebody needs two seconds to see that, and nothing goes on by itself. Then the pool grows, the
guests go on, and every byte is compared with what it should be.

Settings
--------
size : what the pool has
disks : how many guests there are, each with a disk
promised : how large each guest sees its disk
rate : how much each guest writes in a second
amount : how much each guest writes in all, from the beginning of its disk on
grown : what the pool has after it has grown, where it became full; enough for all that is written

Quantities
----------
Of ``pool``, in s since the guests began: `time_to_70`, `time_to_80`, `time_to_90`, `time_to_full`, each only where it
comes to that; in B `used`, when it was full or all was written, and `used_in_all`, when all was written.
Of each guest, ``m1``, ``m2``, …: `written`, in B, and `paused`, 1 or 0, both when the pool was full or all was written;
`intact` at the end: 1 where every byte that it wrote lies on its disk as it was written.

Over time: `used_in_all`, what the pool has given out, from the beginning to the end. It stands still at the pool's size
until the pool is larger. And where the pool becomes full, `paused` of each guest: 1 while it stands still.

A guest writes pieces of 256 KiB, one each time that it is due. Its clock stands still while it is paused, so it goes on
at the same rate. The disks are qcow2 files with clusters of 64 KiB. Theory counts sets of clusters; simulated is the
allocator piece by piece, in a pool that deals out blocks; live are guests on a small file system in memory (tmpfs).

Bound between live and simulated
--------------------------------
0 for `used`, `used_in_all` and `intact`: a store gives out all its blocks before it refuses one, and what is needed for
what was written is arithmetic. For the times, in s: 0.5, for which a busy computer may hold a guest up, 0.05 for each
guest, as each has to be told to begin, and what passes between two pieces; the writers themselves make up
for a delay. For `written`, what a guest writes in that time, and a piece. 0 for `paused` where all guests are further
from their end than that, or the pool does not become full; where it is closer, none. All written before this
experiment first ran live.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, integer, number
from labkit.experiments.settings import size as mebibytes_of
from labkit.host import Event, Host, HostError, Machine, Observation, Row, Series
from labkit.host.pools import ALARMS, PIECE, HasPools, PausingMachine, Pool

__all__ = [
    "AT_FIRST",
    "BOUNDS",
    "DRAWN",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "ROWS",
    "SHOWN",
    "Settings",
    "bounds",
    "machines",
    "notes",
    "run",
    "steps",
    "theory",
]

NAME = "disk-pool"
QUESTION = "When is a thin pool full, and what becomes of the guests that write to it?"
LESSON = "04"
NEEDS = ("disks", "pool")
ROWS = "pool or machine"
_TIMES = {**{f"time_to_{part * 100:.0f}": part for part in ALARMS}, "time_to_full": 1.0}
QUANTITIES = {
    **dict.fromkeys(_TIMES, "s"),
    "used": "B",
    "written": "B",
    "used_in_all": "B",
    "paused": "1",
    "intact": "1",
}
LABELS = {
    **{
        name: (f"Until it is {part:.0%} full", "The longer the bar, the more time is left.")
        for name, part in _TIMES.items()
    },
    "used": ("Given out until it was full, or all was written", "Look at whether any block is left."),
    "written": ("Written until it was full, or all was written", "Look at how much of its promise each guest has had."),
    "used_in_all": (
        "Given out in all",
        "Look at where it stands still for two seconds, and goes on when the pool is larger.",
    ),
    "paused": ("Paused", "Look at who had to stop, and when each of them goes on.", "1 or 0"),
    "intact": ("Everything there at the end", "Yes where every byte is as it was written.", "1 or 0"),
}
HEADLINE = "time_to_full"
AT_FIRST = ("size", "disks", "rate", "amount")
DRAWN = ("time_to_90", "time_to_full", "used", "used_in_all", "paused", "intact")  # the table has all
SHOWN = {
    "size": (16, 128),
    "disks": (1, 6),
    "promised": (32, 256),
    "rate": (1, 8),
    "amount": (4, 32),
    "grown": (128, 256),
}
BOUNDS = {"used": 0.0, "used_in_all": 0.0, "intact": 0.0}  # and others that depend on the settings: see bounds

MEBI = 1 << 20
CLUSTER = 65536
_BLOCK = 4096
_TABLE = CLUSTER // 8 * CLUSTER  # bytes of a disk of which one L2 table tells
_HELD_UP, _TOLD = 0.5, 0.05  # seconds: see the bound
_NOTICED = 2.0  # seconds from when nobody can write any more to when the pool grows


def _up(amount: float, step: int) -> int:
    return int(-(-amount // step)) * step


@dataclass(frozen=True)
class Settings:
    """What the pool has, what was promised, and how fast it is taken up."""

    size: float = mebibytes_of(64.0, minimum=2.0, maximum=1024.0, about="what the pool has")
    disks: int = integer(4, minimum=1, maximum=16, unit="", about="guests, each with a disk in the pool")
    promised: float = mebibytes_of(64.0, minimum=1.0, maximum=65536.0, about="how large each guest sees its disk")
    rate: float = number(4.0, minimum=0.25, maximum=64.0, unit="MiB/s", about="how much each guest writes in a second")
    amount: float = mebibytes_of(24.0, minimum=0.25, maximum=1024.0, about="how much each guest writes in all")
    grown: float = mebibytes_of(
        128.0, minimum=2.0, maximum=1024.0, about="to what the pool is enlarged once it is full"
    )

    @property
    def pieces(self) -> int:
        """How many pieces each guest writes."""
        return _up(self.amount * MEBI, PIECE) // PIECE

    @property
    def tables(self) -> int:
        """What one disk takes of the pool before any data: bytes of its file's own tables, in the pool's blocks."""
        l1 = 8 * (_up(self.promised * MEBI, _TABLE) // _TABLE)
        l2 = _up(self.pieces * PIECE, _TABLE) // _TABLE
        return 3 * CLUSTER + _up(l1, _BLOCK) + l2 * CLUSTER

    @property
    def in_all(self) -> int:
        """What all disks take of the pool when all is written, in bytes."""
        return self.disks * (self.tables + self.pieces * PIECE)

    @property
    def becomes_full(self) -> bool:
        """Whether the pool has less than all that is written takes."""
        return self.in_all > self.size * MEBI

    def check(self) -> None:
        """Make sure that the settings fit each other.

        Raises
        ------
        SettingError
            Where they do not, with the numbers.
        """
        if self.pieces * PIECE > self.promised * MEBI:
            raise SettingError(f"amount must be no more than promised, {self.promised:g} MiB, not {self.amount:g} MiB.")
        least = self.disks * (self.tables + PIECE)
        if self.size * MEBI < least:
            raise SettingError(
                f"size must be {least / MEBI:.2f} MiB or more for {self.disks} disks, not {self.size:g}."
            )
        if max(self.size, self.grown) * MEBI < self.in_all:
            raise SettingError(
                f"grown must be {self.in_all / MEBI:.2f} MiB or more, as all that is written takes so much, "
                f"not {self.grown:g} MiB."
            )
        if self.grown < self.size:
            raise SettingError(f"grown must be no less than size, {self.size:g} MiB, not {self.grown:g} MiB.")


def _late(settings: Settings) -> float:
    """By how much a time may be off, in s."""
    return _HELD_UP + _TOLD * settings.disks + PIECE / (settings.rate * MEBI)


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity."""
    late = _late(settings)
    stated = {**BOUNDS, **dict.fromkeys(_TIMES, late)}
    full = settings.becomes_full
    stated["written"] = late * settings.rate * MEBI + PIECE if full else 0.0
    share = (settings.size * MEBI - settings.disks * settings.tables) / settings.disks
    if not full or share + stated["written"] < settings.pieces * PIECE:
        stated["paused"] = 0.0
    return stated


def machines(settings: Settings) -> int:
    """How many machines there are."""
    return settings.disks


def steps(settings: Settings) -> int:
    """How many steps a live run tells, besides starting the machines.

    Their programs get ready, they write, they stand still and write on where the pool was full, and they read all back.
    """
    return 3 + 2 * settings.becomes_full


def notes(settings: Settings) -> list[str]:
    """What happens with just these settings once the pool is full."""
    if not settings.becomes_full:
        return []
    return [
        f"once the pool is full: {_NOTICED:g} s later it is enlarged from {settings.size:g} to {settings.grown:g} MiB, "
        "and the paused machines go on"
    ]


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """Everything from sizes and rates, by counting sets of clusters.

    Each file has its header, refcount table, refcount block and the written part of its L1 table, and an L2 table as
    soon as anything is written. What is then left of the pool, divided by what a piece takes, says with which
    piece a part of the pool is reached; and as all guests write equally fast, when that one is due.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used: there are no CPU shares here.

    Returns
    -------
    dict of (machine, quantity) to float
        Times in s, sizes in B. Times that never come are missing, and so is what a guest had written when the pool
        was full, as far as it depends on whose turn it was: it is a share of the whole, to a piece.

    References
    ----------
    "The qcow2 file format" (QEMU, docs/interop/qcow2.txt): header, refcount table, refcount block, L1 and L2 tables.
    """
    capacity, taken = int(settings.size * MEBI), settings.disks * settings.tables
    names = [f"m{number}" for number in range(1, settings.disks + 1)]
    total = settings.disks * settings.pieces
    found: dict[tuple[str, str], float | None] = {}
    for quantity, part in _TIMES.items():
        number = max(1, -(-int(part * capacity - taken) // PIECE))
        if taken + total * PIECE >= part * capacity:
            found["pool", quantity] = (number - 1) // settings.disks * PIECE / (settings.rate * MEBI)
    full = settings.becomes_full
    fit = (capacity - taken) // PIECE if full else total
    found["pool", "used"] = capacity if full else settings.in_all
    found["pool", "used_in_all"] = settings.in_all
    for index, name in enumerate(names):
        found[name, "written"] = (fit // settings.disks + (index < fit % settings.disks)) * PIECE
        found[name, "paused"] = float(found[name, "written"] < settings.pieces * PIECE)
        found[name, "intact"] = 1.0
    return found


def _patience(settings: Settings) -> float:
    """How long the guests are watched at the most, in s."""
    return 30.0 + 4.0 * settings.amount / settings.rate


def run(host: Host, settings: Settings) -> Observation:
    """Fill a pool, let it grow, and let the guests finish, on either host."""
    ask(host, *NEEDS)
    if not isinstance(host, HasPools):
        raise HostError("This host has no pools.", "Use labkit.simulated() or labkit.live().")
    pool = host.pool(settings.size)
    guests: list[Machine] = []
    try:
        for number in range(1, settings.disks + 1):
            disk = pool.disk(f"d{number}", settings.promised)
            guests.append(host.create(f"m{number}", disks=[disk]))
        return _observed(pool, guests, settings)
    finally:
        for guest in guests:
            guest.stop()
        pool.remove()


def _observed(pool: Pool, guests: list[PausingMachine], settings: Settings) -> Observation:
    filling = pool.fill(guests, rate=settings.rate, amount=settings.amount)
    seen = filling.watch(_patience(settings))
    rows, events, seconds = list(seen.rows), list(seen.events), seen.seconds
    times, values = list(seen.series[0].times), list(seen.series[0].values)
    states: list[Series] = []
    if any(guest.state == "paused" for guest in guests):
        still = filling.watch(_NOTICED, at_least=_NOTICED)
        pool.grow(settings.grown)
        for guest in guests:
            guest.resume()
        grown = seconds + still.seconds
        after = filling.watch(_patience(settings))
        for begun, part in ((seconds, still), (grown, after)):
            times += [begun + moment for moment in part.series[0].times]
            values += part.series[0].values
        events += [Event(grown, "resumed", guest.name, detail="the pool has grown") for guest in guests]
        events += [replace(event, time=grown + event.time) for event in after.events]
        seconds = grown + after.seconds
        states = [_paused(guest.name, seen.events, grown, seconds) for guest in guests]
    rows.append(Row(machine="pool", quantity="used_in_all", unit="B", value=pool.used))
    rows += [
        Row(machine=name, quantity="intact", unit="1", value=float(whole)) for name, whole in filling.intact().items()
    ]
    rows.sort(key=lambda row: list(QUANTITIES).index(row["quantity"]))
    given = Series("pool", "used_in_all", "B", tuple(times), tuple(values))
    return replace(seen, seconds=seconds, rows=tuple(rows), series=(given, *states), events=events)


def _paused(name: str, events: Sequence[Event], grown: float, end: float) -> Series:
    """Whether a guest stood still, over time: from its event until the pool had grown, and not at all without one."""
    begun = next((event.time for event in events if event.kind == "paused" and event.machine == name), None)
    steps = [(0.0, 0.0), (end, 0.0)]
    if begun is not None:
        steps = [(0.0, 0.0), (begun, 0.0), (begun, 1.0), (grown, 1.0), (grown, 0.0), (end, 0.0)]
    times, values = zip(*steps, strict=True)
    return Series(name, "paused", "1", times, values)
