"""The formats a guest starts from: a kernel, its modules, its first file system, a read-only disk.

The same input gives the same bytes: names are sorted, everything belongs to root, inodes are counted from one, and
every file has the same time, that of the newest package.
"""

from __future__ import annotations

import gzip
import lzma
import re
import stat
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from labkit.host import HostError

__all__ = ["Module", "Tree", "kernel_as_elf", "load_modules", "module_tables", "needed"]

_SIGNED = b"~Module signature appended~\n"
BLOCK = 4096  # a page, which is what a kernel reads of a file at a time


@dataclass
class Tree:
    """A guest's files, by their path in the guest, before they become an archive or a disk.

    Parameters
    ----------
    entries : dict
        For each path, without a leading slash, its mode and its content. A link's content is its target.
    """

    entries: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def add(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file, and the directories that it lies in."""
        self._put(path, stat.S_IFREG | mode, content)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._put(path, stat.S_IFLNK | 0o777, target.encode())

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Add an empty directory."""
        self._put(path, stat.S_IFDIR | mode, b"")

    def _put(self, path: str, mode: int, content: bytes) -> None:
        for parent in reversed(PurePosixPath(path).parents[:-1]):
            self.entries.setdefault(str(parent), (stat.S_IFDIR | 0o755, b""))
        self.entries[path] = (mode, content)

    def cpio(self, when: int) -> bytes:
        """Return the tree as the archive that a kernel unpacks into its first file system.

        Its format, and that of the one device that the kernel wants to find in it, is told in the kernel's
        Documentation/driver-api/early-userspace/buffer-format.rst.

        Parameters
        ----------
        when : int
            The time on every file, in seconds since 1970.
        """
        out = bytearray()
        entries = {**self.entries, "dev/console": (stat.S_IFCHR | 0o600, b"")}
        for inode, (path, (mode, content)) in enumerate([*sorted(entries.items()), ("TRAILER!!!", (0, b""))], 1):
            device = (5, 1) if stat.S_ISCHR(mode) else (0, 0)
            name = path.encode() + b"\0"
            links = 2 if stat.S_ISDIR(mode) else 1
            numbers = (inode, mode, 0, 0, links, when, len(content), 0, 0, *device, len(name), 0)
            out += b"070701" + b"".join(b"%08X" % number for number in numbers) + name
            out += bytes(-len(out) % 4) + content
            out += bytes(-len(out) % 4)
        return bytes(out + bytes(-len(out) % 512))

    def erofs(self, when: int) -> bytes:
        """Return the tree as a read-only disk, uncompressed.

        The kernel mounts EROFS in a few milliseconds and reads ahead in it; nothing has to be unpacked, which under
        software emulation would take longer than reading. It is written as the kernel's fs/erofs/erofs_fs.h says: a
        superblock, then all inodes of 32 bytes, then each file's data from a block's beginning.

        Parameters
        ----------
        when : int
            The time on every file, in seconds since 1970.
        """
        paths = ["", *sorted(self.entries)]
        inode_of = {path: number for number, path in enumerate(paths, 1)}
        children: dict[str, list[str]] = {path: [] for path in paths}
        for path in paths[1:]:
            children[path.rpartition("/")[0]].append(path)
        inodes, data = bytearray(32), bytearray()
        first = 1 + -(-32 * (len(paths) + 1) // BLOCK)  # the block in which data begins
        for path in paths:
            mode, content = self.entries.get(path, (stat.S_IFDIR | 0o755, b""))
            links = 1
            if stat.S_ISDIR(mode):
                parent = path.rpartition("/")[0]
                names = {".": inode_of[path], "..": inode_of[parent]}
                names |= {child.rpartition("/")[2]: inode_of[child] for child in children[path]}
                kinds = {number: self._kind(paths[number - 1]) for number in names.values()}
                content = _erofs_directory({name: (number, kinds[number]) for name, number in names.items()})
                links = 2 + sum(self._kind(child) == 2 for child in children[path])
            start = first + len(data) // BLOCK if content else 0
            number = inode_of[path]
            inodes += struct.pack("<HHHHIIIIHHI", 0, 0, mode, links, len(content), 0, start, number, 0, 0, 0)
            data += content + bytes(-len(content) % BLOCK)
        inodes += bytes(-len(inodes) % BLOCK)
        blocks = 1 + (len(inodes) + len(data)) // BLOCK
        superblock = struct.pack(
            "<IIIBBHQQIIII16s16sI", 0xE0F5E1E2, 0, 0, 12, 0, 1, len(paths), when, 0, blocks, 1, 0, b"", b"tools", 0
        )
        return (bytes(1024) + superblock).ljust(BLOCK, b"\0") + inodes + data

    def _kind(self, path: str) -> int:
        """Tell EROFS's number for a kind of file."""
        mode = self.entries[path][0] if path else stat.S_IFDIR
        return {stat.S_IFREG: 1, stat.S_IFDIR: 2, stat.S_IFLNK: 7}[stat.S_IFMT(mode)]


def _erofs_directory(names: dict[str, tuple[int, int]]) -> bytes:
    """Lay out a directory: in every block its entries, then their names, both sorted."""
    blocks: list[list[tuple[bytes, int, int]]] = [[]]
    room = BLOCK
    for name, (inode, kind) in sorted((name.encode(), what) for name, what in names.items()):
        if room < 12 + len(name):
            blocks.append([])
            room = BLOCK
        blocks[-1].append((name, inode, kind))
        room -= 12 + len(name)
    out = bytearray()
    for block in blocks:
        out += bytes(-len(out) % BLOCK)
        at = 12 * len(block)
        for name, inode, kind in block:
            out += struct.pack("<QHBB", inode, at, kind, 0)
            at += len(name)
        out += b"".join(name for name, _inode, _kind in block)
    return bytes(out)


def needed(program: bytes) -> list[str]:
    """Return what a program or library asks for: the names of libraries, and the whole path of its loader.

    Parameters
    ----------
    program : bytes
        A 64-bit little-endian ELF file; anything else needs nothing.
    """
    if program[:6] != b"\x7fELF\x02\x01":
        return []
    (at,), (size, count) = struct.unpack_from("<Q", program, 32), struct.unpack_from("<HH", program, 54)
    parts = [struct.unpack_from("<IIQQQQ", program, at + size * index) for index in range(count)]
    asked: list[str] = []
    for kind, _flags, offset, _address, _physical, length in parts:
        if kind == 2:  # PT_DYNAMIC: pairs of a tag and a value
            entries = list(struct.iter_unpack("<qQ", program[offset : offset + length]))
            (strings,) = (value for tag, value in entries if tag == 5)  # DT_STRTAB, an address
            (shift,) = (o - a for k, _f, o, a, _p, n in parts if k == 1 and a <= strings < a + n)  # PT_LOAD
            starts = (strings + shift + value for tag, value in entries if tag == 1)  # DT_NEEDED
            asked += [program[start : program.index(b"\0", start)].decode() for start in starts]
        if kind == 3:  # PT_INTERP
            asked.append(program[offset : offset + length].rstrip(b"\0").decode())
    return asked


def kernel_as_elf(packaged: bytes) -> bytes | None:
    """Take the kernel out of the compressed file that it is packaged as; QEMU enters it through its PVH note.

    Parameters
    ----------
    packaged : bytes
        A Linux ``bzImage``; its header is told in the kernel's Documentation/x86/boot.rst.

    Returns
    -------
    bytes or None
        The ELF file, or None where it is wrapped in a way that is not known here or has no such note.
    """
    if packaged[0x202:0x206] != b"HdrS":
        return None
    start = (packaged[0x1F1] + 1) * 512
    offset, length = struct.unpack_from("<II", packaged, 0x248)
    try:
        kernel = _unwrap(packaged[start + offset :][:length])
    except (lzma.LZMAError, OSError, IndexError, EOFError, HostError):
        return None
    pvh_note = struct.pack("<III", 4, 8, 18) + b"Xen\0"
    return kernel if kernel[:4] == b"\x7fELF" and pvh_note in kernel else None


def _unwrap(data: bytes) -> bytes:
    """Decompress a kernel; its length in four bytes follows what the compressor wrote."""
    if data[:4] == b"\x02\x21\x4c\x18":
        return _unlz4(data[:-4])
    if data[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return _unzstd(data[:-4])
    return gzip.decompress(data[:-4])


def _unzstd(data: bytes) -> bytes:
    """Decompress with the ``zstd`` program: Python has it from 3.14 only."""
    try:
        return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        message = "The kernel or its modules are compressed with zstd, which could not be undone."
        raise HostError(message, "Install the program zstd, then run 'labkit image build' again.") from error


def _unlz4(data: bytes) -> bytes:
    """Decompress LZ4's legacy frames, as the kernel's build makes them."""
    out, at = bytearray(), 4
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        out += _unlz4_block(data[at + 4 : at + 4 + size])
        at += 4 + size
    return bytes(out)


def _unlz4_block(data: bytes) -> bytearray:
    """Decompress one block: runs of literal bytes, each followed by a copy from what is already there."""
    out, at = bytearray(), 0
    while True:
        token = data[at]
        literals, at = _lz4_length(data, at + 1, token >> 4)
        out += data[at : at + literals]
        at += literals
        if at >= len(data):
            return out
        back = data[at] | data[at + 1] << 8
        copy, at = _lz4_length(data, at + 2, token & 15)
        copy += 4
        start = len(out) - back
        if back >= copy:
            out += out[start : start + copy]
        else:  # the copy overlaps what it makes: a pattern that repeats
            out += (out[start:] * (copy // back + 1))[:copy]


def _lz4_length(data: bytes, at: int, short: int) -> tuple[int, int]:
    if short == 15:
        while data[at] == 255:
            short += 255
            at += 1
        short += data[at]
        at += 1
    return short, at


@dataclass(frozen=True)
class Module:
    """A kernel module: its content, the modules that it needs, the names that it answers to."""

    content: bytes
    needs: tuple[str, ...]
    aliases: tuple[str, ...]


def load_modules(root: Path, wanted: Iterable[str]) -> dict[str, Module]:
    """Read kernel modules and all that they need.

    Parameters
    ----------
    root : pathlib.Path
        The directory of one kernel's modules.
    wanted : iterable of str
        Names of modules. One that is not there is taken to be built into the kernel.
    """
    files = {_module_name(file.name.split(".ko")[0]): file for file in sorted(root.rglob("*.ko*"))}
    loaded: dict[str, Module] = {}
    waiting = [_module_name(name) for name in wanted]
    while waiting:
        name = waiting.pop()
        if name not in loaded and name in files:
            content = _module_content(files[name])
            needs = (need for field in _says(content, b"depends") for need in field.split(",") if need)
            loaded[name] = Module(content, tuple(map(_module_name, needs)), tuple(_says(content, b"alias")))
            waiting += loaded[name].needs
    return loaded


def module_tables(modules: dict[str, Module]) -> dict[str, str]:
    """Return the tables that ``modprobe`` reads: what each module needs, nearest first, and every alias."""
    depends, aliases = [], []
    for name, module in sorted(modules.items()):
        order = reversed(dict.fromkeys(_before(name, modules)))
        depends.append(f"{name}.ko:" + "".join(f" {need}.ko" for need in order))
        aliases += [f"alias {alias} {name}" for alias in module.aliases]
    return {"modules.dep": "\n".join(depends) + "\n", "modules.alias": "\n".join(aliases) + "\n"}


def _before(name: str, modules: dict[str, Module]) -> Iterator[str]:
    for need in modules[name].needs:
        if need in modules:
            yield from _before(need, modules)
            yield need


def _module_name(name: str) -> str:
    return name.replace("-", "_")


def _says(module: bytes, key: bytes) -> list[str]:
    return [value.decode() for value in re.findall(rb"\0" + key + rb"=([^\0]*)(?=\0)", module)]


def _module_content(file: Path) -> bytes:
    data = file.read_bytes()
    unpack = {".xz": lzma.decompress, ".gz": gzip.decompress, ".zst": _unzstd}.get(file.suffix)
    module = unpack(data) if unpack else data
    # A signature at its end is left out. The package's was checked; checking every module's again in the guest would
    # take 65 ms of its start under software emulation. What follows a module: signature, 12 bytes, this marker.
    if module.endswith(_SIGNED):
        (length,) = struct.unpack_from(">I", module, len(module) - len(_SIGNED) - 4)
        module = module[: -len(_SIGNED) - 12 - length]
    return module
