"""Files in a real guest: ext4 on one of its disks, and the field's own commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from labkit.host import HostError, mebibytes

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine

__all__ = ["LiveVolume", "volume"]

PATIENCE = 120.0  # seconds
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}", re.ASCII | re.IGNORECASE)
# No table of inodes is written ahead of need: what an empty file system takes is then its own books alone.
_MAKE = '/tools/bin/mke2fs -q -t ext4 -E lazy_itable_init=1,nodiscard "$0" && mkdir -p "$1" && mount -t ext4 "$0" "$1"'


class LiveVolume:
    """ext4 on a disk; see `labkit.host.volumes.Volume`."""

    def __init__(self, machine: LiveMachine, disk: str) -> None:
        if disk not in machine.disks:
            raise HostError(f"{machine.name} has no disk {disk!r:.40}.", "Look at its disks.")
        self._machine = machine
        self._place = f"/run/{disk}"
        self._do(_MAKE, machine.device(disk), self._place)

    def __repr__(self) -> str:
        return f"{len(self.files)} files on {self._place} of {self._machine.name}"

    def _do(self, script: str, *words: str) -> str:
        ended = self._machine.execute(["/bin/sh", "-c", script, *words], PATIENCE)
        if ended.status:
            why = (ended.errors.strip().splitlines() or ["no reason given"])[-1]
            raise HostError(f"The guest in {self._machine.name} could not do it: {why}.", "Look at machine.console().")
        return ended.output

    @property
    def files(self) -> dict[str, str]:
        """The files by name, each with its MD5."""
        lines = self._do('cd "$0" && find . -type f | sort | xargs -r md5sum', self._place).splitlines()
        return {name.removeprefix("./"): checksum for checksum, name in (line.split() for line in lines)}

    def save(self, name: str, size: str | float) -> None:
        """Write a file of random content, and wait until the disk has it."""
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("a file's name is of letters, digits, dots, hyphens and underscores, 40 at most")
        count = str(round(mebibytes(size) * 256))
        self._do(
            'test ! -e "$0/$1" && dd if=/dev/urandom bs=4096 count="$2" of="$0/$1" && sync', self._place, name, count
        )

    def delete(self, name: str) -> None:
        """Delete a file, and wait until the disk knows that its name is gone."""
        self._do('rm "$0/$1" && sync', self._place, name)

    def trim(self) -> None:
        """Tell the disk about everything that is free."""
        self._do('fstrim "$0"', self._place)


def volume(machine: LiveMachine, disk: str) -> LiveVolume:
    """Carry out `labkit.host.volumes.KeepingMachine.volume`."""
    found = machine.volumes.get(disk)
    if found is None:
        found = machine.volumes[disk] = LiveVolume(machine, disk)
    return found
