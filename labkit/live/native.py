"""The same small program on the host and in a guest, in turn, and how much longer it takes there.

Two runners on one track, one after the other and again, so that whatever else goes on meets both alike.
"""

from __future__ import annotations

import base64
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from labkit.host import Ability, HostError, Observation, Provenance, Row
from labkit.host.timing import Program
from labkit.live import counters, starting
from labkit.live.domain import Shape

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["NO_NETWORK", "times"]

NO_NETWORK = Ability(
    False,
    reason="A guest of labkit has a network card without a cable: nothing can be sent through it yet.",
    remedy="Look at the simulated column.",
)
_PROGRAM = Path(__file__).with_name("trial.py")
_IN_GUEST = "/run/trial.py"
_GUESTS_PYTHON = "/tools/bin/python3"
_GUESTS_DISK = "/dev/vda"  # the tools' disk, the first of every guest (labkit.live.domain)
_PATIENCE = 60.0  # seconds beyond those of the program itself
_NOT_MEASURED = {
    "hosted": "nothing, not measured: labkit has no VMware Workstation, VirtualBox or Parallels Desktop to ask",
    "nested": "nothing, not measured: labkit's guests have no hypervisor in them",
}
_TCG = (
    "TCG, which translates every instruction, where theory and simulation suppose hardware assistance: the gap between "
    "them is that between the two techniques (for kind=compute compare with 'emulated')"
)


@dataclass(frozen=True)
class _Run:
    """One run of the program: how many times a second it did its thing, and whose Python it was."""

    rate: float
    python: str


def times(host: LiveHost, program: Program, guest: LiveMachine) -> Observation:
    """The time of the same work in each place; see `labkit.host.timing.TimesPrograms`."""
    if program.kind == "network":
        raise HostError(NO_NETWORK.reason, NO_NETWORK.remedy)
    cpu = (guest.pinned or range(host.cpus))[0]
    host.change(guest, pin=(cpu,))
    places = {"guest": guest}
    try:
        if program.kind == "compute" and host.accelerator.name != "TCG":
            shape = Shape(1, round(guest.memory), "TCG")
            places["emulated"] = starting.start(host, f"emulated-{os.urandom(2).hex()}", shape, cold=False)
            host.pin(places["emulated"], (cpu,))
        return _timed(host, program, places, cpu)
    finally:
        if "emulated" in places:
            host.remove(places["emulated"])


def _timed(host: LiveHost, program: Program, places: dict[str, LiveMachine], cpu: int) -> Observation:
    for machine in places.values():
        _send(machine)
    runs: dict[str, list[_Run]] = {place: [] for place in ("native", *places)}
    first, used_first = counters.read(host.connection, [], here=True), _used(places)
    begun = time.monotonic()
    for repeat in range(program.repeats):
        runs["native"].append(_natively(host, program, cpu))
        for place, machine in places.items():
            runs[place].append(_inside(machine, program))
        host.progress("Measuring", (repeat + 1) / program.repeats)
    seconds = time.monotonic() - begun
    last, used_last = counters.read(host.connection, [], here=True), _used(places)
    others = sum(last.busy.values()) - sum(first.busy.values()) - (used_last - used_first)
    disturbed = max(0.0, others / (seconds * len(first.busy)))
    ratios = {
        place: statistics.median(own.rate / there.rate for own, there in zip(runs["native"], seen, strict=True))
        for place, seen in runs.items()
    }
    if host.accelerator.name == "TCG" and program.kind == "compute":
        ratios["emulated"] = ratios["guest"]
    rows = [
        Row(machine=place, quantity="seconds", unit="s", value=program.seconds * ratio)
        for place, ratio in ratios.items()
    ]
    return Observation(seconds, tuple(rows), (), (), _provenance(host, program, runs), round(disturbed, 4))


def _provenance(host: LiveHost, program: Program, runs: dict[str, list[_Run]]) -> Provenance:
    """What ran where."""
    own, there = runs["native"], runs["guest"]
    rate = statistics.median(run.rate for run in own)
    how = f"one file, run by Python {own[0].python} on the host and Python {there[0].python} in the guest"
    said = {
        "programs": f"{how}, its work done {rate:.3g} times a second on the host itself",
        "guest": _TCG if host.accelerator.name == "TCG" else "KVM, with hardware assistance",
        **_NOT_MEASURED,
    }
    if "emulated" in runs:
        said["emulated"] = "TCG, in a guest of its own"
    elif program.kind == "compute":
        said["emulated"] = "TCG, in the same measurement as 'guest'"
    found = host.provenance()
    return Provenance("live", found.name, found.accelerator, said, {}, found.versions)


def _used(places: dict[str, LiveMachine]) -> float:
    """CPU seconds that the guests' QEMUs and the programs on the host have used so far."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    qemus = [psutil.Process(machine.process).cpu_times() for machine in places.values()]
    return children.ru_utime + children.ru_stime + sum(times.user + times.system for times in qemus)


def _send(machine: LiveMachine) -> None:
    """Put the program into a guest."""
    agent = machine.agent
    handle = agent.call("guest-file-open", path=_IN_GUEST, mode="w")
    agent.call("guest-file-write", handle=handle, **{"buf-b64": base64.b64encode(_PROGRAM.read_bytes()).decode()})
    agent.call("guest-file-close", handle=handle)


def _natively(host: LiveHost, program: Program, cpu: int) -> _Run:
    """Run it on the host, by the distribution's own Python where there is one, as that is what a guest has."""
    systems = Path("/usr/bin/python3")
    python = str(systems) if systems.exists() else sys.executable
    command = [python, "-I", "-S", str(_PROGRAM), program.kind, str(program.seconds)]
    command += [str(host.cpu_numbers[cpu]), str(host.image.tools)]
    host.comment(
        f"on the host itself: python3 -I -S labkit/live/trial.py {' '.join(command[4:-1])} and the tools' disk"
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=program.seconds + _PATIENCE, check=False)
    if done.returncode:
        raise HostError(f"The program did not run on the host: {done.stderr.strip()[-200:]}", "Look at labkit doctor.")
    return _read(done.stdout, "on the host")


def _inside(machine: LiveMachine, program: Program) -> _Run:
    """Run it in a guest; the guest is not asked about it while it runs, which would count as its work."""
    command = [_GUESTS_PYTHON, "-I", "-S", _IN_GUEST, program.kind, str(program.seconds), "0", _GUESTS_DISK]
    machine.host.note_agent(machine, "guest-exec", command)
    process = machine.agent.start(command, capture=True)
    time.sleep(program.seconds + 0.5)
    ends = time.monotonic() + _PATIENCE
    while (finished := machine.agent.finished(process)) is None:
        if time.monotonic() > ends:
            raise HostError(f"The program in {machine.name} did not end.", "Try again on a quieter computer.")
        time.sleep(0.2)
    if finished.status:
        raise HostError(f"The program in {machine.name} did not run: {finished.errors.strip()[-200:]}", "Try again.")
    return _read(finished.output, f"in {machine.name}")


def _read(said: str, where: str) -> _Run:
    try:
        done, seconds, python = said.split()
        return _Run(int(done) / float(seconds), python)
    except (ValueError, ZeroDivisionError) as error:
        raise HostError(f"The program {where} said {said!r:.80}.", "Try again.") from error
