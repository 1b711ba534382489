"""How does a host get memory back from a guest?

A machine's guest fills its memory once and clears it away again. Then its balloon is inflated until so much of the
machine's memory is left to the guest as is asked for, and one looks at it from both sides.

Settings
--------
target : how much of its memory the balloon leaves the guest
memory : how much the machine was made with
seconds : how long it is watched once the balloon is there

Quantities
----------
guest_total : what the guest's kernel has to deal out, in MiB. Live: ``MemTotal`` of the guest's /proc/meminfo.
guest_free : what of that nobody in the guest uses, in MiB. Live: ``MemFree``.
host_resident : how much of the machine's memory takes room on the host, in MiB. Live: ``Rss`` of the one mapping of the
    QEMU process that is the guest's memory, in /proc/PID/smaps.

What the guest's kernel keeps for itself and what its own programs use was measured once for the course's image, in
guests that take part in no comparison (`labkit.host.memory.GUEST`). A live host measures it again for its own image,
once for each size, in a guest apart, says what it found among its mechanisms, and theory goes by that (`given`).

The run begins with a look at the full machine, before its balloon is sent: that is moment 0 of the curves.

Bound between live and simulated
--------------------------------
5% of `memory`, for each of the three; written before this experiment first ran live (a trial of the balloon by itself
had been 4 MiB off in a machine of 256 MiB). It allows for an image whose programs use some MiB more or less, for what
the program that fills leaves untouched, and for memory that the host deals out in huge pages of 2 MiB.

In the first live run `guest_free` was 5.6 MiB lower than simulated, within the bound: the files of the program that
fills stay in the guest's memory. They were then measured in a guest apart, and theory and simulation have them since.

Where the host deals memory out in huge pages, which QEMU asks for (``MADV_HUGEPAGE``, also where Linux has
``transparent_hugepage`` at ``madvise``), what the filling program left untouched lies in pieces that were touched
elsewhere: `host_resident` is then what theory says, and not what is simulated. On such a computer all 256.0 MiB of the
full guest's mapping were ``AnonHugePages``; after the balloon 166 of the 176 that were left.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labkit.experiments.needs import ask
from labkit.experiments.phases import joined
from labkit.experiments.settings import SettingError, number, size
from labkit.host import Host, HostError, Machine, MemoryLoad, Observation, Row, Series
from labkit.host.memory import GUEST, Guest, MeasuresGuests
from labkit.host.memory import QUANTITIES as MEMORY

__all__ = [
    "ADJUSTS",
    "BOUNDS",
    "BY_WHAT",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "UNDISTURBED",
    "WHEN",
    "Settings",
    "adjust",
    "bounds",
    "given",
    "machines",
    "prepare",
    "run",
    "theory",
    "theory_after",
]

NAME = "memory-balloon"
QUESTION = "How does a host get memory back from a guest?"
LESSON = "03"
NEEDS = ("balloon", "filling")
QUANTITIES = dict(MEMORY)
HEADLINE = "host_resident"
LABELS = {
    "guest_total": ("The guest's total", "What the guest believes it has: less than the balloon leaves, and why?"),
    "guest_free": ("Free in the guest", "What nobody in the guest uses. A balloon can take this and nothing else."),
    "host_resident": ("On the host", "What the host pays for: compare it with what is free in the guest."),
}
BY_WHAT = {"balloon": "The balloon: {}.", "filling": "Memory was filled by {}."}
UNDISTURBED = "these are amounts of memory, and no matter of CPU time"
WHEN = "at the end"
ADJUSTS = ("target",)

PART = 0.05  # of the machine's memory; the bound
LEFT = 14.0  # MiB that the filling program leaves free; it needs some itself, and so does the guest's agent
PATIENCE = 120.0  # seconds for the balloon, or the filling, to be done
CLOSE = 0.5  # MiB; from here on the balloon counts as being there
LOOK = 0.25  # seconds
_MEASURED = ("kept", "used")  # what a host may have measured apart
CLOSELY = 0.05  # seconds between two points of the curves while the balloon moves
BOUNDS = {quantity: PART * 256.0 for quantity in QUANTITIES}


@dataclass(frozen=True)
class Settings:
    """How large the machine is, and how much of it its guest may keep."""

    target: float = size(128.0, minimum=16.0, maximum=1024.0, about="how much of its memory the balloon leaves it")
    memory: float = size(256.0, minimum=96.0, maximum=1024.0, about="how much the machine is made with")
    seconds: float = number(1.0, minimum=0.5, maximum=60.0, unit="s", about="how long it is watched then")

    def check(self) -> None:
        """Make sure that the settings fit each other.

        Raises
        ------
        SettingError
            Where the target is more than there is, or so little that the guest would not live.
        """
        if self.target > self.memory:
            raise SettingError(f"target must be at most the machine's {self.memory:g} MiB, not {self.target:g}.")
        least = math.ceil(GUEST.least(self.memory))
        if self.target < least:
            raise SettingError(
                f"target must be {least} MiB or more for a machine of {self.memory:g} MiB, not {self.target:g}: with "
                "less its guest would run out of memory, and its kernel would end programs in it."
            )


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity, in MiB."""
    return dict.fromkeys(QUANTITIES, PART * settings.memory)


def machines(settings: Settings) -> int:
    """How many guests there will be."""
    return 1


def theory(
    settings: Settings, weights: Mapping[str, float] | None = None, guest: Guest = GUEST
) -> dict[tuple[str, str], float]:
    """What is left, by subtraction.

    The balloon's pages are no longer the guest's to deal out, and it takes none but free ones:

    - guest_total = target - kept, with kept the part of the machine's whole memory that the guest's kernel set aside
      when it started; ballooning does not give that back;
    - guest_free = guest_total - used - files: the guest keeps the files of the program that filled its memory;
    - host_resident = target: the guest has had all of its memory in use, and so the host holds all of it but what the
      balloon gave back. (A guest that never touched a page costs the host nothing for it; this one touched all but a
      few MiB.)

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used; CPU shares do not matter here.
    guest : Guest
        What there is in such a guest from the start.

    Returns
    -------
    dict of (machine, quantity) to float
        In MiB.

    References
    ----------
    C. A. Waldspurger, "Memory resource management in VMware ESX Server", OSDI 2002, section 3.2; that MemTotal falls
    with the balloon: Linux, drivers/virtio/virtio_balloon.c, `adjust_managed_page_count`. kept, used and files:
    `labkit.host.memory.GUEST`.
    """
    total = settings.target - guest.kept(settings.memory)
    return {
        ("m1", "guest_total"): total,
        ("m1", "guest_free"): total - guest.used - guest.files,
        ("m1", "host_resident"): settings.target,
    }


def given(settings: Settings, live: Observation) -> dict[str, Guest]:
    """What theory is given besides: the guest as the live host measured it, apart from the compared run.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    live : Observation
        What the live host saw.

    Returns
    -------
    dict
        `guest`; empty where the host did not say.
    """
    said = {row["quantity"]: row["value"] for row in live.rows if row["quantity"] in _MEASURED}
    if set(said) != set(_MEASURED):
        return {}
    kernel = said["kept"] - GUEST.bookkeeping * settings.memory
    return {"guest": dataclasses.replace(GUEST, kernel=kernel, used=said["used"])}


def theory_after(
    settings: Settings,
    earlier: Sequence[Settings],
    weights: Mapping[str, float] | None = None,
    guest: Guest = GUEST,
) -> dict[tuple[str, str], float]:
    """What is left where the same balloon was elsewhere before: as `theory`, but for what the host holds.

    What a balloon gave back is the guest's again when the balloon is let out, and takes no room on the host before the
    guest touches it. This guest touches nothing more, so the host holds what the balloon left when it was largest.

    Parameters
    ----------
    settings : Settings
        As they stand.
    earlier : sequence of Settings
        As they stood since the machine was full; each balloon is taken to have arrived.
    weights : mapping of str to float, optional
        Not used; CPU shares do not matter here.
    guest : Guest
        What there is in such a guest from the start.

    Returns
    -------
    dict of (machine, quantity) to float
        In MiB.

    References
    ----------
    Pages that leave the balloon are freed to the guest's kernel, and the host is not told: Linux,
    drivers/virtio/virtio_balloon.c, `leak_balloon`.
    """
    held = min(settings.target, *(one.target for one in earlier)) if earlier else settings.target
    return theory(settings, weights, guest) | {("m1", "host_resident"): held}


def prepare(host: Host, settings: Settings) -> list[Machine]:
    """Make the machine, have its guest fill its memory and clear it away, and send its balloon."""
    machine = _full_once(host, settings)
    try:
        machine.set(memory=settings.target)
    except BaseException:
        machine.stop()
        raise
    return [machine]


def _full_once(host: Host, settings: Settings) -> Machine:
    """Make the machine, and have its guest fill its memory and clear it away."""
    ask(host, *NEEDS)
    machine = host.create("m1", memory=settings.memory)
    try:
        free = machine.memory_seen()["guest_free"]
        filling = machine.run(MemoryLoad(max(0.0, free - LEFT)))
        filling.wait(PATIENCE)
        if filling.progress < 1.0:
            raise HostError(f"The guest did not fill its memory within {PATIENCE:g} s.", "Try again, or a smaller one.")
        filling.cancel()
    except BaseException:
        machine.stop()
        raise
    return machine


def adjust(machines: list[Machine], settings: Settings) -> None:
    """Send the balloon of a running machine elsewhere."""
    machines[0].set(memory=settings.target)


def run(host: Host, settings: Settings) -> Observation:
    """Send a balloon, wait until it is there, and look at the machine's memory from both sides, on either host."""
    machine = _full_once(host, settings)
    try:
        before = machine.memory_seen()
        machine.set(memory=settings.target)
        on_its_way: list[Observation] = []
        while abs(machine.memory_seen()["size"] - settings.target) > CLOSE:
            if sum(seen.seconds for seen in on_its_way) > PATIENCE:
                size = machine.memory_seen()["size"]
                raise HostError(
                    f"The balloon of {machine.name} stopped at {size:.0f} MiB, on its way to {settings.target:g} MiB, "
                    f"and did not get there within {PATIENCE:g} s.",
                    "The guest had nothing more to give: ask for a larger target.",
                )
            on_its_way.append(host.observe(LOOK, CLOSELY))
        seen = host.observe(settings.seconds)
        whole = joined([*on_its_way, seen], [*seen.rows, *_measured(host, machine)])
        return dataclasses.replace(whole, series=tuple(_begun(line, before) for line in whole.series))
    finally:
        machine.stop()


def _measured(host: Host, machine: Machine) -> list[Row]:
    """What the host found out, apart, about guests of this size."""
    known = host.kept.get(round(machine.memory), {}) if isinstance(host, MeasuresGuests) else {}
    rows = {quantity: known[quantity] for quantity in _MEASURED if quantity in known}
    return [{"machine": machine.name, "quantity": name, "unit": "MiB", "value": value} for name, value in rows.items()]


def _begun(line: Series, before: Mapping[str, float]) -> Series:
    """A curve with what was there at moment 0, before the balloon was sent; others than those of memory as they are."""
    if line.quantity not in QUANTITIES:
        return line
    return dataclasses.replace(line, times=(0.0, *line.times), values=(before[line.quantity], *line.values))
