"""How many writes a second the model of a disk takes, beside qemu-io with the same writes in the same run."""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from labkit.bench.figures import Figure
from labkit.host import HostError
from labkit.live import guardian, ownership
from labkit.model.disks import SimulatedDisk

__all__ = ["disk_figures"]

WRITES = 2000
LENGTH = 4096
SIZE = 1 << 30
FORMATS = {"qcow2": "qcow2", "vmdk": "vmdk", "vhd": "vpc"}  # and what QEMU calls them


def _model(format: str, places: list[int]) -> tuple[float, int]:
    """Seconds for all writes in the model, from the disk's making on, and how long its file is then."""
    started = time.perf_counter()
    disk = SimulatedDisk("bench", SIZE / (1 << 20), format)
    for place in places:
        disk.write(place, LENGTH)
    length = disk.file_bytes
    return time.perf_counter() - started, length


def _real(driver: str, places: list[int], file: Path) -> tuple[float, int]:
    """Seconds for all writes in one qemu-io, its start and end included, and how long the file is then.

    It does not wait for the store ("unsafe"), as nothing would then be compared but that.
    """
    subprocess.run(["qemu-img", "create", "-q", "-f", driver, str(file), str(SIZE)], check=True)
    commands = [word for place in places for word in ("-c", f"write -q -P 165 {place} {LENGTH}")]
    started = time.perf_counter()
    subprocess.run(
        ["qemu-io", "-t", "unsafe", "-f", driver, *commands, str(file)], check=True, stdout=subprocess.DEVNULL
    )
    passed = time.perf_counter() - started
    length = file.stat().st_size
    file.unlink()
    return passed, length


@contextlib.contextmanager
def _marked_directory() -> Iterator[Path]:
    """A directory with labkit's mark, that goes with this process however it ends."""
    owned, pipe = ownership.settle_in()
    try:
        yield Path(owned.root)
    finally:
        guardian.end_everything(owned.root, quiet=0.0)
        os.close(pipe)


def disk_figures(rounds: int) -> list[Figure]:
    """Writes per second of the model and of qemu-io, in turn, for some formats.

    Raises
    ------
    HostError
        Where qemu-img or qemu-io is missing or fails.
    """
    figures = []
    with _marked_directory() as folder:
        for format, driver in FORMATS.items():
            draw = random.Random(1)
            places = [draw.randrange(SIZE // LENGTH) * LENGTH for _ in range(WRITES)]
            ours, theirs = [], []
            for _ in range(max(rounds, 1)):
                try:
                    real, length = _real(driver, places, folder / f"bench.{format}")
                except (OSError, subprocess.CalledProcessError) as error:
                    remedy = "Run ./course open, which installs what is missing and says what."
                    raise HostError(f"QEMU's disk tools could not be timed: {error}.", remedy) from error
                model, said = _model(format, places)
                if said != length:
                    raise HostError(f"The model says {said} bytes of a {format} file that has {length}.")
                ours.append(WRITES / model)
                theirs.append(WRITES / real)
            figures.append(_figure(format, ours, theirs))
    return figures


def _figure(format: str, ours: list[float], theirs: list[float]) -> Figure:
    value, other = statistics.median(ours), statistics.median(theirs)
    return Figure(
        f"Disk model, {format}, {WRITES} random writes of {LENGTH} bytes",
        round(value, 1),
        "1/s",
        len(ours),
        (round(min(ours), 1), round(max(ours), 1)),
        "qemu-io that does not wait for the store, the same writes in one process",
        round(other, 1),
        round(value / other, 2),
        "at least 1 × the peer, and the same file length",
        value >= other,
    )
