"""The simulated host: a machine room in a glass case.

Everything in it moves by one clock, a `simpy.Environment`, and only while somebody watches or waits. An
hour in it takes seconds of yours, and the same hour can be had again: same seed, same room, same hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from types import MappingProxyType, TracebackType
from typing import Literal

import simpy
from simpy.events import Event, Timeout

from labkit.host import Ability, HostError, Observation
from labkit.host.networks import Port, Reaching, Rule
from labkit.host.paging import Programs
from labkit.host.timing import Program
from labkit.model.abilities import ability_of
from labkit.model.arguments import checked_seconds, checked_whole
from labkit.model.booting import boot
from labkit.model.disks import SimulatedDisk, checked_disks, make_disk
from labkit.model.harm import harm, inside
from labkit.model.jobs import LONGEST, SimulatedJob
from labkit.model.machine import SimulatedMachine
from labkit.model.memory import SimulatedSharing
from labkit.model.memory.swapping import reclaim
from labkit.model.net import Cabinet, SimulatedNetwork, capture, reach, transfer
from labkit.model.observing import observe
from labkit.model.ordered import checked_order
from labkit.model.pagesharing import share_pages
from labkit.model.pool import SimulatedPool
from labkit.model.rules import RULES
from labkit.model.scheduler import Scheduler
from labkit.model.starting import start
from labkit.model.timing import times

__all__ = ["SimulatedHost"]

CPUS = 256
INTERVALS = 100_000


class SimulatedHost:
    """A computer that exists only in the model; it answers what a live host does, at once.

    Each CPU shares its time fairly, by weight, among the vCPUs in its own queue, to within one time slice.
    Between CPUs there is only the balancing of queues, as in Linux: where machines are free to run on
    several CPUs, what they get may differ from what is fair on the whole (`labkit.model.scheduler` says how).

    Parameters
    ----------
    cpus : int
        How many CPUs it has, 1 to 256.
    rules : str
        By whose rules it schedules: a name in `labkit.model.RULES`.
    seed : int
        Decides what is left to chance: in which moment of a period a load with a duty below 1 wants to run,
        and the intervals at which queues are balanced.

    Raises
    ------
    ValueError
        Where an argument is outside its range, or there are no rules of that name.

    Examples
    --------
    >>> from labkit.host import CpuLoad
    >>> with SimulatedHost(cpus=1) as host:
    ...     for name, shares in {"m1": 256, "m2": 512}.items():
    ...         job = host.create(name, shares=shares).run(CpuLoad())
    ...     host.observe(seconds=6)
    simulated host, 1 CPU, Linux's rules, watched for 6 s
      m1         cpu      0.333 CPU
      m1         ready    0.667 of the time
      m2         cpu      0.666 CPU
      m2         ready    0.334 of the time
    """

    kind: Literal["simulated"] = "simulated"

    def __init__(self, cpus: int = 2, *, rules: str = "kvm", seed: int = 0) -> None:
        self.cpus = checked_whole("cpus", cpus, 1, CPUS)
        if not isinstance(rules, str) or rules not in RULES:
            raise ValueError(f"rules is one of {', '.join(map(repr, RULES))}, not {rules!r}")
        self.seed = checked_whole("seed", seed, 0, 2**63 - 1)
        self.rules = RULES[rules]
        self.name = f"simulated host, {self.cpus} CPU{'s' * (self.cpus > 1)}, {self.rules.title}"
        self.env = simpy.Environment()
        self.scheduler = Scheduler(self.env, self.rules, self.cpus, self.seed)
        self._machines: dict[str, SimulatedMachine] = {}
        self._disks: dict[str, SimulatedDisk] = {}
        self._cabinet = Cabinet(self)
        self.networks: Mapping[str, SimulatedNetwork] = MappingProxyType(self._cabinet.networks)
        self._journal: list[str] = []
        self._starting: list[SimulatedJob] = []
        self.sharing: SimulatedSharing | None = None
        self._closed = ""

    @property
    def now(self) -> float:
        """The host's own time in seconds since it was opened."""
        return self.env.now

    @property
    def machines(self) -> Mapping[str, SimulatedMachine]:
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
        cap: float = inf,
        reservation: float = 0.0,
        maximum_vcpus: int | None = None,
        disks: Sequence[SimulatedDisk] = (),
        nics: Sequence[Port] = (),
    ) -> SimulatedMachine:
        """Make a machine and switch it on.

        Parameters are those of `labkit.host.Host.create`. A `reservation` is 0, as time slices know of no such thing; a
        `cap` holds in every period of 100 ms (`labkit.model.bandwidth`).

        Raises
        ------
        HostError
            Where there is a machine of that name, or there are 10,000 machines, or the host is closed, or a
            reservation is asked for.
        ValueError
            Where an argument is outside its range.
        """
        self.check_open()
        order = checked_order(self, name, vcpus, memory, shares, pin, cap, reservation, maximum_vcpus)
        own, ports = checked_disks(disks, self._disks), self._cabinet.checked(order.name, nics)
        machine = SimulatedMachine(
            self, order.name, order.vcpus, order.memory, order.shares, order.pin, order.maximum_vcpus
        )
        for disk in own:
            disk.machine, machine.disks[disk.name] = order.name, disk
        if order.cap < inf:
            self.scheduler.cap(machine.group, order.cap)
        self._cabinet.plug(order.name, ports)
        self._machines[order.name] = machine
        has = f" disks={','.join(machine.disks)}" * bool(own)
        has += f" nics={','.join(port.network for port in ports)}" * bool(ports)
        self.note(f"create {order}{has}")
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

    def pool(self, size: str | float) -> SimulatedPool:
        """Make a store that disks can fill; see `labkit.host.pools.HasPools`."""
        self.check_open()
        return SimulatedPool(self, size)

    def network(self, name: str, *, rules: Sequence[Rule] = (), stateful: bool = True) -> SimulatedNetwork:
        """Make a switch; see `labkit.host.networks.Networked.network`."""
        self.check_open()
        return self._cabinet.make(name, rules, stateful)

    def router(self, name: str, ports: Sequence[Port], *, nat: bool = False) -> None:
        """Plug a router into networks; see `labkit.host.networks.Routing.router`."""
        self.check_open()
        self._cabinet.route(name, ports, nat)

    def reach(
        self,
        pairs: Iterable[tuple[str, str]] | None = None,
        protocol: Reaching = "icmp",
        port: int | None = None,
        claim: str = "",
    ) -> Observation:
        """Try who reaches whom; see `labkit.host.networks.Networked.reach`."""
        self.check_open()
        return reach(self._cabinet, pairs, protocol, port, claim)

    def capture(self, sender: str, target: str, count: int = 1, *, known: bool = True) -> Observation:
        """Count who sees the frames of a ping; see `labkit.host.networks.Networked.capture`."""
        self.check_open()
        return capture(self._cabinet, sender, target, count, known)

    def transfer(self, sender: str | Sequence[str], target: str, seconds: float, every: float = 0.5) -> Observation:
        """Let a machine send as much as it can; see `labkit.host.networks.Networked.transfer`."""
        self.check_open()
        return transfer(self._cabinet, sender, target, seconds, every)

    def reclaim(
        self, machines: Mapping[str, float], programs: Programs, how: str, *, memory: float, store: str, seconds: float
    ) -> Observation:
        """Get memory back while programs work in machines; see `labkit.host.paging.ReclaimsMemory.reclaim`."""
        self.check_open()
        self.note(f"reclaim memory by {how}")
        return reclaim(
            self.env,
            machines,
            programs,
            how,
            memory=memory,
            store=store,
            seconds=seconds,
            seed=self.seed,
            name=self.name,
        )

    def share_pages(self, rate: float | None = None) -> SimulatedSharing:
        """Look for equal pages of the machines that are there, and keep one of each, until it is stopped.

        Parameters
        ----------
        rate : float, optional
            How many pages are looked at in a second, 50 to 1,000,000; as the rules have it where not given.

        Raises
        ------
        HostError
            Where the host is closed, cannot do it, or does it already.
        ValueError
            Where `rate` is outside its range.
        """
        self.check_open()
        self.sharing = share_pages(self, rate, self._shares_no_more)
        self.note(f"share equal pages{'' if rate is None else f' rate={rate:g}/s'}")
        return self.sharing

    def _shares_no_more(self) -> None:
        self.sharing = None
        self.note("share equal pages no more")

    def can(self, ability: str) -> Ability:
        """Whether the host can do something, such as ``"shares"``, and how, or why not."""
        return ability_of(ability, self.rules, slices=True)

    def observe(self, seconds: float, every: float = 0.2) -> Observation:
        """Run the clock for a while and return what was seen.

        Quantities are `cpu`, in CPU, the time that a machine's vCPUs ran, and `ready`, the fraction of
        elapsed time × vCPUs in which they could have run but had to wait (a guest sees it as steal). A vCPU
        waits until the switch to it is over, as in Linux's run_delay. Where any machine has a cap there is
        `throttled` too, the fraction in which a vCPU had work and its cap kept it from it.

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

    def times(self, program: Program, guest: SimulatedMachine) -> Observation:
        """Time a small program in several places; see `labkit.host.timing.TimesPrograms`."""
        self.check_open()
        return times(self, program)

    def boot(self, name: str, start: str) -> tuple[SimulatedMachine, Observation]:
        """Switch a machine on, stage after stage; see `labkit.host.timing.BootsMachines`."""
        return boot(self, name, start)

    def harm(self, machine: SimulatedMachine, how: str) -> str:
        """Let a machine do harm to itself; see `labkit.host.harm.HarmsMachines`."""
        return harm(machine, how)

    def inside(self, machine: SimulatedMachine) -> dict[str, str]:
        """What a machine would see of itself; see `labkit.host.harm.HarmsMachines`."""
        return inside(machine)

    def journal(self) -> list[str]:
        """What this host was asked to do, in words; there are no commands that would do it."""
        return list(self._journal)

    def close(self) -> None:
        """Switch every machine off. Closing twice is no error."""
        if self._closed:
            return
        if self.sharing is not None:
            self.sharing.stop()
        for machine in list(self._machines.values()):
            machine.stop()
        self._closed = "has been closed"
        self.note("close")

    # -- for the rest of the model ----------------------------------------------------------------

    def check_open(self) -> None:
        """Raise HostError where the host is closed."""
        if self._closed:
            raise HostError(f"This host {self._closed}.", "Open another one with labkit.simulated().")

    def note(self, action: str) -> None:
        """Write an action into the journal."""
        self._journal.append(f"# simulated: {action}")

    def forget(self, machine: SimulatedMachine) -> None:
        """Take a machine that was switched off from the list."""
        if self.sharing is not None:
            self.sharing.forget(machine.name)
        for disk in machine.disks.values():
            disk.machine = ""
        machine.disks.clear()
        self._cabinet.unplug(machine.name)
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
                start(self, job)
        self._starting.clear()

    def pass_time(self, seconds: float) -> None:
        """Let time pass with nobody watching."""
        self.check_open()
        self.note(f"wait seconds={seconds:g}")
        self.advance(self.now + seconds)

    def pass_time_until(self, event: Event, timeout: float | None) -> None:
        """Let time pass with nobody watching until an event has come, or `timeout` seconds are over."""
        self.check_open()
        limit = "" if timeout is None else f" or seconds={timeout:g}"
        self.note(f"wait until the load is over{limit}")
        self._run(event if timeout is None else event | Timeout(self.env, timeout))

    def run_until(self, event: Event, seconds: float) -> None:
        """Run the clock until an event has come, or some seconds are over."""
        self._run(event | Timeout(self.env, seconds))

    def advance(self, until: float) -> None:
        """Run the clock to a moment."""
        if until > self.now:
            self._run(until)

    def _run(self, until: float | Event) -> None:
        """Run the clock to a moment or an event.

        An interrupt may hit in the middle of an event, and what was half done cannot be mended; so it closes the host.
        """
        try:
            self.env.run(until=until)
        except KeyboardInterrupt:
            self._closed = "was interrupted while its clock ran, and closed"
            for machine in self._machines.values():
                machine.abandon()
            raise

    def __enter__(self) -> SimulatedHost:
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
