"""Real guests for the tests. Where there can be none the tests are skipped, unless they are required."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import psutil
import pytest

import labkit
from labkit.host import HostError
from labkit.live import ksm
from labkit.live.livehost import LiveHost
from labkit.live.places import cache_root

QUIET = 0.03  # of the CPUs; up to there labkit itself does not call a measurement disturbed (labkit/live/observing.py)
KSM = Path("/sys/kernel/mm/ksm")
KSM_SETTINGS = ("run", "pages_to_scan", "sleep_millisecs", "use_zero_pages", "smart_scan", "advisor_mode")
ALLOWED = {"memory-sharing": {ksm.CONSENT: "1"}}  # what a run of an experiment is allowed, and no other run
OF_CPU_TIME = ("cpu", "ready", "throttled", "response")  # what is held to bounds that others on the CPU can break


@pytest.fixture(scope="session")
def live_required() -> bool:
    """In CI every live test must run; a skip there would be a check that cannot fail."""
    return os.environ.get("CI") == "true"


@pytest.fixture(scope="session")
def open_live(live_required: bool):
    """Open a live host; where there is none the test is skipped, unless it is required."""

    def opens(**how: Any) -> LiveHost:
        try:
            return labkit.live(**how)
        except HostError as error:
            if live_required:
                raise
            pytest.skip(str(error))

    return opens


@pytest.fixture
def host(open_live):
    """A live host, closed afterwards."""
    with open_live() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_host(open_live):
    """One live host for all tests of a module that leave it as they found it: no guest has to be started anew."""
    with open_live() as opened:
        yield opened


@pytest.fixture(scope="session")
def speed_found_out() -> list[float]:
    """Keeps a guest's speed for the whole run; empty until it is known."""
    return []


@pytest.fixture
def calibrated(host, speed_found_out: list[float]):
    """A host that knows how fast a guest is; that is found out once for all tests, as it takes ten seconds and more."""
    if not speed_found_out:
        host.speed((0,))
        speed_found_out[:] = host.known_speed, host.known_beside
    host.known_speed, host.known_beside = speed_found_out
    return host


@pytest.fixture
def any_speed(host):
    """A host that takes its speed for granted: for tests to which the amount of work is all one."""
    host.known_speed = 8e6
    return host


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def waits() -> list[float]:
    """The seconds that all tests together may still wait for a quiet CPU: waiting does not make a computer quiet."""
    return [60.0]


@pytest.fixture
def quiet_cpu(request: pytest.FixtureRequest, waits: list[float]) -> None:
    """Wait a little for nobody else to use CPU 0, and go on all the same where somebody does.

    This comes before a measurement and looks at nothing of it. What others use meanwhile is measured with it, and
    `measured` goes by that. What measures no time does not wait.
    """
    if request.node.get_closest_marker("timeless"):
        return
    ends = time.monotonic() + min(waits[0], 15.0)
    while (busy := psutil.cpu_percent(0.5, percpu=True)[0]) > 100 * QUIET:
        waits[0] -= 0.5
        if time.monotonic() > ends:
            warnings.warn(f"others use {busy:.0f}% of CPU 0; measured all the same", stacklevel=1)
            return


@pytest.fixture
def measured(quiet_cpu):
    """Measure, and anew where others used the CPUs meanwhile: three times at most, and then it stands.

    Whether it is measured anew is decided by what others used, never by what came out. Given are what was seen and the
    room that others make necessary: what they used is missing from one machine or another, so each can be off by so
    much of a CPU, and by no more. Where hardly anything was used there is none. No test is skipped for it: a machine
    that is never quiet would then never be tested.
    """

    def measure(look, attempts: int = 3, others=lambda seen: seen.disturbed):
        for attempt in range(1, attempts + 1):
            seen = look()
            used = others(seen)
            if used <= QUIET:
                return seen, 0.0
            then = "measured anew" if attempt < attempts else "held less closely by that"
            warnings.warn(f"others used {used:.1%} of these CPUs: {then}", stacklevel=2)
        return seen, used

    return measure


@pytest.fixture(scope="session")
def merging():
    """The kernel's page merging for one test alone, and as it was afterwards.

    It is one switch of the whole computer, so tests that use it wait for each other, in whatever process they are. For
    somebody who has it in use and does not know of this, they wait half a minute.
    """

    def settings() -> dict[str, str]:
        return {name: (KSM / name).read_text() for name in KSM_SETTINGS if (KSM / name).exists()}

    @contextlib.contextmanager
    def alone():
        if not (KSM / "run").exists():
            yield settings
            return
        with (KSM / "run").open() as switch:
            _soon(lambda: _locked(switch), 240, "another test has the kernel's page merging")
            used = ("run", "pages_shared")
            _soon(lambda: all((KSM / name).read_text().strip() == "0" for name in used), 30, "page merging is in use")
            before = settings()
            yield settings
            assert settings() == before, "the kernel's page merging is not as it was"

    return alone


def _locked(switch: TextIO) -> bool:
    try:
        fcntl.flock(switch, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _soon(true: Callable[[], bool], seconds: float, else_: str) -> None:
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{else_} on this computer")
        time.sleep(0.5)


@pytest.fixture(scope="session")
def ran_live(repository: Path, live_required: bool, merging):
    """Run an experiment by the command line on both hosts, once for all tests that look at it.

    Given are its document and the room that others make necessary, as by `measured`. Where others used the CPUs and it
    tells of CPU times, it is run once more; not oftener, as a run may take a minute or two. And not where it takes all
    CPUs of the computer: QEMU's other threads and labkit itself are then the others, each time.
    """
    documents = {}

    def run(name: str, *settings: str) -> dict:
        words = [sys.executable, "-m", "labkit.cli", "run", name, "--host", "both", "--json"]
        words += [word for setting in settings for word in ("--set", setting)]
        how: dict[str, Any] = {"capture_output": True, "text": True, "cwd": repository, "timeout": 270, "check": False}
        allowed = ALLOWED.get(name, {})
        with merging() if ksm.CONSENT in allowed else contextlib.nullcontext():
            done = subprocess.run(words, env={**os.environ, **allowed}, **how)
        document = json.loads(done.stdout)
        if reason := document["host"].get("why_not_live"):
            (pytest.fail if live_required else pytest.skip)(f"{name} did not run on real guests: {reason}")
        assert (done.returncode, done.stderr) == (0, "")
        return document

    def ran(name: str, *settings: str) -> tuple[dict, float]:
        if name not in documents:
            documents[name] = run(name, *settings)
            timed = any(row["quantity"].partition("_")[0] in OF_CPU_TIME for row in documents[name]["rows"])
            room = documents[name]["settings"].get("cpus", 1) < os.cpu_count()
            if timed and room and (used := documents[name]["host"]["disturbed"]) > QUIET:
                warnings.warn(f"{name}: others used {used:.1%} of the CPUs; measured once more", stacklevel=2)
                documents[name] = run(name, *settings)
        used = documents[name]["host"]["disturbed"]
        return documents[name], used if used > QUIET else 0.0

    return ran


@pytest.fixture(scope="session")
def learners_home(repository: Path):
    """A copy of labkit that the user `nobody` may read, with a cache of its own."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user here")
    # Not below pytest's own folder, which nobody but its owner may enter.
    home = Path(tempfile.mkdtemp(prefix="labkit-learner-"))
    home.chmod(0o755)
    shutil.copytree(repository / "labkit", home / "labkit", ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(repository / "images", home / "images")
    shutil.copytree(cache_root() / "image", home / "cache" / "image", symlinks=True)
    for path in (home, *home.rglob("*")):
        if not path.is_symlink():
            shutil.chown(path, "nobody", "nogroup")
    yield home
    shutil.rmtree(home)


@pytest.fixture
def as_nobody(learners_home: Path):
    """Run Python with labkit as the user `nobody`, and give back what it printed."""

    def run(arguments: list[str], before: list[str] | None = None) -> str:
        become = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
        packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        environment = {"PATH": os.environ["PATH"], "HOME": str(learners_home)}
        environment |= {"LABKIT_CACHE": str(learners_home / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        environment |= {"PYTHONPATH": os.pathsep.join([str(learners_home), *packages])}
        ended = subprocess.run(
            [*(before or []), *become, "/usr/bin/python3", *arguments],
            cwd=learners_home,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


@pytest.fixture
def measured_as_nobody(as_nobody, measured):
    """Run an experiment live as the user `nobody`; its document and the room it needs, as by `measured`."""

    def run(name: str, before: list[str]) -> tuple[dict, float]:
        words = ["-m", "labkit.cli", "run", name, "--host", "live", "--json"]
        return measured(
            lambda: json.loads(as_nobody(words, before)), attempts=2, others=lambda seen: seen["host"]["disturbed"]
        )

    return run
