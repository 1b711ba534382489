"""A JupyterLab of its own, on loopback, for as long as a measurement or a test takes.

It has a configuration, data and runtime folder of its own, asks nobody for news, and opens no browser. The same goes
for the Chromium that looks at it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["Lab", "chromium", "jupyterlab"]

_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# No dialog about news, and nothing that looks for a newer version.
_OFF = ("@jupyterlab/apputils-extension:announcements", "@jupyterlab/extensionmanager-extension")


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab.

    Parameters
    ----------
    port : int
        Where it listens, on 127.0.0.1.
    token : str
        What opens it.
    folder : Path
        The folder of notebooks that it shows.
    """

    port: int
    token: str
    folder: Path

    def address(self, notebook: str) -> str:
        """The address that opens a notebook of the folder, and nothing that was open before."""
        return f"http://127.0.0.1:{self.port}/lab/tree/{notebook}?reset&token={self.token}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(lab: Lab) -> bool:
    try:
        request = urllib.request.Request(
            f"http://127.0.0.1:{lab.port}/api/status", headers={"Authorization": f"token {lab.token}"}
        )
        with urllib.request.urlopen(request, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def jupyterlab(folder: Path, own: Path, environment: Mapping[str, str] | None = None) -> Iterator[Lab]:
    """Run JupyterLab on a folder of notebooks, and end it with all its kernels.

    Parameters
    ----------
    folder : Path
        The notebooks.
    own : Path
        An empty folder for its configuration, data and log.
    environment : mapping of str to str, optional
        Variables for the server and its kernels, on top of this process's own.
    """
    config = own / "config"
    (config / "labconfig").mkdir(parents=True)
    page = {"disabledExtensions": dict.fromkeys(_OFF, True)}
    (config / "labconfig" / "page_config.json").write_text(json.dumps(page))
    variables = {**os.environ, "JUPYTER_CONFIG_DIR": str(config), "JUPYTER_DATA_DIR": str(own / "data")}
    variables |= {"JUPYTER_RUNTIME_DIR": str(own / "runtime"), "IPYTHONDIR": str(own / "ipython")}
    variables |= {"JUPYTERLAB_SETTINGS_DIR": str(own / "settings")}
    variables |= {"JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"), **(environment or {})}
    lab = Lab(_free_port(), secrets.token_hex(16), folder)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={lab.port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={lab.token}", f"--ServerApp.root_dir={folder}"]
    command += ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += ["--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with (own / "jupyterlab.log").open("w") as log:
        server = subprocess.Popen(command, env=variables, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            deadline = time.monotonic() + 60
            while not _answers(lab):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"JupyterLab did not start:\n{(own / 'jupyterlab.log').read_text()[-2000:]}")
                time.sleep(0.2)
            yield lab
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium that calls nobody: the one on the PATH, else Playwright's own."""
    from playwright.sync_api import sync_playwright

    found = next((path for name in _CHROMIUMS if (path := shutil.which(name))), None)
    arguments = [*_QUIET, "--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else list(_QUIET)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
