"""What a machine does all day: work handed to its vCPUs.

A load that spins is a hamster in a wheel: it takes every second it is given. A load with a duty is a
clerk to whom the post brings the same stack of letters every tenth of a second; when the stack is done he
sleeps until the next one. If he is held up, what is left stays on the desk and the next stack comes on top.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random
from typing import TYPE_CHECKING

from simpy.events import Timeout

if TYPE_CHECKING:
    from simpy import Environment
    from simpy.events import Event

    from labkit.host import CpuLoad
    from labkit.model.scheduler import Scheduler
    from labkit.model.vcpu import Group

__all__ = ["PERIOD", "drive"]

PERIOD = 0.1
"""Seconds from one portion of work of a load with a duty to the next."""

BACKLOG = 2 * PERIOD
"""CPU seconds to which unfinished work can pile up. So a machine that was held up catches up soon, and not for ever."""


def drive(env: Environment, scheduler: Scheduler, group: Group, load: CpuLoad, seed: int) -> Callable[[], None]:
    """Start a load on every vCPU of a machine, and return what ends it.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    scheduler : Scheduler
        The host's.
    group : Group
        The machine.
    load : CpuLoad
        A duty of 1 spins. Below 1, each vCPU gets ``duty * PERIOD`` CPU seconds of work every `PERIOD`.
    seed : int
        With the machine's name and the vCPU's number, it decides where in a period a vCPU's work comes.
        Machines made in another order, or beside other machines, keep theirs.

    Returns
    -------
    callable
        Call it, without arguments, to end the load.
    """
    if load.duty >= 1.0:
        for vcpu in group.vcpus:
            scheduler.give(vcpu, inf, inf)
    running = True
    portion = load.duty * PERIOD

    def deliver(event: Event) -> None:
        if running:
            vcpu, due = event.value
            scheduler.give(vcpu, portion, BACKLOG)
            due += PERIOD  # from when it was due, so that the times do not drift
            Timeout(env, due - env.now, (vcpu, due)).callbacks.append(deliver)

    def end() -> None:
        nonlocal running
        running = False
        for vcpu in group.vcpus:
            scheduler.rest(vcpu)

    if load.duty < 1.0:
        for vcpu in group.vcpus:
            phase = Random(f"{seed}/{group.name}/{vcpu.index}").random() * PERIOD
            Timeout(env, phase, (vcpu, env.now + phase)).callbacks.append(deliver)
    return end
