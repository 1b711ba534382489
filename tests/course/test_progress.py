"""The learner's file: found, kept, shared, broken, reset."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from labkit.course.progress import MARKER, Progress
from labkit.course.record import checked

WRITER = """
import sys
from pathlib import Path
from labkit.course.progress import Progress, now
progress, name = Progress(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
for count in range(int(sys.argv[3])):
    def add(lesson):
        lesson["quiz"].setdefault(f"{name}-{count % 7}", []).append({"at": now(), "choice": "x" * 500, "right": True})
        lesson["reached"][f"{name}-{count}"] = now()
    progress.change("02", add)
"""


def writer(path, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)], stdout=subprocess.PIPE, text=True
    )


def answer(progress, name="first", value=0.5, at="2026-11-23"):
    return progress.change("02", lambda lesson: lesson["predictions"].setdefault(name, {"at": at, "value": value}))


def test_memory_outside_a_learners_copy(tmp_path):
    progress = Progress.find(tmp_path, environ={})
    assert progress.path is None
    assert progress.seed == 0
    answer(progress)
    assert progress.lesson("02")["predictions"]["first"]["value"] == 0.5
    assert not list(tmp_path.iterdir())


def test_found_by_the_marker_in_a_folder_above(tmp_path):
    (tmp_path / MARKER).write_text("{}")
    below = tmp_path / "updates" / "1.0"
    below.mkdir(parents=True)
    assert Progress.find(below, environ={}).path == tmp_path / "progress.json"


def test_the_environment_names_it(tmp_path):
    (tmp_path / MARKER).write_text("{}")
    named = {"LABKIT_PROGRESS": str(tmp_path / "mine.json")}
    assert Progress.find(tmp_path, environ=named).path == tmp_path / "mine.json"
    assert Progress.find(tmp_path, environ={"LABKIT_PROGRESS": "memory"}).path is None


def test_the_first_answer_is_kept(tmp_path):
    one, other = Progress(tmp_path / "p.json"), Progress(tmp_path / "p.json")
    answer(one, value=0.3, at="2026-11-23T10")
    answer(other, value=0.9, at="2026-11-23T11")
    assert one.lesson("02")["predictions"]["first"]["value"] == 0.3
    assert other.lesson("02")["predictions"]["first"]["value"] == 0.3
    assert Progress(tmp_path / "p.json").seed == one.seed == other.seed


def test_threads_of_one_notebook_lose_nothing(tmp_path):
    progress = Progress(tmp_path / "p.json")
    threads = [threading.Thread(target=answer, args=(progress, f"p{number}")) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Progress(progress.path).lesson("02")["predictions"]) == 20


def test_two_notebooks_at_once_lose_nothing(tmp_path):
    path = tmp_path / "p.json"
    both = [writer(path, name, 40) for name in "ab"]
    assert [process.wait(60) for process in both] == [0, 0]
    assert set(Progress(path).lesson("02")["reached"]) == {f"{name}-{count}" for name in "ab" for count in range(40)}


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    path, dice, grown = tmp_path / "p.json", random.Random(2), 0
    for round_ in range(50):
        process = writer(path, f"r{round_}", 100_000)
        process.stdout.readline()
        time.sleep(dice.uniform(0.0, 0.03))
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
        if path.exists():
            record = checked(json.loads(path.read_bytes()))
            reached = len(record["lessons"]["02"]["reached"])
            assert reached >= grown
            grown = reached
    assert grown > 0
    progress = Progress(path)
    answer(progress)
    assert progress.notices == []
    assert not list(tmp_path.glob("*.broken-*"))


@pytest.mark.parametrize("content", [b"", b'{"version": 1, "less', b"\xff\x00", b"[]", b'{"version": 1, "lessons": 3}'])
def test_a_broken_file_is_set_aside(tmp_path, content):
    path = tmp_path / "progress.json"
    path.write_bytes(content)
    progress = Progress(path)
    answer(progress)
    (aside,) = tmp_path.glob("progress.broken-*.json")
    assert aside.read_bytes() == content
    assert aside.name in progress.notices[0]
    assert Progress(path).lesson("02")["predictions"]["first"]["value"] == 0.5


def test_what_a_notebook_knows_outlives_a_broken_file(tmp_path):
    progress = Progress(tmp_path / "progress.json")
    answer(progress)
    progress.path.write_text("{")
    assert "first" in progress.lesson("02")["predictions"]
    assert "first" in Progress(progress.path).lesson("02")["predictions"]


def test_a_newer_file_is_left_alone(tmp_path):
    path = tmp_path / "progress.json"
    path.write_text('{"version": 99}')
    progress = Progress(path)
    answer(progress)
    assert path.read_text() == '{"version": 99}'
    assert "left alone" in progress.notices[0]
    assert "first" in progress.lesson("02")["predictions"]


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "p.json").mkdir()
    progress = Progress(tmp_path / "p.json")
    answer(progress)
    assert "first" in progress.lesson("02")["predictions"]
    assert any("cannot be" in notice for notice in progress.notices)


def test_reset_of_one_lesson_and_of_all(tmp_path):
    path = tmp_path / "progress.json"
    progress, elsewhere = Progress(path), Progress(path)
    answer(progress)
    progress.change("00", lambda lesson: lesson["reached"].update(quiz="2026"))
    elsewhere.record()
    before = path.read_bytes()

    backup = progress.reset("02")
    assert backup.read_bytes() == before
    assert not progress.lesson("02")["predictions"]
    assert not elsewhere.lesson("02")["predictions"]
    assert elsewhere.lesson("00")["reached"]
    answer(elsewhere, value=0.1)
    assert progress.lesson("02")["predictions"]["first"]["value"] == 0.1

    assert progress.reset() != backup
    assert elsewhere.record()["lessons"] == {}
    assert Progress(path).record()["lessons"] == {}
    assert Progress(tmp_path / "none.json").reset() is None
