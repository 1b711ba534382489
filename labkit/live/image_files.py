"""Writes the files that a guest starts from: its kernel, its first file system, its tools disk.

The same input gives the same bytes: names are sorted, everything belongs to root, inodes count
from one, and the time on every file is the newest package's.
"""

from __future__ import annotations

import gzip
import lzma
import re
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from labkit.host import HostError

__all__ = ["Tree", "kernel_as_elf", "modules_with_dependencies"]


@dataclass
class Tree:
    """A guest's files, by their path in the guest, before they become an archive or a disk.

    Parameters
    ----------
    entries : dict
        For each path (without a leading slash) its mode and its content; a link's content is its target.
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

    def device(self, path: str, major: int, minor: int) -> None:
        """Add a character device."""
        self._put(path, stat.S_IFCHR | 0o600, struct.pack("<II", major, minor))

    def _put(self, path: str, mode: int, content: bytes) -> None:
        for parent in reversed(PurePosixPath(path).parents[:-1]):
            self.entries.setdefault(str(parent), (stat.S_IFDIR | 0o755, b""))
        self.entries[path] = (mode, content)

    def cpio(self, when: int) -> bytes:
        """Return the tree as the archive that a kernel unpacks into its first file system.

        Parameters
        ----------
        when : int
            The time on every file, in seconds since 1970.
        """
        out = bytearray()
        for inode, (path, (mode, content)) in enumerate([*sorted(self.entries.items()), ("TRAILER!!!", (0, b""))], 1):
            device = (0, 0)
            if stat.S_ISCHR(mode):
                device, content = struct.unpack("<II", content), b""
            name = path.encode() + b"\0"
            numbers = (inode, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, when, len(content), 0, 0, *device, len(name), 0)
            out += b"070701" + b"".join(b"%08X" % number for number in numbers) + name
            out += bytes(-len(out) % 4) + content
            out += bytes(-len(out) % 4)
        return bytes(out + bytes(-len(out) % 512))

    def write(self, root: Path) -> None:
        """Write files and directories below a directory of this machine; devices cannot be."""
        for path, (mode, content) in sorted(self.entries.items()):
            place = root / path
            if stat.S_ISDIR(mode):
                place.mkdir(parents=True, exist_ok=True)
            elif stat.S_ISLNK(mode):
                place.symlink_to(content.decode())
            else:
                place.write_bytes(content)
                place.chmod(stat.S_IMODE(mode))


def kernel_as_elf(packaged: bytes) -> bytes | None:
    """Take the kernel out of the compressed file that it is packaged as.

    Unpacking it takes a guest under software emulation longer than all the rest of its boot, so
    it is done once, here. QEMU starts the result through its PVH entry.

    Parameters
    ----------
    packaged : bytes
        A Linux ``bzImage``.

    Returns
    -------
    bytes or None
        The ELF file, or None where it is wrapped in a way that is not known here.
    """
    if packaged[0x202:0x206] != b"HdrS":
        return None
    start = (packaged[0x1F1] + 1) * 512
    offset, length = struct.unpack_from("<II", packaged, 0x248)
    wrapped = packaged[start + offset :][:length]
    try:
        kernel = _unwrap(wrapped)
    except (lzma.LZMAError, OSError, IndexError, EOFError):
        return None
    return kernel if kernel and kernel[:4] == b"\x7fELF" and _has_pvh_entry(kernel) else None


def _unwrap(wrapped: bytes) -> bytes | None:
    if wrapped[:4] == b"\x02\x21\x4c\x18":
        return _unlz4(wrapped)
    if wrapped[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(wrapped)
    if wrapped[:2] == b"\x1f\x8b":
        return gzip.decompress(wrapped[:-4])
    return None


def _has_pvh_entry(kernel: bytes) -> bool:
    """Look for the Xen note of type 18, which says where QEMU may enter the kernel."""
    return struct.pack("<III", 4, 8, 18) + b"Xen\0" in kernel


def _unlz4(data: bytes) -> bytes:
    """Unpack LZ4's legacy frames, as the kernel's build makes them; the last four bytes are a length."""
    out, at = bytearray(), 4
    while at + 4 < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        out += _unlz4_block(data[at + 4 : at + 4 + size])
        at += 4 + size
    return bytes(out)


def _unlz4_block(data: bytes) -> bytearray:
    """Unpack one block: runs of literal bytes, each followed by a copy from what is already there."""
    out, at = bytearray(), 0
    while True:
        token = data[at]
        literals, at = _length(data, at + 1, token >> 4)
        out += data[at : at + literals]
        at += literals
        if at >= len(data):
            return out
        back = data[at] | data[at + 1] << 8
        copy, at = _length(data, at + 2, token & 15)
        copy += 4
        start = len(out) - back
        if back >= copy:
            out += out[start : start + copy]
        else:
            out += (bytes(out[start:]) * (copy // back + 1))[:copy]


def _length(data: bytes, at: int, short: int) -> tuple[int, int]:
    if short == 15:
        while True:
            short += data[at]
            at += 1
            if data[at - 1] != 255:
                break
    return short, at


def modules_with_dependencies(root: Path, wanted: Iterable[str]) -> dict[str, tuple[bytes, list[str]]]:
    """Collect kernel modules and all that they depend on.

    Parameters
    ----------
    root : Path
        The directory of one kernel's modules.
    wanted : iterable of str
        Names of modules. One that does not exist is taken to be built into the kernel.

    Returns
    -------
    dict
        For each module its content, uncompressed, and the modules that it needs loaded before it.
    """
    files = {_module_name(file): file for file in root.rglob("*.ko*")}
    taken: dict[str, tuple[bytes, list[str]]] = {}
    waiting = [name.replace("-", "_") for name in wanted]
    while waiting:
        name = waiting.pop()
        if name in taken or name not in files:
            continue
        content = _module_content(files[name])
        says = re.search(rb"\0depends=([^\0]*)\0", content)
        needs = [need.replace("-", "_") for need in says.group(1).decode().split(",") if need] if says else []
        taken[name] = (content, needs)
        waiting += needs
    return taken


def _module_name(file: Path) -> str:
    return file.name.split(".ko")[0].replace("-", "_")


def _module_content(file: Path) -> bytes:
    data = file.read_bytes()
    if file.suffix == ".xz":
        return lzma.decompress(data)
    if file.suffix == ".gz":
        return gzip.decompress(data)
    if file.suffix != ".ko":
        raise HostError(
            f"The kernel module {file.name} is compressed in a way that Python cannot undo.",
            "Use a kernel package whose modules are plain, .xz or .gz.",
        )
    return data
