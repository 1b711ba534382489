"""Which of the course's controls each of libvirt's drivers has a call for.

The rows are libvirt's own *Hypervisor support matrix* (its document ``hvsupport``), as of libvirt 9.0.0. That a
driver has a call does not say that the call does something: `INERT` holds what was tried and is accepted in vain.
"""

from __future__ import annotations

__all__ = ["CONTROLS", "INERT", "offers"]

CONTROLS = {
    "inventory": "virConnectListAllDomains",
    "state": "virDomainGetState",
    "start": "virDomainCreate",
    "stop": "virDomainShutdown",
    "memory": "virDomainSetMemory",
    "shares": "virDomainSetSchedulerParameters",
    "pin": "virDomainPinVcpu",
    "hot-add": "virDomainSetVcpus",
    "snapshot": "virDomainSnapshotCreateXML",
    "revert": "virDomainRevertToSnapshot",
    "consolidate": "virDomainBlockCommit",
    "quiesce": "virDomainFSFreeze",
    "disk limit": "virDomainSetBlockIoTune",
    "virtual switch": "virNetworkDefineXML",
    "shaping": "virDomainSetInterfaceParameters",
    "firewall": "virNWFilterDefineXML",
    "migration": "virDomainMigratePerform",
}
"""The controls, and the call of libvirt's that is each one's mechanism."""

_EVERY = ("inventory", "state", "start", "stop")
_DRIVERS: dict[str, tuple[str, ...]] = {
    "qemu": tuple(name for name in CONTROLS if name not in _EVERY),
    "test": tuple(
        name for name in CONTROLS if name not in _EVERY and name not in ("consolidate", "firewall", "migration")
    ),
    "esx": ("memory", "shares", "hot-add", "snapshot", "revert", "virtual switch", "migration"),
    "vmware": (),
    "vbox": ("memory", "hot-add", "snapshot", "revert"),
    "xen": ("memory", "shares", "pin", "hot-add", "migration"),
    "lxc": ("memory", "shares"),
    "openvz": ("hot-add", "migration"),
    "hyperv": ("memory", "hot-add"),
    "vz": ("memory", "hot-add", "snapshot", "revert", "migration"),
    "bhyve": (),
    "ch": ("pin",),
}

INERT = {"test": {"shares": "accepts shares and does not keep them"}}
"""Controls that a driver accepts and ignores, by driver, each with what it does; tried on libvirt 9.0.0."""


def offers(driver: str) -> tuple[str, ...]:
    """The controls that a driver has a call for, in the order of `CONTROLS`; none of a driver unknown here.

    Parameters
    ----------
    driver : str
        As in its address: ``"qemu"``, ``"test"``, ``"esx"``.
    """
    if driver not in _DRIVERS:
        return ()
    return tuple(name for name in CONTROLS if name in _EVERY or name in _DRIVERS[driver])
