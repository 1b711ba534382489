"""Make the lessons from their sources: ``python -m labkit.course.rebuild [NN ...] [--check]``.

A source is ``notebooks/source/NN-name.md``, Markdown with code between fences, as jupytext reads it. It is run
from top to bottom as somebody who has answered nothing, and kept as ``notebooks/NN-name.ipynb`` with its
outputs. What differs from run to run without meaning anything is left out: widget models, times, the
Python version. The same source gives the same cell ids.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.course.edition import lessons_folder
from labkit.course.safe_file import write_atomically
from labkit.course.showing import WIDGET_VIEW

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["check", "main", "rebuild", "sources"]

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_CELL_SECONDS = 600
_TAGS_KEPT = "tags"


def sources(folder: Path, numbers: Sequence[str] = ()) -> list[Path]:
    """The lessons' sources, all or those of some numbers.

    Raises
    ------
    FileNotFoundError
        Where a number has no source.
    """
    found = sorted((folder / "source").glob("[0-9][0-9]-*.md"))
    missing = set(numbers) - {path.name[:2] for path in found}
    if missing:
        raise FileNotFoundError(f"there is no source of lesson {', '.join(sorted(missing))} in {folder / 'source'}.")
    return [path for path in found if not numbers or path.name[:2] in numbers]


def unrun(source: Path) -> NotebookNode:
    """A lesson as its source has it: cells with stable ids and nothing but their tags, no outputs."""
    import jupytext

    notebook = jupytext.read(source, fmt="md")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata.clear()
    notebook.metadata.update({"kernelspec": dict(KERNEL), "language_info": {"name": "python"}})
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in (_TAGS_KEPT,) if cell.metadata.get(key)}
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return notebook


def run(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run a lesson in place, as somebody who has answered nothing, and tidy its outputs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        Where a cell fails.
    """
    from nbclient import NotebookClient

    environment = {**os.environ, "LABKIT_PROGRESS": "memory"}
    client = NotebookClient(
        notebook,
        timeout=_CELL_SECONDS,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute(env=environment)
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata.pop("widgets", None)
    code = (cell for cell in notebook.cells if cell.cell_type == "code")
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
        cell.outputs = [_tidied(output, count) for output in cell.outputs]
    return notebook


def _tidied(output: dict[str, Any], count: int) -> dict[str, Any]:
    """An output without what is new in every run; nbval does not look at it either."""
    if "data" in output:
        output["data"].pop(WIDGET_VIEW, None)
        output["metadata"] = {}
    if "execution_count" in output:
        output["execution_count"] = count
    return output


def rebuild(folder: Path | None = None, numbers: Sequence[str] = (), say: Callable[[str], None] = print) -> list[Path]:
    """Make the lessons anew.

    Parameters
    ----------
    folder : Path, optional
        Where the lessons are; this checkout's where not given.
    numbers : sequence of str
        Which; all where empty.
    say : callable
        Told what is being done.

    Returns
    -------
    list of Path
        The notebooks.
    """
    import nbformat

    folder = folder or lessons_folder()
    made = []
    for source in sources(folder, numbers):
        say(f"running {source.stem} …")
        notebook = run(unrun(source), folder)
        target = folder / f"{source.stem}.ipynb"
        write_atomically(target, nbformat.writes(notebook).encode() + b"\n")
        made.append(target)
    return made


def _cells(notebook: NotebookNode) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [(cell.id, cell.cell_type, cell.source, tuple(cell.metadata.get("tags", ()))) for cell in notebook.cells]


def check(folder: Path | None = None, numbers: Sequence[str] = ()) -> list[str]:
    """What is wrong between the sources and the notebooks made from them; empty where all is well.

    Parameters
    ----------
    folder : Path, optional
        Where the lessons are; this checkout's where not given.
    numbers : sequence of str
        Which; all where empty.
    """
    import nbformat

    folder = folder or lessons_folder()
    wrong = []
    chosen = sources(folder, numbers)
    for source in chosen:
        target = folder / f"{source.stem}.ipynb"
        if not target.is_file():
            wrong.append(f"{target.name} is missing")
            continue
        notebook = nbformat.read(target, as_version=4)
        if _cells(notebook) != _cells(unrun(source)):
            wrong.append(f"{target.name} is not what {source.name} makes")
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        if any(cell.execution_count is None for cell in code):
            wrong.append(f"{target.name} has cells that were not run")
        if re.search(r'"(widgets|model_id)":', target.read_text(encoding="utf-8")):
            wrong.append(f"{target.name} holds widget state")
    if not numbers:
        made = {source.stem for source in chosen}
        strays = [path.name for path in folder.glob("[0-9][0-9]-*.ipynb") if path.stem not in made]
        wrong += [f"{name} has no source" for name in sorted(strays)]
    return wrong


def rebuild_bundle() -> int:
    """Bundle the live views' JavaScript again where there is npm; returns npm's exit code, 0 where it is not there."""
    import shutil

    import labkit

    folder, npm = Path(labkit.__file__).parent / "views" / "js", shutil.which("npm")
    if npm is None or not (folder / "package.json").is_file():
        return 0
    return subprocess.run([npm, "run", "build"], cwd=folder, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 where all is done or as it should be, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="course rebuild", description="Make the lessons from their sources.")
    parser.add_argument("lessons", nargs="*", metavar="NN", help="which lessons; all where none is named")
    parser.add_argument("--check", action="store_true", help="only say whether the notebooks are what the sources make")
    parser.add_argument("--bundle", action="store_true", help="also bundle the live views' JavaScript (npm)")
    options = parser.parse_args(arguments)
    try:
        if options.bundle and rebuild_bundle():
            return 1
        if not options.check:
            rebuild(numbers=options.lessons)
        wrong = check(numbers=options.lessons)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
