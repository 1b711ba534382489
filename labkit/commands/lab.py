"""`labkit open`: JupyterLab on the learner's own copy of the course.

It listens on this machine alone and asks for its token. Nothing is fetched from outside. What Jupyter
keeps (settings, history, run-time files) goes to labkit's cache, not among the person's own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import signal
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from labkit.commands import Answer, UsageError, tell
from labkit.commands.learner import handed_out

__all__ = ["find_lesson", "keep_to_our_places", "open_lab"]

_POWERSHELL = "powershell.exe -NoProfile -Command Start-Process %s"


def find_lesson(folder: Path, wanted: str | None) -> str:
    """The notebook's name for a lesson such as ``2``, ``02`` or ``02-vcpu-allocation``; empty where none is wanted.

    Raises
    ------
    UsageError
        Where there is no such lesson, listing those there are.
    """
    if not wanted:
        return ""
    names = sorted(file.name for file in folder.glob("[0-9][0-9]-*.ipynb"))
    asked = wanted.removesuffix(".ipynb")
    if asked.isascii() and asked.isdigit():
        asked = f"{asked.lstrip('0'):0>2}-"
    for name in names:
        if name.startswith(asked):
            return name
    listed = ", ".join(name.removesuffix(".ipynb") for name in names) or "none yet"
    raise UsageError(
        f"there is no lesson {wanted!r:.60}; there are: {listed}.", "A number does, as in 'labkit open 02'."
    )


def _browser(environment: Mapping[str, str]) -> str | None:
    """The command that opens a browser here; empty for the system's default, None where there is no screen."""
    if "WSL_DISTRO_NAME" in environment:
        if shutil.which("wslview"):
            return "wslview %s"
        return _POWERSHELL if shutil.which("powershell.exe") else None
    screen = sys.platform == "darwin" or environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    return "" if screen and shutil.which("open" if sys.platform == "darwin" else "xdg-open") else None


def keep_to_our_places() -> None:
    """Let Jupyter, IPython and matplotlib keep their files in labkit's cache, unless the person has named places."""
    from labkit.live.places import cache_root

    home = cache_root() / "jupyter"
    if "JUPYTER_CONFIG_DIR" not in os.environ:
        # Or Lab's first words to a learner would be a question about Jupyter's news.
        page = home / "config" / "labconfig" / "page_config.json"
        page.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        page.write_text(json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}))
    for name, folder in (
        ("JUPYTER_CONFIG_DIR", "config"),
        ("JUPYTER_DATA_DIR", "data"),
        ("JUPYTER_RUNTIME_DIR", "run"),
        ("IPYTHONDIR", "ipython"),
        ("MPLCONFIGDIR", "matplotlib"),
    ):
        if name not in os.environ:
            (home / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            os.environ[name] = str(home / folder)


def workspaces(folder: Path) -> Path:
    """Where JupyterLab keeps which tabs were open: a place of its own for each course directory.

    Else the tabs of another course of the same person, and the kernels behind them, would come along.
    """
    from labkit.live.places import cache_root

    if named := os.environ.get("JUPYTERLAB_WORKSPACES_DIR"):
        return Path(named)
    which = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    return cache_root() / "jupyter" / "workspaces" / which


def open_lab(args: Namespace) -> Answer:
    """Start JupyterLab and say where it is."""
    delivery = handed_out(args.copy)
    tell(str(delivery))
    folder = delivery.folder
    lesson = find_lesson(folder, args.lesson)
    keep_to_our_places()
    tell("Starting JupyterLab ...")
    from jupyterlab.labapp import LabApp
    from traitlets.config import Config

    command = None if args.no_browser else _browser(os.environ)
    page = f"/lab/tree/{lesson}" if lesson else "/lab"
    settings = Config()
    settings.ServerApp.update(
        {
            "ip": "127.0.0.1",
            "port": args.port,
            "port_retries": 100,
            "root_dir": str(folder),
            "allow_root": os.geteuid() == 0,
            "open_browser": command is not None,
        }
    )
    if command:
        settings.ServerApp.update({"browser": command, "use_redirect_file": False})
    settings.Application.log_level = "ERROR"
    settings.LabApp.update(
        {
            "default_url": page,
            "workspaces_dir": str(workspaces(folder)),
            "news_url": None,
            "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
            "extension_manager": "readonly",
        }
    )
    server = LabApp.initialize_server(argv=[], config=settings)
    address = f"http://127.0.0.1:{server.port}{page}?token={server.identity_provider.token}"
    text = f"\nThe course is at\n\n    {address}\n\nYour copy of it lies in {folder}. Ctrl-C here ends it.\n"
    server.log.addFilter(_says_no_address)
    for ending in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        # Jupyter asks whether it is meant, or, without a terminal, leaves its kernels running. Here it ends them.
        signal.signal(ending, lambda *_: server.stop(from_signal=True))
    return Answer({"address": address, "folder": str(folder), "lesson": lesson}, lambda: text, then=server.start)


def _says_no_address(record: logging.LogRecord) -> bool:
    """Jupyter's own note of the address, which we have given already, is left out."""
    return "To access the server" not in str(record.msg)
