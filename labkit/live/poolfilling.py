"""Guests that write to their disks at a steady rate, while somebody keeps an eye on the pool.

In each guest a small program writes piece after piece, past the guest's own cache, each when it is due and with content
of its own. What has arrived libvirt counts outside, also of a guest that is paused and answers nobody.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from labkit.host import Event, HostError, Observation, Row, Series
from labkit.host.pools import ALARMS, PIECE
from labkit.live.attaching import target_of
from labkit.live.errors import translated

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine
    from labkit.live.pools import LivePool

__all__ = ["LiveFilling"]

LOOK = 0.02  # seconds from one look at the pool to the next
STARTS = 30.0  # seconds for the program in a guest to be ready; under emulation, beside others, Python takes its time
READS = 60.0  # seconds for the guests to read all back

# Arguments: device, how many pieces, bytes of a piece, pieces a second, seed. The file's coming is the word "go".
# No two pieces of a pool hold the same, and none holds zeros.
_OPEN = """
import os, sys, time
place, pieces, size, each, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
disk = os.open(place, os.O_RDWR | os.O_DIRECT)
space = memoryview(bytearray(size + 4096))
for begin in range(0, 4096, 16):  # past the cache only memory that begins at a multiple of 512 is read or written
    try:
        os.preadv(disk, [space[begin : begin + 4096]], 0)
        break
    except OSError:
        pass
room = space[begin : begin + size]
def content(piece):
    return b"%015d " % (seed * 100000000 + piece) * (size // 16)
"""
_WRITE = f"""{_OPEN}
open("/run/pool-ready", "w").close()
while not os.path.exists("/run/pool-go"):
    time.sleep(0.005)
begun = time.monotonic()
for piece in range(pieces):
    room[:] = content(piece)
    time.sleep(max(0, begun + piece / each - time.monotonic()))
    done = 0
    while done < size:
        done += os.pwrite(disk, room[done:], piece * size + done)
"""
_COMPARE = f"""{_OPEN}
same = 0
for piece in range(pieces):
    done = 0
    while done < size:
        done += os.preadv(disk, [room[done:]], piece * size + done) or size
    same += room == content(piece)
print(same)
"""
_READY = 'rm -f /run/pool-go /run/pool-ready; exec /tools/bin/python3 -I -S -c "$@"'


class LiveFilling:
    """Real guests that write; see `labkit.host.pools.Filling`."""

    def __init__(self, pool: LivePool, machines: Sequence[LiveMachine], rate: float, amount: float) -> None:
        if not rate > 0:
            raise ValueError("rate must be above 0")
        self._pool, self._machines = pool, list(machines)
        self._pieces = max(1, math.ceil(amount / PIECE))
        self.amount = self._pieces * PIECE
        self._each = rate / PIECE
        for machine in self._machines:
            disk = next(iter(machine.disks.values()), None)
            if disk is None or pool.disks.get(disk.name) is not disk:
                raise HostError(f"{machine.name} has no disk of this pool.", "Give it one with pool.disk.")
            if disk.size < self.amount:
                raise HostError(f"{machine.name}'s disk has no {self.amount} bytes.", "Let it write less.")
        self._disks = {machine.name: next(iter(machine.disks.values())) for machine in self._machines}
        self._targets = {machine.name: target_of(machine, self._disks[machine.name]) for machine in self._machines}
        self._devices = {machine.name: machine.device(self._disks[machine.name].name) for machine in self._machines}
        self._begun: float | None = None
        self._told: set[float] = set()
        self._before = self._written()
        self._processes = {machine.name: self._start(machine, _WRITE) for machine in self._machines}

    def _start(self, machine: LiveMachine, program: str) -> int:
        seed = 1 + self._machines.index(machine)
        words = [self._devices[machine.name], self._pieces, PIECE, self._each, seed]
        command = ["/bin/sh", "-c", _READY, "sh", program, *map(str, words)]
        machine.host.note_agent(machine, "guest-exec", command)
        return machine.agent.start(command, capture=True)

    def _statistics(self) -> list[tuple[LiveMachine, dict]]:
        """What libvirt counts of each machine: its state and its disks."""
        import libvirt

        which = libvirt.VIR_DOMAIN_STATS_BLOCK | libvirt.VIR_DOMAIN_STATS_STATE
        with translated("read the counters"):
            seen = self._machines[0].host.connection.domainListGetStats(
                [machine.domain for machine in self._machines], which
            )
        by_name = {domain.name(): found for domain, found in seen}
        return [(machine, by_name[machine.domain_name]) for machine in self._machines]

    def _written(self, statistics: list[tuple[LiveMachine, dict]] | None = None) -> dict[str, int]:
        """What each machine has written to its disk, in bytes, as QEMU counts what it has carried out."""
        found = {}
        for machine, seen in statistics or self._statistics():
            for number in range(seen.get("block.count", 0)):
                if seen.get(f"block.{number}.name") == self._targets[machine.name]:
                    found[machine.name] = seen.get(f"block.{number}.wr.bytes", 0)
        return found

    def _go(self) -> None:
        """Give the word to all at once, when their programs are ready."""
        ends, host = time.monotonic() + STARTS, self._machines[0].host
        for place, machine in enumerate(self._machines):
            while machine.agent.run(["/bin/ls", "/run/pool-ready"]).status:
                ended = machine.agent.finished(self._processes[machine.name])
                if ended or time.monotonic() > ends:
                    why = (ended.errors.strip().splitlines() or [""])[-1] if ended else "it takes too long"
                    raise HostError(
                        f"The program in {machine.name} did not begin: {why}.", "Look at machine.console()."
                    )
                host.progress("Waiting until the guests are ready to write", place / len(self._machines))
        with ThreadPoolExecutor(len(self._machines)) as side_by_side:
            self._begun = time.monotonic()
            list(side_by_side.map(_give_the_word, self._machines))

    def watch(self, seconds: float, at_least: float = 0.0) -> Observation:
        """Let them write, and watch; see `labkit.host.pools.Filling.watch`."""
        if not seconds > 0:
            raise ValueError("seconds must be above 0")
        if self._begun is None:
            doing = "The guests write until the pool is full, or all is written"
            self._go()
        elif at_least:
            doing = "The pool is full, and the guests stand still"
        else:
            doing = "The pool has grown, and the guests write what is left"
        assert self._begun is not None
        began = time.monotonic()
        host, rows, events = self._machines[0].host, [], []
        times, values = [], []
        paused: set[str] = set()
        done = 0.0  # a bar that goes back would be taken for another step
        while True:
            statistics = self._statistics()  # before the pool is looked at: what they count has its blocks by then
            size, used = self._pool.size, self._pool.used
            now = time.monotonic()
            times.append(now - began)
            values.append(used)
            for part in (*ALARMS, 1.0):
                if used >= part * size and part not in self._told:
                    self._told.add(part)
                    name = "time_to_full" if part == 1 else f"time_to_{part:.0%}".rstrip("%")
                    rows.append(Row(machine="pool", quantity=name, unit="s", value=now - self._begun))
                    events.append(Event(now - began, "alarm", detail=f"the pool is {part:.0%} full"))
            written = {name: sofar - self._before[name] for name, sofar in self._written(statistics).items()}
            for machine, seen in statistics:
                if _is_paused(seen) and machine.name not in paused:
                    paused.add(machine.name)
                    events.append(Event(now - began, "paused", machine.name, detail="no space left in the pool"))
            at_work = [name for name, sofar in written.items() if sofar < self.amount and name not in paused]
            passed = now - began
            done = max(done, passed / at_least if at_least else used / size)
            host.progress(doing, min(1.0, done))
            if passed >= seconds or not at_work and passed >= at_least:
                break
            time.sleep(LOOK)
        host.note("domstats", "--state", "--block", *(machine.name for machine in self._machines))
        for machine in self._machines:
            name = machine.name
            rows.append(Row(machine=name, quantity="written", unit="B", value=written[name]))
            rows.append(Row(machine=name, quantity="paused", unit="1", value=float(name in paused)))
        rows.append(Row(machine="pool", quantity="used", unit="B", value=used))
        series = (Series("pool", "used", "B", tuple(times), tuple(values)),)
        origin = dataclasses.replace(host.provenance(), mechanisms=self._pool.mechanisms, weights={})
        return Observation(times[-1], tuple(rows), series, events, origin)

    def intact(self) -> dict[str, bool]:
        """Whether all is there: each guest compares every byte of its own disk with what it was to write."""
        for machine in self._machines:
            if machine.state != "running":
                raise HostError(f"{machine.name} is {machine.state}.", "Let it go on with machine.resume().")
        started = [(machine, self._start(machine, _COMPARE)) for machine in self._machines]
        ends, found = time.monotonic() + READS, {}
        for machine, process in started:
            machine.host.progress("The guests read all back and compare it", len(found) / len(started))
            while not (ended := machine.agent.finished(process)):
                if time.monotonic() > ends:
                    raise HostError(f"{machine.name} did not read its disk in {READS:g} s.", "Let it write less.")
                time.sleep(0.05)
            found[machine.name] = ended.output.strip() == str(self._pieces)
        return found


def _give_the_word(machine: LiveMachine) -> None:
    machine.agent.call("guest-file-open", path="/run/pool-go", mode="w")  # ends with the guest's agent


def _is_paused(statistics: dict) -> bool:
    """Whether QEMU has stopped the machine's vCPUs; libvirt's `virDomainState` 3 is paused."""
    return statistics.get("state.state") == 3
