"""How long a disk's file must be: each format's length as one formula over the set of what was written.

Nothing here is allocated and no order is known. A format cuts the disk into units; the writes touch a set of them; how
many there are decides the length, as each published format lays it out (the file of that format in `labkit.model.disks`
cites which). Everything is in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["data_bytes", "file_bytes", "seen_size", "unit"]

KIBI, MEBI, GIBI = 1 << 10, 1 << 20, 1 << 30
SECTOR = 512

Writes = Iterable[tuple[int, int]]


def _up(amount: int, step: int) -> int:
    """An amount rounded up to a multiple of a step."""
    return (amount + step - 1) // step * step


def unit(format: str, size: int, cluster: int | None = None) -> int:
    """How much of a disk of `size` bytes gets its room at once."""
    if format == "vhdx":
        return 8 * MEBI if size <= GIBI else 16 * MEBI if size <= 100 * GIBI else 32 * MEBI
    usual = {"raw": 4 * KIBI, "qcow2": 64 * KIBI, "vmdk": 64 * KIBI, "vhd": 2 * MEBI, "vdi": MEBI, "parallels": MEBI}
    return cluster or usual[format]


def touched(writes: Writes, step: int) -> list[tuple[int, int]]:
    """The units that the writes touch, as a sorted list of ranges that do not meet: first, and one beyond the last."""
    ranges: list[tuple[int, int]] = []
    for first, beyond in sorted((offset // step, -(-(offset + length) // step)) for offset, length in writes):
        if ranges and first <= ranges[-1][1]:
            ranges[-1] = ranges[-1][0], max(beyond, ranges[-1][1])
        else:
            ranges.append((first, beyond))
    return ranges


def _count(ranges: list[tuple[int, int]]) -> int:
    return sum(beyond - first for first, beyond in ranges)


def seen_size(format: str, asked: int) -> int:
    """How large the guest sees a disk for which so many bytes were asked: whole sectors, and for VHD a geometry.

    The CHS calculation of the VHD specification's appendix has stretches of sizes in which heads and sectors per track
    are the same, and within which it rounds down to whole cylinders. The smallest size that holds what was asked for
    is therefore at the beginning of such a stretch, or where a cylinder is full in it.
    """
    wanted = _up(asked, SECTOR) // SECTOR
    most = 65535 * 16 * 255
    if format != "vhd" or wanted >= most:
        return wanted * SECTOR
    stretches = [(0, 4096 * 17, 4 * 17)]
    stretches += [(((h - 1) * KIBI + 1) * 17, h * KIBI * 17, h * 17) for h in range(5, 17)]
    # Where heads x 1024 cylinders of 17 sectors are full to the last, and beyond 16 heads, tracks have 31 sectors.
    stretches += [(h * KIBI * 17, h * KIBI * 17 + 17, 16 * 31) for h in range(4, 16)]
    stretches += [(16 * KIBI * 17, 16 * KIBI * 31, 16 * 31), (16 * KIBI * 31, 65535 * 16 * 63, 16 * 63)]
    stretches += [(65535 * 16 * 63, most, 16 * 255)]
    found = [
        (at, at // cylinder * cylinder)
        for begin, end, cylinder in stretches
        if (at := max(begin, _up(wanted, cylinder))) < end
    ]
    return min(found)[1] * SECTOR if found else wanted * SECTOR


def data_bytes(format: str, asked: int, writes: Writes, cluster: int | None = None) -> int:
    """How much of the disk its map calls data.

    QEMU tells of no VHDX file which blocks have room: there it is the whole disk. QEMU writes the first block of a
    raw file when it makes it.
    """
    size = seen_size(format, asked)
    if format == "vhdx":
        return size
    step = unit(format, size, cluster)
    ranges = touched([*writes, (0, 1)] if format == "raw" else writes, step)
    return sum(min(beyond * step, size) - first * step for first, beyond in ranges)


def file_bytes(format: str, asked: int, writes: Writes, cluster: int | None = None) -> int | None:
    """How long the file is; None where that depends on the order of the writes (see `_qcow2`)."""
    size = seen_size(format, asked)
    step = unit(format, size, cluster)
    writes = list(writes)
    units, places = _count(touched(writes, step)), _up(size, step) // step
    if format == "raw":
        return size
    if format == "qcow2":
        return _qcow2(size, step, units, _count(touched(writes, step * (step // 8))))
    if format == "vmdk":
        tables = _up(places, 512) // 512
        return _up(SECTOR * (1 + 20) + 2 * (_up(4 * tables, SECTOR) + 4 * 512 * tables), step) + units * step
    if format == "vhd":
        return 2 * SECTOR + 2 * SECTOR + _up(4 * places, SECTOR) + units * (SECTOR + step)
    if format == "vhdx":
        bitmaps = (places - 1) // (4 * KIBI * MEBI // step)
        return 7 * MEBI + _up(8 * (places + bitmaps), MEBI) + units * step
    if format == "vdi":
        return SECTOR + _up(4 * places, SECTOR) + units * step
    return _up(64 + 4 * places, step) + units * step


def _qcow2(size: int, cluster: int, data: int, tables: int) -> int | None:
    """Header, refcount table, refcount blocks, L1 table, L2 tables and data, all without a gap.

    The blocks count every cluster of the file, themselves too: their number is the smallest that is enough. One cluster
    of refcount table holds `cluster` / 8 of them, each for `cluster` / 2 clusters. A file longer than `cluster` cubed
    / 16 needs a longer table (beyond 8 MiB at 512 bytes, 64 MiB at 1 KiB; 16 TiB at 64 KiB). That is put behind
    everything, and the gaps then left are filled by what happens to fit: no formula without the order of writes.
    """
    entries = _up(size, cluster * (cluster // 8)) // (cluster * (cluster // 8))
    others = 2 + _up(8 * entries, cluster) // cluster + tables + data
    blocks = 1
    while blocks * (cluster // 2) < others + blocks:
        blocks += 1
    if blocks > cluster // 8:
        return None
    if not data and blocks == 1:  # nothing lies behind the L1 table, and its last cluster is not filled up
        return 3 * cluster + 8 * entries
    return (others + blocks) * cluster
