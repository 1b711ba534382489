"""Real guests for the tests. Where there can be none the tests are skipped, unless they are required."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

import labkit
from labkit.host import HostError, Observation
from labkit.live.places import cache_root


@pytest.fixture(scope="session")
def live_required() -> bool:
    """In CI every live test must run; a skip there would be a check that cannot fail."""
    return os.environ.get("CI") == "true"


@pytest.fixture
def host(live_required: bool):
    """A live host, closed afterwards."""
    try:
        opened = labkit.live()
    except HostError as error:
        if live_required:
            raise
        pytest.skip(str(error))
    with opened:
        yield opened


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture
def quiet_cpu():
    """Wait, for two minutes at most, until nobody else uses CPU 0: a measurement beside others would say nothing.

    This comes before the measurement and looks at nothing of it; the measurement itself is made once. What it gives is
    called with the observation: where others came back meanwhile, nothing can be said of it, and that is said.
    """
    ends = time.monotonic() + 120
    while (busy := psutil.cpu_percent(1.0, percpu=True)[0]) > 3:
        assert time.monotonic() < ends, f"others use {busy:.0f}% of CPU 0 all the time"

    def judge(seen: Observation) -> None:
        if seen.disturbed > 0.03:
            pytest.skip(f"others used {seen.disturbed:.1%} of these CPUs: nothing can be said of this run")

    return judge


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
