"""How often a disk request passes each layer, as the simulated host played it.

Picture somebody at every door with a counter. The simulated host plays some thousand requests, one after the other, and
says how long was spent at each door; one passing of a door takes what was published for it (`labkit.host.costs`).
"""

from __future__ import annotations

from dataclasses import dataclass

import labkit
from labkit.experiments import load
from labkit.host import HostError, Observation
from labkit.host.costs import COSTS

__all__ = ["Passed", "passings", "played"]

_DOORS = {"exit": COSTS.exit, "world switch": COSTS.world_switch}
_WORDS = {"exit": ("exit", "exits"), "world switch": ("world switch", "world switches")}


@dataclass(frozen=True)
class Passed:
    """What a disk request came to in one place.

    Parameters
    ----------
    place : str
        Where, as the experiment `overhead` names it.
    requests : int
        How many were played.
    doors : dict of str to float
        How often each door was passed for one request, on average; the guest's clock has its part in it.
    microseconds : float
        What one request took beyond its native time, in µs.
    """

    place: str
    requests: int
    doors: dict[str, float]
    microseconds: float

    def words(self) -> str:
        """That in a sentence."""
        parts = [
            f"{round(count)} {_WORDS[door][round(count) != 1]}" for door, count in self.doors.items() if round(count)
        ]
        return (
            f"Counted by the simulated host over {self.requests:,} requests, for each of them: {', '.join(parts)}, "
            f"and {self.microseconds:.0f} µs that it does not take on the host itself."
        )


def passings(seen: Observation) -> dict[str, Passed]:
    """What was played, for each place in which requests went through a virtual disk.

    Parameters
    ----------
    seen : Observation
        Of the experiment `overhead`, simulated, with the kind ``"disk"``; its events of kind ``"layer"`` are read.
    """
    spent: dict[str, dict[str, float]] = {}
    for event in seen.events:
        if event.kind == "layer":
            spent.setdefault(event.machine, {})[event.detail.partition(":")[0]] = event.seconds
    found = {}
    for place, layers in spent.items():
        # Of a use's 20 µs until the device hears it, the exit is counted apart.
        requests = round(layers.get("device", 0.0) / (COSTS.device.value - COSTS.exit.value))
        if not requests:
            continue
        doors = {door: layers[door] / cost.value / requests for door, cost in _DOORS.items() if door in layers}
        extra = sum(seconds for layer, seconds in layers.items() if layer != "guest")
        found[place] = Passed(place, requests, doors, 1e6 * extra / requests)
    return found


def played() -> dict[str, Passed]:
    """Let the simulated host play some thousand requests; nothing where it cannot."""
    overhead = load("overhead")
    settings = overhead.Settings(kind="disk", seconds=0.05, repeats=1, rate=100_000.0)
    try:
        with labkit.simulated(cpus=2) as host:
            return passings(overhead.run(host, settings))
    except HostError:
        return {}
