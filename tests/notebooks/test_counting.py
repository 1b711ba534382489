"""The counting sees what is missing."""

import nbformat
import pytest
from counting import Counted
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output


@pytest.fixture
def read(tmp_path):
    def read(*cells, number="02"):
        path = tmp_path / f"{number}-tried.ipynb"
        nbformat.write(new_notebook(cells=list(cells)), path)
        return Counted(path)

    return read


def test_an_empty_lesson_has_nothing(read):
    counted = read()
    assert counted.minutes is None
    assert (counted.explorations, counted.hints, counted.explained_questions) == ([], {}, 0)


def test_calls_are_read_not_words(read):
    counted = read(
        new_markdown_cell("About 40 minutes.\n\n**Explore 1.** Move it.\n\nSee **Explore 7.** and here.predict(1)"),
        new_code_cell('# here.predict("no")\nhere.predict("first", "?")\nhere.quiz()\n%time x'),
        new_code_cell('task = here.exercise("a", hints=["1", "2"])\nother = here.exercise("three-machines")'),
    )
    assert counted.minutes == 40
    assert counted.explorations == [1]
    assert counted.names("predict") == ["first"]
    assert counted.hints == {"a": 2, "three-machines": 4}
    assert counted.explained_questions >= 6


def test_pictures_without_words_are_found(read):
    page = "<svg width='1'></svg><svg role='img' aria-label='Bars'></svg><img src='x'><svg aria-hidden='true'></svg>"
    counted = read(
        new_markdown_cell("![](a.png) ![a cat](b.png)"),
        new_code_cell("x", outputs=[new_output("display_data", data={"text/html": page})]),
    )
    assert len(counted.unnamed_pictures) == 3


def test_what_goes_further_is_counted_apart(read):
    counted = read(
        new_markdown_cell("# Lesson"),
        new_code_cell("1"),
        new_markdown_cell("## Summary"),
        new_markdown_cell("## Go further"),
        new_markdown_cell("### One\n\n*About 8 minutes, optional.*"),
        new_code_cell("2"),
        new_markdown_cell("and read it"),
        new_markdown_cell("### Two"),
        new_code_cell("### not a heading"),
        new_markdown_cell("## For the instructor"),
    )
    core, head, sections = counted.parts
    assert [cell.source for cell in core] == ["# Lesson", "1", "## Summary", "## For the instructor"]
    assert len(head) == 1
    assert {title: len(cells) for title, cells in sections.items()} == {"One": 3, "Two": 2}
