"""Machines were promised more memory than there is, and what they want moves. Who should have it?

A host has 640 MiB for four machines that were promised 240 each: one and a half times as much as there is, as in the
story of 16 GiB and 24. In every step programs end and others begin in each of them, and take what their guest has
left for them. Then a governor looks at what each uses, a policy says what each should have, and balloons move.

Settings
--------
buffer : how much more than is needed Hyper-V gives, as a part of that; only `hyper-v` asks
high : the most that a machine's programs want
host : the memory that the host has for all machines
idle_share : which part of what programs hold they never touch; only `esxi` asks
interval : how long each step is watched
least : what each machine is left at least, as Hyper-V's minimum; what its guest needs it is left in any case
low : the least that a machine's programs want
machines : how many
policy : ``static``: fixed parts; ``dynamic``: what is used and some to spare; ``hyper-v``: Hyper-V's dynamic memory;
    ``esxi``: ESX's shares and idle memory tax. All of them look once in a step
promised : what each machine was promised
seed : decides what programs want when; both hosts are asked for the same
startup : what each machine has in the first step, whatever its programs want, and never less than it is left at least:
    until its guest has reported, Hyper-V's rule knows nothing of it; only `hyper-v` asks
steps : how many
touches : how many pages a program comes to in a second of undisturbed work, for `slowdown`
weight : how much m1 counts where memory is short, the others 1; all rules but `static` ask

Machines are `m1`, `m2` and so on.

Quantities, each the mean over the steps, as it is while a step is watched
--------------------------------------------------------------------------
idle : what a machine has and its programs could take but do not, in MiB. What its kernel needs is not in it.
short : what its programs want and have not, in MiB.
slowdown : how many times longer its programs would take, did they work through all that they want, with what they have
    not got swapped to a disk that turns. The simulated host lets programs work so, page after page, and looks at how
    long they take. Live it is not measured but reckoned from what is `short` there, as theory does it: no guest here
    has such a disk.

Under `esxi` there are events besides, of the kind ``"state"`` and of the machine `host`: for how long it was in which
of ESX's states (``detail``), by what part of its memory no machine had while a step was watched. In ``soft`` ESX
balloons, in ``hard`` it swaps. Here balloons do it all, so a state says how short the host was, and changes nothing.

Theory is exact for `static`, from what is wanted and what the guest's kernel keeps, as that was measured once for the
image (`labkit.host.memory`); how the other policies move has no closed form. `esxi` does not run live, as libvirt does
not tell which pages a guest has touched.

Bound between live and simulated
--------------------------------
12 MiB for `idle` and `short` under `static`, 5% of a machine of 240 MiB: what a guest's kernel uses differs by so much
from moment to moment; with smaller promises 5% of these, and at least 8 MiB. 24 MiB under `dynamic` and `hyper-v`: a
policy answers to what it sees, so a difference of one step is in the next one's target too. Written before this
experiment first ran live.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from random import Random

from labkit.experiments.governing import SPARE, Governed, govern
from labkit.experiments.needs import ask
from labkit.experiments.phases import joined
from labkit.experiments.settings import SettingError, choice, integer, number, size
from labkit.experiments.wanting import wanted
from labkit.host import Event, Host, HostError, Machine, Observation, Row, Series
from labkit.host.memory import GUEST
from labkit.host.paging import PAGING, Programs, ReclaimsMemory, slowdown
from labkit.host.policies import HYPER_V, POLICIES, Policy

__all__ = [
    "ACTS",
    "AT_FIRST",
    "BOUNDS",
    "BY_WHAT",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "SHOWN",
    "TOGETHER",
    "UNDISTURBED",
    "WHEN",
    "Settings",
    "bounds",
    "machines",
    "run",
    "theory",
]

NAME = "memory-dynamic"
QUESTION = "Machines were promised more memory than there is, and what they want moves. Who should have it?"
LESSON = "03"
NEEDS = ("balloon",)
QUANTITIES = {"idle": "MiB", "short": "MiB", "slowdown": "1"}
LABELS = {
    "idle": ("Idle: given and not used, mean of all steps", "How much lies idle here while another is short?"),
    "short": ("Short: wanted and not had, mean of all steps", "Which machines are short?"),
    "slowdown": ("Slowdown: how many times longer its programs would take (live: reckoned from short)", ""),
}
HEADLINE = "short"
TOGETHER = ("idle", "short")
AT_FIRST = ("policy", "host", "high", "seed")
SHOWN = {
    "host": (448, 1024),
    "promised": (112, 512),
    "low": (1, 64),
    "high": (16, 240),
    "steps": (1, 48),
    "interval": (0.2, 5),
    "touches": (0, 4096),
    "buffer": (0.05, 2),
    "least": (64, 240),
    "startup": (96, 240),
    "seed": (0, 40),
}
ACTS = {
    "idle_share": ("policy", "esxi"),
    "buffer": ("policy", "hyper-v"),
    "startup": ("policy", "hyper-v"),
    "least": ("policy", "dynamic", "hyper-v", "esxi"),
    "weight": ("policy", "dynamic", "hyper-v", "esxi"),
}
BY_WHAT = {"balloon": "The balloons: {}."}
UNDISTURBED = "these are amounts of memory, and no matter of CPU time"
WHEN = "on average"
BOUNDS = {"idle": 24.0, "short": 24.0}
_USUAL = 12.0
_COMES_TO = 4000  # pages that a simulated program comes to, at least, for its slowdown
_COME_TO = 400_000  # pages that all of them come to, about, where there are so many that each comes to fewer
_AS_MANY = 16.0  # MiB that a program works through at most: what counts is which part is missing
_MOVED_AT_MOST = 2_000_000.0  # MiB that balloons and programs move, roughly; a simulated million takes seconds


def _kept(promised: float) -> float:
    """What a guest's kernel keeps and uses of its memory, the files of a program that was once started too, in MiB."""
    return GUEST.kept(promised) + GUEST.used + GUEST.files


@dataclass(frozen=True)
class Settings:
    """How much there is, how much was promised, what is wanted, and by whose rules it is shared out."""

    policy: str = choice("static", tuple(POLICIES), about="by whose rules memory is shared out")
    host: float = size(640.0, minimum=192.0, maximum=1048576.0, about="the memory that the host has for all machines")
    promised: float = size(240.0, minimum=112.0, maximum=65536.0, about="what each machine was promised")
    machines: int = integer(4, minimum=2, maximum=200, unit="", about="how many machines")
    low: float = size(8.0, minimum=1.0, maximum=65536.0, about="the least that a machine's programs want")
    high: float = size(120.0, minimum=1.0, maximum=65536.0, about="the most that a machine's programs want")
    idle_share: float = number(0.25, minimum=0.0, maximum=1.0, unit="1", about="part of it that is never touched")
    steps: int = integer(24, minimum=1, maximum=2880, unit="", about="how often what is wanted may change")
    interval: float = number(1.0, minimum=0.2, maximum=600.0, unit="s", about="how long each step is watched")
    touches: float = number(256.0, minimum=0.0, maximum=4096.0, unit="1/s", about="pages that a program comes to")
    seed: int = integer(1, minimum=0, maximum=1_000_000, unit="", about="decides what is wanted when")
    buffer: float = number(0.2, minimum=0.05, maximum=20.0, unit="1", about="how much more than is needed is given")
    least: float = size(
        64.0, minimum=1.0, maximum=65536.0, about="what each is left at least; what it needs it always is"
    )
    startup: float = size(112.0, minimum=1.0, maximum=65536.0, about="what each starts with, until its guest reports")
    weight: float = number(1.0, minimum=0.1, maximum=10.0, unit="1", about="what m1 counts where it is short; others 1")

    @property
    def minimum(self) -> float:
        """The least that a machine is left, in MiB: with less its programs have nothing."""
        return max(self.least, float(round(_kept(self.promised) + SPARE + 1)))

    @property
    def start(self) -> float:
        """What Hyper-V lets each machine start with, in MiB."""
        return max(self.startup, self.minimum)

    @property
    def rules(self) -> Policy:
        """The policy, with what is set of it."""
        if self.policy == "hyper-v":
            return dataclasses.replace(HYPER_V, buffer=self.buffer, startup=self.start)
        return POLICIES[self.policy]

    @property
    def names(self) -> list[str]:
        """The machines' names."""
        return [f"m{number}" for number in range(1, self.machines + 1)]

    @property
    def wanted(self) -> dict[str, list[int]]:
        """What the programs of each machine want in every step, in MiB."""
        return wanted(self.names, self.steps, self.low, self.high, self.seed)

    def check(self) -> None:
        """Make sure that the settings fit each other.

        Raises
        ------
        SettingError
            Where they do not.
        """
        if self.low > self.high:
            raise SettingError(f"low must be at most high, {self.high:g} MiB, not {self.low:g}.")
        if self.minimum > self.promised:
            why = "as least says" if self.minimum == self.least else "or a guest has nothing to spare"
            raise SettingError(f"promised must be at least {self.minimum:g} MiB, {why}.")
        if self.minimum * self.machines > self.host:
            least = self.minimum * self.machines
            raise SettingError(f"host must be at least {least:g} MiB for {self.machines} machines, not {self.host:g}.")
        if self.policy == "hyper-v":
            self._check_start()
        # All is moved once at first, and then about every tenth step, as programs come and go.
        moved = self.machines * self.promised * (1 + self.steps / 10)
        if moved > _MOVED_AT_MOST:
            fewer = max(0, int(10 * (_MOVED_AT_MOST / (self.machines * self.promised) - 1)))
            raise SettingError(
                f"{self.machines} machines of {self.promised:g} MiB and {self.steps} steps would take minutes: at most "
                f"{fewer} steps with these, or fewer machines, or smaller ones."
            )

    def _check_start(self) -> None:
        if self.start > self.promised:
            raise SettingError(f"startup must be at most promised, {self.promised:g} MiB, not {self.startup:g}.")
        if self.start * self.machines > self.host:
            raise SettingError(
                f"startup must be at most {self.host // self.machines:g} MiB, or {self.machines} machines do not start "
                f"on a host of {self.host:g}; not {self.startup:g}."
            )


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity; empty where no bound was derived."""
    if settings.policy == "esxi":
        return {}
    stated = _USUAL if settings.policy == "static" else 2 * _USUAL
    usual = max(8.0, 0.05 * settings.promised) / _USUAL
    return {"idle": stated * usual, "short": stated * usual}


def machines(settings: Settings) -> int:
    """How many machines there are."""
    return settings.machines


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """What each machine has idle and lacks where every one has a fixed part; nothing for the other policies.

    Of the part that a machine has, its kernel keeps some and uses some, and some has to stay free; the rest is for its
    programs. In each step they take what they want of it, and are short of what it lacks.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used; there are no CPU shares here.

    Returns
    -------
    dict of (machine, quantity) to float or None
        In the units of `QUANTITIES`; None for what has no closed form.

    References
    ----------
    What the kernel keeps: `labkit.host.memory.GUEST`. What a missing page costs: `labkit.host.paging`.
    """
    found: dict[tuple[str, str], float | None] = {}
    part = min(settings.promised, settings.host / settings.machines)
    room = int(part) - _kept(settings.promised) - SPARE
    for name, amounts in settings.wanted.items():
        took = [min(amount, max(0, int(room))) for amount in amounts]
        pairs = list(zip(amounts, took, strict=True))
        found[name, "idle"] = sum(max(0.0, room - has) for has in took) / len(took)
        found[name, "short"] = sum(wish - has for wish, has in pairs) / len(took)
        found[name, "slowdown"] = _mean_slowdown(settings, [float(wish - has) for wish, has in pairs], amounts)
    return found if settings.policy == "static" else dict.fromkeys(found)


def _mean_slowdown(settings: Settings, short: list[float], amounts: list[int]) -> float:
    """Reckoned: 1 + touches × missing part × the time of a page, in the mean over the steps."""
    cost = PAGING.stores["disk"].value
    parts = [lack / wish if wish else 0.0 for lack, wish in zip(short, amounts, strict=True)]
    return sum(slowdown(settings.touches, part, cost) for part in parts) / len(parts)


def run(host: Host, settings: Settings) -> Observation:
    """Let a policy govern machines whose programs come and go, on either host."""
    ask(host, *NEEDS)
    if host.kind == "live" and settings.policy == "esxi":
        raise HostError(
            "libvirt does not tell which pages a guest has touched, and esxi's rules ask for it.",
            "Run it on the simulated host, or take another policy.",
        )
    made: list[Machine] = []
    governed: list[Governed] = []
    try:
        for number_of, name in enumerate(settings.names):
            made.append(host.create(name, memory=settings.promised))
            draw = Random(f"pages/{settings.seed}/{name}")
            touched, weight = 1 - settings.idle_share, settings.weight if number_of == 0 else 1.0
            governed.append(Governed(made[-1], settings.promised, settings.minimum, touched, draw, weight))
        wishes = settings.wanted
        parts = govern(host, governed, settings.rules, settings.host, wishes, settings.interval)
        for one in governed:
            one.end()
    finally:
        for machine in made:
            machine.stop()
    rows = [row for one in governed for row in _rows(host, settings, one, wishes[one.machine.name])]
    seen = joined(parts, rows)
    return _with_series(seen, settings, governed)


def _worked(host: ReclaimsMemory, settings: Settings, one: Governed, wishes: list[int]) -> float:
    """How many times longer programs take that a host lets work with what they have, in the mean over the steps."""
    everything = Programs(working=1.0, cold=0.0, identical=0.0, touches=settings.touches, writes=0.0)
    pages = max(50, min(_COMES_TO, _COME_TO // (settings.machines * (1 + settings.steps // 8))))
    seconds = pages * (1 / settings.touches + PAGING.stores["disk"].value) if settings.touches else 0.0
    name, found = one.machine.name, {}
    for wish, lack in set(zip(wishes, one.short, strict=True)):
        found[wish, lack] = 1.0
        if lack and seconds:
            less = min(1.0, _AS_MANY / wish)
            all_of_it, has = less * wish, less * (wish - lack)
            seen = host.reclaim({name: all_of_it}, everything, "balloon", memory=has, store="disk", seconds=seconds)
            found[wish, lack] = seen.value(name, "slowdown")
    return sum(found[pair] for pair in zip(wishes, one.short, strict=True)) / len(wishes)


def _rows(host: Host, settings: Settings, one: Governed, wishes: list[int]) -> list[Row]:
    name, count = one.machine.name, len(one.idle)
    works = host.can("reclaim") and isinstance(host, ReclaimsMemory)
    longer = _worked(host, settings, one, wishes) if works else _mean_slowdown(settings, one.short, wishes)
    return [
        {"machine": name, "quantity": "idle", "unit": "MiB", "value": sum(one.idle) / count},
        {"machine": name, "quantity": "short", "unit": "MiB", "value": sum(one.short) / count},
        {"machine": name, "quantity": "slowdown", "unit": "1", "value": longer},
    ]


def _with_series(seen: Observation, settings: Settings, governed: list[Governed]) -> Observation:
    """The observation with what each machine had, used, and lacked in every step as series, for the bars."""
    ends = tuple(settings.interval * step for step in range(1, settings.steps + 1))
    lines = [
        Series(one.machine.name, quantity, "MiB", ends, tuple(values))
        for one in governed
        for quantity, values in (("size", one.sizes), ("idle", one.idle), ("short", one.short))
    ]
    events = sorted((*seen.events, *_states(settings, governed)), key=lambda event: event.time)
    return dataclasses.replace(seen, series=(*seen.series, *lines), events=tuple(events))


def _states(settings: Settings, governed: list[Governed]) -> list[Event]:
    """For how long the host was in which state, where the policy knows any, by what part of its memory nobody had."""
    state_of = getattr(settings.rules, "state", None)
    if state_of is None:
        return []
    states: list[str] = []
    for sizes in zip(*(one.sizes for one in governed), strict=True):
        states.append(state_of(max(0.0, 1 - sum(sizes) / settings.host), *states[-1:]))
    found, begin = [], 0
    for state, those in groupby(states):
        count = len(list(those))
        start, long = settings.interval * begin, settings.interval * count
        found.append(Event(start, "state", "host", seconds=long, detail=state))
        begin += count
    return found
