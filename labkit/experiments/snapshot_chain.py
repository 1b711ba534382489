"""What does a chain of snapshots hold, and what does it cost to read through it?

A disk is filled to some part, and then snapshots are taken of it, one after the other: each lays a new, empty layer
over all those before, and what is written from then on goes into that. Between two snapshots the same kind of writes
comes. At the end one looks: how long has each layer's file become, which layer has each part of the disk, and how many
layers must be asked for it?

Settings
--------
depth : how many snapshots were taken, and so how many layers lie over the base
pattern : what is written after each snapshot: offset+length in bytes, with commas between, or a pattern such as
    ``random:seed=1,count=60,length=4096`` (`labkit.experiments.writes` has all). The seed of a random pattern rises by
    one from snapshot to snapshot; all others write the same places each time.
size : how large the guest is to see the disk
filled : which part of the disk is written before the first snapshot, from the beginning on
cluster : size of a cluster of every layer; ``usual`` is what QEMU takes by itself
operation : what is done about it at the end. ``commit`` copies the topmost layer into the one below and removes it,
    until the base alone is left; ``flatten`` copies into the topmost layer all that shows through, and removes the
    others; ``none`` leaves the chain as it is

Quantities
----------
file_bytes : the length of the layer's file, in B; of `chain`: of all files together; of `flat`: of a disk of one layer
    to which the very same was written
guest_bytes : how much of the disk lies in this layer's file, hidden or not, in B; of `chain`: how much of the disk
    lies in any
lookups : how many layers are asked for a byte of the disk until one has it, or all were asked; the mean over all bytes
copied : how much was copied by the operation, in B; where there is none, it is not told
read : how long 1000 reads of 4 KiB through the chain take, in ms, one after the other all over the disk; of `flat`:
    the same from that disk of one layer

The layers that are left are the machines `m1` (the base), `m2`, … up to `m(depth + 1)`, the topmost; all of them
together are `chain`.

Theory counts sets of clusters (`labkit.experiments.chain_sizes`), simulated is the allocator of every layer, write by
write (`labkit.model.disks`), live are files of qemu-img and qemu-io, of which ``qemu-img map`` tells the depth of every
part. `read` has no theory. Simulated it is a line through what was once measured on one computer, by the number of
lookups (`labkit.model.disks.reading`). Live it is the shortest of several runs of ``qemu-img bench``, of the chain and
of the flat disk in turn.

Bound between live and simulated
--------------------------------
0 for `file_bytes`, `guest_bytes`, `lookups` and `copied`: they are equal. Written before the experiment first ran live.
`read` has none: how long a read takes is the computer's own affair, and what else it does in that moment. What must
hold of any computer is an order: no lookup is free, and none is dearer than a whole read of the flat disk.
Held against QEMU 7.2.22 (Debian 12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from labkit.experiments import chain_sizes, named_writes, writes
from labkit.experiments.disk_thin import CLUSTERS, USUAL, read_cluster
from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, choice, integer, number, size, words
from labkit.host import Disk, Host, Observation, Row, mebibytes
from labkit.host.chains import Overlay

__all__ = [
    "BOUNDS",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "ROWS",
    "Settings",
    "bounds",
    "build",
    "machines",
    "remove",
    "run",
    "steps",
    "theory",
]

NAME = "snapshot-chain"
QUESTION = "What does a chain of snapshots hold, and what does it cost to read through it?"
LESSON = "05"
NEEDS = ("disks",)
QUANTITIES = {"file_bytes": "B", "guest_bytes": "B", "lookups": "1", "copied": "B", "read": "ms"}
LABELS = {
    "file_bytes": (
        "Length of the file; chain: of all; flat: of one disk",
        "Compare chain, all layers together, with flat, one disk to which the very same was written.",
    ),
    "guest_bytes": (
        "Data in this layer; chain: what the guest sees",
        "All layers together may have more than the guest sees: some of the disk is there more than once.",
    ),
    "lookups": ("Layers asked for a byte", "Of one disk it would be 1. All above that is the chain's."),
    "copied": ("Copied at the end", "So much has to be moved until the chain is one file."),
    "read": (
        "Time of 1000 reads; flat: a disk of one layer",
        "Divide chain by flat; the times themselves are each computer's own.",
    ),
}
HEADLINE = "lookups"
ROWS = "layer"
BOUNDS = {"file_bytes": 0.0, "guest_bytes": 0.0, "lookups": 0.0, "copied": 0.0}

MEBI = 1 << 20
LONGEST_CHAIN = 32
MOST_HELD = 4096 * MEBI  # bytes of all files together, as on a live host
ROUNDS = 5  # of reading the chain and the flat disk in turn; the shortest of each counts
READS = 1000  # whose time is told
OPERATIONS = ("none", "commit", "flatten")
SMALLEST_CLUSTER = 4096  # with smaller ones the length of a file of this size may depend on the order of writes


@dataclass(frozen=True)
class Settings:
    """Which chain, and what was written between the snapshots."""

    depth: int = integer(8, minimum=0, maximum=LONGEST_CHAIN, unit="1", about="how many snapshots were taken")
    pattern: tuple[str, ...] = words(
        ("random:seed=1,count=60,length=4096",),
        read=named_writes.reader("pattern"),
        longest=writes.MOST_WRITES,
        unit="B",
        about="what is written after each: offset+length, or random:seed=1,count=60,length=4096",
    )
    size: float = size(64.0, minimum=1.0, maximum=4096.0, about="how large the guest is to see the disk")
    filled: float = number(0.5, minimum=0.0, maximum=1.0, unit="1", about="part written before the first snapshot")
    cluster: str = choice(
        USUAL,
        (USUAL, *(text for bytes, text in CLUSTERS.items() if bytes >= SMALLEST_CLUSTER)),
        read=read_cluster,
        about="size of a cluster of every layer; a bare number is in bytes",
    )
    operation: str = choice("none", OPERATIONS, about="how the chain is got rid of at the end")

    @property
    def asked(self) -> int:
        """The size in bytes, in whole sectors."""
        return -(-round(self.size * MEBI) // 512) * 512

    @property
    def cluster_bytes(self) -> int | None:
        """The size of a cluster in bytes; None where it is the usual one."""
        return None if self.cluster == USUAL else round(mebibytes(self.cluster) * MEBI)

    def check(self) -> None:
        """Make sure that the settings fit each other.

        Raises
        ------
        SettingError
            Where a write does not lie on the disk, or all together are too many or too much; also where the clusters
            that they touch are, as a small write takes a whole one.
        """
        layers = self.layers()
        everything = chain_sizes.union(layers)
        total = sum(length for _offset, length in everything)
        if len(everything) > writes.MOST_WRITES or total > writes.MOST_BYTES:
            raise SettingError(
                f"depth, pattern, size and filled come to {len(everything)} writes of {total} bytes in all; "
                f"{writes.MOST_WRITES} writes and {writes.MOST_BYTES} bytes are the most."
            )
        # The flat disk has what any layer has; so has what commit and flatten copy, before it is made.
        held = [chain_sizes.data_bytes(layer, self.asked, self.cluster_bytes) for layer in (*layers, everything)]
        if sum(held) > MOST_HELD:
            raise SettingError(
                f"depth, pattern, size, filled and cluster come to {sum(held[:-1])} bytes in whole clusters in "
                f"{len(layers)} layers, and {held[-1]} bytes in the flat disk; {MOST_HELD} bytes is the most for all "
                "together."
            )

    def layers(self) -> list[list[tuple[int, int]]]:
        """What is written to each layer, from the base on, as offset and length in bytes."""
        base = round(self.filled * self.asked)
        found = [[(at, min(MEBI, base - at)) for at in range(0, base, MEBI)]]
        for later in range(self.depth):
            found.append(named_writes.places("pattern", writes.later(self.pattern, later), self.asked))
        return found


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity: not at all, but for the time of a read, which has no bound."""
    return dict(BOUNDS)


def machines(settings: Settings) -> int:
    """How many guests there will be: none."""
    return 0


def steps(settings: Settings) -> int:
    """How many steps a live run tells: each disk that is written to, and the reads of both in turn."""
    return settings.depth + 2 + 2 * (ROUNDS + 1)


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float | None]:
    """What every layer holds, from which clusters were written to and from nothing else.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used; there are no CPU shares here.

    Returns
    -------
    dict of (machine, quantity) to float or None
        Sizes in B, lookups as a pure number. None for times.

    References
    ----------
    "The qcow2 file format" (QEMU, docs/interop/qcow2.txt), by way of `labkit.experiments.chain_sizes`.
    """
    layers, size, cluster = settings.layers(), settings.asked, settings.cluster_bytes
    left, copied = chain_sizes.after(settings.operation, layers, size, cluster)
    found: dict[tuple[str, str], float | None] = {}
    for layer, touched in left.items():
        name = f"m{layer + 1}"
        found[name, "file_bytes"] = chain_sizes.file_bytes(touched, size, cluster)
        found[name, "guest_bytes"] = chain_sizes.data_bytes(touched, size, cluster)
    lengths = [found[f"m{layer + 1}", "file_bytes"] for layer in left]
    found["chain", "file_bytes"] = None if None in lengths else sum(cast(list[float], lengths))
    found["chain", "guest_bytes"] = chain_sizes.data_bytes(chain_sizes.union(left.values()), size, cluster)
    found["chain", "lookups"] = chain_sizes.lookups(list(left.values()), size, cluster)
    if settings.operation != "none":
        found["chain", "copied"] = copied
    found["flat", "file_bytes"] = chain_sizes.file_bytes(chain_sizes.union(layers), size, cluster)
    found["chain", "read"] = found["flat", "read"] = None
    return found


def build(host: Host, settings: Settings) -> list[Disk]:
    """Make the chain, from the base to the topmost layer, and write to each what is to be written.

    Parameters
    ----------
    host : Host
        Either.
    settings : Settings
        The experiment's; its operation is not carried out.

    Returns
    -------
    list of Disk
        The layers `m1`, `m2`, …, which the caller removes. `Disk.map` of the last tells where every part lies.
    """
    chain: list[Disk] = []
    try:
        for below, layer in enumerate(settings.layers()):
            over = {"backing": chain[-1]} if chain else {"size": f"{settings.asked} B"}
            chain.append(host.disk(f"m{below + 1}", cluster=settings.cluster_bytes, **over))
            for offset, length in layer:
                chain[-1].write(offset, length)
    except BaseException:
        remove(chain)
        raise
    return chain


def remove(disks: Sequence[Disk]) -> None:
    """Remove the layers of a chain, the topmost first."""
    for disk in reversed(disks):
        disk.remove()


def _shorten(chain: list[Disk], operation: str) -> tuple[list[Disk], int]:
    """Carry out the operation; give what is left, and how many bytes were copied."""
    copied = 0
    if operation == "flatten" and len(chain) > 1:
        top = cast(Overlay, chain[-1])
        before = top.guest_bytes
        top.flatten()
        copied = top.guest_bytes - before
        remove(chain[:-1])
        return [top], copied
    while operation == "commit" and len(chain) > 1:
        top = cast(Overlay, chain.pop())
        copied += top.guest_bytes
        top.commit()
        top.remove()
    return chain, copied


def _times(host: Host, disks: Mapping[str, Disk]) -> dict[str, float]:
    """The time of 1000 reads of each disk in ms: the shortest of some rounds, in which they take turns."""
    for disk in disks.values():
        disk.read()  # so that all of it is in memory
    rounds = [{name: disk.read().seconds * 1000 * READS for name, disk in disks.items()} for _ in range(ROUNDS)]
    return {name: min(each[name] for each in rounds) for name in disks}


def run(host: Host, settings: Settings) -> Observation:
    """Make the chain, shorten it where that is asked for, and look, on either host."""
    ask(host, *NEEDS)
    disks = build(host, settings)
    try:
        disks, copied = _shorten(disks, settings.operation)
        flat = host.disk("flat", f"{settings.asked} B", cluster=settings.cluster_bytes)
        disks.append(flat)
        for layer in settings.layers():
            for offset, length in layer:
                flat.write(offset, length)
        chain = disks[:-1]
        rows = [row for disk in chain for row in disk.observe().rows]
        seen = chain[-1].observe()
        shown = sum(extent.length for extent in chain[-1].map() if extent.data)
        together = {
            "file_bytes": sum(disk.file_bytes for disk in chain),
            "guest_bytes": shown,
            "lookups": chain[-1].read().lookups,
        }
        if settings.operation != "none":
            together["copied"] = copied
        alone = flat.file_bytes
        times = _times(host, {"chain": chain[-1], "flat": flat})
    finally:
        remove(disks)
    rows += [_row("chain", quantity, value) for quantity, value in together.items()]
    rows += [_row("flat", "file_bytes", alone)]
    rows += [_row(name, "read", value) for name, value in times.items()]
    return Observation(0.0, tuple(rows), (), (), seen.provenance)


def _row(machine: str, quantity: str, value: float) -> Row:
    return Row(machine=machine, quantity=quantity, unit=QUANTITIES[quantity], value=value)
