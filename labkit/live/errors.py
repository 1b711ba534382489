"""libvirt's errors as one sentence with a remedy; the original stays as the cause."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from labkit.host import HostError

__all__ = ["translated"]

# What libvirt's message holds, and what a person can do about it.
_REMEDIES = (
    (
        r"failed to parse user",
        "Run ./course open once as root: it makes the system user libvirt-qemu that libvirt asks for.",
    ),
    (r"cannot allocate memory|cannot set up guest memory", "Stop other programs, or give the machines less memory."),
    (r"no space left", "Free some disk space, or set LABKIT_CACHE to a directory on a larger disk."),
    (
        r"could not access kvm|failed to initialize kvm",
        "Add yourself to the group kvm, or go on with software emulation.",
    ),
    (r"permission denied", "Check who may read the file named; 'labkit doctor' shows what works here."),
    (r"guest agent (is )?not|agent.*not (responding|connected|available)", "Stop the machine and create it again."),
    (r"not available in session mode", "Only root may set this through libvirt; 'labkit doctor' names the other ways."),
    (r"domain (is )?not (running|found)|domain not found", "It has ended; create it again."),
    (r"not supported|not (be )?support", "This host cannot do that; 'labkit doctor' shows what it can."),
    (
        r"(failed|unable) to connect|connection refused|no such file or directory",
        "Check the address, and that libvirt runs there.",
    ),
)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn a libvirt error inside the block into a `HostError` that says what was being done.

    Parameters
    ----------
    doing : str
        Completes "could not ...", for instance ``"start the machine m1"``.

    Raises
    ------
    HostError
        In the place of ``libvirt.libvirtError``, which becomes its cause.
    """
    import libvirt

    try:
        yield
    except libvirt.libvirtError as error:
        said = (error.get_error_message() or str(error)).strip().splitlines()[0].rstrip(".")
        remedy = next((remedy for words, remedy in _REMEDIES if re.search(words, said, re.IGNORECASE)), "")
        raise HostError(f"Could not {doing}: {said}.", remedy or "'labkit doctor' shows what works here.") from error
