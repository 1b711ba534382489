"""Why namespaces cannot be made here, in words: each kernel, container and distribution has its own way to say no."""

from __future__ import annotations

import contextlib
import getpass
import os
from pathlib import Path

from labkit.host import HostError

__all__ = ["foreseen", "refused"]

ADMINISTRATOR = 21  # the number of CAP_SYS_ADMIN (capabilities(7))

_SWITCHES = (
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)
"""Settings of the kernel by which an ordinary user may have no namespaces: the file, what it then holds, the remedy.

namespaces(7); the second is Debian's own, the third Ubuntu's from 23.10.
"""

ELSEWHERE = "The lesson's simulated host needs none of this."


def _may_administer(status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process has CAP_SYS_ADMIN, which root in a plain container lacks."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        line = next(line for line in status.read_text().splitlines() if line.startswith("CapEff:"))
        return bool(int(line.split()[1], 16) >> ADMINISTRATOR & 1)
    return False


def _spare_ids(user: str, number: int) -> bool:
    """Whether /etc/subuid and /etc/subgid give a user ids to hand out (subuid(5))."""
    for file in ("/etc/subuid", "/etc/subgid"):
        try:
            owners = {line.split(":")[0] for line in Path(file).read_text().splitlines()}
        except OSError:
            return False
        if owners.isdisjoint({user, str(number)}):
            return False
    return True


def _switched_off() -> HostError | None:
    for file, off, remedy in _SWITCHES:
        with contextlib.suppress(OSError):
            if Path(file).read_text().strip() == off:
                return HostError(
                    f"This system lets ordinary users make no namespaces ({Path(file).name} is {off}).",
                    f"As root: {remedy}. {ELSEWHERE}",
                )
    return None


def foreseen() -> HostError | None:
    """What is known beforehand to keep this user from a private host, or None."""
    if os.geteuid() == 0:
        if not _may_administer():
            return HostError(
                "This is root without the right to make namespaces (CAP_SYS_ADMIN), as in a plain container.",
                f"Run the course on the computer itself, or start the container with --privileged. {ELSEWHERE}",
            )
    elif not _spare_ids(user := getpass.getuser(), os.getuid()):
        return HostError(
            f"The user {user} has no spare ids in /etc/subuid and /etc/subgid, which a private host runs its parts as.",
            f"As root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
        )
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return HostError(
            f"/dev/net/tun, through which a guest's network card reaches the host, cannot be opened: {error.strerror}.",
            "As root: modprobe tun; chmod 0666 /dev/net/tun (as most distributions have it)."
            f" In a container, add --device /dev/net/tun. {ELSEWHERE}",
        )
    return None


def refused(said: str) -> HostError:
    """The error for a refusal that came only when it was tried.

    Parameters
    ----------
    said : str
        What the programs said; the last line counts.
    """
    if "--map-auto" in said:
        return HostError(
            "The program unshare is older than 2.38 here, and cannot hand out an ordinary user's spare ids.",
            f"Install a newer util-linux (Debian 12 has it), or run the course as root. {ELSEWHERE}",
        )
    if os.geteuid() and (off := _switched_off()):
        return off
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1].rstrip(".") if lines else "nothing was said"
    if "not permitted" in last or "denied" in last:
        return HostError(
            f"This computer does not let {'root' if os.geteuid() == 0 else 'you'} have namespaces of its own: {last}.",
            "Containers and security modules forbid it: run the course on the computer itself, or start the container "
            f"with --privileged. {ELSEWHERE}",
        )
    return HostError(f"The private host did not open: {last}.", ELSEWHERE)
