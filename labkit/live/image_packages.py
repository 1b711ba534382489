"""Takes files out of the distribution's signed packages, without being root.

``apt-get download`` checks a package against the signed lists before it lets it through, and
``dpkg-deb -x`` unpacks it into a directory of ours: nothing is installed, and nothing of the
machine's own files ends up in the guest. The libraries a program needs are found by reading the
program (its ``NEEDED`` entries) and then looking into the packages that its package depends on.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labkit.host import HostError

__all__ = ["Package", "Packages", "needed", "run"]

LIST_REMEDY = "Run 'sudo apt-get update', then 'labkit image build' again."


def run(command: Sequence[str | Path], where: Path, what: str, remedy: str = "", **variables: str) -> str:
    """Run a program and return what it printed; what it complains of becomes a `HostError`.

    Parameters
    ----------
    command : sequence of str or Path
        The program and its arguments; no shell is involved.
    where : Path
        The directory it runs in.
    what : str
        What it was to do, for the message: "The guest image could not ...".
    remedy : str
        What the person can do where it fails.
    **variables : str
        Added to the environment.
    """
    env = {**os.environ, "LC_ALL": "C", **variables}
    try:
        done = subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError as error:
        raise HostError(f"The program {command[0]} is not on this machine: {what}.", remedy) from error
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("W:")]
        last = complaints[-1].strip() if complaints else f"exit code {done.returncode}"
        if "No space left on device" in done.stderr:
            raise OSError(28, "No space left on device", str(where))
        raise HostError(f"{what[:1].upper()}{what[1:]}: {Path(command[0]).name} says: {last}", remedy)
    return done.stdout


@dataclass(frozen=True)
class Package:
    """One package that was downloaded and unpacked.

    Parameters
    ----------
    name, version, source : str
        As the package says; `source` is what ``apt-get source`` takes.
    sha256 : str
        Of the ``.deb`` file.
    depends : tuple of str
        Names of the packages that it depends on, the first alternative of each.
    root : Path
        Where it is unpacked.
    """

    name: str
    version: str
    source: str
    sha256: str
    depends: tuple[str, ...]
    root: Path


@dataclass
class Packages:
    """Downloads packages into a working directory, each at most once.

    Parameters
    ----------
    work : Path
        A directory of ours that somebody else removes.
    tell : callable
        Called with a sentence before each download.
    """

    work: Path
    tell: Callable[[str], None] = lambda _sentence: None
    taken: dict[str, Package] = field(default_factory=dict)

    def newest_of(self, meta: str) -> str:
        """Return the package that a meta package stands for: its first dependency."""
        shows = ["apt-cache", "show", "--no-all-versions", meta]
        text = run(shows, self.work, f"apt does not know the package {meta}", LIST_REMEDY)
        found = re.search(r"^Depends: (.*)$", text, re.MULTILINE)
        if not found:
            raise HostError(f"The package {meta} names no other package.", LIST_REMEDY)
        return _names(found.group(1))[0]

    def take(self, *names: str) -> list[Package]:
        """Download and unpack packages; those already taken cost nothing."""
        missing = [name for name in names if name not in self.taken]
        if missing:
            self.tell("downloading " + ", ".join(missing))
            debs = self.work / "debs"
            shutil.rmtree(debs, ignore_errors=True)
            debs.mkdir()
            run(
                ["apt-get", "download", "-q", *missing],
                debs,
                f"the packages {', '.join(missing)} could not be downloaded",
                "Look at the network, " + LIST_REMEDY[0].lower() + LIST_REMEDY[1:],
            )
            for deb in sorted(debs.iterdir()):
                package = self._unpack(deb)
                self.taken[package.name] = package
            shutil.rmtree(debs)
        return [self.taken[name] for name in names]

    def _unpack(self, deb: Path) -> Package:
        fields = ["Package", "Version", "Source", "Depends", "Pre-Depends"]
        told = run(["dpkg-deb", "-f", deb, *fields], self.work, f"{deb.name} is no package")
        says = dict(line.split(": ", 1) for line in told.splitlines() if ": " in line)
        name, version = says["Package"], says["Version"]
        source, _, source_version = says.get("Source", name).partition(" ")
        root = self.work / "unpacked" / name
        root.mkdir(parents=True)
        run(["dpkg-deb", "-x", deb, root], self.work, f"{deb.name} could not be unpacked")
        return Package(
            name=name,
            version=version,
            source=f"{source}={source_version.strip('()') or version}",
            sha256=hashlib.sha256(deb.read_bytes()).hexdigest(),
            depends=_names(", ".join(filter(None, (says.get("Depends"), says.get("Pre-Depends"))))),
            root=root,
        )

    def libraries(self, package: Package, programs: Iterable[Path]) -> dict[str, Path]:
        """Find every library that programs of a package need, downloading what holds them.

        Parameters
        ----------
        package : Package
            The package that the programs are from.
        programs : iterable of Path
            The unpacked programs.

        Returns
        -------
        dict
            For each library's name the unpacked file. The loader's name is its whole path.
        """
        found: dict[str, Path] = {}
        waiting = [(package, program) for program in programs]
        while waiting:
            owner, program = waiting.pop()
            # What a package's name betrays goes first: then the package with the C library is there
            # when its lesser libraries, whose names betray nothing, are looked for.
            for name in sorted(needed(program), key=lambda name: (-_best_likeness(name, owner), name)):
                if name not in found:
                    home, found[name] = self._find(name, owner)
                    waiting.append((home, found[name]))
        return found

    def _find(self, name: str, owner: Package) -> tuple[Package, Path]:
        """Find one library: in what is here, then in what its package depends on, the likeliest first."""
        library = name.rsplit("/", 1)[-1]
        for package in (owner, *self.taken.values()):
            if file := _library_in(package.root, library):
                return package, file
        cause: HostError | None = None
        tried, depends = set(self.taken), list(owner.depends)
        for _further in range(2):
            deeper: list[str] = []
            for candidate in sorted(set(depends) - tried, key=lambda candidate: (-_likeness(library, candidate), candidate)):
                tried.add(candidate)
                try:
                    (package,) = self.take(candidate)
                except HostError as error:
                    # A dependency may be a virtual package, which cannot be downloaded.
                    cause = error
                    continue
                if file := _library_in(package.root, library):
                    return package, file
                deeper += package.depends
            depends = deeper
        raise HostError(f"No package that {owner.name} depends on holds the library {library}.", LIST_REMEDY) from cause


def needed(program: Path) -> list[str]:
    """Return what a program or library asks for: the names of libraries, and the path of its loader.

    Parameters
    ----------
    program : Path
        A 64-bit little-endian ELF file; anything else needs nothing.
    """
    data = program.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        return []
    at, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    parts = [struct.unpack_from("<IIQQQQ", data, at + size * index) for index in range(count)]
    asked: list[str] = []
    for kind, _flags, offset, _address, _physical, length in parts:
        if kind == 3:  # PT_INTERP
            asked.append(data[offset : offset + length].rstrip(b"\0").decode())
        if kind == 2:  # PT_DYNAMIC: pairs of a tag and a value
            entries = list(struct.iter_unpack("<qQ", data[offset : offset + length]))
            (strings,) = [value for tag, value in entries if tag == 5]  # DT_STRTAB, as an address
            (base,) = [o - a for k, _f, o, a, _p, n in parts if k == 1 and a <= strings < a + n]  # PT_LOAD
            for tag, value in entries:
                if tag == 1:  # DT_NEEDED
                    start = strings + base + value
                    asked.append(data[start : data.index(b"\0", start)].decode())
    return asked


def _names(depends: str) -> tuple[str, ...]:
    """Take the names out of a Depends field, of alternatives the first."""
    firsts = (part.split("|")[0].split("(")[0].split(":")[0].strip() for part in depends.split(","))
    return tuple(name for name in firsts if name)


def _likeness(library: str, package: str) -> int:
    """Count how far a library's name and a package's run together: libglib-2.0.so.0 and libglib2.0-0 do wholly."""
    one, other = (re.sub(r"[^a-z0-9]", "", name.lower()) for name in (library.replace(".so", ""), package))
    return len(os.path.commonprefix([one, other]))


def _best_likeness(library: str, owner: Package) -> int:
    return max((_likeness(library, package) for package in owner.depends), default=0)


def _library_in(root: Path, library: str) -> Path | None:
    """Find a library in an unpacked package, through links but never out of the package."""
    for file in sorted(root.rglob(library)):
        real = file.resolve()
        if real.is_file() and real.is_relative_to(root.resolve()):
            return real
    return None
