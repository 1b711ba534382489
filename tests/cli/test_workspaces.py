"""Which tabs were open belongs to one course directory, and does not follow the person into another."""

from types import SimpleNamespace

import pytest
from jupyterlab.labapp import LabApp

from labkit.commands.lab import open_lab, workspaces
from labkit.live.places import cache_root


class Begun(Exception):  # noqa: N818 - not an error: JupyterLab would begin now
    pass


def opened(monkeypatch, folder):
    """Where JupyterLab would keep the tabs, had it begun on a course directory."""
    seen = []

    def begin(argv, config):
        seen.append(config.LabApp.workspaces_dir)
        raise Begun

    monkeypatch.setenv("LABKIT_COURSE_DIR", str(folder))
    monkeypatch.setattr(LabApp, "initialize_server", begin)
    with pytest.raises(Begun):
        open_lab(SimpleNamespace(copy=None, lesson=None, no_browser=True, port=8888))
    return seen[0]


def test_each_course_directory_has_its_own(tmp_path, monkeypatch):
    monkeypatch.delenv("JUPYTERLAB_WORKSPACES_DIR", raising=False)
    one, other = (opened(monkeypatch, tmp_path / name) for name in ("one", "other"))
    assert one != other and opened(monkeypatch, tmp_path / "other" / ".." / "one") == one
    assert one.startswith(str(cache_root()))


def test_a_place_that_somebody_has_named_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTERLAB_WORKSPACES_DIR", str(tmp_path / "mine"))
    assert workspaces(tmp_path / "one") == tmp_path / "mine"
