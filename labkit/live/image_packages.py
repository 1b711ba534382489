"""Where the guest's files come from: the distribution's signed packages, or else this machine's own files.

``apt-get download`` checks a package against the signed lists before it lets it through, and ``dpkg-deb -x`` unpacks
it into a directory of ours: no right of root is needed, nothing is installed, and none of the machine's own files ends
up in the guest. The libraries a program needs are found by reading the program (its ``NEEDED`` entries) and then
looking into the packages that its package depends on.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from labkit.host import HostError
from labkit.live.image_files import needed

__all__ = ["Kernel", "OwnFiles", "Packages", "Source", "find_source"]

REFRESH = "Run 'sudo apt-get update', then 'labkit image build' again."


@dataclass(frozen=True)
class Kernel:
    """A kernel before anything is done to it: its release, its file, and the directory of its modules."""

    release: str
    file: Path
    modules: Path


class Source(Protocol):
    """What both sources of files can be asked; `name` says which it is."""

    name: str

    def fetch(self, names: Iterable[str]) -> None:
        """Get packages that will be needed, at once rather than one by one."""

    def kernel(self, package: str) -> Kernel:
        """Find the kernel that a package is, or stands for."""

    def program(self, package: str, path: str) -> Path:
        """Find a program, given its package and its path in there."""

    def python(self, package: str) -> tuple[Path, Path]:
        """Find the Python that a package stands for, and the directory of its library, called as its version is."""

    def libraries(self, program: Path) -> dict[str, Path]:
        """Find all libraries that a program needs: for each name its file; the loader's name is a whole path."""

    def newest(self) -> int:
        """Tell the time of the newest file, in seconds since 1970."""

    def contents(self) -> list[dict[str, str]]:
        """List what was used, each with its version and checksum."""

    def licences(self) -> str:
        """Return the notices that go with what was used, and where its source is."""


def find_source(work: Path, tell: Callable[[str], None]) -> Source:
    """Choose where the guest's files come from: packages wherever there is apt.

    Parameters
    ----------
    work : pathlib.Path
        A directory to work in, which somebody else removes.
    tell : callable
        Told in words what is going on.
    """
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        return Packages(work, tell)
    return OwnFiles()


def _run(command: Sequence[str | Path], where: Path, failing: str, remedy: str) -> str:
    """Run a program and return what it printed; its complaint becomes a `HostError` that begins with `failing`."""
    env = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return done.stdout
    if re.search(r"No space left on device|enough free space", done.stderr):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(where))
    complaints = [line.strip() for line in done.stderr.splitlines() if line.strip() and not line.startswith("W:")]
    said = complaints[-1].removeprefix("E: ") if complaints else f"exit code {done.returncode}"
    raise HostError(f"{failing}: {Path(command[0]).name} says: {said}", remedy)


@dataclass(frozen=True)
class _Package:
    name: str
    version: str
    source: str  # what ``apt-get source`` takes
    sha256: str  # of the .deb file
    depends: tuple[str, ...]  # of alternatives the first
    root: Path  # where it is unpacked


@dataclass
class Packages:
    """The distribution's packages, each downloaded and unpacked at most once.

    Parameters
    ----------
    work : pathlib.Path
        A directory to work in, which somebody else removes.
    tell : callable
        Told in words what is going on.
    """

    work: Path
    tell: Callable[[str], None] = lambda _sentence: None
    name: str = "packages"
    _taken: dict[str, _Package] = field(default_factory=dict)

    def fetch(self, names: Iterable[str]) -> None:
        """Download and unpack what is not here yet."""
        missing = sorted(set(names) - set(self._taken))
        if not missing:
            return
        self.tell("Downloading " + ", ".join(missing))
        debs = self.work / "debs"
        debs.mkdir()
        failing = f"The packages {', '.join(missing)} could not be downloaded"
        _run(["apt-get", "download", "-q", *missing], debs, failing, f"Look at the network. {REFRESH}")
        for deb in sorted(debs.iterdir()):
            package = self._unpack(deb)
            self._taken[package.name] = package
        shutil.rmtree(debs)

    def _unpack(self, deb: Path) -> _Package:
        fields = ["Package", "Version", "Source", "Depends", "Pre-Depends"]
        failing = f"The package {deb.name} could not be unpacked"
        told = _run(["dpkg-deb", "-f", deb, *fields], self.work, failing, REFRESH)
        says = dict(line.split(": ", 1) for line in told.splitlines() if ": " in line)
        source, _, version = says.get("Source", says["Package"]).partition(" ")
        root = self.work / "unpacked" / says["Package"]
        root.mkdir(parents=True)
        _run(["dpkg-deb", "-x", deb, root], self.work, failing, REFRESH)
        return _Package(
            name=says["Package"],
            version=says["Version"],
            source=f"{source}={version.strip('()') or says['Version']}",
            sha256=hashlib.sha256(deb.read_bytes()).hexdigest(),
            depends=_names(f"{says.get('Depends', '')},{says.get('Pre-Depends', '')}"),
            root=root,
        )

    def kernel(self, package: str) -> Kernel:
        """Find the kernel that a package stands for: the one that it depends on."""
        name = self._stood_for(package, "linux-image-")
        self.fetch([name])
        root = self._taken[name].root
        files, modules = sorted(root.glob("boot/vmlinuz-*")), sorted(root.glob("**/lib/modules/*/"))
        if not files or not modules:
            raise HostError(f"The package {name} holds no kernel.", REFRESH)
        return Kernel(modules[0].name, files[0], modules[0])

    def _stood_for(self, package: str, begins: str) -> str:
        """Find the real package that one without files of its own depends on."""
        failing = f"apt does not know the package {package}"
        text = _run(["apt-cache", "show", "--no-all-versions", package], self.work, failing, REFRESH)
        depends = re.findall(r"^(?:Pre-)?Depends: (.*)$", text, re.MULTILINE)
        names = [name for name in _names(",".join(depends)) if name.startswith(begins)]
        if not names:
            raise HostError(f"The package {package} names no {begins}…", REFRESH)
        return names[0]

    def python(self, package: str) -> tuple[Path, Path]:
        """Find the Python that a package stands for; its library is in the package that its own depends on."""
        name = self._stood_for(package, "python3.")
        library = f"lib{name}"
        self.fetch([name, library])
        version = name.removesuffix("-minimal")
        return self.program(name, f"usr/bin/{version}"), self._taken[library].root / "usr/lib" / version

    def program(self, package: str, path: str) -> Path:
        """Find a program in its package."""
        self.fetch([package])
        # Debian is moving everything below /usr, and a package may be on either side of that.
        for place in (path, f"usr/{path}"):
            if (file := self._taken[package].root / place).is_file():
                return file
        raise HostError(f"The package {package} does not hold {path}.", "Correct images/packages.toml.")

    def libraries(self, program: Path) -> dict[str, Path]:
        """Find all libraries that a program needs, downloading the packages that hold them."""
        found: dict[str, Path] = {}
        waiting = [program]
        while waiting:
            file = waiting.pop(0)
            owner = self._taken[file.relative_to(self.work / "unpacked").parts[0]]
            names = [name for name in needed(file.read_bytes()) if name not in found]
            # Most packages are called as their library is: these are fetched at once.
            self.fetch(package for package in owner.depends for name in names if _wholly_alike(name, package))
            for name in names:
                found[name] = self._find(name.rsplit("/", 1)[-1], owner)
                waiting.append(found[name])
        return found

    def _find(self, library: str, owner: _Package) -> Path:
        """Find one library: in what is here, then in what its package depends on, the likeliest first."""
        for package in (owner, *self._taken.values()):
            if file := _file_called(library, package.root):
                return file
        cause: HostError | None = None
        tried, depends = set(self._taken), set(owner.depends)
        for _ in range(2):
            deeper: set[str] = set()
            for name in sorted(depends - tried, key=lambda name: (-_likeness(library, name), name)):
                tried.add(name)
                try:
                    self.fetch([name])
                except HostError as error:
                    # A dependency may be a virtual package, which cannot be downloaded.
                    cause = error
                    shutil.rmtree(self.work / "debs", ignore_errors=True)
                    continue
                if file := _file_called(library, self._taken[name].root):
                    return file
                deeper.update(self._taken[name].depends)
            depends = deeper
        raise HostError(f"No package that {owner.name} depends on holds the library {library}.", REFRESH) from cause

    def newest(self) -> int:
        """Tell the time of the newest file in any package."""
        roots = (package.root for package in self._taken.values())
        return max(int(file.lstat().st_mtime) for root in roots for file in root.rglob("*") if not file.is_dir())

    def contents(self) -> list[dict[str, str]]:
        """List the packages."""
        return [
            {"name": package.name, "version": package.version, "source": package.source, "sha256": package.sha256}
            for _name, package in sorted(self._taken.items())
        ]

    def licences(self) -> str:
        """Return every package's copyright file, under a line that says where its source is."""
        parts = [
            "The guest is made of files of these packages, unchanged but that the kernel is uncompressed and its "
            "modules have lost their signatures. Under each name is the command that gets its source, on a Debian "
            "whose package sources include deb-src.\n"
        ]
        for _name, package in sorted(self._taken.items()):
            file = package.root / "usr/share/doc" / package.name / "copyright"
            text = file.read_text(errors="replace") if file.is_file() else "Its copyright file is in its source.\n"
            rule = "=" * 100
            parts.append(f"{rule}\n{package.name} {package.version}\napt-get source {package.source}\n{rule}\n{text}")
        return "\n".join(parts)


@dataclass
class OwnFiles:
    """This machine's own kernel and programs, for a distribution without apt."""

    name: str = "this machine's own files"
    _used: dict[str, Path] = field(default_factory=dict)

    def fetch(self, names: Iterable[str]) -> None:
        """Do nothing: there is nothing to fetch."""

    def kernel(self, package: str) -> Kernel:  # noqa: ARG002
        """Find the running kernel's file and modules."""
        release = platform.release()
        modules = Path("/lib/modules") / release
        for file in (Path(f"/boot/vmlinuz-{release}"), modules / "vmlinuz"):
            if os.access(file, os.R_OK) and modules.is_dir():
                self._used["kernel"] = file
                return Kernel(release, file, modules)
        raise HostError(
            f"There is no apt on this machine, and the running kernel's file /boot/vmlinuz-{release} cannot be read.",
            f"Make it and /lib/modules/{release} readable for you, or build the image on a Debian and copy it here.",
        )

    def program(self, package: str, path: str) -> Path:
        """Find a program of this name on the search path."""
        program = Path(path).name
        found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if not found:
            raise HostError(
                f"There is no apt on this machine, and no program {program}.",
                f"Install {package} with your distribution's own tool, then run 'labkit image build' again.",
            )
        self._used[program] = Path(found).resolve()
        return self._used[program]

    def python(self, package: str) -> tuple[Path, Path]:
        """Find this machine's own Python, which is built with its library where distributions have it."""
        program = self.program(package, "usr/bin/python3")
        return program, program.parents[1] / "lib" / program.name

    def libraries(self, program: Path) -> dict[str, Path]:
        """Find all libraries that a program needs, where this machine keeps its libraries."""
        found: dict[str, Path] = {}
        waiting = [program]
        while waiting:
            for name in needed(waiting.pop().read_bytes()):
                if name not in found:
                    found[name] = self._used[name] = self._library(name)
                    waiting.append(found[name])
        return found

    @staticmethod
    def _library(name: str) -> Path:
        triplet = f"{platform.machine()}-linux-gnu"
        for place in ("", "/lib64", "/usr/lib64", f"/usr/lib/{triplet}", f"/lib/{triplet}", "/usr/lib", "/lib"):
            if (file := Path(place) / name).is_absolute() and file.is_file():
                return file.resolve()
        raise HostError(f"The library {name} is not where this machine keeps its libraries.")

    def newest(self) -> int:
        """Tell the time of the newest file used."""
        return max(int(file.stat().st_mtime) for file in self._used.values())

    def contents(self) -> list[dict[str, str]]:
        """List the files, for which no version is known."""
        return [
            {"name": name, "version": "", "source": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
            for name, file in sorted(self._used.items())
        ]

    def licences(self) -> str:
        """Say that the notices are the distribution's."""
        files = "\n".join(str(file) for _name, file in sorted(self._used.items()))
        return f"The guest is made of these files of this machine. Its distribution has their licences:\n\n{files}\n"


def _names(depends: str) -> tuple[str, ...]:
    """Take the names out of a Depends field, of alternatives the first."""
    firsts = (part.split("|")[0].split("(")[0].split(":")[0].strip() for part in depends.split(","))
    return tuple(name for name in firsts if name)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().replace(".so", "").removesuffix("t64"))


def _likeness(library: str, package: str) -> int:
    """Count how far a library's name and a package's run together: libEGL.so.1 and libegl1 do wholly."""
    return len(os.path.commonprefix([_bare(library), _bare(package)]))


def _wholly_alike(library: str, package: str) -> bool:
    return _bare(library) == _bare(package)


def _file_called(name: str, root: Path) -> Path | None:
    """Find a file in an unpacked package, through links but never out of the package."""
    for file in sorted(root.rglob(name)):
        real = file.resolve()
        if real.is_file() and real.is_relative_to(root):
            return real
    return None
