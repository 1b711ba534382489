"""What the doctor finds out about private hosts: one is opened, and each part of it is tried in there."""

from __future__ import annotations

import time
from collections.abc import Callable

from labkit.host import HostError
from labkit.live.errors import translated
from labkit.live.private import bridged, programs, shaping, switch
from labkit.live.private.opening import PrivateDriver, open_private
from labkit.live.report import Finding

__all__ = ["findings"]

NETWORK = """<network><name>doctor</name><bridge name='lk-doctor'/>
<ip address='10.9.0.1' netmask='255.255.255.0'><dhcp><range start='10.9.0.2' end='10.9.0.9'/></dhcp></ip></network>"""


def findings() -> list[Finding]:
    """Try a private host and its parts; nothing is downloaded or installed for it."""
    began = time.monotonic()
    try:
        driver = open_private()
    except HostError as error:
        state = "absent" if "not installed" in error.message else "broken"
        return [Finding("private host", state, error.message, error.remedy)]
    took = time.monotonic() - began
    try:
        who = "root" if driver.privileged else "you, without root"
        opened = Finding("private host", "works", f"libvirt in namespaces of its own, opened by {who} in {took:.1f} s")
        return [opened, *(_tried(name, trial, driver) for name, trial in _TRIALS.items())]
    finally:
        driver.close()


def _tried(name: str, trial: Callable[[PrivateDriver], str], driver: PrivateDriver) -> Finding:
    try:
        return Finding(name, "works", trial(driver))
    except HostError as error:
        state = "absent" if "not installed" in error.message or "not here" in error.message else "broken"
        return Finding(name, state, error.message, error.remedy)


def _networks(driver: PrivateDriver) -> str:
    programs.require(programs.NETWORKS, "A network of libvirt's own, which no lesson asks for,")
    with translated("make a network"):
        driver.connection.networkCreateXML(NETWORK).destroy()
    return "libvirt made one with DHCP, as virsh net-create does, and took it away; the lessons' switches need none"


def _filtering(driver: PrivateDriver) -> str:
    programs.require(programs.FILTERING, "A firewall")
    bridged.require_harmless()
    for part in programs.FILTERING:
        driver.run([part.program, "-L"])
    # As nwfilter's rules look: which port of a bridge, and whether it belongs to something that has begun.
    seen = ["-m", "physdev", "--physdev-is-bridged", "-m", "conntrack", "--ctstate", "NEW"]
    driver.run(["iptables", "-A", "FORWARD", *seen, "-j", "RETURN"])
    bridged.require_in_force(driver.room)
    return "iptables and ebtables, which libvirt's nwfilter calls, look into frames between bridge ports in there"


def _switch(driver: PrivateDriver) -> str:
    if switch.found() is None:
        raise HostError(
            "Open vSwitch is not here yet.",
            "Nothing to do where there is apt: it is fetched when a lab first needs it, unpacked into labkit's cache,"
            " and never a service. Elsewhere install your distribution's openvswitch.",
        )
    switch.start(driver.room)
    switch.add(driver.room, "lk-doctor")
    version = driver.run(["ovs-vsctl", "--version"]).stdout.splitlines()[0].split()[-1]
    return f"Open vSwitch {version}, in a program, for libvirt's <vlan>"


def _shaping(driver: PrivateDriver) -> str:
    programs.require(programs.SHAPING, "Shaping")
    shaping.shape(driver.room, "lo", 8, peak=16, burst=1)
    if driver.run(["tc", "qdisc", "replace", "dev", "lo", "root", "sfq"], check=False).returncode:
        return "a token bucket (TBF) behind the tap; this kernel has no SFQ, so libvirt's own <bandwidth> cannot"
    return "a token bucket (TBF) behind the tap; libvirt's own <bandwidth> too, as this kernel has SFQ"


_TRIALS = {"virtual networks": _networks, "firewall": _filtering, "VLANs": _switch, "shaping": _shaping}
