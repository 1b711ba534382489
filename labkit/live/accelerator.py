"""KVM or software emulation? Only a guest that really booted can tell.

/dev/kvm can exist, open and even create a machine, and still never run one. So a probe guest is booted on it, with a
deadline, once for each boot of this computer; where it does not come up, QEMU's own emulator, TCG, runs the guests.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from labkit.host import HostError
from labkit.live.ownership import boot_id
from labkit.live.places import cache_root

__all__ = ["DEADLINE", "Accelerator", "choose"]

DEADLINE = 12.0  # seconds for a guest on KVM; one that works needs one or two


@dataclass(frozen=True)
class Accelerator:
    """What runs the guests' instructions: ``"KVM"`` or ``"TCG"``, and how that was found out."""

    name: str
    evidence: str


def _no_device() -> str:
    """Why /dev/kvm cannot even be tried, or an empty string."""
    device = Path("/dev/kvm")
    if not device.exists():
        return "/dev/kvm does not exist"
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"/dev/kvm cannot be opened: {error.strerror}"
    return ""


def choose(boot_on_kvm: Callable[[], None], versions: dict[str, str], *, here: bool = True) -> Accelerator:
    """The accelerator that works here; tried once for each boot of the computer and remembered.

    Parameters
    ----------
    boot_on_kvm : callable
        Boots a guest on KVM and raises `HostError` where it does not come up within `DEADLINE`.
    versions : dict
        The software that takes part, and where it runs; another QEMU is tried anew.
    here : bool
        Whether the host is this computer, so that its /dev/kvm can be looked at first.
    """
    if here and (reason := _no_device()):
        return Accelerator("TCG", f"{reason}, so QEMU emulates the guests' processors in software")
    known = {"boot": boot_id(), "kernel": platform.release(), **versions}
    file = cache_root() / "accelerator.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        remembered = json.loads(file.read_text())
        if remembered["known"] == known:
            return Accelerator(**remembered["found"])
    try:
        boot_on_kvm()
        found = Accelerator("KVM", "a probe guest booted on /dev/kvm")
    except HostError as error:
        why = f"a probe guest on /dev/kvm did not come up within {DEADLINE:g} s"
        emulated = "so QEMU emulates the guests' processors in software"
        if "was not up" not in error.message:  # that may be over in a minute: it is not remembered
            return Accelerator("TCG", f"a guest could not be started on KVM ({error.message.rstrip('.')}), {emulated}")
        found = Accelerator("TCG", f"{why}, {emulated}")
    with contextlib.suppress(OSError):
        writing = file.with_suffix(f".{os.getpid()}")
        writing.write_text(json.dumps({"known": known, "found": asdict(found)}))
        writing.rename(file)
    return found
