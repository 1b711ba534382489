"""What `import labkit.model` brings along. It must work in Pyodide, where much does not."""

import subprocess
import sys
from pathlib import Path

import simpy

import labkit

FORBIDDEN = {"numpy", "matplotlib", "pandas", "libvirt", "threading", "subprocess", "multiprocessing", "asyncio"}


def newly_imported(statement: str) -> set[str]:
    """The modules that a statement imports into a bare Python, without what site-packages hooks in at its start."""
    paths = [str(Path(module.__file__).parents[1]) for module in (labkit, simpy)]
    code = (
        f"import sys; sys.path += {paths!r}; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_model_brings_nothing_that_pyodide_lacks():
    # Rules name the classes that play by them, and these are imported with the first host that has such rules.
    new = newly_imported("import labkit.model as model; [model.simulated(1, rules=name) for name in model.RULES]")
    assert "labkit.model.cpu" in new
    # simpy asks importlib.metadata for its version, which drags in `threading` by way of `email`. Pyodide has that
    # module; it cannot start a thread, and nobody here does.
    assert FORBIDDEN & new <= {"threading"}
    assert FORBIDDEN & (new - newly_imported("import simpy")) == set()


def test_of_ours_the_model_knows_the_protocol_alone():
    ours = {name for name in newly_imported("import labkit.model") if name.split(".")[0] == "labkit"}
    rooms = {".".join(name.split(".")[:2]) for name in ours}
    assert rooms == {"labkit", "labkit.host", "labkit.model"}
