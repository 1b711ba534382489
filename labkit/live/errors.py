"""libvirt's errors, and the computer's own, as one sentence with a remedy; the original stays as the cause."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from labkit.host import HostError

if TYPE_CHECKING:
    import libvirt

__all__ = ["explained", "translated"]

# What libvirt's message holds, and what a person can do about it.
_REMEDIES = (
    (
        r"failed to parse user",
        "Run ./course open once as root: it makes the system user libvirt-qemu that libvirt asks for.",
    ),
    (r"cannot allocate memory|cannot set up guest memory", "Stop other programs, or give the machines less memory."),
    (r"no space left|quota exceeded", "Free some space on the disk that holds it."),
    (r"too many open files", "Stop some machines, or restart the notebook's kernel."),
    (
        r"could not access kvm|failed to initialize kvm",
        "Add yourself to the group kvm, or go on with software emulation.",
    ),
    (r"permission denied", "Check who may read the file named; 'labkit doctor' shows what works here."),
    (
        r"guest agent (is )?not|agent.*not (responding|connected|available)|execute QEMU agent command",
        "Stop the machine and create it again.",
    ),
    (r"not available in session mode", "Only root may set this through libvirt; 'labkit doctor' names the other ways."),
    (r"domain (is )?not (running|found)|domain not found", "It has ended; create it again."),
    (r"not supported|not (be )?support", "This host cannot do that; 'labkit doctor' shows what it can."),
    (
        r"parse URI|no connection driver|does not include a driver",
        "Check the address: it looks like qemu:///system or qemu+ssh://host/system.",
    ),
    (
        r"(failed|unable) to connect|connection refused|no such file or directory",
        "Check the address, and that libvirt runs there.",
    ),
)


def _sentence(doing: str, said: str) -> HostError:
    said = said.strip().partition("\n")[0].rstrip(".")
    remedy = next((remedy for words, remedy in _REMEDIES if re.search(words, said, re.IGNORECASE)), "")
    return HostError(f"Could not {doing}: {said}.", remedy or "'labkit doctor' shows what works here.")


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn an error of the operating system inside the block, such as a full disk, into a `HostError`.

    Parameters
    ----------
    doing : str
        Completes "could not ...", for instance ``"make the directory d"``.

    Raises
    ------
    HostError
        In the place of ``OSError`` or, for words that no program can be given, ``UnicodeError``; it is the cause.
    """
    try:
        yield
    except shutil.Error as error:  # many in one, each a triple that ends with what the system said
        said = error.args[0][0][-1] if error.args and isinstance(error.args[0], list) and error.args[0] else error
        raise _sentence(doing, str(said)) from error
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise _sentence(doing, f"{error.strerror or error}{place}") from error
    except UnicodeError as error:
        raise HostError(
            f"Could not {doing}: a name, an address or a path in it is not text.", "Use letters of any script."
        ) from error


@contextmanager
def translated(doing: str, domain: libvirt.virDomain | None = None) -> Iterator[None]:
    """Turn an error of libvirt's or of the operating system inside the block into a `HostError`.

    Parameters
    ----------
    doing : str
        Completes "could not ...", for instance ``"start the machine m1"``.
    domain : libvirt.virDomain, optional
        The machine that it is done to: where it is paused, libvirt says that it does not run, and it has not ended.

    Raises
    ------
    HostError
        In the place of ``libvirt.libvirtError``, and as in `explained`.
    """
    import libvirt

    try:
        with explained(doing):
            yield
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            raise HostError(f"Could not {doing}: it has ended.", "Create it again.") from error
        if domain is not None and (paused := _paused(domain)):
            raise HostError(f"Could not {doing}: {paused[0]}.", paused[1]) from error
        raise _sentence(doing, error.get_error_message() or str(error)) from error


def _paused(domain: libvirt.virDomain) -> tuple[str, str] | None:
    """Why a machine is paused, and what to do about it; None where it is not paused."""
    import libvirt

    with suppress(libvirt.libvirtError):
        state, reason = domain.state()
        if state == libvirt.VIR_DOMAIN_PAUSED:
            if reason == libvirt.VIR_DOMAIN_PAUSED_IOERROR:  # as our disks pause their machine for want of space alone
                return "it is paused: its pool has no room", "Let the pool grow with pool.grow, then machine.resume()."
            return "it is paused", "Let it go on with machine.resume()."
    return None
