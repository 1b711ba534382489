"""Notebooks are made from their sources, and the check sees when they are not."""

import nbformat
import pytest

from labkit.course.rebuild import check, main, rebuild, sources

SOURCE = """# A lesson

About 5 minutes.

```python
from labkit.course import lesson

here = lesson("77")
```

Text.

```python tags=["nbval-ignore-output"]
here.predict("first", "What?")
```

<!-- #region tags=["instructor"] -->
For the teacher.
<!-- #endregion -->
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "77-tried.md").write_text(SOURCE)
    return tmp_path


def test_a_notebook_is_made_and_made_the_same_again(folder, monkeypatch):
    monkeypatch.setenv("LABKIT_PROGRESS", str(folder / "must-not-appear.json"))
    assert check(folder) == ["77-tried.ipynb is missing"]
    (made,) = rebuild(folder, say=lambda _: None)
    first = made.read_bytes()
    assert check(folder) == []
    notebook = nbformat.read(made, as_version=4)
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "markdown", "code", "markdown"]
    assert notebook.cells[-1].metadata.tags == ["instructor"]
    assert notebook.cells[3].metadata.tags == ["nbval-ignore-output"]
    assert "Not answered yet" in notebook.cells[3].outputs[0]["data"]["text/plain"]
    assert notebook.cells[3].execution_count == 2
    assert not (folder / "must-not-appear.json").exists()
    rebuild(folder, ["77"], say=lambda _: None)
    assert made.read_bytes() == first

    (folder / "source" / "77-tried.md").write_text(SOURCE.replace("Text.", "Other text."))
    assert check(folder) == ["77-tried.ipynb is not what 77-tried.md makes"]
    (folder / "78-stray.ipynb").write_bytes(first)
    assert "78-stray.ipynb has no source" in check(folder)


def test_a_lesson_that_is_not_there(folder, capsys):
    with pytest.raises(FileNotFoundError):
        sources(folder, ["99"])
    assert main(["99", "--check"]) == 2
    assert "99" in capsys.readouterr().err
