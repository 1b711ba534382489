"""A computer's clock that jumps: nobody's guests end for it, and what is measured is measured by another clock."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import labkit
from labkit.host import HostError
from labkit.live import accelerator, ownership, saved

pytestmark = pytest.mark.timeless

JUMPS = [3600, -3600, 30 * 86400, -30 * 86400]


@pytest.fixture
def jump(monkeypatch):
    real = time.time

    def then(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: real() + seconds)

    return then


@pytest.fixture
def owned(tmp_path, monkeypatch):
    monkeypatch.setattr(ownership, "_street", lambda: tmp_path)
    mine, pipe = ownership.settle_in()
    yield mine
    os.close(pipe)
    ends = time.monotonic() + 15
    while Path(mine.root).exists() and time.monotonic() < ends:
        time.sleep(0.05)
    assert not Path(mine.root).exists(), "the guardian did not clear up"


@pytest.mark.parametrize("seconds", JUMPS)
def test_no_host_expires_by_a_clock_that_is_set(owned, jump, seconds):
    jump(seconds)
    assert not ownership.hosts()[0].abandoned
    ownership.renew(owned.root)
    jump(-seconds)
    assert not ownership.hosts()[0].abandoned
    assert ownership.clean() == []


def test_a_host_does_expire(owned, monkeypatch):
    later = ownership.clock() + ownership.EXPIRES_AFTER + 1
    monkeypatch.setattr(ownership, "clock", lambda: later)
    assert ownership.hosts()[0].abandoned


def test_all_processes_read_the_same_clock():
    code = "from labkit.live import ownership; print(ownership.clock())"
    before = ownership.clock()
    theirs = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert before <= theirs <= ownership.clock()


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))
    return saved._shelf()


def test_the_newest_boot_is_kept_although_the_clock_says_it_is_the_oldest(shelf):
    for number in range(saved.KEPT):
        (shelf / f"{number:016x}").write_text("saved")
        os.utime(shelf / f"{number:016x}", (time.time() + 3600 + number,) * 2)
    file = saved.once("f" * 16, lambda path: path.write_text("saved") and None)
    assert file.read_text() == "saved"
    assert len([path for path in shelf.iterdir() if not path.suffix]) == saved.KEPT


def test_what_another_process_is_saving_is_left_alone(shelf):
    """Its part looks an hour old, as after a clock that jumped; a part that nobody makes any more goes."""
    begun, go_on = threading.Event(), threading.Event()

    def slowly(path: Path) -> None:
        path.write_text("saved")
        os.utime(path, (time.time() - 7200,) * 2)
        begun.set()
        assert go_on.wait(60)

    (shelf / "cccc.making-1").write_text("a killed process began this")
    maker = threading.Thread(target=saved.once, args=("aaaa", slowly))
    maker.start()
    assert begun.wait(60)
    saved.once("bbbb", lambda path: path.write_text("saved") and None)
    assert (list(shelf.glob("aaaa.making-*")), list(shelf.glob("cccc*"))) != ([], [])
    assert not list(shelf.glob("cccc.making-*"))
    go_on.set()
    maker.join(60)
    assert (shelf / "aaaa").read_text() == "saved" and not list(shelf.glob("*.making-*"))


def test_what_was_found_out_about_kvm_is_remembered(jump, tmp_path, monkeypatch):
    monkeypatch.setattr(accelerator, "_no_device", lambda: "")
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))
    tried = []

    def hangs() -> None:
        tried.append(1)
        raise HostError("probe was not up after 12 s.")

    for seconds in [0, *JUMPS]:
        jump(seconds)
        assert accelerator.choose(hangs, {"qemu": "1"}).name == "TCG"
    assert len(tried) == 1


def test_nothing_is_timed_by_a_clock_that_can_be_set():
    """`time.time()` says when, and never how long; each place that asks for it is known here."""
    top = Path(labkit.__file__).parent
    asks = {
        str(path.relative_to(top)): len(found)
        for path in top.rglob("*.py")
        if (found := re.findall(r"\btime\.time\(\)", path.read_text())) and "node_modules" not in path.parts
    }
    assert asks == {
        "live/boots.py": 1,  # the time of day at which a boot's moments were, for people
        "live/image.py": 1,  # whether an image was made after one began to wait, beside the files' own dates
        "live/net/capturing.py": 1,  # when a capture began, beside the time of day that tcpdump gives each frame
        "live/domain.py": 1,  # the date in a machine's description, for people
        "course/safe_file.py": 1,  # how old a part is beside its date; one swept in vain is written anew
    }


@pytest.mark.live
@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_jump_in_the_middle_of_a_measurement(host, jump, seconds):
    host.create("a")
    threading.Timer(0.7, jump, (seconds,)).start()
    begun = time.monotonic()
    seen = host.observe(1.5)
    assert 1.4 < seen.seconds < time.monotonic() - begun + 0.1
    assert all(0 < moment < 600 for series in seen.series for moment in series.times), "the hour is in it"


def test_a_boot_that_could_not_be_saved_leaves_nothing(shelf):
    def breaks(path: Path) -> None:
        path.write_text("half of it")
        raise HostError("Could not save the booted guest: no space left on device.")

    with pytest.raises(HostError):
        saved.once("dddd", breaks)
    assert not list(shelf.glob("dddd*")) or [path.suffix for path in shelf.glob("dddd*")] == [".lock"]
