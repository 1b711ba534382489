"""How fast a guest is: rounds of ``serve.py``'s loop in a CPU second, and what each request costs beside its rounds.

Both are found out in a run of their own, apart from all that is compared.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.live import starting
from labkit.live.domain import Shape
from labkit.live.served import PYTHON, Program, lines_of

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["calibrate"]

PATIENCE = 60.0  # seconds for one run
_SHORT, _LONG = 1_000_000, 9_000_000  # rounds; the long run takes a little over 1 s under emulation
_RUNS = 3
_LONG_ENOUGH = 1.0  # CPU seconds; libvirt counts them in hundredths
_ERRANDS, _APART = 80, 0.0125  # requests of next to no work, and the seconds from one to the next


def calibrate(host: LiveHost, pin: Sequence[int] | None) -> tuple[float, float]:
    """How many rounds of ``serve.py``'s loop a vCPU does in a CPU second, and a request's other seconds.

    A guest of its own does short and long runs; the difference leaves out what starting the program costs. The time
    is the vCPU's own, as libvirt counts it, so that waiting for a CPU is not in it. Others can still slow the
    processor down (its caches, its second thread), so of several runs the fastest counts.

    A request costs more than its rounds: the server wakes up, reads the schedule and writes the book, under emulation
    a millisecond or two. That is the median time, on the guest's own clock, of requests of a single round.

    Parameters
    ----------
    host : LiveHost
        The host.
    pin : sequence of int, optional
        The host CPUs to do it on.

    Raises
    ------
    HostError
        Where it cannot be done.
    """
    host.progress("Finding out how fast a guest is here", 0.0)
    machine = starting.start(host, f"speed-{os.urandom(2).hex()}", Shape(1, 128, host.accelerator.name), cold=False)
    try:
        if pin:
            host.pin(machine, tuple(pin))
        _run(machine, _SHORT)  # an emulator translates a program when it first runs
        rounds = _LONG
        while _run(machine, rounds) < _LONG_ENOUGH:  # with KVM
            rounds *= 4
        short, long = (min(_run(machine, each) for _ in range(_RUNS)) for each in (_SHORT, rounds))
        beside = _beside(machine)
    finally:
        host.remove(machine)
    host.progress("Finding out how fast a guest is here", 1.0)
    if not long > short:
        raise HostError("How fast a guest is here could not be measured.", "Try again.")
    speed = (rounds - _SHORT) / (long - short)
    host.comment(f"a guest's vCPU does {speed:.4g} rounds of serve.py's loop in a CPU second")
    host.comment(f"and a request takes {1000 * beside:.2g} ms beside its rounds")
    return speed, beside


def _beside(machine: LiveMachine) -> float:
    """Seconds from a request's coming to its end where it asks for next to nothing."""
    comes = [number * _APART for number in range(_ERRANDS)]
    program = Program(machine, lines_of(comes, [1] * _ERRANDS))
    try:
        program.make_ready()
        program.say("go")
        ends = time.monotonic() + PATIENCE
        while program.lines() < _ERRANDS + 2:
            if time.monotonic() > ends:
                raise HostError("What a request costs could not be measured in time.", "Try again.")
            time.sleep(0.5)
        entries = program.book()
    finally:
        program.clear_away()
    go = next(began for number, began, _ended in entries if number == -2)
    return statistics.median(ended - go - comes[number] for number, _began, ended in entries if number >= 0)


def _run(machine: LiveMachine, rounds: int) -> float:
    """Do some rounds in a guest and return the vCPU's time, in seconds."""

    def ran() -> float:
        return machine.statistics()["vcpu.0.time"] / 1e9

    before = seen = ran()
    process = machine.agent.start([*PYTHON, "burn", str(rounds)])
    quiet, ends = 0, time.monotonic() + PATIENCE
    # The guest is not asked while it works, which would count as its work. It is done when it takes no more time.
    while quiet < 4 or machine.agent.finished(process) is None:
        if time.monotonic() > ends:
            raise HostError(
                "How fast a guest is here could not be measured in time.", "Try again on a quieter computer."
            )
        time.sleep(0.05)
        now = ran()
        quiet = quiet + 1 if now - seen < 0.005 else 0
        seen = now
    return seen - before
