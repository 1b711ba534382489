"""What a guest's start consists of: two clocks, and when one began on the other.

The host knows when it asked for the machine, when libvirt's call was back and when the agent answered. The guest
knows, in seconds since its kernel's clock began, when its first program started and when the agent was started: it
prints them. Asked how long it has been up, with a look at the host's clock before and after, it tells when its
own began.
"""

from __future__ import annotations

import base64
import re
import time
from typing import TYPE_CHECKING

import psutil

from labkit.host import Event, HostError, Observation, Provenance, Row
from labkit.host.timing import BOOT_STAGES
from labkit.live import counters

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["boot"]

_TIMES = 5  # looks at the guest's clock; the one that was answered soonest counts
_TICK = 0.01  # seconds; /proc/uptime counts in hundredths, cut off
_STAMP = re.compile(r"labkit: (init|ready) ([0-9.]+)", re.ASCII)


def boot(host: LiveHost, name: str, start: str) -> tuple[LiveMachine, Observation]:
    """Switch a machine on and keep what happened when; see `labkit.host.timing.BootsMachines`."""
    if start not in ("cold", "saved"):
        raise HostError(f"There is no start {start!r:.20}.", "Choose one of cold, saved.")
    if start == "saved":  # what is measured is a start from the saved boot, not how that is made
        host.create(name).stop()
    first, mine = counters.read(host.connection, [], here=True), time.process_time()
    machine = host.create(name, cold=start == "cold")
    try:
        if start == "saved" and machine.started_from != "saved boot":
            raise HostError(f"{name} could not be started from a saved boot.", "host.journal() says why.")
        last = counters.read(host.connection, [], here=True)
        used = psutil.Process(machine.process).cpu_times()
        ours = used.user + used.system + time.process_time() - mine
        began, uncertain = _guests_clock(machine)
        stages = _stages(machine, began)
    except BaseException:
        machine.stop()
        raise
    asked, answered = machine.moments["asked"], machine.moments["answered"]
    events, begins = [], 0.0
    for stage in BOOT_STAGES:
        if stages[stage] > 0:
            events.append(Event(time=begins, kind="stage", machine=name, seconds=stages[stage], detail=stage))
        begins += stages[stage]
    rows = [Row(machine=name, quantity=stage, unit="s", value=stages[stage]) for stage in BOOT_STAGES]
    rows.append(Row(machine=name, quantity="total", unit="s", value=answered - asked))
    found = host.provenance()
    mechanisms = {
        "boots": "libvirt's call, the guest's own words on its console, and the agent's first answer",
        "clocks": _in_words(began - asked, uncertain),
        "time stamps": f"the host's clock: asked for at {_of_day(asked)}, answered at {_of_day(answered)} UTC",
    }
    provenance = Provenance("live", found.name, found.accelerator, mechanisms, {}, found.versions)
    others = sum(last.busy.values()) - sum(first.busy.values()) - ours
    disturbed = round(max(0.0, others / ((last.time - first.time) * len(first.busy))), 4)
    return machine, Observation(answered - asked, tuple(rows), (), tuple(events), provenance, disturbed)


def _of_day(moment: float) -> str:
    """The time of day, in UTC, of a moment of the monotonic clock."""
    seconds = time.time() - time.monotonic() + moment
    return f"{time.strftime('%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1000):03d}"


def _in_words(after: float, uncertain: float) -> str:
    """When the guest's clock began, in seconds after it was asked for."""
    if after >= 0:
        return f"the guest's uptime: its kernel's clock began {after:.3f} s after asking, known to {uncertain:.3f} s"
    return f"the guest's uptime, which was {-after:.1f} s when it was asked for, as it was saved with the memory"


def _stages(machine: LiveMachine, began: float) -> dict[str, float]:
    """How long each stage took; `began` is when the kernel's clock began, on the host's clock."""
    moments = machine.moments
    stamps = {what: float(seconds) for what, seconds in _STAMP.findall(machine.console())}
    stages = dict.fromkeys(BOOT_STAGES, 0.0)
    stages["hypervisor"] = moments["made"] - moments["asked"]
    if not stamps:  # it has printed nothing, as it did not boot
        stages["agent"] = moments["answered"] - moments["made"]
        return stages
    if set(stamps) != {"init", "ready"}:
        raise HostError(f"{machine.name} has not said when it started what.", "Look at machine.console().")
    stages["firmware"] = began - moments["made"]
    stages["kernel"] = stamps["init"]
    stages["init"] = stamps["ready"] - stamps["init"]
    stages["agent"] = moments["answered"] - began - stamps["ready"]
    return stages


def _guests_clock(machine: LiveMachine) -> tuple[float, float]:
    """When the guest's clock began, in seconds of the host's, and by how much that may be off."""
    best = (0.0, float("inf"))
    for _ in range(_TIMES):
        handle = machine.agent.call("guest-file-open", path="/proc/uptime", mode="r")
        before = time.monotonic()
        answer = machine.agent.call("guest-file-read", handle=handle)
        after = time.monotonic()
        machine.agent.call("guest-file-close", handle=handle)
        up = float(base64.b64decode(answer["buf-b64"]).split()[0]) + _TICK / 2
        off = (after - before + _TICK) / 2
        if off < best[1]:
            best = (before + after) / 2 - up, off
    return best
