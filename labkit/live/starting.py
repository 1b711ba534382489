"""Switching a machine on: from power-on, or as a clone of a saved boot."""

from __future__ import annotations

import base64
import os
import platform
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.live import capacity, reaping, saved
from labkit.live import domain as domains
from labkit.live.accelerator import DEADLINE
from labkit.live.domain import Shape
from labkit.live.errors import translated
from labkit.live.machine import LiveMachine
from labkit.live.places import cache_root

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost

__all__ = ["LEAST_MEMORY", "PATIENCE", "probe", "start"]

LEAST_MEMORY = 96  # MiB; the course's guest boots with its agent and a load in no less
PATIENCE = 90.0  # seconds for a cold boot; on a busy computer under TCG it can take a minute


def start(host: LiveHost, name: str, shape: Shape, *, cold: bool) -> LiveMachine:
    """Switch a machine on and return when its agent answers.

    A host that is not in this process boots every machine from power-on, and so does one whose saved boot cannot be
    made or used: a full disk takes speed from a lab, and nothing else. What happened is told and noted.
    """
    if cold or host.root is None:
        return boot(host, name, shape, PATIENCE)
    key = saved.key_of(shape, host.image.digest, {**host.versions, "machine": platform.node()})
    try:
        capacity.require_disk(shape.memory, str(cache_root()))
        return _restore(host, name, shape, saved.once(key, lambda path: _save_a_boot(host, shape, path)))
    except (HostError, OSError) as error:
        saved.forget(key)
        why = getattr(error, "message", str(error))
        host.progress(f"No saved boot ({why}): booting {name} from power-on", 0.0)
        host.comment(f"{name} was booted from power-on: {why}")
    return boot(host, name, shape, PATIENCE)


def probe(host: LiveHost) -> None:
    """Boot a guest on KVM and switch it off again.

    Raises
    ------
    HostError
        Where it does not come up within the deadline.
    """
    host.progress("Trying KVM with a guest", 0.0)
    host.remove(boot(host, "probe", Shape(1, 128, "KVM"), DEADLINE))


def _switched_on(
    host: LiveHost, name: str, shape: Shape, switch_on: Callable[[], object], then: Callable[[LiveMachine], None]
) -> LiveMachine:
    """Have libvirt start a domain, and do what comes then; whatever fails or interrupts that, no guest stays."""
    asked = time.monotonic()
    try:
        # An interrupt during libvirt's call arrives when the call is over and the guest is running.
        with translated(f"start {name}"), reaping.collecting():
            switch_on()
            domain = host.connection.lookupByName(host.domain_name(name))
        made = time.monotonic()
        console = host.console_file(name) if host.root else None
        machine = LiveMachine(
            host,
            name,
            domain,
            vcpus=shape.vcpus,
            maximum_vcpus=shape.vcpus + shape.more_vcpus,
            memory=shape.memory,
            shares=1024,
            console_file=console,
        )
        machine.moments = {"asked": asked, "made": made}
        then(machine)
        return machine
    except BaseException:
        host.end_domain(host.domain_name(name))
        raise


def boot(host: LiveHost, name: str, shape: Shape, patience: float) -> LiveMachine:
    """Boot a machine from power-on."""
    import libvirt

    console = host.console_file(name) if host.root else None
    xml = domains.describe(host.domain_name(name), shape, host.image, console, host=host.driver.id, owner=os.getpid())
    # A daemon ends the machine when our connection to it ends; in our own process the guardian does.
    flags = 0 if host.root else libvirt.VIR_DOMAIN_START_AUTODESTROY
    host.progress(f"Booting {name}", 0.0)
    host.note("create", f"{name}.xml")

    def then(machine: LiveMachine) -> None:
        # How long a boot takes here is not known beforehand; the bar nears its end as half-lives of 3 s pass.
        begun = time.monotonic()
        machine.agent.wait_until_up(
            patience, lambda _part: host.progress(f"Booting {name}", 1 - 0.5 ** ((time.monotonic() - begun) / 3))
        )
        machine.moments["answered"] = time.monotonic()
        _introduce(machine, domains.mac_of(machine.xml()))

    try:
        machine = _switched_on(host, name, shape, lambda: host.connection.createXML(xml, flags), then)
    except HostError as error:
        if host.root is None and "ermission" in error.message:
            remedy = f"QEMU at {host.driver.uri} has to be able to read the guest image in {host.image.kernel.parent}."
            raise HostError(error.message, f"{remedy} Leave LABKIT_URI unset to have guests of your own.") from error
        raise
    host.progress(f"{name} is up", 1.0)
    return machine


def _save_a_boot(host: LiveHost, shape: Shape, path: Path) -> None:
    """Boot a guest of this shape, let it come to rest, and save its memory."""
    machine = boot(host, f"saved-{os.getpid()}", shape, PATIENCE)
    try:
        host.progress("Saving the booted guest, for quick starts from now on", 0.5)
        # Empties the guest's unused memory, which would only make the file, and each start from it, larger.
        machine.agent.run(["/bin/rest"])
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
    place = host.root / f"{os.urandom(3).hex()}.restoring"
    host.progress(f"Starting {name} from the saved boot", 0.2)
    macs: list[str] = []

    def reshaped(saved_xml: str) -> str:
        xml = domains.reshape(saved_xml, host.domain_name(name), console, host=host.driver.id, owner=os.getpid())
        macs.append(domains.mac_of(xml))
        return xml

    def switch_on() -> None:
        # Later libvirts open the file twice: once for its header, once for the memory.
        with saved.clone(file, place, reshaped, by_pipe=host.connection.getLibVersion() < 10_000_000):
            host.connection.restore(str(place))

    def then(machine: LiveMachine) -> None:
        machine.agent.wait_until_up(PATIENCE)
        machine.moments["answered"] = time.monotonic()
        _introduce(machine, macs[0])

    machine = _switched_on(host, name, shape, switch_on, then)
    machine.started_from = "saved boot"
    host.note("create", f"{name}.xml")
    host.comment(f"{name} began as a copy of a saved boot under its own description: virsh save, and an edited header")
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
