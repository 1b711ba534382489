"""Memory that runs out: what a container may use is counted too, and a machine is refused with the numbers."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from labkit.host import HostError
from labkit.live import capacity

MIB = 1 << 20


def group(place: Path, files: dict[str, str]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (place / name).write_text(content)


@pytest.mark.parametrize(
    ("outer", "inner", "left"),
    [
        ("max", "max", float("inf")),
        (str(2000 * MIB), "max", 2000 - 900 + 50),
        ("max", str(1500 * MIB), 1500 - 500 + 20),
        (str(1000 * MIB), str(9000 * MIB), 1000 - 900 + 50),
    ],
)
def test_version_two_counts_every_group_on_the_way_up(tmp_path, outer, inner, left):
    (tmp_path / "own").write_text("0::/user.slice/lab.service\n")
    stat = "anon 1\ninactive_file {}\nactive_file 7\n"
    place = tmp_path / "top" / "user.slice"
    group(place, {"memory.max": outer, "memory.current": str(900 * MIB), "memory.stat": stat.format(50 * MIB)})
    files = {"memory.max": inner, "memory.current": str(500 * MIB), "memory.stat": stat.format(20 * MIB)}
    group(place / "lab.service", files)
    assert capacity._left_by_groups(tmp_path / "own", tmp_path / "top") == left


def test_version_one_in_a_container_that_sees_its_own_group_at_the_top(tmp_path):
    (tmp_path / "own").write_text("9:name=systemd:/docker/abc\n4:cpu,memory:/docker/abc\n1:cpu:/\n")
    stat = f"cache 1\ninactive_file 5\ntotal_inactive_file {100 * MIB}\n"
    files = {"memory.limit_in_bytes": str(3000 * MIB), "memory.usage_in_bytes": str(1000 * MIB), "memory.stat": stat}
    group(tmp_path / "top" / "memory", files)
    assert capacity._left_by_groups(tmp_path / "own", tmp_path / "top") == 2100


@pytest.mark.parametrize("content", ["", "nonsense\n", "0::/gone\n", "4:memory:/\n"])
def test_no_groups_no_limit(tmp_path, content):
    (tmp_path / "own").write_text(content)
    assert capacity._left_by_groups(tmp_path / "own", tmp_path / "top") == float("inf")
    assert capacity._left_by_groups(tmp_path / "none", tmp_path / "top") == float("inf")


def test_the_smaller_of_computer_and_container_counts(monkeypatch):
    free = psutil.virtual_memory().available / MIB
    monkeypatch.setattr(capacity, "_left_by_groups", lambda: 1500.0)
    assert capacity.free_memory() == 1500.0 or free < 1500
    assert capacity.carries(128) == (1500 - capacity.RESERVE) // (128 + capacity.OVERHEAD)
    with pytest.raises(HostError, match="A machine of 1024 MiB needs 1184 MiB here, and of the 1500 MiB that are free"):
        capacity.require(1024, 0.0, 0)
    monkeypatch.setattr(capacity, "_left_by_groups", lambda: -5.0)
    assert capacity.free_memory() == 0.0 and capacity.carries() == 0


LIMITED = """
import sys
sys.stdin.readline()
from labkit.live import capacity
from labkit.host import HostError
print(round(capacity.free_memory()), capacity.carries())
try:
    capacity.require(256, 0.0, 0)
except HostError as error:
    print(error)
"""


def test_a_real_limit():
    """This process's child in a control group that may use 1,000 MiB."""
    for top, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        place = Path(top) / f"labkit-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            place.mkdir()
            try:
                (place / limit).write_text(str(1000 * MIB))
                break
            except OSError:
                place.rmdir()
    else:
        pytest.skip("no control group for memory can be made here")
    try:
        child = subprocess.Popen(
            [sys.executable, "-c", LIMITED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        (place / "cgroup.procs").write_text(str(child.pid))
        out, _ = child.communicate("go\n", timeout=30)
    finally:
        for _ in range(50):
            with contextlib.suppress(OSError):
                place.rmdir()
                break
            time.sleep(0.1)
    assert not place.exists()
    first, refused = out.splitlines()
    free, carried = map(int, first.split())
    assert 900 < free <= 1000 and carried == 0
    assert f"A machine of 256 MiB needs 416 MiB here, and of the {free} MiB that are free" in refused.replace(
        f"{free + 1} MiB", f"{free} MiB"
    )
    assert "Stop other machines or programs" in refused


def test_what_stores_in_memory_may_take_is_not_given_to_machines(monkeypatch):
    monkeypatch.setattr(capacity, "stores", set())
    monkeypatch.setattr(capacity, "free_memory", lambda: 4000.0)
    before = capacity.carries(128)
    assert before == (4000 - capacity.RESERVE) // (128 + capacity.OVERHEAD)
    capacity.stores.update({lambda: 1000.0, lambda: 500.5})
    assert capacity.promised_to_stores() == 1500.5
    assert capacity.carries(128) == (2500 - capacity.RESERVE - 1) // (128 + capacity.OVERHEAD) < before
    capacity.require(1500, 0.0, 0)
    with pytest.raises(HostError, match="1510 MiB are promised"):
        capacity.require(1571, 10.0, 0)
    capacity.stores.add(lambda: 9000.0)
    assert capacity.carries(128) == 0
