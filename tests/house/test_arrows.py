"""The rooms' arrows run one way: who may know of whom, read from the source."""

import subprocess
import sys
from pathlib import Path

import pytest
import simpy

from .tree import TOP, imports, name, python_files

# For each room, what of labkit it may import. `labkit` alone is the front door: `simulated`, `live`, `CpuLoad`.
MAY_KNOW = {
    "host": set(),
    "model": {"host"},
    "live": {"host"},
    "experiments": {"host"},
    "products": set(),
    "views": {"host", "experiments", "front door", "products"},
    "course": {"host", "experiments", "front door", "products", "views"},
}
FRONT_DOOR = {"simulated", "CpuLoad", "HostError", "MemoryLoad", "RequestLoad", "__version__"}
DRAWING = {"matplotlib", "ipywidgets", "anywidget", "IPython", "traitlets"}
BROUGHT_ALONG = {
    "host": set(),
    "model": {"simpy"},
    "experiments": set(),
    "products": set(),
    "live": {"libvirt", "libvirt_qemu", "platformdirs", "psutil"},
}


def files_of(room):
    path = f"labkit/{room}"
    return python_files(path if room.endswith(".py") else f"{path}/")


def known(module):
    """The room that a module of ours is in."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] in FRONT_DOOR and len(parts) == 2:
        return "front door"
    return parts[1]


@pytest.mark.parametrize("room", MAY_KNOW)
def test_arrows_run_one_way(room):
    files = files_of(room)
    assert files
    wrong = [
        f"{name(path)} imports {module}"
        for path in files
        for module, _at_once in imports(path)
        if module.split(".")[0] == "labkit" and known(module) not in MAY_KNOW[room] | {room.removesuffix(".py")}
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ["host", "model", "live", "experiments", "products"])
def test_what_runs_machines_never_draws(room):
    wrong = [f"{name(path)}: {m}" for path in files_of(room) for m, _ in imports(path) if m.split(".")[0] in DRAWING]
    assert wrong == []


@pytest.mark.parametrize("room", BROUGHT_ALONG)
def test_what_is_brought_along(room):
    standard = set(sys.stdlib_module_names) | {"labkit"}
    met = {module.split(".")[0] for path in files_of(room) for module, _ in imports(path)}
    assert met - standard <= BROUGHT_ALONG[room]


def test_libvirt_is_imported_late_and_in_one_room():
    wrong = [
        f"{name(path)}: {module}"
        for path in python_files("labkit/")
        for module, at_once in imports(path)
        if module.startswith("libvirt") and (at_once or not name(path).startswith("labkit/live/"))
    ]
    assert wrong == []


def test_importing_labkit_brings_nothing_that_pyodide_lacks():
    """`threading` comes with SimPy, which asks importlib.metadata for its version; nobody starts a thread."""
    lacking = ("numpy", "matplotlib", "pandas", "libvirt", "psutil", "ipywidgets", "subprocess", "multiprocessing")
    paths = [str(TOP), str(Path(simpy.__file__).parents[1])]
    for statement, also in (("import labkit", ("threading", "simpy")), ("import labkit.model", ())):
        code = f"import sys; sys.path += {paths!r}; old = set(sys.modules); {statement}; print(*set(sys.modules) - old)"
        done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
        assert set(done.stdout.split()) & {*lacking, *also} == set()
