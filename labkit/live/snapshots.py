"""Snapshots of real machines: taking them, and going back.

libvirt's own call takes both kinds. Going back to an internal one is one call as well; libvirt starts QEMU anew with
the memory out of the disk's file. Back to an external one libvirt 9.0 does not go ("not supported yet"), so here it is
done as people do it by hand: the machine is ended, a new file is laid over the disk's file as it was, and the saved
memory is restored with a description that names the new file.

A guest that comes back believes that it is the moment of the snapshot: its clock is set, and its random numbers are
begun anew.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from labkit.host import HostError
from labkit.host.snapshots import Kind, Snapshot, asked_for
from labkit.live import attaching, capacity, reaping, starting
from labkit.live.contents import PYTHON
from labkit.live.disk_tools import driver_of, run_tool
from labkit.live.domain import Shape
from labkit.live.errors import translated
from labkit.live.net import cables

if TYPE_CHECKING:
    import libvirt

    from labkit.live.disks import LiveDisk
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["Kept", "release", "revert", "take"]

NAME = re.compile(r"[a-z][a-z0-9-]{0,19}", re.ASCII | re.IGNORECASE)
RESEED = 0x5207  # RNDRESEEDCRNG of linux/random.h
PATIENCE = 60.0  # seconds until a guest that came back answers
# The numbers of virDomainSnapshotCreateFlags, for calls before libvirt is imported.
DISK_ONLY, NO_METADATA, ATOMIC, LIVE = 16, 4, 128, 256


@dataclass
class Kept:
    """What lies behind a snapshot.

    Parameters
    ----------
    snapshot : Snapshot
        What is told of it.
    handle : libvirt.virDomainSnapshot or None
        libvirt's own of an internal one.
    state : pathlib.Path or None
        The file with the memory of an external one.
    below : dict of str to (pathlib.Path, str)
        By disk, the file that holds the disk as it was, and its format; of an external one.
    frozen : bool
        Whether the guest was told to hold still, and comes back as one that does.
    """

    snapshot: Snapshot
    handle: libvirt.virDomainSnapshot | None = None
    state: Path | None = None
    below: dict[str, tuple[Path, str]] = field(default_factory=dict)
    frozen: bool = False


def _checked(host: LiveHost, machine: LiveMachine, name: str, kind: Kind, memory: bool) -> None:
    """Refuse what cannot be taken, or what nobody could go back to."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError("a name is a letter, then letters, digits and hyphens, 20 characters at most")
    if name in machine.kept:
        raise HostError(f"{machine.name} has a snapshot {name} already.", "Take another name.")
    if not (able := host.can("snapshots")):
        raise HostError(able.reason, able.remedy)
    if machine.state != "running":
        raise HostError(f"{machine.name} does not run.", "Create it again.")
    if not machine.disks:
        raise HostError(f"{machine.name} has no disk to take a snapshot of.", "Create it with disks=[...].")
    if any(kept.snapshot.kind != kind for kept in machine.kept.values()):
        raise HostError(f"{machine.name} has snapshots of the other kind.", "Keep to one kind for each machine.")
    if kind == "internal":
        if not memory:
            raise HostError(
                "An internal snapshot of a running machine has its memory in it.",
                'Take kind="disk-only".',
            )
        for disk in machine.disks.values():
            if disk.format != "qcow2":
                raise HostError(
                    f"The disk {disk.name} is {disk.format}, and only qcow2 has room for snapshots in its file.",
                    'Take kind="external".',
                )
    if memory:
        if any(job.running for job in list(machine.jobs)):
            raise HostError(
                f"{machine.name} has a load, and nobody could end that after going back.",
                "End it with job.cancel() first, or take memory=False.",
            )
        if len(machine.sizes) > 1:  # QEMU refuses: "Unknown savevm section"
            raise HostError(
                f"{machine.name} has got vCPUs while it ran; QEMU cannot bring its memory back then.",
                "Create it with all its vCPUs, or take memory=False.",
            )
        capacity.require_disk(round(machine.memory), str(host.shelf.make_directory()))


def _description(host: LiveHost, machine: LiveMachine, name: str, memory: Path | None, over: dict[str, Path]) -> str:
    """The snapshot as libvirt describes it (https://libvirt.org/formatsnapshot.html)."""
    element = Element("domainsnapshot")
    SubElement(element, "name").text = name
    if memory is not None:
        SubElement(element, "memory", snapshot="external", file=str(memory))
    disks = SubElement(element, "disks")
    for disk, path in over.items():
        part = SubElement(disks, "disk", name=attaching.target_of(machine, machine.disks[disk]), snapshot="external")
        SubElement(part, "driver", type="qcow2")
        SubElement(part, "source", file=str(path))
    return ElementTree.tostring(element, encoding="unicode")


@contextlib.contextmanager
def _frozen(host: LiveHost, machine: LiveMachine, freeze: bool) -> Iterator[int]:
    """Have the guest write down its files and hold still for a ``with`` block; how many of its file systems do."""
    if not freeze:
        yield 0
        return
    host.note("domfsfreeze", machine.name)
    try:
        frozen = machine.agent.call("guest-fsfreeze-freeze")
        if not frozen:
            host.comment(f"{machine.name} has no file system mounted that could be written to: 0 were frozen")
        yield frozen
    finally:
        machine.agent.call("guest-fsfreeze-thaw")
        host.note("domfsthaw", machine.name)


def _clocks(machine: LiveMachine) -> tuple[float, float]:
    """The host's clock and the guest's at one moment, in s; the guest's stands still when the guest does."""
    before = time.monotonic()
    up = float(machine.agent.run(["/bin/cat", "/proc/uptime"]).output.split()[0])
    return (before + time.monotonic()) / 2, up


def _new_file(disk: LiveDisk, name: str) -> Path:
    """A file of that name that is not there yet, for what is written to a disk after a snapshot.

    It lies where the disk does: what is written to a pool's disk goes on being counted there.
    """
    paths = (disk.path.with_name(f"{disk.name}.after-{name}{n or ''}.qcow2") for n in range(10_000))
    return next(path for path in paths if not path.exists())


def take(host: LiveHost, machine: LiveMachine, name: str, kind: Kind, freeze: bool, memory: bool) -> Snapshot:
    """Take a snapshot; see `labkit.host.Machine.snapshot`."""
    kind, memory = asked_for(kind, memory)
    _checked(host, machine, name, kind, memory)
    kept = Kept(Snapshot(name, machine.name, kind, memory, freeze, 0, 0.0, 0.0))
    over: dict[str, Path] = {}
    flags = 0
    if kind == "external":
        over = {disk.name: _new_file(disk, name) for disk in machine.disks.values()}
        kept.below = {disk.name: (disk.path, disk.format) for disk in machine.disks.values()}
        kept.state = host.shelf.make_directory() / f"{machine.name}.{name}.memory" if memory else None
        flags = NO_METADATA | ATOMIC | (LIVE if memory else DISK_ONLY)
    doing = f"taking the snapshot “{name}” of {machine.name}"
    host.progress(doing, 0.1)
    before = _clocks(machine)
    begun = time.monotonic()
    try:
        with _frozen(host, machine, freeze) as frozen, translated(f"take a snapshot of {machine.name}"):
            handle = machine.domain.snapshotCreateXML(_description(host, machine, name, kept.state, over), flags)
            _note(host, machine, kept, over)
    except BaseException:
        for disk, path in over.items():
            if _in_use(machine, path):  # an interrupt came when libvirt had done it all
                _lay(machine.disks[disk], path)
            else:
                path.unlink(missing_ok=True)
        if kept.state is not None:
            kept.state.unlink(missing_ok=True)
        raise
    took = time.monotonic() - begun
    for disk, path in over.items():
        _lay(machine.disks[disk], path)
    after = _clocks(machine)
    kept.handle = handle if kind == "internal" else None
    stopped = max(0.0, (after[0] - before[0]) - (after[1] - before[1]))
    held = _state_bytes(machine, kept) if memory else 0
    kept.frozen = freeze
    kept.snapshot = Snapshot(name, machine.name, kind, memory, frozen > 0, held, took, min(stopped, took))
    machine.kept[name] = kept
    host.progress(doing, 1.0)
    return kept.snapshot


def _in_use(machine: LiveMachine, path: Path) -> bool:
    """Whether a machine writes to a file already."""
    try:
        return str(path) in machine.xml()
    except HostError:
        return False


def _lay(disk: LiveDisk, path: Path) -> None:
    """Note that what is written to a disk goes to another file from now on."""
    disk.path, disk.format, disk._seen = path, "qcow2", None


def _note(host: LiveHost, machine: LiveMachine, kept: Kept, over: dict[str, Path]) -> None:
    """Write the plain command into the journal."""
    words: list[str] = ["snapshot-create-as", machine.name, kept.snapshot.name]
    if kept.snapshot.kind == "external":
        for disk, path in over.items():
            target = attaching.target_of(machine, machine.disks[disk])
            words += ["--diskspec", f"{target},snapshot=external,file={path.name}"]
        words += ["--atomic", "--no-metadata"]
        words += ["--live", "--memspec", f"{kept.state.name},snapshot=external"] if kept.state else ["--disk-only"]
    host.note(*words)


def _state_bytes(machine: LiveMachine, kept: Kept) -> int:
    """The room that a snapshot's memory takes in the store."""
    if kept.state is not None:
        return kept.state.stat().st_size
    first = next(iter(machine.disks.values()))  # where QEMU puts it
    words = ["qemu-img", "info", "-U", "-f", driver_of(first.format), "--output=json"]
    told = json.loads(run_tool(*words, str(first.path)))
    sizes = [one["vm-state-size"] for one in told.get("snapshots", ()) if one["name"] == kept.snapshot.name]
    return max(sizes, default=0)


def revert(host: LiveHost, machine: LiveMachine, snapshot: Snapshot) -> float:
    """Bring a machine back to a snapshot; see `labkit.host.Machine.revert`."""
    if host.machines.get(machine.name) is not machine:  # its snapshots went with it
        raise HostError(f"{machine.name} has been switched off.", "Create a new machine.")
    kept = machine.kept.get(getattr(snapshot, "name", ""))
    if kept is None or kept.snapshot != snapshot:
        raise HostError(f"{snapshot!r:.60} is no snapshot of {machine.name}.", "Take one of machine.snapshots.")
    if kept.handle is not None and machine.state != "running":
        raise HostError(
            f"{machine.name} has ended, and libvirt forgets internal snapshots of a machine like this with it.",
            'Where a machine may end, take kind="external".',
        )
    begun = time.monotonic()
    doing = f"going back to the snapshot “{snapshot.name}”"
    host.progress(doing, 0.1)
    over = _new_layers(host, machine, kept)  # first: where there is no room for them, the machine stays as it is
    for job in list(machine.jobs):
        job._leave()  # what ran in the guest is not there any more
    if kept.handle is not None:
        with translated(f"bring {machine.name} back"), reaping.collecting():
            machine.domain.revertToSnapshot(kept.handle, 0)
        host.note("snapshot-revert", machine.name, snapshot.name)
        _came_back(host, machine, kept)
    else:
        _end(host, machine)
        _lay_anew(machine, over)
        if kept.state is not None:
            _restore(host, machine, kept, over)
            _came_back(host, machine, kept)
        else:
            _boot(host, machine)
    for disk in machine.disks.values():
        disk._seen = None
    host.progress(doing, 1.0)
    return time.monotonic() - begun


def _end(host: LiveHost, machine: LiveMachine) -> None:
    if host.end_domain(machine.domain_name):
        host.note("destroy", machine.name)


def _new_layers(host: LiveHost, machine: LiveMachine, kept: Kept) -> dict[str, Path]:
    """Make an empty file over each disk as an external snapshot has it, beside the files that are there."""
    over: dict[str, Path] = {}
    try:
        for name, (below, format) in kept.below.items():
            path = over[name] = _new_file(machine.disks[name], kept.snapshot.name)
            words = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", below.name, "-F", driver_of(format)]
            host.shelf.journal.command([*words, path.name])
            run_tool(*words, str(path))
    except BaseException:
        for path in over.values():
            path.unlink(missing_ok=True)
        raise
    return over


def _lay_anew(machine: LiveMachine, over: dict[str, Path]) -> None:
    """Let the disks go on in new files, and delete what was written since, unless a snapshot needs it."""
    needed = {path for other in machine.kept.values() for path, _format in other.below.values()}
    for name, path in over.items():
        disk = machine.disks[name]
        if disk.path not in needed:
            disk.path.unlink(missing_ok=True)
        _lay(disk, path)


def _restore(host: LiveHost, machine: LiveMachine, kept: Kept, over: dict[str, Path]) -> None:
    """Start a machine with the memory out of a file, its disks being the new files."""
    with translated(f"bring {machine.name} back"), reaping.collecting():
        domain = ElementTree.fromstring(host.connection.saveImageGetXMLDesc(str(kept.state), 0))
        for element in domain.iterfind("devices/disk"):
            if path := over.get(element.findtext("serial", "")):
                driver, source = element.find("driver"), element.find("source")
                assert driver is not None and source is not None
                driver.set("type", "qcow2")
                source.set("file", str(path))
                for ends in element.findall("backingStore"):  # an empty one says that nothing lies below the file
                    element.remove(ends)
        described = ElementTree.tostring(domain, encoding="unicode")
        host.connection.restoreFlags(str(kept.state), described, 0)
    assert kept.state is not None
    host.comment(f"the disks in {machine.name}.xml are the new files: virsh save-image-dumpxml, and an editor")
    host.note("restore", kept.state.name, "--xml", f"{machine.name}.xml")


def _boot(host: LiveHost, machine: LiveMachine) -> None:
    """Start a machine whose memory nobody kept: it boots from power-on, with its disks as they were.

    A copy of a saved boot would be quicker, and would not be what a machine without memory goes through.
    """
    disks = list(machine.disks.values())
    for disk in disks:
        attaching.release(machine, disk)
    more = machine.maximum_vcpus - machine.vcpus
    shape = Shape(
        machine.vcpus, round(machine.memory), host.accelerator.name, more, attaching.slots_for(disks, machine.cables)
    )
    started = starting.start(host, machine.name, shape, cold=True)
    machine.take_over(started.domain)
    _settings_in_force(host, machine)
    for disk in disks:
        attaching.attach(host, machine, disk)
    cables.plug_again(host, machine)


def _came_back(host: LiveHost, machine: LiveMachine, kept: Kept) -> None:
    """Wait for a guest whose memory is that of an earlier moment, and tell it what has changed since."""
    machine.take_over(host.connection.lookupByName(machine.domain_name))
    machine.agent.wait_until_up(PATIENCE)
    if kept.frozen:  # it was, at that moment
        machine.agent.call("guest-fsfreeze-thaw")
        host.note("domfsthaw", machine.name)
    starting._introduce(machine, "")
    # That gave its kernel random bytes, which count from its next seeding; without one now it would give out the same
    # numbers after each return (random(4), RNDRESEEDCRNG).
    machine.agent.run([*PYTHON, f"import fcntl; fcntl.ioctl(open('/dev/urandom', 'wb', 0), {RESEED})"])
    host.note("domtime", machine.name, "--now")
    _settings_in_force(host, machine)


def _settings_in_force(host: LiveHost, machine: LiveMachine) -> None:
    """Give a new QEMU what its machine was given: shares, CPUs, cap. They are the host's, not the guest's."""
    cap, machine.cap = machine.cap, float("inf")
    host.change(machine, shares=machine.shares, cap=cap)
    if machine.pinned is not None:
        host.pin(machine, machine.pinned)


def release(machine: LiveMachine) -> None:
    """Forget a machine's snapshots; the files of the memories go."""
    for kept in machine.kept.values():
        if kept.state is not None:
            kept.state.unlink(missing_ok=True)
    machine.kept.clear()
