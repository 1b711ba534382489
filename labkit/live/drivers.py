"""The drivers of this machine's libvirt: which of them work here, what each can do, and what the others lack.

Each driver is opened by a process of its own, which is ended where it does not answer in time: no driver can keep
the others waiting. None is given the address of another computer, so nothing leaves this one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from labkit.host import HostError
from labkit.live.controls import offers

__all__ = ["DRIVERS", "Found", "Known", "examine"]

TIME_LIMIT = 30.0  # seconds for all together; the QEMU driver's first opening finds out what QEMU can do, about 4 s
_ABSENT = (
    "not installed",
    "without the",
    "no connection driver",
    "failed to connect socket",
    "does not exist",
    "missing the server part",
    "is missing",
    "could not find",
    "unable to find",
    "not found",
    "cannot find",
)
"""What a message of libvirt's holds where something is not there, rather than there and out of order."""


@dataclass(frozen=True)
class Known:
    """A driver that libvirt may have.

    Parameters
    ----------
    name, uri : str
        Its name, and an address that it answers on this computer, or that names none.
    for_what : str
        Whose machines it manages.
    remedy : str
        What makes it work.
    """

    name: str
    uri: str
    for_what: str
    remedy: str


def _daemon(package: str, needs: str) -> str:
    return f"{needs}, and libvirt's daemon with this driver (on Debian the package {package})."


DRIVERS = (
    Known(
        "qemu",
        "qemu:///embed",
        "KVM and QEMU guests",
        "Run ./course open, which installs what is missing and says what.",
    ),
    Known(
        "test",
        "test:///default",
        "trying things out: it keeps books and runs nothing",
        "Install libvirt, which it is a part of.",
    ),
    Known(
        "esx",
        "esx:///",
        "VMware ESXi and vCenter",
        "Name a host of yours: labkit.live('esx://NAME@HOST/?no_verify=1'), its password in libvirt's auth.conf.",
    ),
    Known(
        "vmware",
        "vmwarews:///session",
        "VMware Workstation, Player and Fusion",
        "Install VMware Workstation, whose program vmrun this driver calls.",
    ),
    Known(
        "vbox",
        "vbox:///session",
        "Oracle VirtualBox",
        _daemon("libvirt-daemon-driver-vbox", "It needs VirtualBox"),
    ),
    Known(
        "xen",
        "xen:///system",
        "Xen",
        _daemon("libvirt-daemon-driver-xen", "It needs a computer that was booted on Xen"),
    ),
    Known(
        "lxc",
        "lxc:///system",
        "Linux containers, which are no virtual machines",
        _daemon("libvirt-daemon-driver-lxc", "It needs root"),
    ),
    Known(
        "openvz",
        "openvz:///system",
        "OpenVZ containers, which are no virtual machines",
        "It needs a kernel of OpenVZ's.",
    ),
    Known(
        "hyperv",
        "hyperv:///",
        "Microsoft Hyper-V",
        "It needs a libvirt that was built with it; then name a host of yours: labkit.live('hyperv://NAME@HOST/').",
    ),
    Known(
        "vz",
        "vz:///system",
        "Virtuozzo, not Parallels Desktop",
        "It needs Virtuozzo, and a libvirt that was built with this driver. Parallels Desktop has its own prlctl.",
    ),
    Known("bhyve", "bhyve:///system", "FreeBSD's bhyve", "It needs FreeBSD."),
    Known(
        "ch",
        "ch:///session",
        "Cloud Hypervisor",
        "It needs Cloud Hypervisor, and a libvirt that was built with this driver.",
    ),
)


@dataclass(frozen=True)
class Found:
    """What became of opening a driver.

    Parameters
    ----------
    name, uri, for_what : str
        As in `Known`.
    state : {"works", "absent", "broken"}
        ``"absent"`` where something that it needs is not here, ``"broken"`` where it is and does not work.
    evidence : str
        What it said, in its own words.
    can : list of str
        Those of the course's controls that it can do here, now.
    has_calls_for : list of str
        Those that libvirt's documents give it calls for, wherever it works.
    remedy : str
        What would make it work; empty where it does.
    """

    name: str
    uri: str
    for_what: str
    state: Literal["works", "absent", "broken"]
    evidence: str
    can: list[str]
    has_calls_for: list[str]
    remedy: str


def examine(limit: float = TIME_LIMIT) -> list[Found]:
    """Open every driver, each in a process of its own and all at once, and tell what each said.

    Parameters
    ----------
    limit : float
        After how many seconds those that have not answered are ended.
    """
    # A driver that needs a daemon must find one that runs: looking around starts none (libvirt's LIBVIRT_AUTOSTART).
    quiet = {"LIBVIRT_AUTOSTART": "0", "LIBVIRT_LOG_OUTPUTS": "4:file:/dev/null"}
    ends = time.monotonic() + limit
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "labkit.live.drivers", known.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | quiet,
            start_new_session=True,
        )
        for known in DRIVERS
    ]
    try:
        return [_answer(known, process, ends, limit) for known, process in zip(DRIVERS, started, strict=True)]
    finally:
        for process in started:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a process of ours and what it has started, unless it has ended already."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
        with contextlib.suppress(subprocess.TimeoutExpired):  # whatever it left behind may hold the pipe open
            process.communicate(timeout=2.0)


def _answer(known: Known, process: subprocess.Popen[str], ends: float, limit: float) -> Found:
    try:
        told, complaint = process.communicate(timeout=max(0.0, ends - time.monotonic()))
    except subprocess.TimeoutExpired:
        _end(process)
        return _found(known, {"error": f"it did not answer within {limit:g} s", "broken": True})
    try:
        return _found(known, json.loads(told))
    except ValueError:
        last = (complaint.strip().splitlines() or [f"it ended with code {process.returncode} and said nothing"])[-1]
        return _found(known, {"error": last, "broken": True})


def _found(known: Known, told: dict[str, Any]) -> Found:
    calls = list(offers(known.name))
    said = told.get("error")
    if said is None:
        return Found(known.name, known.uri, known.for_what, "works", told["evidence"], told["can"], calls, "")
    absent = not told.get("broken") and any(words in said.lower() for words in _ABSENT)
    return Found(
        known.name,
        known.uri,
        known.for_what,
        "absent" if absent else "broken",
        said,
        [],
        calls,
        told.get("remedy") or known.remedy,
    )


def _open(known: Known) -> dict[str, Any]:
    """Open one driver, in this process, and tell what it can do: by trying it, where nobody's machines are touched."""
    from labkit.live import driver

    libvirt = driver.load_libvirt()
    if known.name == "qemu":
        version = driver.embedded().connection.getVersion()
        without = ("virtual switch", "shaping", "firewall", "migration")
        can = [control for control in offers("qemu") if control not in without]
        shown = f"{version // 1000000}.{version // 1000 % 1000}.{version % 1000}"
        return {
            "evidence": f"opened inside a process, QEMU {shown}; so opened it has no networks, firewall or migration. "
            "What it can is from libvirt's documents; 'labkit doctor' tries it with a guest",
            "can": can,
        }
    try:
        connection = libvirt.open(known.uri)
    except libvirt.libvirtError as error:
        return {"error": (error.get_error_message() or str(error)).strip().splitlines()[0]}
    if known.name == "test":
        can, refused = _try_out(driver.Driver(connection, known.uri, None, ""))
        return {"evidence": f"opened, and every control tried; {'; '.join(refused)}", "can": can}
    there = len(connection.listAllDomains())
    return {"evidence": f"opened; machines there: {there}", "can": list(offers(known.name))}


def _try_out(way: Any) -> tuple[list[str], list[str]]:
    """Try every control on the test driver's own machine, which lives in this process alone, and read each back."""
    from labkit.live.foreign import ForeignHost

    host = ForeignHost(way, allow_changes=True)
    machine = host.machines["test"]
    domain = machine.domain

    def kept(set_it: Callable[[], Any], read: Callable[[], Any], wanted: Any) -> None:
        set_it()
        if (found := read()) != wanted:
            raise HostError(f"libvirt's test driver accepted {wanted} and reads back {found}.")

    limits = {"total_iops_sec_max": 200, "total_iops_sec": 100}
    shape = {"inbound.average": 1000}
    steps: dict[str, Callable[[], Any]] = {
        "inventory": lambda: host.machines,
        "state": lambda: machine.state,
        "stop": machine.stop,
        "start": machine.start,
        "memory": lambda: machine.set(memory=1024),
        "shares": lambda: machine.set(shares=512),
        "pin": lambda: machine.set(pin=[0]),
        "hot-add": lambda: (domain.setVcpus(1), machine.set(vcpus=2)),
        "snapshot": lambda: machine.snapshot("labkit"),
        "revert": lambda: machine.revert("labkit"),
        "consolidate": lambda: domain.blockCommit("vda", None, None),
        "quiesce": lambda: (domain.fsFreeze(), domain.fsThaw()),
        "disk limit": lambda: kept(
            lambda: domain.setBlockIoTune("vda", limits), lambda: domain.blockIoTune("vda")["total_iops_sec"], 100
        ),
        "virtual switch": lambda: host.connection.networkDefineXML("<network><name>labkit</name></network>"),
        "shaping": lambda: kept(
            lambda: domain.setInterfaceParameters("testnet0", shape),
            lambda: domain.interfaceParameters("testnet0")["inbound.average"],
            1000,
        ),
    }
    import libvirt

    can, refused = [], []
    for control, step in steps.items():
        try:
            step()
            can.append(control)
        except HostError as error:
            refused.append(f"{control}: {error.message.rstrip('.')}")
        except libvirt.libvirtError as error:
            refused.append(f"{control}: {error.get_error_message()}")
    return [control for control in offers("test") if control in can], refused


def _main(name: str) -> None:
    (known,) = [each for each in DRIVERS if each.name == name]
    try:
        told = _open(known)
    except HostError as error:
        told = {"error": error.message, "remedy": error.remedy}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    _main(sys.argv[1])
