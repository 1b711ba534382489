"""Leaving a guest, moment by moment: a program works, is interrupted, and somebody else has to do something first.

Picture a clerk who may do almost everything himself. For a few things he must go up one floor and ask; each way there
and back takes time, whatever is done up there. How many floors there are is what tells a guest from one in a hosted
hypervisor, and from one whose hypervisor is itself a guest.

The play is one process on a `simpy.Environment`. The guest's clock interrupts it at its own times, whether the program
gets on or not; the program's own uses of a device come at random points of its work. All that happens then is
played one step after the other, and written down under the layer that it was spent in.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import simpy

from labkit.host import HostError
from labkit.host.costs import COSTS, Costs
from labkit.host.timing import KINDS, PLACES, Program

__all__ = ["Path", "Played", "play", "places_of"]

MOST_USES = 20_000  # of a device in one play; more would only take longer
USES_A_DEVICE = ("disk", "network")

Path = tuple[tuple[str, float], ...]
"""What happens, step by step: in which layer, and for how many seconds."""


@dataclass(frozen=True)
class Layers:
    """One place to run a program in.

    Parameters
    ----------
    work : Path
        The layers in which the program's own instructions run, each with how long it takes for a second of them.
    tick, use : Path
        What happens at each interruption by the clock, and at each use of a device.
    """

    work: Path
    tick: Path = ()
    use: Path = ()


@dataclass
class Played:
    """What became of a play.

    Parameters
    ----------
    native : float
        The work, in seconds of a program that is never interrupted.
    seconds : float
        How long it took.
    layers : dict of str to float
        In which layer the time was spent, in s.
    exits : int
        How often the program was left.
    """

    native: float
    seconds: float = 0.0
    layers: dict[str, float] = field(default_factory=dict)
    exits: int = 0


def _layers(place: str, costs: Costs) -> Layers:
    """What a place consists of."""
    own: Path = (("guest", 1.0),)
    out: Path = (("exit", costs.exit.value),)
    device: Path = (*out, ("device", costs.device.value - costs.exit.value))
    many = round(costs.exits_per_tick.value)
    if place == "native":
        return Layers((("program", 1.0),))
    if place == "guest":
        return Layers(own, out * many, device)
    if place == "hosted":
        there_and_back: Path = (("world switch", costs.world_switch.value),) * 2
        through = (*device, *there_and_back, ("host", costs.host_path.value))
        return Layers(own, (out + there_and_back) * many, through)
    if place == "nested":
        inner = out * round(costs.exits_per_nested_exit.value)
        return Layers(own, inner * many, (*inner, device[-1]))
    translated = costs.translated.value
    return Layers((("translated code", translated), ("software MMU", translated * (costs.software_mmu.value - 1))))


def places_of(kind: str) -> tuple[str, ...]:
    """The places for which there are published numbers: of emulation they are of programs that only compute."""
    return PLACES if kind == "compute" else PLACES[:-1]


def play(program: Program, place: str, repeat: int = 0, costs: Costs = COSTS) -> Played:
    """Run a program in a place.

    Parameters
    ----------
    program : Program
        The program; of its `seconds` no more than 20,000 uses of a device are played.
    place : str
        One of `places_of` its kind.
    repeat : int
        Which of the repeats; it decides where in the work devices are used.
    costs : Costs
        What leaving a guest costs.

    Raises
    ------
    HostError
        Where there are no numbers for that program in that place, or the guest would never get on.
    """
    if program.kind not in KINDS or place not in places_of(program.kind):
        raise HostError(f"There are no published numbers for {program.kind!r:.20} in {place!r:.20}.", "Leave it out.")
    layers = _layers(place, costs)
    if sum(seconds for _layer, seconds in layers.tick) * costs.ticks.value >= 1:
        raise HostError("A guest that is interrupted so often never gets on.", "Take fewer ticks, or cheaper exits.")
    uses = program.kind in USES_A_DEVICE
    native = min(program.seconds, MOST_USES / program.rate) if uses else program.seconds
    played = Played(native)
    env = simpy.Environment()
    random = Random(f"uses/{program.kind}/{repeat}")  # the same uses in every place
    env.process(_running(env, layers, played, random, program.rate if uses else 0.0, costs))
    env.run()
    played.seconds = env.now
    return played


def _running(
    env: simpy.Environment, layers: Layers, played: Played, random: Random, rate: float, costs: Costs
) -> Generator[simpy.Event, Any, None]:
    """The program, from its beginning to its end."""

    def steps(path: Path, times: float = 1.0) -> Generator[simpy.Event, Any, None]:
        for layer, seconds in path:
            yield env.timeout(seconds * times)
            played.layers[layer] = played.layers.get(layer, 0.0) + seconds * times

    def until_next_use() -> float:
        return -math.log(1.0 - random.random()) / rate if rate else math.inf

    pace = sum(seconds for _layer, seconds in layers.work)
    tick = 1.0 / costs.ticks.value if layers.tick else math.inf
    next_tick, left, use = tick, played.native, until_next_use()
    while left > 0:
        piece = min(left, use, max(0.0, next_tick - env.now) / pace)
        yield from steps(layers.work, piece)
        left, use = left - piece, use - piece
        if left <= 0:
            return
        # Whichever of the two it was that stopped it; a guest that is not back in time has its next tick at once.
        if use <= 0:
            played.exits += bool(layers.use)
            yield from steps(layers.use)
            use = until_next_use()
        else:
            next_tick += tick
            played.exits += 1
            yield from steps(layers.tick)
