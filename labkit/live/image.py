"""The guest's image: made here from the distribution's own packages, checked, and found again.

An image is a directory of files that belong together: a kernel, a first file system in which the guest's programs
are, a read-only disk of tools, and beside them a manifest (what they were made from, and their checksums) and the
licences. From the same packages it comes out the same, byte for byte. What goes into it is said in ``images/``; how
the files get out of the packages, and how the formats are written, in `labkit.live.image_packages` and
`labkit.live.image_files`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import platform
import shutil
import subprocess
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from labkit.host import HostError
from labkit.live.image_files import Tree, kernel_as_elf, load_modules, module_tables
from labkit.live.image_packages import Kernel, Source, find_source
from labkit.live.places import cache_root

__all__ = ["SERVER", "Image", "Status", "build", "load", "status"]

REMEDY = "Run 'labkit image build'."
SERVER = "/tools/lib/labkit/serve.py"
"""Where the guest has the program that serves requests."""
FILES = ("kernel", "initrd", "tools", "LICENCES")
ROOM = 400 << 20  # bytes that a build needs for a while; what stays is a quarter of it
PATIENCE = 900.0  # seconds to wait for another build
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Image:
    """A guest's files.

    Parameters
    ----------
    kernel, initrd, tools, manifest : pathlib.Path
        The kernel, the first file system, the read-only disk of tools, and what they were made from.
    cmdline : str
        What the kernel is to be told.
    digest : str
        Changes with anything that a guest's memory depends on: a saved boot belongs to one digest.
    serves : bool
        Whether the program that serves requests is in it; an image of an earlier recipe has none.
    """

    kernel: Path
    initrd: Path
    tools: Path
    cmdline: str
    digest: str
    manifest: Path
    serves: bool = True


class Status(TypedDict):
    """What there is of the image. `state` is ``stale`` where the recipe has changed since; it still boots."""

    state: Literal["ready", "stale", "damaged", "absent"]
    complete: bool
    reason: str
    remedy: str
    directory: str
    digest: str
    architecture: str
    kernel: str
    made_from: str
    packages: dict[str, str]
    bytes: dict[str, int]


def build(progress: Progress = lambda _text, _done: None) -> Image:
    """Make the image and put it where `load` finds it.

    Nothing of a build that fails or is interrupted is left. Of two builds at once the second waits for the first and
    takes its result.

    Parameters
    ----------
    progress : callable
        Told in words what is going on, and how much of it is done, from 0 to 1.

    Raises
    ------
    HostError
        Where a package, a program or room on the disk is missing, with the remedy.
    """
    home = cache_root() / "image"
    began = time.time()
    with _full_disk_explained(home):
        home.mkdir(mode=0o700, exist_ok=True)
        home = home.resolve()
        with _alone(home, progress) as waited:
            if waited and (made := _made_meanwhile(home, began)):
                return made
            for left in home.glob(".making-*"):
                shutil.rmtree(left, ignore_errors=True)
            work = Path(tempfile.mkdtemp(prefix=".making-", dir=home))
            try:
                directory = _make(work, progress)
                _put_in_place(directory, home)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    progress("The guest image is ready", 1.0)
    return load()


def load(verify: bool = False) -> Image:
    """Find the image that `build` made.

    Parameters
    ----------
    verify : bool
        Compute the files' checksums too; else only their sizes are compared, which costs nothing.

    Raises
    ------
    HostError
        Where there is none, or it is damaged.
    """
    directory = cache_root() / "image" / f"current-{platform.machine()}"
    if not directory.exists():
        raise HostError("There is no guest image yet.", REMEDY)
    directory = directory.resolve()
    manifest = _manifest(directory)
    for name, expected in manifest["files"].items():
        file = directory / name
        size = file.stat().st_size if file.is_file() else -1
        if size != expected["bytes"]:
            how = "is missing" if size < 0 else f"has {size:,} bytes instead of {expected['bytes']:,}"
            raise HostError(f"The guest image is damaged: its file {name} {how}.", REMEDY)
        if verify and _sha256(file) != expected["sha256"]:
            raise HostError(f"The guest image is damaged: its file {name} is not what was built.", REMEDY)
    paths = (directory / name for name in ("kernel", "initrd", "tools"))
    return Image(
        *paths, manifest["cmdline"], manifest["digest"], directory / "manifest.json", manifest.get("serves", False)
    )


def status() -> Status:
    """Say what there is of the image, from what it was made, and whether it is complete; checksums are computed."""
    told: Status = {
        "state": "ready",
        "complete": True,
        "reason": "",
        "remedy": "",
        "directory": str(cache_root() / "image"),
        "digest": "",
        "architecture": platform.machine(),
        "kernel": "",
        "made_from": "",
        "packages": {},
        "bytes": {},
    }
    try:
        image = load(verify=True)
    except HostError as error:
        state: Literal["absent", "damaged"] = "absent" if "no guest image" in error.message else "damaged"
        return {**told, "state": state, "complete": False, "reason": error.message, "remedy": error.remedy}
    manifest = _manifest(image.manifest.parent)
    if manifest["recipe"] != _recipe_digest():
        told |= {"state": "stale", "reason": "The recipe has changed since the image was made.", "remedy": REMEDY}
    return {
        **told,
        "directory": str(image.manifest.parent),
        "digest": image.digest,
        "kernel": manifest["kernel"],
        "made_from": manifest["made_from"],
        "packages": {package["name"]: package["version"] for package in manifest["packages"]},
        "bytes": {name: file["bytes"] for name, file in manifest["files"].items()},
    }


def _recipe_directory() -> Path:
    """Find ``images/``: beside the package in a checkout, below the environment's data where labkit was installed."""
    places = (Path(__file__).parents[2] / "images", Path(sysconfig.get_path("data")) / "share/labkit/images")
    for place in places:
        if (place / "packages.toml").is_file():
            return place
    raise HostError("The recipe of the guest image is not where labkit is.", "Install labkit again.")


def _recipe() -> dict[str, Any]:
    recipe = tomllib.loads((_recipe_directory() / "packages.toml").read_text(encoding="utf-8"))
    architecture = recipe["architecture"].get(platform.machine())
    if architecture is None:
        known = ", ".join(sorted(recipe["architecture"]))
        message = f"There is no guest image for {platform.machine()}, only for {known}."
        raise HostError(message, "Use the simulated host.")
    return {**recipe, **architecture}


def _recipe_digest() -> str:
    """Compute the checksum of all that decides, together with the packages, what comes out."""
    here = Path(__file__).parent
    files = [*sorted(_recipe_directory().iterdir()), *sorted(here.glob("image*.py"))]
    names = {file.name: _sha256(file) for file in files if file.is_file() and file.suffix != ".md"}
    return hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()


def _make(work: Path, progress: Progress) -> Path:
    """Make all files of the image in a directory below `work`, and return it."""
    steps = 0

    def tell(text: str) -> None:
        # How many packages there will be is not known beforehand; the bar nears 80%.
        nonlocal steps
        steps += 1
        progress(text, 0.8 * (1 - 0.85**steps))

    recipe = _recipe()
    source = find_source(work, tell)
    tell("Looking for the kernel")
    kernel = source.kernel(recipe["kernel"])
    source.fetch([*recipe["boot"], *recipe["tools"]])
    boot, tools = _boot_files(recipe, source, kernel), Tree()
    _add_programs(tools, recipe["tools"], source, besides=boot)
    _add_server(tools, recipe["python"], source, besides=boot)
    when = source.newest()
    progress("Writing the image", 0.85)
    packaged = kernel.file.read_bytes()
    unwrapped = kernel_as_elf(packaged) if recipe["start"] == "elf" else None
    directory = work / "image"
    directory.mkdir()
    (directory / "kernel").write_bytes(unwrapped or packaged)
    (directory / "initrd").write_bytes(boot.cpio(when))
    (directory / "tools").write_bytes(tools.erofs(when))
    (directory / "LICENCES").write_text(source.licences(), encoding="utf-8")
    progress("Computing checksums", 0.95)
    files = {name: {"bytes": (directory / name).stat().st_size, "sha256": _sha256(directory / name)} for name in FILES}
    decides = {"architecture": platform.machine(), "cmdline": recipe["cmdline"], "files": files}
    manifest = {
        **decides,
        "digest": hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16],
        "kernel": kernel.release,
        "made_from": source.name,
        "packages": source.contents(),
        "recipe": _recipe_digest(),
        "serves": True,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return directory


def _boot_files(recipe: dict[str, Any], source: Source, kernel: Kernel) -> Tree:
    """Lay out the first file system: a directory of programs, their libraries, modules, and the program init."""
    tree, images = Tree(), _recipe_directory()
    for name in ("dev", "proc", "sys", "root", "mnt", "tools", "run", "var", "etc/acpi/PWRF"):
        tree.directory(name)
    tree.directory("tmp", 0o1777)
    # The loader looks for libraries in /lib and /usr/lib by itself: through this link it finds the tools' too, without
    # a variable that a program started by the agent might not have.
    links = {"sbin": "bin", "usr/sbin": "../bin", "usr/bin": "/tools/bin", "usr/lib": "/tools/lib", "var/run": "../run"}
    for name, target in (links | {"etc/acpi/PWRF/00000080": "/bin/shutdown"}).items():
        tree.link(name, target)
    busybox = source.program("busybox-static", recipe["boot"]["busybox-static"][0])
    for name in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        tree.link(f"bin/{name}", "busybox")
    _add_programs(tree, recipe["boot"], source)
    tree.add("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    tree.add("etc/group", b"root:x:0:\n")
    tree.add("etc/fstab", b"sysfs /sys sysfs\ndev /dev devtmpfs\n")
    wanted = recipe["modules"]
    modules = load_modules(kernel.modules, [name for names in wanted.values() for name in names])
    place = f"lib/modules/{kernel.release}"
    for name, module in modules.items():
        tree.add(f"{place}/{name}.ko", module.content)
    for name, table in module_tables(modules).items():
        tree.add(f"{place}/{name}", table.encode())
    init = (images / "init").read_text(encoding="utf-8")
    init = init.replace("@FIRST@", " ".join(wanted["first"])).replace("@THEN@", " ".join(wanted["then"]))
    tree.add("init", init.encode(), 0o755)
    for name in ("shutdown", "rest"):
        tree.add(f"bin/{name}", (images / name).read_bytes(), 0o755)
    return tree


def _add_programs(tree: Tree, wanted: dict[str, list[str]], source: Source, besides: Tree | None = None) -> None:
    """Add programs to ``bin`` and their libraries to ``lib``, but for libraries that another tree already has."""
    there = besides.entries if besides else {}
    for package, paths in wanted.items():
        for path in paths:
            _add_program(tree, Path(path).name, source.program(package, path), source, there)


def _add_program(tree: Tree, name: str, program: Path, source: Source, there: Container[str]) -> None:
    tree.add(f"bin/{name}", program.read_bytes(), 0o755)
    for library, file in sorted(source.libraries(program).items()):
        place = library.lstrip("/") if "/" in library else f"lib/{library}"
        if place not in there:
            tree.add(place, file.read_bytes(), 0o755)


def _add_server(tools: Tree, recipe: dict[str, Any], source: Source, besides: Tree) -> None:
    """Add the program ``serve.py``, the Python that runs it, and what of the library Python cannot start without."""
    program, library = source.python(recipe["package"])
    _add_program(tools, "python3", program, source, besides.entries)
    for name in recipe["library"]:
        tools.add(f"lib/{library.name}/{name}", (library / name).read_bytes())
    tools.directory(f"lib/{library.name}/lib-dynload")  # Python complains where it is missing
    tools.add(SERVER.removeprefix("/tools/"), (_recipe_directory() / "serve.py").read_bytes())


def _put_in_place(directory: Path, home: Path) -> None:
    """Make a finished image the current one, in one step, and keep the one before it: a guest may still use that."""
    manifest = _manifest(directory)
    final = home / str(manifest["digest"])
    if final.exists():
        # The same image again, or a damaged one of that name: no guest is started from either while it is replaced.
        final.rename(directory.parent / "replaced")
    directory.rename(final)
    current = home / f"current-{platform.machine()}"
    before = current.resolve()
    fresh = directory.parent / "current"
    fresh.symlink_to(final.name)
    fresh.replace(current)
    for other in home.glob("*/manifest.json"):
        if not other.parent.is_symlink() and other.parent not in (final, before):
            shutil.rmtree(other.parent, ignore_errors=True)


def _manifest(directory: Path) -> dict[str, Any]:
    """Read an image's manifest; whether it is whole shows in its digest."""
    damaged = HostError("The guest image is damaged: its manifest is missing or cut short.", REMEDY)
    try:
        manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
        decides = {key: manifest[key] for key in ("architecture", "cmdline", "files")}
        digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]
        if manifest["digest"] != digest or set(manifest["files"]) != set(FILES):
            raise damaged
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged from error
    return manifest


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextlib.contextmanager
def _alone(home: Path, progress: Progress) -> Iterator[bool]:
    """Hold the builders' lock; gives whether another builder held it before."""
    with (home / ".lock").open("w") as lock:
        waited, until = False, time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise HostError("Another build of the guest image does not end.", "Look at its process.") from None
                if not waited:
                    progress("Waiting for another build of the guest image", 0.0)
                waited = True
                time.sleep(0.2)
        yield waited


def _made_meanwhile(home: Path, began: float) -> Image | None:
    """Return the image that another builder finished while we waited for it, if it did."""
    with contextlib.suppress(HostError, OSError):
        if (home / f"current-{platform.machine()}").lstat().st_mtime >= began:
            return load()
    return None


@contextlib.contextmanager
def _full_disk_explained(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        remedy = f"Free some {ROOM >> 20} MiB, or set LABKIT_CACHE to a directory on another disk."
        raise HostError(f"The disk that holds {home} is full.", remedy) from error
