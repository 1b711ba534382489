"""Switching a machine on: from power-on, or as a clone of a saved boot."""

from __future__ import annotations

import base64
import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.live import domain as domains
from labkit.live import reaping, saved
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
    with translated(f"start {name}"), reaping.collecting():
        domain = host.connection.createXML(xml, flags)
    host.note("create", f"{name}.xml")
    machine = _machine(host, name, domain, shape, console)
    try:
        # Seconds that a boot takes here are not known beforehand; the bar nears its end as half-lives of 3 s pass.
        begun = time.monotonic()
        machine.agent.wait_until_up(
            patience, lambda _part: host.progress(f"Booting {name}", 1 - 0.5 ** ((time.monotonic() - begun) / 3))
        )
        _introduce(machine, domains.mac_of(machine.xml()))
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
        # The clones' random numbers: Linux seeds its generator anew at first use once the seed is older than half
        # the time since boot (drivers/char/random.c, crng_has_old_seed). A guest saved with an old seed has a new one
        # at its start; one saved with a young seed would share its next random bytes with its siblings.
        seconds_up = float(machine.agent.run(["/bin/cat", "/proc/uptime"]).output.split()[0])
        time.sleep(seconds_up + 1.0)
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

    with saved.clone(file, pipe, reshaped), translated(f"start {name} from the saved boot"), reaping.collecting():
        host.connection.restore(str(pipe))
        domain = host.connection.lookupByName(host.domain_name(name))
    machine = _machine(host, name, domain, shape, console)
    try:
        machine.agent.wait_until_up(PATIENCE)
        _introduce(machine, macs[0])
    except BaseException:
        host.remove(machine)
        raise
    machine.started_from = "saved boot"
    host.note("restore", f"{file.name}.save")
    host.progress(f"{name} is up", 1.0)
    return machine


def _introduce(machine: LiveMachine, mac: str) -> None:
    """Tell a guest what is its own: random bytes, the time, its name and its network address.

    The random bytes come first, through the agent itself: they only count from the next time that the guest's kernel
    seeds its generator, and that is when the next program starts.
    """
    handle = machine.agent.call("guest-file-open", path="/dev/urandom", mode="w")
    machine.agent.call("guest-file-write", handle=handle, **{"buf-b64": base64.b64encode(os.urandom(32)).decode()})
    machine.agent.call("guest-file-close", handle=handle)
    machine.agent.call("guest-set-time", time=time.time_ns())
    lines = [f"hostname {shlex.quote(machine.name)}"]
    if mac:
        lines.append(f"ip link set eth0 down; ip link set eth0 address {mac}")
    machine.agent.run(["/bin/sh", "-c", "; ".join(lines)])
