"""The files that are kept of this repository, and what each Python file imports."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def kept() -> list[Path]:
    """Every file that git keeps or would keep; without git, whatever is not made by a program."""
    listing = ["git", "-C", str(TOP), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listing, capture_output=True, check=True).stdout.decode().split("\0")
        files = [TOP / name for name in names if name]
    except (OSError, subprocess.CalledProcessError):
        made = {".venv", ".git", "node_modules", "__pycache__", "build", "dist", "test-artefacts"}
        files = [path for path in TOP.rglob("*") if not made & set(path.relative_to(TOP).parts)]
    return sorted(path for path in files if path.is_file())


def name(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


def python_files(*below: str) -> list[Path]:
    return [path for path in kept() if path.suffix == ".py" and name(path).startswith(below)]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Each module that a file imports, and whether it does so at once (not inside a function, nor for types alone)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = list(path.relative_to(TOP).parent.parts)
    yield from _imports(tree.body, package, at_once=True)


def _imports(body: list[ast.stmt], package: list[str], at_once: bool) -> Iterator[tuple[str, bool]]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module, at_once
            if module == "labkit":
                yield from ((f"labkit.{alias.name}", at_once) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        else:
            inside = at_once and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            for part in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from _imports(getattr(node, part, []), package, inside)
