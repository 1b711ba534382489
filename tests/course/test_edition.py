"""Handing out the lessons: what a learner wrote stays theirs."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from labkit.course.edition import course_folder, learner_copy
from labkit.course.progress import MARKER, Progress


def lesson(folder, name="02-cpu.ipynb", words="Look at this."):
    notebook = new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    notebook.cells = [
        new_markdown_cell(words, id="a"),
        new_code_cell("1 + 1", id="b", execution_count=1, outputs=[new_output("stream", text="2")]),
        new_markdown_cell("For the teacher.", id="c", metadata={"tags": ["instructor"]}),
    ]
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, folder / name)
    return folder / name


@pytest.fixture
def source(tmp_path):
    lesson(tmp_path / "notebooks", "00-start.ipynb")
    return lesson(tmp_path / "notebooks").parent


def sources(path):
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


def test_a_learners_copy(source, tmp_path):
    target = tmp_path / "deep" / "copy"
    delivery = learner_copy(source, target)
    assert delivery.new == ["00-start.ipynb", "02-cpu.ipynb"]
    notebook = nbformat.read(target / "02-cpu.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.source for cell in notebook.cells] == ["Look at this.", "1 + 1"]
    assert notebook.cells[1].outputs == [] and notebook.cells[1].execution_count is None
    assert notebook.metadata.kernelspec.name == "python3"
    assert Progress.find(target, environ={}).path == target / "progress.json"


def test_twice_is_once(source, tmp_path):
    target = tmp_path / "copy"
    learner_copy(source, target)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in target.iterdir()}
    again = learner_copy(source, target)
    assert (again.new, again.renewed, again.beside) == ([], [], [])
    assert "up to date" in str(again)
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in target.iterdir()}


def test_an_update_of_what_the_learner_changed_lies_beside_it(source, tmp_path):
    target = tmp_path / "copy"
    learner_copy(source, target)
    mine = target / "02-cpu.ipynb"
    mine.write_bytes(mine.read_bytes().replace(b"1 + 1", b"1 + 2"))
    kept = mine.read_bytes()
    assert learner_copy(source, target).beside == []
    for words in ("New words.", "Newer words."):
        lesson(source, words=words)
        delivery = learner_copy(source, target)
        assert mine.read_bytes() == kept
        (beside,) = delivery.beside
        assert beside.parts[-3] == "updates" and sources(beside)[0] == words
        assert "Yours is as you left it" in str(delivery)
        assert learner_copy(source, target).beside == []
    assert len(list((target / "updates").rglob("*.ipynb"))) == 2
    mine.unlink()
    assert learner_copy(source, target).new == ["02-cpu.ipynb"]


def test_an_untouched_lesson_is_renewed(source, tmp_path):
    target = tmp_path / "copy"
    learner_copy(source, target)
    lesson(source, words="New words.")
    assert learner_copy(source, target).renewed == ["02-cpu.ipynb"]
    assert sources(target / "02-cpu.ipynb")[0] == "New words."


@pytest.mark.parametrize("content", [b"", b"[]", b'{"lessons": 3}'])
def test_a_marker_that_says_nothing_means_hands_off(source, tmp_path, content):
    target = tmp_path / "copy"
    learner_copy(source, target)
    (target / MARKER).write_bytes(content)
    kept = (target / "02-cpu.ipynb").read_bytes()
    lesson(source, words="New words.")
    assert len(learner_copy(source, target).beside) == 1
    assert (target / "02-cpu.ipynb").read_bytes() == kept
    assert json.loads((target / MARKER).read_text())["lessons"]


def test_the_instructors_edition(source, tmp_path):
    learner_copy(source, tmp_path / "copy", "instructor")
    assert "For the teacher." in sources(tmp_path / "copy" / "02-cpu.ipynb")


def test_what_cannot_be(source, tmp_path):
    with pytest.raises(ValueError):
        learner_copy(source, tmp_path / "copy", "pirate")
    with pytest.raises(ValueError):
        learner_copy(source, source)
    with pytest.raises(FileNotFoundError):
        learner_copy(tmp_path, tmp_path / "copy")


def test_where_the_copy_lies(tmp_path):
    assert course_folder({"LABKIT_COURSE_DIR": str(tmp_path)}) == tmp_path
    assert course_folder({}).name == "labkit-course"
