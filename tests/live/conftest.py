"""Real guests for the tests. Where there can be none the tests are skipped, unless they are required."""

import os
import time
from pathlib import Path

import psutil
import pytest

import labkit
from labkit.host import HostError


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

    This comes before the measurement and looks at nothing of it; the measurement itself is made once.
    """
    ends = time.monotonic() + 120
    while (busy := psutil.cpu_percent(1.0, percpu=True)[0]) > 3:
        assert time.monotonic() < ends, f"others use {busy:.0f}% of CPU 0 all the time"
