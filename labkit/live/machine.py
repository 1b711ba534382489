"""A real virtual machine: a domain of libvirt's, and the agent inside it."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psutil

from labkit.host import HostError, Load
from labkit.host.snapshots import Kind, Snapshot
from labkit.live import attaching, console, contents, jobs, reaping, records, snapshots, storage, trimming, volumes
from labkit.live.agent import Agent, Finished
from labkit.live.balloon import Gauge
from labkit.live.capacity import OVERHEAD
from labkit.live.errors import translated

if TYPE_CHECKING:
    import libvirt

    from labkit.live.disks import LiveDisk
    from labkit.live.livehost import LiveHost
    from labkit.live.net.cables import Cable

__all__ = ["LiveMachine"]


class LiveMachine:
    """A running guest. Made by `LiveHost.create`.

    Parameters
    ----------
    host : LiveHost
        Where it runs.
    name : str
        Its name on this host.
    domain : libvirt.virDomain
        libvirt's handle.
    vcpus, maximum_vcpus, memory, shares : int
        What it was made with; memory in MiB.
    console_file : pathlib.Path or None
        The file of what it prints.
    """

    def __init__(
        self,
        host: LiveHost,
        name: str,
        domain: libvirt.virDomain,
        *,
        vcpus: int,
        maximum_vcpus: int,
        memory: int,
        shares: int,
        console_file: Path | None,
    ) -> None:
        self.host = host
        self.name = name
        self.domain = domain
        self.domain_name = domain.name()
        self.sizes = [(time.monotonic(), vcpus)]
        self.maximum_vcpus = maximum_vcpus
        self.memory: float = memory
        self.asked_memory: float = memory  # what its balloon was told to leave it
        self.gauge = Gauge(self)
        self.shares = shares
        self.shares_in_force: int | None = None
        self.pinned: tuple[int, ...] | None = None
        self.cap = math.inf
        self.ever_capped = False
        self.throttle_counters: list[Path] = []
        self.started_from = "power-on"
        self.may_end = False  # whether it does not matter to whoever watches that it ends
        self.moments: dict[str, float] = {}  # of its start, in seconds of the monotonic clock
        self.agent = Agent(domain, name)
        self.jobs: list[jobs.LiveJob] = []
        self.disks: dict[str, LiveDisk] = {}
        self.cables: list[Cable] = []
        self.volumes: dict[str, volumes.LiveVolume] = {}
        self.tallied = False  # whether an observation tells of its disks
        self.kept: dict[str, snapshots.Kept] = {}
        self._console_file = console_file
        self._qemu = reaping.collect(self.process) if host.root else None

    def __repr__(self) -> str:
        pinned = f", on CPU {','.join(map(str, self.pinned))}" if self.pinned else ""
        capped = "" if math.isinf(self.cap) else f", capped at {self.cap:g} CPU"
        size = f"{self.vcpus} vCPU, {self.memory:g} MiB"
        return f"{self.name}: {self.state}, {size}, {self.shares} shares{capped}{pinned}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def vcpus(self) -> int:
        """How many vCPUs it has now."""
        return self.sizes[-1][1]

    def vcpu_seconds(self, begins: float, ends: float) -> float:
        """The vCPUs that it had between two moments of the monotonic clock, times how long it had them."""
        until = [moment for moment, _vcpus in self.sizes[1:]] + [ends]
        spans = zip(self.sizes, until, strict=True)
        return sum(vcpus * max(0.0, min(end, ends) - max(begin, begins)) for (begin, vcpus), end in spans)

    @property
    def state(self) -> str:
        """``"running"``, ``"paused"`` or ``"stopped"``."""
        import libvirt

        with contextlib.suppress(libvirt.libvirtError):
            state = self.domain.state()[0]
            known = {libvirt.VIR_DOMAIN_RUNNING: "running", libvirt.VIR_DOMAIN_PAUSED: "paused"}
            return known.get(state, "stopped")
        return "stopped"

    def resume(self) -> None:
        """Let it go on where it was paused; see `labkit.host.pools.PausingMachine`."""
        if self.state != "running":
            with translated(f"let {self.name} go on"):
                self.domain.resume()
            self.host.note("resume", self.name)

    @property
    def process(self) -> int:
        """The number of its QEMU process.

        Raises
        ------
        HostError
            Where it has none on this computer.
        """
        if self.host.root:
            file = self.host.root / "run" / "qemu" / f"{self.domain_name}.pid"
            with contextlib.suppress(OSError, ValueError):
                return int(file.read_text())
        for process in psutil.process_iter(["cmdline"]):
            if any(f"guest={self.domain_name}," in word for word in process.info["cmdline"] or ()):
                return process.pid
        raise HostError(f"{self.name} has no process on this computer.", "It has ended, or runs on another.")

    def ended(self, when: str) -> HostError:
        """The error that says that it ended, such as ``"while it was being watched"``, and of what."""
        how = self._qemu.how_it_ended() if self._qemu else ""
        remedy = "Stop other machines or programs, then create it again." if "memory" in how else "Create it again."
        return HostError(f"{self.name} ended {when}{': ' if how else ''}{how}.", remedy)

    @property
    def owed(self) -> float:
        """How much more of the computer's memory it may come to take than it has now, in MiB."""
        try:
            resident = psutil.Process(self.process).memory_info().rss / 1048576
        except (HostError, psutil.Error):
            return 0.0
        return max(0.0, self.memory + OVERHEAD - resident)

    @property
    def vcpu_threads(self) -> list[int]:
        """The threads of QEMU that run the vCPUs, by vCPU, as QEMU names them (QMP's ``query-cpus-fast``)."""
        import libvirt_qemu

        with translated(f"ask QEMU about {self.name}"):
            answer = libvirt_qemu.qemuMonitorCommand(self.domain, '{"execute": "query-cpus-fast"}', 0)
        numbers = [cpu["thread-id"] for cpu in json.loads(answer)["return"]]
        return self.host.driver.threads_here(self.process, numbers)

    def set(
        self,
        *,
        shares: int | None = None,
        pin: Iterable[int] | None = None,
        cap: float | None = None,
        vcpus: int | None = None,
        memory: str | float | None = None,
    ) -> None:
        """Change the running machine; parameters are those of `labkit.host.Machine.set`."""
        self.host.change(self, shares=shares, pin=pin, cap=cap, vcpus=vcpus, memory=memory)

    def disk_meters(self) -> tuple[int, float]:
        """Requests that its disks have answered, and the seconds that these took together."""
        return storage.meters(self)

    def throttle(self, disk: str, iops: float) -> None:
        """Let at most `iops` requests a second through to a disk; see `labkit.host.Machine.throttle`."""
        storage.throttle(self, disk, iops)

    def memory_seen(self) -> dict[str, float]:
        """The machine's memory at this moment, in MiB; see `labkit.host.Machine.memory_seen`."""
        return self.gauge.seen()

    def run(self, load: Load) -> jobs.LiveJob:
        """Start a load.

        A `CpuLoad` that spins is stress-ng, one worker a vCPU, which runs as soon as the guest has started it;
        `LiveHost.observe` waits until the vCPUs are busy. Work that comes at set times waits in the guest for the
        next `LiveHost.observe` or `LiveJob.wait`.
        """
        job = jobs.start(self, load)
        self.jobs.append(job)
        return job

    def execute(self, command: Sequence[str], timeout: float = 60.0) -> Finished:
        """Run a program inside the guest to its end and return what it printed.

        Parameters
        ----------
        command : sequence of str
            The program and its arguments, as in ``["uname", "-r"]``; a path, or a name that the guest's shell knows.
        timeout : float
            Seconds after which it is given up.
        """
        words = [str(word) for word in command]
        if not words:
            raise ValueError("a command needs at least the name of a program")
        if "/" not in words[0]:
            words = ["/bin/sh", "-c", 'exec "$0" "$@"', *words]
        self.host.note_agent(self, "guest-exec", command)
        return self.agent.run(words, timeout)

    def write(self, disk: str, places: Sequence[tuple[int, int]]) -> None:
        """Let the guest write to a disk; see `labkit.host.trimming.TrimmingMachine`."""
        trimming.act(self, "write", disk, places)

    def discard(self, disk: str, places: Sequence[tuple[int, int]]) -> None:
        """Let the guest give back what lies there; see `labkit.host.trimming.TrimmingMachine`."""
        trimming.act(self, "discard", disk, places)

    def volume(self, disk: str) -> volumes.LiveVolume:
        """The files on one of its disks; see `labkit.host.volumes.KeepingMachine`."""
        return volumes.volume(self, disk)

    def device(self, disk: str) -> str:
        """What one of its disks is called inside it, such as ``/dev/vdb``."""
        return attaching.device_of(self, disk)

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """The snapshots that it has, by name."""
        return {name: kept.snapshot for name, kept in self.kept.items()}

    def snapshot(self, name: str, *, kind: Kind = "internal", freeze: bool = False, memory: bool = True) -> Snapshot:
        """Take a snapshot; see `labkit.host.Machine.snapshot` and `labkit.live.snapshots`."""
        return snapshots.take(self.host, self, name, kind, freeze, memory)

    def revert(self, snapshot: Snapshot) -> float:
        """Bring the machine back to a snapshot; see `labkit.host.Machine.revert` and `labkit.live.snapshots`."""
        return snapshots.revert(self.host, self, snapshot)

    def take_over(self, domain: libvirt.virDomain) -> None:
        """Go on as another domain of the same name, whose QEMU has just been started."""
        self.domain, self.agent, self.gauge = domain, Agent(domain, self.name), Gauge(self)
        self.shares_in_force, self.throttle_counters = None, []
        self._qemu = reaping.collect(self.process) if self.host.root else None

    def hold(self, held: float) -> None:
        """Keep something in its memory; see `labkit.host.snapshots.HoldsContents`."""
        contents.hold(self, held)

    def overwrite(self, disk: str, places: Sequence[tuple[int, int]]) -> None:
        """Write to a disk from inside; see `labkit.host.snapshots.HoldsContents`."""
        contents.overwrite(self, disk, places)

    def ruin(self) -> None:
        """Let it destroy what it has; see `labkit.host.snapshots.HoldsContents`."""
        contents.ruin(self)

    def contents(self, disk: str) -> Mapping[str, str]:
        """Marks of what can be found in it; see `labkit.host.snapshots.HoldsContents`."""
        return contents.marks(self, disk)

    def keep_records(self, disk: str, count: int, synced: str) -> None:
        """Start a program that keeps records; see `labkit.host.snapshots.KeepsRecords`."""
        records.keep(self, disk, count, synced)

    def records_in(self, snapshot: Snapshot, disk: str, count: int) -> Mapping[str, int]:
        """What another machine finds in a snapshot; see `labkit.host.snapshots.KeepsRecords`."""
        return records.found_in(self, snapshot, disk, count)

    def console(self) -> str:
        """Everything that the machine has printed on its serial console."""
        if self._console_file is None or not self._console_file.exists():
            return ""
        return self._console_file.read_text(errors="replace")

    def terminal(self, *, force: bool = False) -> console.LiveTerminal:
        """Its serial port, to read and to type at; see `labkit.host.consoles.HasConsole`."""
        return console.attach(self, force=force)

    def xml(self) -> str:
        """libvirt's description of the machine, the domain XML."""
        with translated(f"describe {self.name}"):
            return self.domain.XMLDesc()

    def statistics(self) -> dict[str, Any]:
        """All that libvirt counts about the machine, as ``virsh domstats`` shows it."""
        with translated(f"read the counters of {self.name}"):
            return self.host.connection.domainListGetStats([self.domain])[0][1]

    def stop(self) -> None:
        """Switch the machine off and forget it; doing so twice is no error."""
        self.host.remove(self)
        snapshots.release(self)
