"""What is left when one layer of a chain of snapshots is lost?

Snapshots are taken of a disk, and something is written after each; then all that the topmost shows is copied to one
file of its own, and one layer's file is deleted, as by a store that fails, or by somebody who makes room. What each
snapshot showed is then read.

A snapshot's layer holds what changed, and nothing else: whoever loses a layer loses all states above it. A copy
elsewhere is what a *backup* is.

Settings
--------
depth : how many snapshots were taken
lost : which layer's file is deleted; 1 is the base
size : how large the guest is to see the disk

Quantities
----------
readable : how much of what was written to the disk up to that layer can be read and is what was written, in B: the
    length of all data that the map tells of, or 0 where QEMU cannot open the disk

Each layer is a machine, `m1` (the base) up to `m(depth + 1)`, and so is the `copy` of all that the topmost shows. For
each that is lost there is an event of the kind ``"lost"``, whose detail is what the host says of it: live QEMU's own
complaint.

Theory counts clusters, simulated follows the chain down, live are files of qemu-img and qemu-io, one of which is
really deleted, and of the others each byte is compared that was written.

Bound between live and simulated
--------------------------------
0 B: they are equal. Written before the experiment first ran live. Held against QEMU 7.2.22 (Debian 12).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labkit.experiments import chain_sizes, snapshot_chain
from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, integer, size
from labkit.host import Disk, Event, Host, HostError, Observation, Row

__all__ = [
    "BOUNDS",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "ROWS",
    "UNDISTURBED",
    "Settings",
    "bounds",
    "machines",
    "run",
    "steps",
    "theory",
]

NAME = "snapshot-loss"
QUESTION = "What is left when one layer of a chain of snapshots is lost?"
LESSON = "05"
NEEDS = ("disks",)
ROWS = "layer"
UNDISTURBED = "what a file holds does not hang on time"
QUANTITIES = {"readable": "B"}
LABELS = {"readable": ("What can still be read", "Look at which layers a loss takes with it, and at the copy.")}
BOUNDS = {"readable": 0.0}

LONGEST_CHAIN = 8
PATTERN = ("random:seed=1,count=20,length=4096",)


@dataclass(frozen=True)
class Settings:
    """How long the chain is, and which layer is lost."""

    depth: int = integer(3, minimum=0, maximum=LONGEST_CHAIN, unit="1", about="how many snapshots were taken")
    lost: int = integer(1, minimum=1, maximum=LONGEST_CHAIN + 1, unit="1", about="which layer is deleted; 1: the base")
    size: float = size(16.0, minimum=1.0, maximum=128.0, about="how large the guest is to see the disk")

    def check(self) -> None:
        """Make sure that there is such a layer.

        Raises
        ------
        SettingError
            Where there is none.
        """
        if self.lost > self.depth + 1:
            raise SettingError(f"lost must be {self.depth + 1} at the most, as there are so many layers.")

    @property
    def chain(self) -> snapshot_chain.Settings:
        """The chain to be made, as `snapshot-chain` has it."""
        return snapshot_chain.Settings(depth=self.depth, pattern=PATTERN, size=self.size, filled=0.25)


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated: not at all."""
    return dict(BOUNDS)


def machines(settings: Settings) -> int:
    """How many guests there will be: none."""
    return 0


def steps(settings: Settings) -> int:
    """How many steps a live run tells: each disk that is written to."""
    return settings.depth + 1


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float]:
    """What was written up to each layer, where that lies below the lost one; 0 for all others.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used.

    Returns
    -------
    dict of (machine, quantity) to float
        In B.

    References
    ----------
    "The qcow2 file format" (QEMU, docs/interop/qcow2.txt): a cluster without a place is read from the backing file.
    """
    layers, asked = settings.chain.layers(), settings.chain.asked
    shown = [
        chain_sizes.data_bytes(chain_sizes.union(layers[: number + 1]), asked, None) for number in range(len(layers))
    ]
    found = {
        (f"m{number + 1}", "readable"): float(bytes if number + 1 < settings.lost else 0)
        for number, bytes in enumerate(shown)
    }
    return {**found, ("copy", "readable"): float(shown[-1])}


def _readable(disk: Disk) -> tuple[int, str]:
    """How many bytes can be read, and what is said where none can."""
    try:
        if not disk.intact():
            return 0, f"What {disk.name} shows is not what was written."
        return sum(extent.length for extent in disk.map() if extent.data), ""
    except HostError as error:
        return 0, str(error)


def run(host: Host, settings: Settings) -> Observation:
    """Make the chain and the copy, delete a layer, and read what is left, on either host."""
    ask(host, *NEEDS)
    disks = snapshot_chain.build(host, settings.chain)
    try:
        copy = disks[-1].convert("copy", "qcow2")
        origin = copy.observe().provenance
        chain, disks = disks, [*disks, copy]
        chain[settings.lost - 1].remove()
        found = {disk.name: _readable(disk) for disk in disks}
    finally:
        snapshot_chain.remove(disks)
    rows = tuple(
        Row(machine=name, quantity="readable", unit="B", value=bytes) for name, (bytes, _said) in found.items()
    )
    events = [Event(0.0, "lost", name, detail=said) for name, (_bytes, said) in found.items() if said]
    return Observation(0.0, rows, (), events, origin)
