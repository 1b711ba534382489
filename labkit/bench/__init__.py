"""The measurements that ``labkit bench`` prints, each with the peer's figure from the same run where there is one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import labkit
from labkit.bench.engine import engine_figures
from labkit.bench.figures import Figure, Report, within
from labkit.host import HostError

__all__ = ["Report", "measure"]

_SIMULATED = [sys.executable, "-m", "labkit.cli", "run", "cpu-shares", "--json"]
_BARE = [sys.executable, "-c", "import simpy"]


def measure(rounds: int = 10, *, browser: bool = False, tell: Callable[[str], None] = lambda _sentence: None) -> Report:
    """Measure how fast it is here.

    Parameters
    ----------
    rounds : int
        How often each boot and each process is timed.
    browser : bool
        Whether a slider is timed in a real browser too.
    tell : callable
        Told in a sentence what is being done.
    """
    machine: dict[str, Any] = {"cpus": os.cpu_count(), "kernel": platform.release()}
    figures: list[Figure] = []
    complaints: list[str] = []
    try:
        figures += _live_figures(rounds, machine, tell)
    except HostError as error:
        complaints.append(f"No guest was timed: {error}")
    figures += engine_figures(rounds, tell)
    tell("Timing writes to simulated and real disks ...")
    try:
        figures += _disk_figures(rounds)
    except HostError as error:
        complaints.append(f"No disk was timed: {error}")
    tell("Letting 200 simulated machines share their memory for a day ...")
    try:
        figures += _memory_figures()
    except HostError as error:
        complaints.append(f"No day of memory was timed: {error}")
    tell("Timing the simulated experiment ...")
    figures.append(_process_figure(rounds))
    if browser:
        tell("Moving a slider in a real browser ...")
        try:
            figures.append(_slider_figure())
        except (ImportError, RuntimeError) as error:
            complaints.append(f"No slider was timed: {error}")
    return Report(tuple(figures), machine, " ".join(complaints))


def _live_figures(rounds: int, machine: dict[str, Any], tell: Callable[[str], None]) -> list[Figure]:
    from labkit.bench.boots import agreement, boot_figures

    with labkit.live() as host:
        machine |= {"accelerator": host.accelerator.name, **host.versions}
        figures = boot_figures(host, rounds, tell)
    return figures + agreement(labkit.live, tell)


def _disk_figures(rounds: int) -> list[Figure]:
    from labkit.bench.disks import disk_figures

    return disk_figures(rounds)


def _memory_figures() -> list[Figure]:
    from labkit.bench.memory import memory_figures

    return memory_figures()


def _seconds(command: list[str]) -> float:
    started = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - started


def _process_figure(rounds: int) -> Figure:
    """The whole process of a simulated run, in turn with a Python that only imports SimPy."""
    pairs = [(_seconds(_SIMULATED), _seconds(_BARE)) for _ in range(rounds + 1)][1:]
    ours, bare = ([pair[side] for pair in pairs] for side in (0, 1))
    name = "labkit run cpu-shares, simulated, the whole process"
    return within(name, ours, "s", 0.5, peer="Python that imports SimPy and ends", other=sorted(bare)[len(bare) // 2])


def _slider_figure() -> Figure:
    from labkit.bench.browser import slider_latency

    return within("From a slider to the redrawn picture, 95% of the moves", slider_latency(), "ms", 100, percentile=95)
