"""The bundle in `static/` is what esbuild makes of the source in `js/src`, and asks nothing of any server."""

import re
import subprocess
from pathlib import Path

import pytest

VIEWS = Path(__file__).parents[2] / "labkit" / "views"
JS = VIEWS / "js"


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    if not all((JS / "node_modules" / name).is_dir() for name in ("esbuild", "@xterm/xterm")):
        subprocess.run(["npm", "ci"], cwd=JS, check=True, timeout=240)
    into = tmp_path_factory.mktemp("static")
    subprocess.run(["node", "build.mjs", str(into)], cwd=JS, check=True, timeout=60)
    return into


@pytest.mark.parametrize("name", ["hostview.js", "hostview.css", "console.js", "console.css"])
def test_bundle_and_source_match(rebuilt, name):
    assert (rebuilt / name).read_bytes() == (VIEWS / "static" / name).read_bytes(), "run `npm run build` in views/js"


@pytest.mark.parametrize("name", ["hostview.js", "hostview.css"])
def test_no_address_outside(name):
    text = (VIEWS / "static" / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://|//[a-z]|@import|\bfetch\(|XMLHttpRequest|WebSocket", text)
    assert len(text) < 60_000


def test_the_lock_file_names_no_registry():
    assert '"resolved"' not in (JS / "package-lock.json").read_text()
