"""Harm to a real guest, done from inside it, and what can be seen from in there."""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.host.harm import HARMS

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["harm", "inside"]

PATIENCE = 60.0  # seconds for a guest to come to harm; beside others on a busy CPU it is slow
_PANIC = "echo c >/proc/sysrq-trigger"
# A program that takes a MiB after the other; whoever has a score of 1000 is the first that the kernel ends.
_GREEDY = "taken = []\nwhile True: taken.append(b'x' * 1048576)"
_FILL = 'while :; do (echo 1000 >/proc/self/oom_score_adj; exec /tools/bin/python3 -I -S -c "$0"); done'
_ENDED = "programs ended for want of memory"
_LOOK = f"""
echo "CPU: $(grep -c ^processor /proc/cpuinfo)"
while read -r name amount _; do
	[ "$name" = MemTotal: ] && echo "memory: $((amount / 1024)) MiB"
done </proc/meminfo
for disk in /sys/block/vd*; do
	read -r sectors <"$disk/size" && echo "disk: ${{disk##*/}} of $((sectors / 2048)) MiB"
done
for card in /sys/class/net/e*; do
	read -r address <"$card/address" && echo "network card: ${{card##*/}} $address"
done
while read -r name number; do
	[ "$name" = oom_kill ] && [ "$number" != 0 ] && echo "{_ENDED}: $number"
done </proc/vmstat
true
"""


def harm(host: LiveHost, machine: LiveMachine, how: str) -> str:
    """Let a machine do harm to itself; see `labkit.host.harm.HarmsMachines`.

    ``panic`` is Linux's own way to try what a crash does (Documentation/admin-guide/sysrq.rst, "c"). The guest is told
    to start anew after a panic, and its domain to end where it would: so it ends.
    """
    if how == "panic":
        return _panic(host, machine)
    if how == "memory":
        return _fill(host, machine)
    raise HostError(f"There is no harm {how!r:.20}.", f"Choose one of {', '.join(HARMS)}.")


def _panic(host: LiveHost, machine: LiveMachine) -> str:
    """Let its kernel panic; its own last words."""
    machine.may_end = True
    command = ["/bin/sh", "-c", _PANIC]
    host.note_agent(machine, "guest-exec", command)
    with contextlib.suppress(HostError):  # it may be gone before it has answered
        machine.agent.start(command)
    ends = time.monotonic() + PATIENCE
    while machine.state == "running":
        if time.monotonic() > ends:
            raise HostError(f"{machine.name} did not panic.", "Look at machine.console().")
        time.sleep(0.02)
    words = re.findall(r"Kernel panic.*", machine.console())
    said = words[0].strip() if words else "its domain has ended"
    host.comment(f"{machine.name} has ended: {said}")
    host.remove(machine)
    return said


def _fill(host: LiveHost, machine: LiveMachine) -> str:
    """Let its programs take all memory, from now on; how many its kernel has ended by now."""
    machine.may_end = True  # its kernel should end programs; should it give up, the others are still watched
    command = ["/bin/sh", "-c", _FILL, _GREEDY]
    host.note_agent(machine, "guest-exec", command)
    machine.agent.start(command)
    ends = time.monotonic() + PATIENCE
    while not (number := inside(machine).get(_ENDED)):
        if time.monotonic() > ends:
            raise HostError(f"The memory of {machine.name} did not fill up.", "Look at machine.console().")
        time.sleep(0.2)
    return f"{_ENDED}: {number}"


def inside(machine: LiveMachine) -> dict[str, str]:
    """What a guest sees of itself; see `labkit.host.harm.HarmsMachines`. What it has none of is not there."""
    seen: dict[str, str] = {}
    for line in machine.agent.run(["/bin/sh", "-c", _LOOK]).output.splitlines():
        what, _, value = line.partition(": ")
        seen[what] = f"{seen[what]}; {value}" if what in seen else value
    return seen
