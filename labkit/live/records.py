"""A program in a real guest that keeps records, and what another guest finds of them in a snapshot.

The disk has an ext4 file system, made and checked by the field's own tools on the guest's tools disk. A record is a
block of 4096 bytes with its number in it: a file's new blocks get their place on the disk when they are written down,
and not before (*delayed allocation*), so what was not written down leaves nothing behind.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.host.snapshots import SYNCED, Snapshot
from labkit.live.contents import PATIENCE, PYTHON
from labkit.live.disk_tools import driver_of, run_tool

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine

__all__ = ["MOST", "found_in", "keep"]

MOST = 400
"""Records at the most: with the other file's far fewer than the guest's kernel writes down for their number."""
LONGEST = 20.0  # seconds; after 30 s a Linux kernel writes down what has not been (vm.dirty_expire_centisecs)
AFTERWARDS = 500  # records that the program goes on with

_MAKE = '/tools/bin/mke2fs -q -t ext4 "$1" && mkdir -p /records && mount -t ext4 "$1" /records && sync'
_KEEP = """
import os, sys, time
count, synced, more = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
log, table = (os.open('/records/' + name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in ('log', 'table'))
for number in range(1, count + more + 1):
    record = b'%4095d\\n' % number
    os.write(log, record)
    if synced in ('log', 'both'):
        os.fsync(log)
    os.write(table, record)
    if synced == 'both':
        os.fsync(table)
    if number >= count:
        open('/run/recorded', 'w').write(str(number))
        time.sleep(0.02)
"""
_WAIT = "until [ -s /run/recorded ]; do usleep 5000; done"
# Of the superblock, 1024 bytes from the beginning, the bit 4 of the byte at 0x60: the journal is to be replayed
# (Documentation/filesystems/ext4: s_feature_incompat, INCOMPAT_RECOVER). To mount it replays it.
_JUDGE = """
recovery=$(dd if="$1" bs=1 skip=1120 count=1 2>/dev/null | hexdump -v -e '1/1 "%d"')
mkdir -p /judged && mount -t ext4 "$1" /judged || exit 1
for file in log table; do
	/tools/bin/python3 -I -S -c 'import sys
found = set()
try:
    with open(sys.argv[1], "rb") as file:
        while record := file.read(4096):
            if record.strip(b" \\n").isdigit(): found.add(int(record))
except FileNotFoundError: pass
print(sys.argv[1].rpartition("/")[2], len(found & set(range(1, int(sys.argv[2]) + 1))))' /judged/$file "$2"
done
umount /judged || exit 1
/tools/bin/e2fsck -fn "$1" >/dev/null 2>&1
echo damaged $(($? != 0))
echo recovery $((recovery / 4 % 2))
"""


def keep(machine: LiveMachine, disk: str, count: int, synced: str) -> None:
    """Start a program that keeps records; see `labkit.host.snapshots.KeepsRecords.keep_records`."""
    if synced not in SYNCED:
        raise ValueError(f"synced is one of {', '.join(SYNCED)}, not {synced!r:.40}")
    if not 1 <= count <= MOST:
        raise HostError(f"A guest here keeps 1 to {MOST} records, not {count}.", "Ask for fewer.")
    device = machine.device(disk)
    machine.host.progress(f"making a file system on the disk “{disk}”", 0.0)
    _run(machine, "make a file system", _MAKE, device)
    machine.host.progress(f"writing {count} records in {machine.name}", 0.0)
    machine.host.comment(f"{machine.name}: mke2fs -t ext4 {device}; mount it; a program writes {count} records and on")
    begun = time.monotonic()
    machine.agent.start([*PYTHON, _KEEP, str(count), synced, str(AFTERWARDS)])
    _run(machine, "keep records", _WAIT)
    if (took := time.monotonic() - begun) > LONGEST:
        raise HostError(
            f"{machine.name} took {took:.0f} s for {count} records: its kernel will soon write them down by itself.",
            "Ask for fewer, or try again when this computer has less to do.",
        )


def _run(machine: LiveMachine, doing: str, script: str, *words: str) -> str:
    ended = machine.agent.run(["/bin/sh", "-c", script, "sh", *words], PATIENCE)
    if ended.status:
        said = (ended.errors.strip() or "it did not say why").splitlines()[-1]
        raise HostError(f"{machine.name} could not {doing}: {said.rstrip('.')}.", "Try it with a new disk.")
    return ended.output


def found_in(machine: LiveMachine, snapshot: Snapshot, disk: str, count: int) -> Mapping[str, int]:
    """What another machine finds in a snapshot; see `labkit.host.snapshots.KeepsRecords.records_in`.

    It gets a new file over the disk's file as the snapshot has it: what it changes is its own.
    """
    host = machine.host
    kept = machine.kept.get(snapshot.name)
    if kept is None or disk not in kept.below:
        raise HostError("Only an external snapshot's disk can be given to another machine.", 'Take kind="external".')
    below, format = kept.below[disk]
    of = machine.disks[disk]
    copy = of._shelf.make(f"{disk[:14]}-copy", f"{of.size} B")  # beside it, as a file knows the one below by its name
    judge = None
    try:
        words = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", below.name, "-F", driver_of(format)]
        host.shelf.journal.command([*words, copy.path.name])
        run_tool(*words, str(copy.path))
        judge = host.create("judge", disks=[copy])
        host.progress("looking at what the snapshot has", 0.0)
        doing = "mount the copy, which replays its journal; count the records; umount; e2fsck -fn"
        host.comment(f"judge, a second guest: {doing}")
        told = _run(judge, "look at the copy", _JUDGE, judge.device(copy.name), str(count))
        return {name: int(value) for name, value in (line.split() for line in told.splitlines())}
    finally:
        if judge is not None:
            judge.stop()
        copy.remove()
