"""How soon a guest answers its first command, beside a plain QEMU that boots the same kernel.

Each round measures all of them one after the other, so that whatever else the computer does meets all alike.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.bench.figures import Figure, beside
from labkit.host import HostError

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost

__all__ = ["agreement", "boot_figures", "plain_boot"]

_MEMORY = 128  # MiB, as a machine has where nothing else is said
_PATIENCE = 120.0  # seconds
_AT_ONCE = 3
_COMMAND = ("/bin/true",)


def plain_boot(kernel: Path, initrd: Path, cmdline: str, accelerator: str) -> float:
    """Seconds from starting QEMU, without libvirt, to the first line that its guest prints.

    Parameters
    ----------
    kernel, initrd : pathlib.Path
        What it boots.
    cmdline : str
        What the kernel is told.
    accelerator : str
        ``"KVM"`` or ``"TCG"``.

    Raises
    ------
    HostError
        Where QEMU ends, or two minutes pass, without a line.
    """
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", accelerator.lower(), "-m", str(_MEMORY)]
    command += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]
    command += ["-kernel", str(kernel), "-initrd", str(initrd), "-append", cmdline]
    started = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as qemu:
        assert qemu.stdout is not None
        watchdog = threading.Timer(_PATIENCE, qemu.kill)
        watchdog.start()
        try:
            for line in qemu.stdout:
                if line.strip():
                    return time.monotonic() - started
        finally:
            watchdog.cancel()
            qemu.kill()
    raise HostError("A plain QEMU printed nothing.", "'labkit doctor' shows what works here.")


def _answered(host: LiveHost, name: str, cold: bool) -> float:
    """Seconds from asking for a machine to the end of the first command in it."""
    started = time.monotonic()
    machine = host.create(name, cold=cold)
    machine.execute(_COMMAND)
    taken = time.monotonic() - started
    machine.stop()
    return taken


def _three_at_once(host: LiveHost) -> float:
    """Seconds until the last of three machines that were asked for at once has answered."""
    ready = threading.Barrier(_AT_ONCE)
    failures: list[Exception] = []

    def one(name: str) -> None:
        try:
            host.create(name).execute(_COMMAND)
        except HostError as error:
            failures.append(error)
        ready.wait()

    threads = [threading.Thread(target=one, args=(f"at-once-{number}",)) for number in range(_AT_ONCE)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.monotonic() - started
    for machine in list(host.machines.values()):
        machine.stop()
    if failures:
        raise failures[0]
    return taken


def boot_figures(host: LiveHost, rounds: int, tell: Callable[[str], None]) -> list[Figure]:
    """Cold, from the saved boot, and three at once, in turn with a plain QEMU.

    Parameters
    ----------
    host : LiveHost
        An open live host.
    rounds : int
        How many rounds.
    tell : callable
        Told in a sentence what is being done.
    """
    image, accelerator = host.image, host.accelerator.name
    tell("Making the saved boot, and a round that does not count ...")
    kinds: dict[str, Callable[[], float]] = {
        "plain": lambda: plain_boot(image.kernel, image.initrd, image.cmdline, accelerator),
        "cold": lambda: _answered(host, "cold", cold=True),
        "saved": lambda: _answered(host, "saved", cold=False),
        "three": lambda: _three_at_once(host),
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds + 1):
        for kind, measure in kinds.items():
            seconds = measure()
            if number:
                taken[kind].append(seconds)
        if number:
            tell(f"Round {number} of {rounds}: " + ", ".join(f"{kind} {taken[kind][-1]:.2f} s" for kind in kinds))
    plain, cold, saved, three = taken.values()
    peer = f"a plain QEMU boot of the same kernel to its first line, on {accelerator}"
    return [
        beside("First command answered in a guest, cold boot", cold, "s", peer, plain, 1.4),
        beside("First command answered in a guest, from the saved boot", saved, "s", peer, plain, 0.3),
        beside("Three guests at once from the saved boot, the last answer", three, "s", "one of them", saved, 2.0),
    ]


def agreement(host_open: Callable[[], Any], tell: Callable[[str], None]) -> list[Figure]:
    """How far live is from simulated, and from theory, in one run of ``cpu-shares``."""
    import labkit
    from labkit.experiments import load
    from labkit.experiments.outcome import compare

    tell("Running cpu-shares on both hosts ...")
    module = load("cpu-shares")
    settings = module.Settings()
    outcome = compare(module, settings, simulated=lambda: labkit.simulated(settings.cpus), live=host_open)
    mark = " (disturbed)" if any(row.get("disturbed") for row in outcome.rows) else ""
    figures = []
    for quantity, unit in module.QUANTITIES.items():
        rows = [row for row in outcome.rows if row["quantity"] == quantity]
        gaps = {key: max(abs(row["live"] - row[key]) for row in rows) for key in ("simulated", "theory")}
        bound = module.BOUNDS[quantity]
        figures.append(
            Figure(
                f"cpu-shares, {quantity}: the largest gap between live and simulated{mark}",
                round(gaps["simulated"], 4),
                unit,
                len(rows),
                peer="the largest gap between live and theory",
                peer_value=round(gaps["theory"], 4),
                goal=f"at most {bound:g} {unit}",
                met=gaps["simulated"] <= bound,
            )
        )
    return figures
