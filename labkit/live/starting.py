"""Switching a machine on: from power-on, or as a clone of a saved boot."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.live import domain as domains
from labkit.live import saved
from labkit.live.accelerator import DEADLINE
from labkit.live.domain import Shape
from labkit.live.errors import translated
from labkit.live.machine import LiveMachine

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost

__all__ = ["LEAST_MEMORY", "PATIENCE", "probe", "start"]

LEAST_MEMORY = 96  # MiB; the course's guest boots with its agent and a load in no less
PATIENCE = 90.0  # seconds for a cold boot; on a busy computer under TCG it can take a minute


def start(host: LiveHost, name: str, shape: Shape, *, cold: bool) -> LiveMachine:
    """Switch a machine on and return when its agent answers.

    A host that is not in this process boots every machine from power-on.
    """
    if cold or host.root is None:
        return boot(host, name, shape, PATIENCE)
    key = saved.key_of(shape, host.image.digest, host.versions)
    file = saved.once(key, lambda path: _save_a_boot(host, shape, path))
    try:
        return _restore(host, name, shape, file)
    except HostError:
        saved.forget(key)
        raise


def probe(host: LiveHost) -> None:
    """Boot a guest on KVM and switch it off again.

    Raises
    ------
    HostError
        Where it does not come up within the deadline.
    """
    host.progress("Trying KVM with a guest", 0.0)
    host.remove(boot(host, "probe", Shape(1, 128, "KVM"), DEADLINE))


def _machine(host: LiveHost, name: str, domain: object, shape: Shape, console: Path | None) -> LiveMachine:
    return LiveMachine(host, name, domain, vcpus=shape.vcpus, memory=shape.memory, shares=1024, console_file=console)


def boot(host: LiveHost, name: str, shape: Shape, patience: float) -> LiveMachine:
    """Boot a machine from power-on."""
    import libvirt

    console = host.console_file(name) if host.root else None
    xml = domains.describe(host.domain_name(name), shape, host.image, console, host=host.driver.id, owner=os.getpid())
    # A daemon ends the machine when our connection to it ends; in our own process the guardian does.
    flags = 0 if host.root else libvirt.VIR_DOMAIN_START_AUTODESTROY
    host.progress(f"Booting {name}", 0.0)
    with translated(f"start {name}"):
        domain = host.connection.createXML(xml, flags)
    host.note("create", f"{name}.xml")
    machine = _machine(host, name, domain, shape, console)
    try:
        # Seconds that a boot takes here are not known beforehand; the bar nears its end as half-lives of 3 s pass.
        begun = time.monotonic()
        machine.agent.wait_until_up(
            patience, lambda _part: host.progress(f"Booting {name}", 1 - 0.5 ** ((time.monotonic() - begun) / 3))
        )
        machine.agent.run(_identity(name, domains.mac_of(machine.xml())))
    except BaseException:
        host.remove(machine)
        raise
    host.progress(f"{name} is up", 1.0)
    return machine


def _save_a_boot(host: LiveHost, shape: Shape, path: Path) -> None:
    """Boot a guest of this shape, let it come to rest, and save its memory."""
    machine = boot(host, f"saved-{os.getpid()}", shape, PATIENCE)
    try:
        host.progress("Saving the booted guest, for quick starts from now on", 0.5)
        # What is only cached would make the file, and each start from it, larger.
        machine.agent.run(["/bin/sh", "-c", "cat /tools/bin/stress-ng >/dev/null; sync"])
        with translated("save the booted guest"):
            machine.domain.save(str(path))
        path.chmod(0o600)
    finally:
        host.remove(machine)


def _restore(host: LiveHost, name: str, shape: Shape, file: Path) -> LiveMachine:
    """Start a machine as a clone of a saved one, and make it another inside too."""
    assert host.root is not None
    console = host.console_file(name)
    pipe = host.root / f"{os.urandom(3).hex()}.restoring"
    host.progress(f"Starting {name} from the saved boot", 0.2)
    macs: list[str] = []

    def reshaped(saved_xml: str) -> str:
        xml = domains.reshape(saved_xml, host.domain_name(name), console, host=host.driver.id, owner=os.getpid())
        macs.append(domains.mac_of(xml))
        return xml

    with saved.clone(file, pipe, reshaped), translated(f"start {name} from the saved boot"):
        host.connection.restore(str(pipe))
        domain = host.connection.lookupByName(host.domain_name(name))
    machine = _machine(host, name, domain, shape, console)
    try:
        machine.agent.wait_until_up(PATIENCE)
        machine.agent.run(_identity(name, macs[0]))
    except BaseException:
        host.remove(machine)
        raise
    machine.started_from = "saved boot"
    host.note("restore", f"{file.name}.save")
    host.progress(f"{name} is up", 1.0)
    return machine


def _identity(name: str, mac: str) -> list[str]:
    """The command that tells a guest its name, its address, the time, and something random of its own."""
    lines = [
        f"date -s @{time.time():.0f} >/dev/null",
        f"hostname {shlex.quote(name)}",
        f"echo {os.urandom(32).hex()} >/dev/urandom",
    ]
    if mac:
        lines.append(f"ip link set eth0 down; ip link set eth0 address {mac}")
    return ["/bin/sh", "-c", "; ".join(lines)]
