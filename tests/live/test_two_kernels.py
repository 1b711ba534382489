"""Two Jupyter servers of one person on one machine, the same lesson at the same time, one cache."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labkit.course.progress import MARKER, Progress
from labkit.live import guardian
from labkit.live.places import cache_root

pytestmark = pytest.mark.live

KERNEL = """
import json, sys, time
import labkit
from labkit.course import lesson
from labkit.host import CpuLoad
here, name = lesson("02"), sys.argv[1]
told = []
with labkit.live(progress=lambda words, _done: told.append(words)) as host:
    print(json.dumps(str(host.root)), flush=True)
    sys.stdin.readline()
    here.predict(name, "How much?").lock("0.5", 75, name)
    machines = [host.create(f"m{number}") for number in (1, 2)]
    print(json.dumps([machine.domain_name for machine in machines]), flush=True)
    for machine in machines:
        machine.run(CpuLoad(1.0))
    seen = host.observe(1)
    here.quiz().answer(1, "a")
    print(json.dumps([
        sum("Saving the booted guest" in words for words in set(told)),
        [line for line in host.journal() if "from power-on" in line],
        [seen.value(machine.name, "cpu") for machine in machines],
    ]), flush=True)
    if name == "first":
        sys.exit()
    sys.stdin.readline()
    print(json.dumps([machine.execute(["hostname"]).output.strip() for machine in machines]), flush=True)
"""


@pytest.fixture
def kernels(tmp_path):
    """Two processes, with one new cache and one copy of the course."""
    cache, course = tmp_path / "cache", tmp_path / "course"
    cache.mkdir(mode=0o700)
    course.mkdir()
    (course / MARKER).write_text("{}")
    (cache / "image").symlink_to((cache_root() / "image").resolve())
    started = [
        subprocess.Popen(
            [sys.executable, "-c", KERNEL, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=course,
            env=os.environ | {"LABKIT_CACHE": str(cache), "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        for name in ("first", "second")
    ]
    yield started
    for process in started:
        process.kill()
        process.wait(10)


def says(process: subprocess.Popen):
    line = process.stdout.readline()
    assert line, f"a kernel ended with status {process.wait(10)}"
    return json.loads(line)


def go(process: subprocess.Popen) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def test_both_measure_and_neither_ends_the_others_guests(host, kernels, tmp_path):
    first, second = kernels
    roots = [says(first), says(second)]
    go(first)
    go(second)
    names = says(first) + says(second)
    assert len(set(names)) == 4
    found = [says(first), says(second)]
    assert sum(saves for saves, _cold, _cpu in found) == 1, "one boots and saves, the other waits for it"
    assert [cold for _saves, cold, _cpu in found] == [[], []]
    assert all(cpu > 0 for _saves, _cold, used in found for cpu in used)
    assert first.wait(30) == 0
    ends = time.monotonic() + 60
    while Path(roots[0]).exists():
        assert time.monotonic() < ends, "the first one's directory is still there"
        time.sleep(0.05)
    assert len(guardian.processes_of(roots[1])) >= 2, "the second one's guests went with the first one's"
    go(second)
    assert says(second) == ["m1", "m2"]
    assert second.wait(30) == 0
    kept = Progress(tmp_path / "course" / "progress.json").lesson("02")
    assert set(kept["predictions"]) == {"first", "second"}
    assert sum(map(len, kept["quiz"].values())) == 2
    saved = [path for path in (tmp_path / "cache" / "saved").iterdir() if not path.suffix]
    assert len(saved) == 1
