"""Whatever happens to the disk, the clock, the browser or the kernel next door: no answer is lost, and one is told."""

import errno
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labkit.course import progress as progresses
from labkit.course import safe_file
from labkit.course.content import Option, Question
from labkit.course.predict import Asked, Prediction
from labkit.course.progress import Progress
from labkit.course.quiz import Quiz
from labkit.course.reveal import Reveal
from labkit.host import HostError

ASKED = Asked("How much?", "CPU", 0.0, 1.0)
QUESTION = Question("q", "Which?", (Option("this", "It is this.", True), Option("that", "It is not that.")), "")


def prediction(progress, name="first"):
    return Prediction(progress, "02", name, ASKED)


# A disk that fills


@pytest.fixture
def full_disk(monkeypatch):
    """Writing to any file descriptor fails, until `full_disk()` is called."""

    def fail(_handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(safe_file.os, "fsync", fail)
    return monkeypatch.undo


def test_a_full_disk_is_told_where_one_answers_and_the_answers_are_kept(tmp_path, full_disk):
    progress = Progress(tmp_path / "p.json")
    form = prediction(progress)
    form.build()
    form.lock("0.5", 75, "a guess")
    told = form._form.locked
    assert "Locked." in told and "No space left on device" in told and "Make room" in told
    assert "No space left on device" in Quiz(progress, "02", [QUESTION]).answer(1, "a")
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".part", ".json")], "half a file was left"
    full_disk()
    assert progress.lesson("02")["predictions"]["first"]["value"] == 0.5
    assert Progress(progress.path).lesson("02")["predictions"]["first"]["why"] == "a guess"
    assert Progress(progress.path).lesson("02")["quiz"]["q"], "there was room again, and nothing was lost"
    assert progress.unsaved == "" and progress.notices == []


def test_a_file_that_cannot_be_read_just_now_is_not_written_over(tmp_path, monkeypatch):
    prediction(Progress(tmp_path / "p.json")).lock("0.25")
    later = Progress(tmp_path / "p.json")

    def fail(_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", fail)
        prediction(later, "second").lock("0.75")
        assert "cannot be read" in " ".join(later.notices)
    assert set(Progress(tmp_path / "p.json").lesson("02")["predictions"]) == {"first"}
    prediction(later, "third").lock("0.75")
    assert set(Progress(tmp_path / "p.json").lesson("02")["predictions"]) == {"first", "second", "third"}


# A clock that jumps


@pytest.fixture
def clock(monkeypatch):
    """Set the clock of the answers so many hours forward or back."""

    def jump(hours):
        def then():
            return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="microseconds")

        monkeypatch.setattr(progresses, "now", then)

    return jump


@pytest.mark.parametrize("hours", [-1, 1, -24 * 365 * 10])
def test_attempts_stay_in_their_order(tmp_path, clock, hours):
    progress = Progress(tmp_path / "p.json")
    quiz = Quiz(progress, "02", [QUESTION])
    wrong = next(letter for letter, option in zip("ab", QUESTION.shuffled, strict=True) if not option.right)
    quiz.answer(1, wrong)
    clock(hours)
    quiz.answer(1, "ab".replace(wrong, ""))
    for seen in (progress, Progress(progress.path)):
        assert [attempt["right"] for attempt in seen.lesson("02")["quiz"]["q"]] == [False, True]
        assert "1 of 1 answered right, 0 of them at the first try" in Quiz(seen, "02", [QUESTION]).summary()


def test_the_latest_outcome_is_kept_when_the_clock_is_set_back(tmp_path, clock):
    progress = Progress(tmp_path / "p.json")
    prediction(progress).lock("0.5")
    Reveal(progress, "02", "first", "seen", 0.1, None).refresh()
    clock(-1)
    Reveal(progress, "02", "first", "seen", 0.9, None).refresh()
    assert progress.lesson("02")["outcomes"]["first"]["values"] == {"result": 0.9}
    assert Progress(progress.path).lesson("02")["outcomes"]["first"]["values"] == {"result": 0.9}


def test_a_first_answer_stays_the_first_when_the_clock_is_set_back(tmp_path, clock):
    one, other = Progress(tmp_path / "p.json"), Progress(tmp_path / "p.json")
    prediction(one).lock("0.25")
    clock(-1)
    prediction(other).lock("0.75")
    assert one.lesson("02")["predictions"]["first"]["value"] == 0.25
    assert Progress(one.path).lesson("02")["predictions"]["first"]["value"] == 0.25


def test_a_time_that_is_none_in_the_file_stops_nothing(tmp_path):
    progress = Progress(tmp_path / "p.json")
    progress.change("02", lambda lesson: lesson["reached"].update(a="9999-12-31T23:59:59.999999+00:00", b="zzz"))
    prediction(progress).lock("0.5")
    assert Progress(progress.path).lesson("02")["predictions"]["first"]["value"] == 0.5


def test_a_part_swept_away_by_a_clock_that_jumped_is_written_again(tmp_path, monkeypatch):
    path, swept = tmp_path / "p.json", []
    real = os.fsync

    def sweep(handle):
        real(handle)
        if not swept:
            swept.extend(tmp_path.glob(".p.json-*.part"))
            swept[0].unlink()

    monkeypatch.setattr(safe_file.os, "fsync", sweep)
    safe_file.write_atomically(path, b"whole")
    assert swept and path.read_bytes() == b"whole" and not list(tmp_path.glob("*.part"))


# Two kernels

KERNEL = """
import sys
from pathlib import Path
from labkit.course.progress import Progress
from labkit.course.predict import Asked, Prediction
from labkit.course.lesson import Lesson
here, name = Lesson("02", Progress(Path(sys.argv[1]))), sys.argv[2]
quiz = here.quiz()
print("ready", flush=True)
sys.stdin.readline()
for number in range(25):
    here.predict(f"{name}{number}", "How much?").lock("0.5", 75, name)
    quiz.answer(1, "ab"[number % 2])
"""


def test_two_kernels_at_once_lose_no_answer(tmp_path):
    path = tmp_path / "p.json"
    kernels = [
        subprocess.Popen(
            [sys.executable, "-c", KERNEL, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("one", "two")
    ]
    assert [kernel.stdout.readline() for kernel in kernels] == ["ready\n", "ready\n"]
    for kernel in kernels:
        kernel.stdin.write("go\n")
        kernel.stdin.flush()
    assert [kernel.wait(60) for kernel in kernels] == [0, 0]
    kept = Progress(path).lesson("02")
    assert len(kept["predictions"]) == 50
    assert sum(map(len, kept["quiz"].values())) == 50


# Messages that no browser of ours would send

FORGED = [
    None,
    "lock",
    {},
    {"lock": None},
    {"lock": []},
    {"lock": {}},
    {"lock": {"value": None, "sure": 50, "why": ""}},
    {"lock": {"value": [[["0.5"]]], "sure": 50, "why": ""}},
    {"lock": {"value": {"a": 1}, "sure": 50, "why": ""}},
    {"lock": {"value": True, "sure": 50, "why": ""}},
    {"lock": {"value": "9" * 1_000_000, "sure": 50, "why": ""}},
    {"lock": {"value": 10**5000, "sure": 50, "why": ""}},
    {"lock": {"value": "nan", "sure": 50, "why": ""}},
    {"lock": {"value": "0.5\x00", "sure": 50, "why": ""}},
    {"lock": {"value": "0.5", "sure": [], "why": ""}},
    {"lock": {"value": "0.5", "sure": {"a": 1}, "why": ""}},
    {"lock": {"value": "0.5", "sure": "50", "why": ""}},
    {"lock": {"value": "0.5", "sure": True, "why": ""}},
    {"lock": {"value": "0.5", "sure": 51, "why": ""}},
    {"lock": {"value": "0.5", "sure": 10**5000, "why": ""}},
    {"lock": {"value": "0.5", "sure": float("nan"), "why": ""}},
    {"check": 0},
]


@pytest.mark.parametrize("content", FORGED, ids=range(len(FORGED)))
def test_forged_predictions_lock_nothing_and_the_form_says_what_it_takes(tmp_path, content):
    progress = Progress(tmp_path / "p.json")
    asked = prediction(progress)
    asked.build()
    form = asked._form
    form._on_message(form, content, [])
    assert asked.answer is None and form.locked == ""
    if isinstance(content, dict) and isinstance(content.get("lock"), dict):
        assert form.error.startswith(("Please give a number from 0", "How sure is one of 25, 50"))
        assert form.error.isprintable() and len(form.error) < 200
    asked.lock("0.5")
    assert Progress(progress.path).lesson("02")["predictions"]["first"]["value"] == 0.5


WHYS = ["half \ud800 a pair", "NUL \x00 and \x1b[31m", "\n\n two \n lines", "x" * 1_000_000, "‮right to left", "🧪 ß 漢"]


@pytest.mark.parametrize("why", WHYS, ids=range(len(WHYS)))
def test_any_reason_is_kept_in_one_line(tmp_path, why):
    progress = Progress(tmp_path / "p.json")
    asked = prediction(progress)
    asked.build()
    asked._form._on_message(asked._form, {"lock": {"value": "0,5", "sure": 50, "why": why}}, [])
    kept = Progress(progress.path).lesson("02")["predictions"]["first"]
    assert kept["value"] == 0.5 and len(kept["why"]) <= 200 and not set("\n\x00\x1b\ud800") & set(kept["why"])
    assert asked._form.locked.encode()


def test_half_a_character_anywhere_in_the_record_does_not_stop_the_writing(tmp_path):
    progress = Progress(tmp_path / "p.json")
    progress.change("02", lambda lesson: lesson["exercises"].update(e={"hints": 1, "said": "half \udcff of one"}))
    prediction(progress).lock("0.5")
    json.loads(progress.path.read_bytes().decode())
    assert Progress(progress.path).lesson("02")["exercises"]["e"]["said"] == "half \udcff of one"


@pytest.mark.parametrize("chosen", [True, -1, 2, 10**30, 0.0, "0", None, [0], {"0": 0}])
def test_forged_answers_to_a_question_count_for_nothing(tmp_path, chosen):
    progress = Progress(tmp_path / "p.json")
    quiz = Quiz(progress, "02", [QUESTION])
    form = next(child for child in quiz.build().children if hasattr(child, "answered"))
    form._on_message(form, {"check": chosen}, [])
    assert progress.lesson("02")["quiz"] == {} and form.answered == {}


def test_a_flood_of_answers_keeps_the_last_hundred_in_order(tmp_path):
    progress = Progress(tmp_path / "p.json")
    quiz = Quiz(progress, "02", [QUESTION])
    form = next(child for child in quiz.build().children if hasattr(child, "answered"))
    for number in range(120):
        form._on_message(form, {"check": number % 2}, [])
    kept = Progress(progress.path).lesson("02")["quiz"]["q"]
    assert len(kept) == 100 and kept == sorted(kept, key=lambda attempt: attempt["at"])
    assert form.answered["times"] == 120


@pytest.mark.parametrize("variable", ["LABKIT_PROGRESS", "LABKIT_COURSE_DIR"])
def test_a_home_that_there_is_not(variable, tmp_path):
    from labkit.course.edition import course_folder

    named = {variable: "~nobody-of-that-name/x"}
    with pytest.raises(HostError, match=f"{variable} names a home directory that there is not"):
        Progress.find(tmp_path, named) if variable == "LABKIT_PROGRESS" else course_folder(named)
