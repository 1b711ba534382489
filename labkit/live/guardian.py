"""The last one out switches off the light.

Each process that opens an embedded host starts one guardian, a program of its own that does nothing but wait
for that process to end. However it ends, by itself, by SIGKILL or with a crash, the guardian then ends every
guest that the process left, one that was only just being started included, and removes the host's directory.

It runs without labkit and without site packages, so that it starts in a few hundredths of a second and does not
depend on anything that could break meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path

__all__ = ["DELEGATED", "KERNEL_SETTINGS", "control_groups_left", "end_everything", "put_settings_back", "start_time"]

QUIET = 1.0  # seconds without a process of the host's before the guardian believes that none will come


def start_time(pid: int) -> str | None:
    """When a process started, in the kernel's ticks since boot; None where there is no such process.

    With it a process number that has been given out again is told from the first one that had it
    (proc(5), /proc/pid/stat, field 22).
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def processes_of(root: str) -> list[int]:
    """The QEMUs, libvirt's own, and a private host's first program, whose command line names a file below `root`.

    The program's name counts too: somebody who looks into a file there with an editor is left alone.
    """
    mark = os.fsencode(root) + b"/"
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                ours = (entry / "comm").read_text().startswith(("qemu-", "libvirt", "labkit-"))
                if ours and mark in (entry / "cmdline").read_bytes() and entry.stat().st_uid == os.geteuid():
                    found.append(int(entry.name))
    return found


def control_groups_of(names: str) -> list[Path]:
    """The control groups that libvirt made for machines whose name begins with `names`, innermost first."""
    found: list[Path] = []
    # systemd's scopes have \x2d for every hyphen within a part of a name.
    wanted = (f"-{names}", f"-{names}".replace("-", "\\x2d"))
    for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        for pattern in ("machine/*", "machine.slice/*", "*/machine/*", "*/machine.slice/*"):
            for group in Path(top).glob(pattern):
                if any(name in group.name for name in wanted):
                    found += [Path(path) for path, _, _ in os.walk(group, topdown=False)]
    return found


DELEGATED = "delegated-group"
"""The file in a host's directory that names the control group in which an ordinary user's host makes its own."""


def control_groups_left(root: str) -> list[Path]:
    """All control groups of the host whose directory is `root`, innermost first: libvirt's, and those it made itself.

    The latter lie in a group that was delegated to the user, and have the mark in front (`labkit.live.delegated`).
    """
    mark = f"lk-{Path(root).name}-"
    found = control_groups_of(mark)
    with contextlib.suppress(OSError, ValueError):
        delegated = Path((Path(root) / DELEGATED).read_text())
        if delegated.is_relative_to("/sys/fs/cgroup") and ".." not in delegated.parts:
            for group in sorted(delegated.glob(f"{mark}*")):
                found += [Path(path) for path, _, _ in os.walk(group, topdown=False)]
    return found


KERNEL_SETTINGS = "kernel-settings.json"
"""The file in a host's directory that tells which settings of the kernel were changed, and what to write into them."""


def put_settings_back(root: str) -> list[str]:
    """Write back what the settings of the kernel's page merging were before a host changed them.

    Parameters
    ----------
    root : str
        The host's directory.

    Returns
    -------
    list of str
        What was put back, in words.

    Raises
    ------
    OSError
        Where one of them cannot be; the others are put back, and the file says from then on only what is still to do,
        so that whoever tries again touches nothing else.
    """
    record = Path(root) / KERNEL_SETTINGS
    try:
        settings = json.loads(record.read_text())
    except (OSError, ValueError):
        return []
    refused: OSError | None = None
    left = []
    for name, value in settings:
        try:
            if Path(name).parent == Path("/sys/kernel/mm/ksm"):
                Path(name).write_text(value)
        except OSError as error:
            refused = error
            left.append([name, value])
    if refused:
        writing = record.with_suffix(".left")
        writing.write_text(json.dumps(left))
        writing.rename(record)
        raise refused
    record.unlink()
    return ["settings of the kernel's page merging, put back"]


def end_everything(root: str, *, quiet: float = QUIET) -> list[str]:
    """End what is left of the host whose directory is `root`, and remove the directory.

    The directory stays where settings of the kernel that it tells of could not be put back: the next who clears up,
    such as ``labkit clean``, tries again.

    Parameters
    ----------
    root : str
        The host's directory; its last part is the host's unique id, which the machines' names carry.
    quiet : float
        How long to go on looking after the last process was seen, in seconds, for one that is only now starting.

    Returns
    -------
    list of str
        What was ended or removed, in words.
    """
    done: list[str] = []
    seen = time.monotonic()
    while time.monotonic() - seen < quiet:
        for pid in processes_of(root):
            seen = time.monotonic()
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                done.append(f"process {pid}")
        time.sleep(0.05)
    restored = True
    try:
        done += put_settings_back(root)
    except OSError as error:
        restored = False
        done.append(f"settings of the kernel's page merging, not put back: {error.strerror}")
    for group in control_groups_left(root):
        with contextlib.suppress(OSError):
            group.rmdir()
            done.append(f"control group {group}")
    if restored and Path(root).exists():
        shutil.rmtree(root, ignore_errors=True)
        done.append(f"directory {root}")
    return list(dict.fromkeys(done))


def _wait_for_the_end_of(owner: int, started: str) -> None:
    """Return when the owner closes its end of standard input, or is gone.

    Both are looked at, as a child that the owner forked may hold the pipe open after it.
    """
    while start_time(owner) == started:
        ready, _, _ = select.select([0], [], [], 1.0)
        if ready and not os.read(0, 1):
            return


def main() -> None:
    """Wait for the owner named on the command line, then clear up its host."""
    root, owner, started = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _wait_for_the_end_of(owner, started)
    end_everything(root)


if __name__ == "__main__":
    main()
