"""The fluid host: the same machine room, with the turns too short to see.

On a real host, and on the simulated one of slices, vCPUs take turns of some milliseconds. Here a CPU runs all of them
at once, each at its part of the speed, as if the turns were infinitely short. What comes out is what is fair, exactly,
without a slice's length of chance; and as something happens only when work comes or is done, a hundred hosts
with a thousand machines take less than a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Literal
from weakref import WeakKeyDictionary, WeakSet

import simpy
from simpy.events import AnyOf, Event, Timeout

from labkit.host import Ability, HostError, Observation, mebibytes
from labkit.model.abilities import ability_of
from labkit.model.arguments import (
    checked_cap,
    checked_name,
    checked_pin,
    checked_reservation,
    checked_seconds,
    checked_whole,
)
from labkit.model.disks import SimulatedDisk, checked_disks, make_disk
from labkit.model.fluid.crowding import crowd
from labkit.model.fluid.guest import Guest
from labkit.model.fluid.loads import drive
from labkit.model.fluid.machine import FluidMachine
from labkit.model.fluid.observing import observe
from labkit.model.fluid.sharing import Sharing
from labkit.model.jobs import LONGEST, SimulatedJob
from labkit.model.machine import SHARES
from labkit.model.ordered import MACHINES
from labkit.model.rules import RULES
from labkit.model.simulated import CPUS, INTERVALS

__all__ = ["FluidHost"]

_HOW = {
    "shares": "weighted max-min fair shares of a liquid, exact",
    "pin": "the CPUs that each machine's part may flow from",
    "cap": "a most for each vCPU, an equal part of the machine's cap",
    "reservation": "a least that is taken from the others' parts",
    "hot-add": "one more vCPU to give work to",
    "requests": "processor sharing in virtual time, or a queue with a worker for each vCPU",
}

# All hosts that live by one clock: an interrupt hits in the middle of an event that may be anybody's.
_BY_CLOCK: WeakKeyDictionary[simpy.Environment, WeakSet[FluidHost]] = WeakKeyDictionary()


class FluidHost:
    """A simulated host that shares its CPUs exactly, at every moment; it answers what the others answer.

    At each moment a machine with work gets ``clamp(level × shares, reservation, most)`` of the CPUs, and the level is
    such that they are all used or everybody has enough (`labkit.model.fluid.filling`, with pinning too). The most is
    one CPU for each vCPU that has work, and no more than its cap. There are no slices, no cost of switching, and no
    balancing of queues: of a hypervisor's rules nothing is left but the shares.

    It agrees with the host of slices where that shares fairly: for vCPUs that spin on one CPU, what a machine with v
    vCPUs got in t seconds differs by at most v slices, and the time that switching took.

    Parameters
    ----------
    cpus : int
        How many CPUs it has, 1 to 256.
    rules : str
        By whose rules: a name in `labkit.model.RULES`.
    seed : int
        Decides in which moment of a period a load with a duty below 1 wants to run.
    env : simpy.Environment, optional
        A clock to live by together with other hosts; its own where not given.

    Raises
    ------
    ValueError
        Where an argument is outside its range, or there are no rules of that name.

    Examples
    --------
    >>> from labkit.host import RequestLoad
    >>> with FluidHost(cpus=2) as host:
    ...     job = host.create("web", vcpus=2).run(RequestLoad((0, 10, 20), (20, 40, 60), "sharing"))
    ...     job.wait().finishes
    (20.0, 50.0, 80.0)
    """

    kind: Literal["simulated"] = "simulated"
    mode: Literal["fluid"] = "fluid"

    def __init__(
        self, cpus: int = 2, *, rules: str = "kvm", seed: int = 0, env: simpy.Environment | None = None
    ) -> None:
        self.cpus = checked_whole("cpus", cpus, 1, CPUS)
        if not isinstance(rules, str) or rules not in RULES:
            raise ValueError(f"rules is one of {', '.join(map(repr, RULES))}, not {rules!r}")
        self.seed = checked_whole("seed", seed, 0, 2**63 - 1)
        self.rules = RULES[rules]
        self.name = f"simulated host, {self.cpus} CPU{'s' * (self.cpus > 1)}, {self.rules.title}, fluid"
        self.env = simpy.Environment() if env is None else env
        self.sharing = Sharing(self.env, self.cpus)
        self._machines: dict[str, FluidMachine] = {}
        self._disks: dict[str, SimulatedDisk] = {}
        self._journal: list[str] = []
        self._starting: list[SimulatedJob] = []
        self._closed = ""
        _BY_CLOCK.setdefault(self.env, WeakSet()).add(self)

    @property
    def now(self) -> float:
        """The time in seconds on the host's clock."""
        return self.env.now

    @property
    def machines(self) -> Mapping[str, FluidMachine]:
        """The machines on this host, by name, in the order of their creation."""
        return MappingProxyType(self._machines)

    def create(
        self,
        name: str,
        *,
        vcpus: int = 1,
        memory: str | float = "128 MiB",
        shares: int = 1024,
        pin: Iterable[int] | None = None,
        cap: float = math.inf,
        reservation: float = 0.0,
        maximum_vcpus: int | None = None,
        disks: Sequence[SimulatedDisk] = (),
    ) -> FluidMachine:
        """Make a machine and switch it on; the parameters are those of `labkit.host.Host.create`.

        Raises
        ------
        HostError
            Where there is a machine of that name, or there are 10,000 machines, or the reservations would be more
            than the CPUs can give, or the host is closed.
        ValueError
            Where an argument is outside its range.
        """
        self.check_open()
        name = checked_name(name)
        vcpus = checked_whole("vcpus", vcpus, 1, 64)
        size = mebibytes(memory)
        shares = checked_whole("shares", shares, *SHARES)
        allowed = checked_pin(pin, self.cpus)
        cap = checked_cap(cap)
        maximum = vcpus if maximum_vcpus is None else checked_whole("maximum_vcpus", maximum_vcpus, vcpus, 64)
        reservation = checked_reservation(reservation, self.cpus)
        if reservation > min(vcpus, cap):
            raise ValueError(f"reservation is at most what {vcpus} vCPUs and a cap of {cap:g} CPU allow")
        if name in self._machines:
            raise HostError(f"This host has a machine {name} already.", "Choose another name, or stop that one.")
        if len(self._machines) >= MACHINES:
            raise HostError(f"This host carries {MACHINES} machines at most, and has them.", "Stop some first.")
        self.check_reservations(name, reservation, allowed)
        own = checked_disks(disks, self._disks)
        guest = Guest(name, vcpus, shares, allowed, cap, reservation, self.now)
        self._machines[name] = machine = FluidMachine(self, guest, size, maximum)
        for disk in own:
            disk.machine, machine.disks[disk.name] = name, disk
        words = f"create {name} vcpus={vcpus} memory={size:g}MiB shares={shares}"
        words += "" if pin is None else f" pin={','.join(map(str, sorted(allowed)))}"
        words += "" if cap == math.inf else f" cap={cap:g}"
        words += f" reservation={reservation:g}" if reservation else ""
        words += "" if maximum == vcpus else f" maximum_vcpus={maximum}"
        words += f" disks={','.join(machine.disks)}" if own else ""
        self.note(words)
        return machine

    def disk(
        self,
        name: str,
        size: str | float | None = None,
        *,
        format: str = "qcow2",
        cluster: int | None = None,
        backing: SimulatedDisk | None = None,
    ) -> SimulatedDisk:
        """Make a virtual disk; see `labkit.host.Host.disk`."""
        self.check_open()
        return make_disk(self, self._disks, name, size, format, cluster, backing)

    def can(self, ability: str) -> Ability:
        """Whether the host can do something, such as ``"shares"``, and how, or why not."""
        if isinstance(ability, str) and ability in _HOW:
            return Ability(True, mechanism=_HOW[ability])
        return ability_of(ability, self.rules)

    def observe(self, seconds: float, every: float = 0.2) -> Observation:
        """Run the clock for a while and return what was seen.

        Quantities are `cpu`, in CPU, the time that a machine's vCPUs ran; `ready`, the fraction of elapsed time ×
        vCPUs in which they could have run and others were before them; and, where a machine has a cap, `throttled`,
        the fraction in which they had work and their cap did not let them. A liquid has no time line: no events.

        Parameters
        ----------
        seconds : float
            How long, 0.001 to 3600.
        every : float
            The length in seconds of one interval of the series, from 0.001. The last one may be shorter.

        Raises
        ------
        HostError
            Where the host is closed.
        ValueError
            Where an argument is outside its range, or there would be more than 100,000 intervals.
        """
        self.check_open()
        seconds = checked_seconds("seconds", seconds, 0.001, LONGEST)
        every = checked_seconds("every", every, 0.001, LONGEST)
        if seconds / every > INTERVALS:
            raise ValueError(f"every must leave at most {INTERVALS} intervals, not {seconds / every:.0f}")
        self.note(f"observe seconds={seconds:g} every={every:g}")
        return observe(self, seconds, every)

    def journal(self) -> list[str]:
        """What this host was asked to do, in words; there are no commands that would do it."""
        return list(self._journal)

    def close(self) -> None:
        """Switch every machine off. Closing twice is no error."""
        if self._closed:
            return
        for machine in list(self._machines.values()):
            machine.stop()
        self._closed = "has been closed"
        self.note("close")

    # -- for the rest of the model ----------------------------------------------------------------

    def check_open(self) -> None:
        """Raise HostError where the host is closed."""
        if self._closed:
            raise HostError(f"This host {self._closed}.", "Open another one with labkit.simulated(mode='fluid').")

    def check_reservations(self, name: str, reservation: float, pin: frozenset[int]) -> None:
        """Raise HostError where the CPUs cannot give all that is reserved, if a machine reserved this there."""
        if not reservation:
            return
        reserved = {other.name: (other.reservation, other.pin) for other in self._machines.values()}
        reserved[name] = (reservation, pin)
        reserved = {other: book for other, book in reserved.items() if book[0]}
        amounts, pins = zip(*reserved.values(), strict=True)
        crowded = crowd(amounts, pins)
        if crowded:
            names = list(reserved)
            total = math.fsum(amounts[place] for place in crowded)
            there = len(frozenset().union(*(pins[place] for place in crowded)))
            raise HostError(
                f"{', '.join(names[place] for place in sorted(crowded)[:10])} would have reserved {total:g} CPU "
                f"of {there} CPU{'s' * (there > 1)} they may run on.",
                "Reserve less, or let them run on more CPUs.",
            )

    def note(self, action: str) -> None:
        """Write an action into the journal."""
        self._journal.append(f"# simulated: {action}")

    def forget(self, machine: FluidMachine) -> None:
        """Take a machine that was switched off from the list."""
        for disk in machine.disks.values():
            disk.machine = ""
        machine.disks.clear()
        del self._machines[machine.name]

    def begin(self, job: SimulatedJob) -> None:
        """Let a load begin at this moment, once time is about to pass, together with others started now."""
        if not self._starting:
            Timeout(self.env, 0).callbacks.append(self._begin_all)
        self._starting.append(job)

    def _begin_all(self, _event: Event) -> None:
        # By name, so that the order in which machines were made or loads started decides nothing.
        for job in sorted(self._starting, key=lambda job: job.machine.name):
            if not job.over:
                job.begin(drive(self.sharing, job.machine.guest, job.load, self.seed, job.finish))
        self._starting.clear()

    def pass_time(self, seconds: float) -> None:
        """Let time pass with nobody watching."""
        self.check_open()
        self.note(f"wait seconds={seconds:g}")
        self.advance(self.now + seconds)

    def pass_time_until(self, event: Event, seconds: float | None = None) -> None:
        """Let time pass with nobody watching until something happens, or so many seconds are over."""
        self.check_open()
        limit = "" if seconds is None else f" or seconds={seconds:g}"
        self.note(f"wait until the load is over{limit}")
        self.advance(event if seconds is None else AnyOf(self.env, [event, Timeout(self.env, seconds)]))

    def advance(self, until: float | Event) -> None:
        """Run the clock to a moment, or until something happens.

        An interrupt may hit in the middle of an event, and what was half done cannot be mended; so it closes the host,
        and all others that live by the same clock.
        """
        if not isinstance(until, Event) and until <= self.now:
            return
        try:
            self.env.run(until=until)
        except KeyboardInterrupt:
            for host in list(_BY_CLOCK[self.env]):
                host.abandon()
            raise
        except RuntimeError:
            if self.env.peek() < math.inf:
                raise
            # SimPy says so where nothing is left to happen.
            raise HostError(
                "This load would never end: all CPU time is reserved for machines that never stop.",
                "Stop one of them, reserve less, or give wait a timeout in seconds.",
            ) from None

    def abandon(self) -> None:
        """Close the host as it is, half done; an interrupt does this."""
        if not self._closed:
            self._closed = "was interrupted while its clock ran, and closed"
            self.sharing.abandon()
            for machine in self._machines.values():
                machine.abandon()

    def __enter__(self) -> FluidHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        lines = [f"{self.name}, at {self.now:g} s{', closed' if self._closed else ''}"]
        machines = list(self._machines.values())
        lines += [f"  {machine!r}" for machine in machines[:20]]
        if len(machines) > 20:
            lines.append(f"  and {len(machines) - 20} more")
        return "\n".join(lines)
