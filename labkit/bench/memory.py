"""How long 200 machines under a memory policy take for a simulated day, beside a plain loop over the same steps.

The loop knows no clock, no balloons and no pages, only how much each machine has: it is the least that the same day
could cost in Python. Both must come to the same numbers, or nothing is told. CPU time of this process, in turn.
"""

from __future__ import annotations

import math
import time

from labkit.bench.figures import Figure, within
from labkit.experiments import memory_dynamic
from labkit.experiments.governing import SPARE
from labkit.host import HostError
from labkit.host.memory import GUEST
from labkit.host.policies import POLICIES, Seen, moves
from labkit.model import SimulatedHost

__all__ = ["memory_figures", "plain_day"]

_MACHINES, _LOOKS, _DAY = 200, 48, 86_400.0


def memory_figures(rounds: int = 1) -> list[Figure]:
    """CPU seconds of a day of 200 machines in which the governor looks every half hour.

    Parameters
    ----------
    rounds : int
        How often it is timed.

    Raises
    ------
    HostError
        Where the simulated host and the plain loop do not agree.
    """
    # No touches: how much longer programs take the loop does not know.
    settings = memory_dynamic.Settings(
        policy="dynamic", machines=_MACHINES, host=160.0 * _MACHINES, steps=_LOOKS, interval=_DAY / _LOOKS, touches=0.0
    )
    ours, theirs = [], []
    for _ in range(max(rounds, 1)):
        started = time.process_time()
        with SimulatedHost() as host:
            seen = memory_dynamic.run(host, settings)
        ours.append(time.process_time() - started)
        started = time.process_time()
        plain = plain_day(settings)
        theirs.append(time.process_time() - started)
        for name, (idle, short) in plain.items():
            told = seen.value(name, "idle"), seen.value(name, "short")
            if max(abs(told[0] - idle), abs(told[1] - short)) > 1e-6:
                raise HostError(f"The model says {told} MiB of {name}, a plain loop {(idle, short)}.")
    name = f"A day of {_MACHINES} machines whose memory is looked at every half hour"
    peer = "a plain loop over the same steps, without clock or pages"
    return [within(name, ours, "s", 60.0, peer=peer, other=sorted(theirs)[len(theirs) // 2])]


def plain_day(settings: memory_dynamic.Settings) -> dict[str, tuple[float, float]]:
    """What each machine has idle and lacks, on average over the steps, in MiB.

    Parameters
    ----------
    settings : memory_dynamic.Settings
        The experiment's, with a policy that asks for no samples and for nothing that is committed and not had.

    Returns
    -------
    dict of str to (float, float)
        By machine: idle and short.
    """
    policy, names, wanted = POLICIES[settings.policy], settings.names, settings.wanted
    kept = GUEST.kept(settings.promised) + GUEST.used + GUEST.files
    sizes, has = [settings.promised] * len(names), [0] * len(names)
    idle, short = [0.0] * len(names), [0] * len(names)
    for step in range(settings.steps):
        used = [kept + there + SPARE for there in has]
        seen = [
            Seen(name, settings.promised, settings.minimum, size, use, use, use)
            for name, size, use in zip(names, sizes, used, strict=True)
        ]
        targets = policy.targets(seen, settings.host)
        floors = [min(size, math.ceil(use)) for size, use in zip(sizes, used, strict=True)]
        sizes = [_sent(size, to) for size, to in zip(sizes, _down(sizes, targets, floors, settings.host), strict=True)]
        sizes = [
            _sent(size, to) if to > size else size
            for size, to in zip(sizes, moves(sizes, targets, sizes, settings.host), strict=True)
        ]
        for place, name in enumerate(names):
            wish, most = wanted[name][step], max(0, math.floor(sizes[place] - kept - SPARE))
            if step == 0 or wish != wanted[name][step - 1] or min(wish, most) > has[place]:
                has[place] = min(wish, most)
            idle[place] += max(0.0, sizes[place] - kept - has[place] - SPARE) / settings.steps
            short[place] += max(0, wish - has[place])
    return {name: (idle[place], short[place] / settings.steps) for place, name in enumerate(names)}


def _down(sizes: list[float], targets: list[float], floors: list[float], host: float) -> list[float]:
    told = moves(sizes, targets, floors, host)
    return [goal if goal < size else size for size, goal in zip(sizes, told, strict=True)]


def _sent(size: float, goal: float) -> float:
    """Where a balloon arrives: on a whole MiB, and not at all where that is less than one away."""
    whole = float(math.floor(goal + 1e-6))
    return whole if abs(size - whole) >= 1 else size
