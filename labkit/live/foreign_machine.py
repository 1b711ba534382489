"""A machine that was there before labkit: read freely, changed only by name and with its owner's consent.

Whatever is set is read back. A driver of libvirt's may accept a setting and not keep it, and then labkit says so
instead of believing it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from html import escape
from typing import TYPE_CHECKING, Any, NoReturn
from xml.etree import ElementTree

from labkit.host import Disk, HostError, Load, mebibytes
from labkit.live.domain import MARK
from labkit.live.errors import translated

if TYPE_CHECKING:
    import libvirt

    from labkit.live.foreign import ForeignHost

__all__ = ["ForeignMachine"]

_STATES = ("unknown", "running", "running", "paused", "stopping", "stopped", "crashed", "suspended")
"""libvirt's `virDomainState` from 0 on, in words; its second kind of running is one that waits for a device."""
_SHARES = ("cpu_shares", "shares", "weight")
"""What the drivers call the weight of a machine: QEMU and LXC; ESX; Xen and test (libvirt, *virsh*, `schedinfo`)."""
_SETTLES = 5.0  # seconds that a setting is given to show: a balloon moves as fast as the guest lets go


class ForeignMachine:
    """A machine on somebody's host. Found in `ForeignHost.machines`.

    Parameters
    ----------
    host : ForeignHost
        Where it is.
    domain : libvirt.virDomain
        libvirt's handle.
    """

    def __init__(self, host: ForeignHost, domain: libvirt.virDomain) -> None:
        self.host = host
        self.domain = domain
        self.name: str = domain.name()

    def __repr__(self) -> str:
        mine = ", labkit's mark" if self.marked else ""
        return (
            f"{self.name}: {self.state}, {self.vcpus} of {self.maximum_vcpus} vCPUs, "
            f"{self.memory:g} of {self.maximum_memory:g} MiB, {len(self.snapshots)} snapshots{mine}"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"

    def _read(self, what: str, call: Callable[..., Any], *words: Any) -> Any:
        self.host.require_open()
        with translated(f"read {what} of {self.name}"):
            return call(*words)

    def _info(self) -> list[int]:
        return self._read("the state", self.domain.info)

    @property
    def state(self) -> str:
        """``"running"``, ``"stopped"``, ``"paused"``, ``"stopping"``, ``"crashed"``, ``"suspended"`` or
        ``"unknown"``."""
        number = self._info()[0]
        return _STATES[number] if number < len(_STATES) else "unknown"

    @property
    def vcpus(self) -> int:
        """How many vCPUs it has now."""
        return self._info()[3]

    @property
    def maximum_vcpus(self) -> int:
        """How many it may come to have without being switched off."""
        return max(self._read("the most vCPUs", self.domain.maxVcpus), self.vcpus) if self.active else self.vcpus

    @property
    def memory(self) -> float:
        """The memory that it may use now, in MiB."""
        return self._info()[2] / 1024

    @property
    def maximum_memory(self) -> float:
        """The most that it may come to use without being switched off, in MiB."""
        return self._info()[1] / 1024

    @property
    def active(self) -> bool:
        """Whether it is switched on, be it running or paused."""
        return bool(self._read("the state", self.domain.isActive))

    @property
    def shares(self) -> int | None:
        """Its weight when CPUs are short, as its driver counts it; None where the driver tells none."""
        found = self._weight()
        return None if found is None else found[1]

    def _weight(self) -> tuple[str, int] | None:
        import libvirt

        self.host.require_open()
        try:
            told = self.domain.schedulerParameters()
        except libvirt.libvirtError:
            return None  # this driver schedules nothing, or tells nothing of a machine that is off
        return next(((name, told[name]) for name in _SHARES if name in told), None)

    @property
    def marked(self) -> bool:
        """Whether some labkit made it: such a machine carries labkit's mark in its metadata."""
        import libvirt

        self.host.require_open()
        try:
            described = ElementTree.fromstring(self.domain.XMLDesc())
        except (libvirt.libvirtError, ElementTree.ParseError):
            return False  # what cannot be read is nobody's but its owner's
        return described.find(f"metadata/{{{MARK}}}machine") is not None

    @property
    def snapshots(self) -> list[str]:
        """The names of its snapshots; none where the driver has no snapshots."""
        if not self.host.can("snapshot"):
            return []
        return sorted(self._read("the snapshots", self.domain.snapshotListNames))

    def xml(self) -> str:
        """libvirt's description of the machine, the domain XML."""
        return self._read("the description", self.domain.XMLDesc)

    def _change(self, what: str, *command: str | int, call: Callable[[], Any]) -> None:
        """Carry out one change, where that is allowed, and note its plain command."""
        self.host.require_consent(self.name, what)
        with translated(f"{what} {self.name}"):
            call()
        self.host.note(*command)

    def _kept(self, what: str, wanted: Any, read: Callable[[], Any], unit: str = "") -> None:
        """Read a setting back until it is what was set, or until it is clear that it will not be."""
        ends = time.monotonic() + (_SETTLES if self.host.really_runs else 0.0)
        while (found := read()) != wanted and time.monotonic() < ends:
            time.sleep(0.1)
        if found != wanted:
            raise HostError(
                f"{self.host.driver_name} accepted {what} = {wanted}{unit} for {self.name} and did not keep it: it "
                f"reads back {found}{unit}.",
                "Nothing was changed by it. Guests of labkit's own, labkit.live() without an address, keep it.",
            )

    def start(self) -> None:
        """Switch it on.

        Raises
        ------
        HostError
            Without consent, or where it runs already.
        """
        self._change("start", "start", self.name, call=self.domain.create)

    def stop(self, *, force: bool = False, timeout: float = 60.0) -> None:
        """Switch it off: ask its system to shut down, and wait for it. It stays known to its host.

        Parameters
        ----------
        force : bool
            Pull the plug instead (``virsh destroy``); what the guest had not written is lost.
        timeout : float
            How many seconds the guest may take.

        Raises
        ------
        HostError
            Without consent; where the guest does not follow; or where the machine is transient and would be gone.
        """
        self.host.require_consent(self.name, "stop")
        if not self._read("the definition", self.domain.isPersistent):
            raise HostError(
                f"{self.name} is transient: switched off, its host would forget it altogether.",
                "Stop it with the tool that it was made with.",
            )
        verb = "destroy" if force else "shutdown"
        self._change("stop", verb, self.name, call=self.domain.destroy if force else self.domain.shutdown)
        ends = time.monotonic() + timeout
        while self.active:
            if time.monotonic() > ends:
                raise HostError(
                    f"{self.name} did not shut down within {timeout:g} s.", "Look inside it, or stop(force=True)."
                )
            time.sleep(0.1)

    def set(
        self,
        *,
        shares: int | None = None,
        pin: Iterable[int] | None = None,
        cap: float | None = None,
        vcpus: int | None = None,
        memory: str | float | None = None,
    ) -> None:
        """Change the running machine, one thing after the other, and read each back; what is None stays as it is.

        Parameters
        ----------
        shares : int
            Its weight when CPUs are short, as its driver counts it.
        pin : iterable of int
            The host's CPUs, counted from 0, that its vCPUs may run on.
        cap : float
            Not offered on foreign hosts, whose drivers count it each in a unit of its own.
        vcpus : int
            How many vCPUs it has, up to `maximum_vcpus`; they are added, never removed.
        memory : str or float
            The memory it may use from now on, up to `maximum_memory`; a number is in MiB.

        Raises
        ------
        HostError
            Without consent; where the driver refuses; or where it accepts a setting and does not keep it.
        """
        if cap is not None:
            ability = self.host.can("cap")
            raise HostError(ability.reason, ability.remedy)
        if memory is not None:
            self._set_memory(round(mebibytes(memory) * 1024))
        if vcpus is not None:
            self._set_vcpus(vcpus)
        if pin is not None:
            self._set_pin(tuple(dict.fromkeys(pin)))
        if shares is not None:
            self._set_shares(shares)

    def memory_seen(self) -> NoReturn:
        """Refuse: labkit looks into no guest of somebody else's; `memory` says what its driver knows.

        Raises
        ------
        HostError
            Always.
        """
        able = self.host.can("balloon")
        raise HostError(able.reason, able.remedy)

    def _set_memory(self, kibibytes: int) -> None:
        self._change("set the memory of", "setmem", self.name, kibibytes, call=lambda: self.domain.setMemory(kibibytes))
        self._kept("memory", kibibytes, lambda: self._info()[2], " KiB")

    def _set_vcpus(self, vcpus: int) -> None:
        if vcpus < self.vcpus:
            raise HostError(f"{self.name} has {self.vcpus} vCPUs; they are added, never removed.", "Ask for more.")
        self._change("set the vCPUs of", "setvcpus", self.name, vcpus, call=lambda: self.domain.setVcpus(vcpus))
        self._kept("vcpus", vcpus, lambda: self.vcpus)

    def _set_pin(self, cpus: tuple[int, ...]) -> None:
        if not cpus or min(cpus) < 0 or max(cpus) >= self.host.cpus:
            raise ValueError(f"pin takes CPUs of this host, 0 to {self.host.cpus - 1}, not {cpus!r:.40}")
        wanted = tuple(cpu in cpus for cpu in range(self.host.cpus))
        for vcpu in range(self.vcpus):
            listed = ",".join(map(str, cpus))
            self._change(
                "pin", "vcpupin", self.name, vcpu, listed, call=lambda vcpu=vcpu: self.domain.pinVcpu(vcpu, wanted)
            )
            self._kept(f"pin of vCPU {vcpu}", sorted(cpus), lambda vcpu=vcpu: self._pinned_to(vcpu))

    def _pinned_to(self, vcpu: int) -> list[int]:
        allowed = self._read("the pinning", self.domain.vcpuPinInfo)[vcpu]
        return [cpu for cpu, may in enumerate(allowed) if may]

    def _set_shares(self, shares: int) -> None:
        if isinstance(shares, bool) or not isinstance(shares, int) or shares < 1:
            raise ValueError(f"shares must be a whole number above 0, not {shares!r:.40}")
        self.host.require_consent(self.name, "set the shares of")
        found = self._weight()
        if found is None:
            raise HostError(
                f"{self.host.driver_name} tells no shares of {self.name}.", "host.can('shares') says what it can."
            )
        name = found[0]
        self._change(
            "set the shares of",
            *("schedinfo", self.name, "--set", f"{name}={shares}"),
            call=lambda: self.domain.setSchedulerParameters({name: shares}),
        )
        self._kept("shares", shares, lambda: self.shares)

    def snapshot(self, name: str) -> str:
        """Take a snapshot of it, named so, and return the name.

        Raises
        ------
        HostError
            Without consent, or where the driver has no snapshots.
        """
        described = ElementTree.Element("domainsnapshot")
        ElementTree.SubElement(described, "name").text = name
        text = ElementTree.tostring(described, encoding="unicode")
        self._change(
            "take a snapshot of",
            *("snapshot-create-as", self.name, name),
            call=lambda: self.domain.snapshotCreateXML(text),
        )
        self._kept("snapshot", name, lambda: next((each for each in self.snapshots if each == name), "nothing"))
        return name

    def revert(self, name: str) -> None:
        """Put it back to what it was when that snapshot was taken; what happened since is lost.

        Raises
        ------
        HostError
            Without consent, or where there is no such snapshot.
        """
        self._change(
            "revert",
            *("snapshot-revert", self.name, name),
            call=lambda: self.domain.revertToSnapshot(self.domain.snapshotLookupByName(name)),
        )

    @property
    def disks(self) -> dict[str, Disk]:
        """None: labkit made no disk of it."""
        return {}

    def throttle(self, disk: str, iops: float) -> NoReturn:
        """Refuse: labkit limits only disks that it made itself.

        Raises
        ------
        HostError
            Always.
        """
        raise HostError(
            f"{self.name} and its disks are not labkit's own.", "Use virsh blkdeviotune, if they are yours."
        )

    def run(self, load: Load) -> NoReturn:
        """Refuse: labkit runs loads only in guests that it made itself.

        Raises
        ------
        HostError
            Always.
        """
        raise HostError(
            f"labkit runs no {type(load).__name__} in {self.name}: it is not labkit's own.",
            "Guests of labkit's own come with labkit.live() without an address.",
        )
