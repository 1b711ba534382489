"""Every test, a room of the house at a time, with the minutes each took: what ``./course test`` runs.

A room that fails does not keep the others from running. The last line is one of pytest's own kind, over all
rooms; the exit code is 0 only where every room is in order. With ``--lesson 02`` only what belongs to that
lesson runs: the tests of its experiments, its notebook, and what has its number in its name.

With ``CI=true`` in the environment, a test of an experiment named in ``live_required.txt`` may not be skipped.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
NOTHING_FOUND = 5
# A room's tests lie in the folder of its name; what holds for every lesson lies in `notebooks`.
FOLDERS = {name: name for name in ("house", "model", "experiments", "course", "views", "cli")}
FOLDERS |= {"lessons": "notebooks"}
# What measures no time runs side by side; the rest of the live room has the computer to itself.
SIDE_BY_SIDE = ["-n", "2", "--dist", "loadfile"]
ALONE = ("house",)  # it looks at the checkout as a whole, and is over in seconds
LIVE = {"live, side by side": ["-m", "timeless", *SIDE_BY_SIDE], "live": ["-m", "not timeless"]}
IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")


@dataclass
class Room:
    """What a room's tests came to."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    worse: list[str] = field(default_factory=list)

    @property
    def in_order(self) -> bool:
        return self.failed == 0


def experiments_of(lesson: str | None) -> list[str]:
    from labkit.experiments import NAMES, load

    return [name for name in NAMES if lesson is None or lesson == load(name).LESSON]


def required() -> list[str]:
    """The experiments that must run live: the lines of live_required.txt that are not comments."""
    lines = (TOP / "tests" / "live_required.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def keywords(lesson: str) -> str:
    words = {f"lesson_{lesson}", f"lesson{lesson}", f"{lesson}-"}
    for name in experiments_of(lesson):
        words |= {name, name.replace("-", "_")}
    return " or ".join(sorted(words))


def command(room: Room, words: list[str]) -> None:
    """Run one program that either is content or is not."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=TOP, check=False)
    room.passed += done.returncode == 0
    room.failed += done.returncode != 0
    room.worse += [" ".join(words)] if done.returncode else []


def pytest(room: Room, words: list[str], chosen: str | None = None, **variables: str) -> None:
    """Run pytest and add up what its report says."""
    select = ["-k", chosen] if chosen else []
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-ra", f"--junitxml={report}", *words, *select],
            cwd=TOP,
            env={**os.environ, **variables},
            check=False,
        )
        if done.returncode == NOTHING_FOUND and chosen:
            return
        cases = ElementTree.parse(report).getroot().findall(".//testcase") if report.exists() else []
    for case in cases:
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            room.failed += 1
        elif case.find("skipped") is None:
            room.passed += 1
        elif IN_CI and any(re.search(word.replace("-", "[-_]"), name) for word in required()):
            room.failed += 1
            room.worse.append(f"{name} was skipped, and live_required.txt names it")
        else:
            room.skipped += 1
    if done.returncode and not room.failed:
        room.failed += 1
        room.worse.append("no tests were found" if done.returncode == NOTHING_FOUND else "pytest itself failed")


def notebooks(lesson: str | None) -> list[str]:
    found = sorted((TOP / "notebooks").glob(f"{lesson or '[0-9][0-9]'}-*.ipynb"))
    return [str(path.relative_to(TOP)) for path in found]


def walk(lesson: str | None) -> list[Room]:
    """Go through the rooms in order; those that have nothing of the lesson are left out."""
    chosen = keywords(lesson) if lesson else None
    rooms: list[Room] = []

    def enter(name: str) -> Room:
        print(f"\n===== {name} =====", flush=True)
        rooms.append(Room(name, seconds=-time.monotonic()))
        return rooms[-1]

    def leave(room: Room) -> None:
        room.seconds += time.monotonic()

    try:
        if lesson is None:
            room = enter("style")
            command(room, ["ruff", "check", "."])
            command(room, ["ruff", "format", "--check", "."])
            leave(room)
        for name, folder in FOLDERS.items():
            room = enter(name)
            pytest(room, [f"tests/{folder}", *([] if name in ALONE else SIDE_BY_SIDE)], chosen)
            leave(room)
        for name, how in LIVE.items():
            room = enter(name)
            pytest(room, ["tests/live", *how], chosen)
            leave(room)
        lessons = notebooks(lesson)
        nbval = ["--nbval", "--nbval-current-env", *lessons]
        for name, variables in (("notebooks", {}), ("notebooks, no live host", {"LABKIT_NO_LIVE": "1"})):
            room = enter(name)
            if lessons:
                pytest(room, nbval, **variables)
            else:
                room.failed, room.worse = 1, ["there are no notebooks"]
            leave(room)
        room = enter("browser")
        pytest(room, ["tests/browser"], chosen)
        leave(room)
    except KeyboardInterrupt:
        leave(rooms[-1])
        rooms[-1].failed += 1
        rooms[-1].worse.append("interrupted")
    return [room for room in rooms if room.passed + room.failed + room.skipped]


def table(rooms: list[Room]) -> str:
    lines = [f"{'room':<26}{'passed':>8}{'failed':>8}{'skipped':>9}{'minutes':>9}"]
    lines += [f"{r.name:<26}{r.passed:>8}{r.failed:>8}{r.skipped:>9}{r.seconds / 60:>9.1f}" for r in rooms]
    lines += [f"  {room.name}: {what}" for room in rooms for what in room.worse]
    return "\n".join(lines)


def closing(rooms: list[Room], seconds: float) -> str:
    """One line of pytest's kind over all rooms."""
    counts = [("failed", sum(r.failed for r in rooms)), ("passed", sum(r.passed for r in rooms))]
    counts.append(("skipped", sum(r.skipped for r in rooms)))
    said = ", ".join(f"{count} {word}" for word, count in counts if count) or "no tests ran"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f" {said} in {seconds:.2f}s ({hours}:{minutes:02}:{rest:02}) ".center(80, "=")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./course test")
    parser.add_argument("--lesson", metavar="NN", help="only what belongs to this lesson")
    lesson = parser.parse_args().lesson
    if lesson is not None:
        lesson = f"{lesson:0>2}"
        if not re.fullmatch(r"[0-9]{2}", lesson) or not (notebooks(lesson) or experiments_of(lesson)):
            known = ", ".join(sorted({Path(name).name[:2] for name in notebooks(None)})) or "none yet"
            print(f"course: there is no lesson {lesson!r:.20}; there are: {known}.", file=sys.stderr)
            return 2
    from labkit.commands.lab import keep_to_our_places
    from labkit.live.places import cache_root

    keep_to_our_places()
    for name, folder in (("XDG_CONFIG_HOME", "config"), ("npm_config_cache", "npm")):
        os.environ.setdefault(name, str(cache_root() / folder))
    started = time.monotonic()
    rooms = walk(lesson)
    print(f"\n{table(rooms)}\n\n{closing(rooms, time.monotonic() - started)}", flush=True)
    if rooms and "interrupted" in rooms[-1].worse:
        return 130
    return 0 if rooms and all(room.in_order for room in rooms) else 1


if __name__ == "__main__":
    sys.exit(main())
