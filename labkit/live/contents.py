"""What a real guest holds in its memory and on its disk: put there, ruined, and looked through.

The guest's root file system lies in its memory, so all its programs are a part of that. What looks it through is on the
tools disk, which is read-only: it is still there when everything else has been deleted.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from labkit.host import HostError
from labkit.live.journal import more_such
from labkit.live.trimming import plainly

if TYPE_CHECKING:
    from labkit.live.machine import LiveMachine

__all__ = ["PATIENCE", "PYTHON", "hold", "marks", "overwrite", "ruin"]

BLOCK = 4096  # bytes; places are multiples of it
MOST_HELD = 20  # MiB; the guest's root file system takes half of its memory at the most
PATIENCE = 60.0
PYTHON = ("/tools/bin/python3", "-I", "-S", "-c")

# $1 is the disk's device, the rest are its places as "offset length", in bytes. Each goes out at once and in one piece
# where it is no longer than what a request can hold.
_WRITE = """
device=$1; shift
while [ $# -gt 0 ]; do
	dd if=/dev/urandom of="$device" bs="$2" count=1 seek="$1" oflag=direct,seek_bytes iflag=fullblock \\
		conv=notrunc 2>/dev/null || exit 1
	shift 2
done
"""
_HOLD = """
head -c "$1" /dev/urandom >/held || exit 1
sleep 86400 >/dev/null 2>&1 </dev/null &
echo $! >/witness
"""
_DELETE = """
read -r witness </witness && kill "$witness"
rm -rf /held /witness /root /mnt /bin/*
true
"""
# Reads the disk through a small window, so that looking at it does not fill the guest's memory with it.
_LOOK = """
import os, sys
from _blake2 import blake2b
memory, disk = blake2b(digest_size=16), blake2b(digest_size=16)
def read(path):
    with open(path, 'rb') as file:
        while part := file.read(65536):
            memory.update(part)
try:
    witness = open('/witness').read().strip()
    memory.update(open('/proc/' + witness + '/stat').read().split(')')[1].split()[19].encode() + witness.encode())
except OSError:
    memory.update(b'no witness')
for path in ('/held', *('/bin/' + name for name in sorted(os.listdir('/bin')))):
    memory.update(path.encode())
    if os.path.islink(path):
        memory.update(os.readlink(path).encode())
    elif os.path.exists(path):
        read(path)
device = os.open(sys.argv[1], os.O_RDONLY)
while part := os.read(device, 65536):
    disk.update(part)
    os.posix_fadvise(device, 0, 0, os.POSIX_FADV_DONTNEED)
print(memory.hexdigest(), disk.hexdigest())
"""


def _words(places: Sequence[tuple[int, int]]) -> list[str]:
    for offset, length in places:
        if offset % BLOCK or length % BLOCK or length < BLOCK:
            raise HostError(f"A guest writes in blocks of {BLOCK} bytes.", "Take multiples of that.")
    return [str(number) for place in places for number in place]


def _script(machine: LiveMachine, text: str, *words: str, doing: str) -> None:
    ended = machine.agent.run(["/bin/sh", "-c", text, "sh", *words], PATIENCE)
    if ended.status:
        said = (ended.errors.strip() or "it did not say why").splitlines()[-1]
        raise HostError(f"{machine.name} could not {doing}: {said.rstrip('.')}.", "Give it less to hold.")


def hold(machine: LiveMachine, held: float) -> None:
    """Keep something in a machine's memory; see `labkit.host.snapshots.HoldsContents.hold`."""
    if not 0 <= held <= MOST_HELD:
        raise HostError(f"A guest here holds {MOST_HELD} MiB of its memory at the most.", "Give it less.")
    machine.host.progress(f"writing {held:g} MiB into the memory of {machine.name}", 0.0)
    machine.host.comment(f"{machine.name}: head -c {held:g}M /dev/urandom >/held; sleep 86400 &")
    _script(machine, _HOLD, str(round(held * 1048576)), doing="hold that in memory")


def overwrite(machine: LiveMachine, disk: str, places: Sequence[tuple[int, int]]) -> None:
    """Write to a machine's disk from inside; see `labkit.host.snapshots.HoldsContents.overwrite`."""
    words = _words(places)
    machine.host.progress(f"writing to the disk “{disk}” of {machine.name}", 0.0)
    device = machine.device(disk)
    if places:
        first = shlex.join(plainly("write", device, *places[0]))
        machine.host.comment(f"in {machine.name}: {first}")
    if len(places) > 1:
        machine.host.comment(f"{more_such(len(places) - 1, 'write')} in {machine.name}")
    _script(machine, _WRITE, device, *words, doing="write to its disk")


def ruin(machine: LiveMachine) -> None:
    """Let a machine destroy itself; see `labkit.host.snapshots.HoldsContents.ruin`."""
    machine.host.progress(f"ruining {machine.name}", 0.0)
    machine.host.comment(f"{machine.name}: rm -rf /held /root /mnt /bin/*")
    _script(machine, _DELETE, doing="delete its programs")


def marks(machine: LiveMachine, disk: str) -> dict[str, str]:
    """Marks of what can be found in a machine; see `labkit.host.snapshots.HoldsContents.contents`."""
    machine.host.progress(f"looking through {machine.name} and its disk", 0.0)
    ended = machine.agent.run([*PYTHON, _LOOK, _device(machine, disk)], PATIENCE)
    if ended.status:
        said = (ended.errors.strip() or "it did not say why").splitlines()[-1]
        raise HostError(f"{machine.name} could not be looked through: {said.rstrip('.')}.", "Create it again.")
    memory, on_disk = ended.output.split()
    return {"memory": memory, "disk": on_disk}


def _device(machine: LiveMachine, disk: str) -> str:
    """What a disk is called in a guest, without asking its shell, which may be gone."""
    find = (
        "import os, sys\nfor name in sorted(os.listdir('/sys/block')):\n"
        " path = '/sys/block/' + name + '/serial'\n"
        " if os.path.exists(path) and open(path).read().strip() == sys.argv[1]: print('/dev/' + name)"
    )
    return machine.agent.run([*PYTHON, find, disk], PATIENCE).output.strip()
