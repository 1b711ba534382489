"""Every lesson has what makes it one. What is counted is listed in DESIGN.md, "A lesson".

Lesson 00 says how lessons work and has no core experiment, so less is asked of it: one prediction, one
exercise, ten cells; no explorations, no table of products, and as many questions as it likes.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from counting import MACHINE_PATH, Counted

from labkit.course.edition import INSTRUCTOR_TAG
from labkit.course.rebuild import check

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("[0-9][0-9]-*.ipynb"))
PRODUCTS = ("ESXi", "Hyper-V", "KVM", "Workstation", "VirtualBox", "Parallels")
LONGEST_CELL = 8
LONGEST_SECTION = 4  # cells of a section under "Go further"
SECTION_MINUTES = re.compile(r"\b[Aa]bout (\d+) minutes, optional\b")


@dataclass(frozen=True)
class Asked:
    minutes: range = range(25, 46)
    predictions: int = 2
    explorations: int = 3
    questions: int = 6
    cells: range = range(20, 41)
    products: tuple = PRODUCTS


START_HERE = Asked(range(10, 46), 1, 0, 0, range(10, 41), ())


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return Counted(request.param)


@pytest.fixture
def asked(lesson):
    return START_HERE if lesson.number == "00" else Asked()


def test_there_are_lessons():
    assert {"00", "02"} <= {path.name[:2] for path in LESSONS}


def test_notebooks_are_what_their_sources_make():
    assert check(NOTEBOOKS) == []


def test_minutes_are_stated(lesson, asked):
    assert lesson.minutes in asked.minutes


def test_cells(lesson, asked):
    core, _, _ = lesson.parts
    assert len(core) in asked.cells
    long = [
        cell.source for cell in lesson.code if len([x for x in cell.source.splitlines() if x.strip()]) > LONGEST_CELL
    ]
    assert not long


def test_sections_that_go_further_are_short_and_say_so(lesson):
    _, head, sections = lesson.parts
    assert {title: len(cells) for title, cells in sections.items() if len(cells) > LONGEST_SECTION} == {}
    assert len(head) <= 1
    if head and not sections:
        raise AssertionError("a heading with nothing under it")
    for title, cells in sections.items():
        minutes = SECTION_MINUTES.search(cells[0].source)
        assert minutes and 1 <= int(minutes[1]) <= 10, f"{title!r} does not say how many minutes it takes"
        assert any(cell.cell_type == "code" for cell in cells), f"{title!r} has nothing to run"


def test_predictions_are_asked_and_resolved(lesson, asked):
    names = lesson.names("predict")
    assert len(set(names)) == len(names) >= asked.predictions
    assert set(names) == set(lesson.names("reveal"))


def test_explorations_are_numbered(lesson, asked):
    assert lesson.explorations == list(range(1, len(lesson.explorations) + 1))
    assert len(lesson.explorations) >= asked.explorations


def test_exercises_are_checked_and_have_hints(lesson):
    assert lesson.hints
    assert min(lesson.hints.values()) >= 3
    assert len(lesson.calls("check")) >= len(lesson.hints)
    for name in lesson.hints:
        assert len(lesson.content.exercises[name].values) >= 2, f"the values of {name} do not vary by learner"


def test_questions_explain_wrong_answers(lesson, asked):
    assert lesson.explained_questions >= asked.questions
    if asked.questions:
        assert lesson.explained_questions == len(lesson.content.questions)


def test_the_products_words(lesson, asked):
    assert [name for name in asked.products if name not in lesson.prose] == []


def test_there_is_an_instructors_cell(lesson):
    tagged = [cell for cell in lesson.notebook.cells if INSTRUCTOR_TAG in cell.metadata.get("tags", ())]
    assert tagged and all(cell.cell_type == "markdown" for cell in tagged)


def test_every_cell_was_run_in_order(lesson):
    assert [cell.execution_count for cell in lesson.code] == list(range(1, len(lesson.code) + 1))


def test_nothing_went_wrong_in_them(lesson):
    wrong = [o for _, o in lesson.outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert wrong == []


def test_it_opens_without_a_question(lesson):
    assert lesson.notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in lesson.notebook.metadata


def test_nothing_of_one_machine_is_in_it(lesson):
    texts = [cell.source for cell in lesson.code] + [str(output) for _, output in lesson.outputs]
    assert [found[0] for text in texts if (found := MACHINE_PATH.search(text))] == []


def test_every_output_has_a_text_twin(lesson):
    for source, output in lesson.outputs:
        if "data" in output:
            text = output["data"].get("text/plain", "")
            assert text.strip() and not text.startswith("<"), source
            assert "image/png" not in output["data"], "Lab ignores the words of an image: draw inline SVG"


def test_every_picture_has_words(lesson):
    assert lesson.unnamed_pictures == []
