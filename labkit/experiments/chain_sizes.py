"""What the layers of a chain hold, by sets alone: which clusters each one has, and what follows from that.

Between two snapshots some clusters of the disk are touched. A layer has exactly those; a cluster that several layers
have is stored as many times and shown once. So the space is a sum over sets, what shows is their union, and the number
of layers that a read must ask is one more for every layer above that does not have the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labkit.experiments import disk_sizes

__all__ = ["after", "data_bytes", "expected_lookups", "file_bytes", "lookups", "union"]

Writes = list[tuple[int, int]]


def file_bytes(writes: Writes, size: int, cluster: int | None) -> float | None:
    """How long the file of a layer is to which that was written; see `labkit.experiments.disk_sizes`."""
    return disk_sizes.file_bytes("qcow2", size, writes, cluster)


def data_bytes(writes: Writes, size: int, cluster: int | None) -> int:
    """How much of the disk lies in a layer to which that was written."""
    return disk_sizes.data_bytes("qcow2", size, writes, cluster)


def union(layers: Iterable[Writes]) -> Writes:
    """Everything that was written to any of them."""
    return [write for layer in layers for write in layer]


def lookups(layers: Sequence[Writes], size: int, cluster: int | None) -> float:
    """How many layers are asked for a byte, the mean over the disk: the topmost always, each other one where no layer
    above it has the byte.

    Parameters
    ----------
    layers : sequence of list of (int, int)
        What was written to each, from the base on.
    size : int
        Of the disk, in bytes.
    cluster : int or None
        Bytes of a cluster.
    """
    hidden = (data_bytes(union(layers[number:]), size, cluster) for number in range(1, len(layers)))
    return sum((size - bytes) / size for bytes in hidden) + 1


def expected_lookups(depth: int, part: float) -> float:
    """What `lookups` is to be expected where each layer has each cluster with the same probability.

    A geometric series: the layer `n` below the top is asked with probability ``(1 - part) ** n``.

    Parameters
    ----------
    depth : int
        Layers over the base.
    part : float
        The probability that a layer has a cluster. For `count` writes to random places of a disk of `n` clusters,
        each within one, it is ``1 - (1 - 1 / n) ** count``.
    """
    return sum((1 - part) ** number for number in range(depth + 1))


def after(operation: str, layers: list[Writes], size: int, cluster: int | None) -> tuple[dict[int, Writes], int]:
    """Which layers are left after an operation with what in them, by their number from the base on, and what it copied.

    Committed from the top, each layer's clusters are copied with all that came into them from above. Flattened, the
    topmost gets what any layer below has and it has not.
    """
    if operation == "commit":
        copied = sum(data_bytes(union(layers[number:]), size, cluster) for number in range(1, len(layers)))
        return {0: union(layers)}, copied
    if operation == "flatten":
        everything, top = union(layers), layers[-1]
        copied = data_bytes(everything, size, cluster) - data_bytes(top, size, cluster)
        return {len(layers) - 1: everything}, copied
    return dict(enumerate(layers)), 0
