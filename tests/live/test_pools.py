"""Real pools: guests that fill one, what is left when it has gone, and who may have one."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labkit.host import HostError
from labkit.live import capacity, pools

pytestmark = [pytest.mark.live, pytest.mark.timeless]

MEBI = 1 << 20
EMPTY = 200704  # bytes that tmpfs gives a new qcow2 file of 64 MiB (du, Debian 12's qemu-img)
TABLE = 65536  # of an L2 table, which comes with the first write


@pytest.fixture(autouse=True)
def _where_there_can_be_pools(open_live, live_required):
    with open_live() as host:
        able = host.can("pool")
    if not able and not live_required:
        pytest.skip(able.reason)
    assert able


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def gone(pid: int, within: float = 10.0) -> bool:
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                time.sleep(0.05)
                continue
        return True
    return False


def test_guests_that_fill_a_pool_are_paused_and_lose_nothing(host):
    before = mounts()
    pool = host.pool("8 MiB")
    disks = [pool.disk(name, "64 MiB") for name in ("d1", "d2")]
    assert pool.used == 2 * EMPTY
    guests = [host.create(f"m{number}", disks=[disk]) for number, disk in enumerate(disks, 1)]
    filling = pool.fill(guests, rate="4 MiB", amount="6 MiB")
    seen = filling.watch(60)
    assert [guest.state for guest in guests] == ["paused", "paused"]
    assert pool.used == pool.size == 8 * MEBI
    alarms = [event.detail for event in seen.events if event.kind == "alarm"]
    assert alarms == [f"the pool is {part}% full" for part in (70, 80, 90, 100)]
    written = sum(seen.value(guest.name, "written") for guest in guests)
    left = 8 * MEBI - 2 * (EMPTY + TABLE)
    # The pieces for which there was no room took blocks all the same, less than a piece for each guest.
    assert left - 2 * 262144 < written <= left
    with pytest.raises(HostError, match="paused"):
        filling.intact()
    again = filling.watch(0.5)  # nothing goes on by itself
    assert sum(again.value(guest.name, "written") for guest in guests) == written
    pool.grow("16 MiB")
    for guest in guests:
        guest.resume()
    seen = filling.watch(60)
    assert [seen.value(guest.name, "written") for guest in guests] == [6 * MEBI, 6 * MEBI]
    assert filling.intact() == {"m1": True, "m2": True}
    assert pool.used == 2 * (EMPTY + TABLE + 6 * MEBI)
    assert mounts() == before
    with pytest.raises(HostError, match="m1 has the disk d1"):
        pool.remove()
    for guest in guests:
        guest.stop()
    for disk in disks:
        checked = subprocess.run(["qemu-img", "check", "-q", str(disk.path)], capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr
    assert any(line.startswith("mount -o remount") for line in host.journal())
    pool.remove()
    pool.remove()
    assert not any(disk.path.exists() for disk in disks)


def test_a_difference_is_found(host):
    pool = host.pool("8 MiB")
    guest = host.create("m1", disks=[pool.disk("d1", "8 MiB", format="raw")])
    filling = pool.fill([guest], rate="16 MiB", amount="1 MiB")
    filling.watch(60)
    assert filling.intact() == {"m1": True}
    with pool.disks["d1"].path.open("r+b") as file:
        file.seek(500_000)
        file.write(b"?")
    assert filling.intact() == {"m1": False}
    with pytest.raises(HostError, match="m1 has no disk of this pool"):
        host.pool("1 MiB").fill([guest], rate=1, amount=1)


def test_what_a_pool_cannot_do_is_said(host):
    pool = host.pool("1 MiB")
    with pytest.raises(HostError, match="vmdk"):
        pool.disk("data", "8 MiB", format="vmdk")
    with pytest.raises(HostError, match="would be less"):
        pool.grow("512 KiB")
    with pytest.raises(HostError, match="to 1,024 MiB"):
        host.pool("2 GiB")
    pool.remove()
    with pytest.raises(HostError, match="removed"):
        pool.disk("data", "8 MiB")


def test_where_it_is_forbidden_the_reason_and_a_remedy_are_given(host, monkeypatch):
    monkeypatch.setattr(pools, "_refused", lambda _place: "unshare: Operation not permitted")
    able = host.can("pool")
    assert not able
    assert "unshare: Operation not permitted" in able.reason
    assert able.remedy
    with pytest.raises(HostError, match="unshare"):
        host.pool("1 MiB")


_OPENS = """
import json, sys, labkit
host = labkit.live(progress=lambda *_: None)
pool = host.pool("8 MiB")
disk = pool.disk("data", "64 MiB")
disk.write(0, 4 << 20)
print(json.dumps([disk.guest_bytes, pool.used, str(host.root), str(pool._room.place)]), flush=True)
"""


_FILLS = f"""{_OPENS}
machine = host.create("m1", disks=[pool.disk("more", "64 MiB")])
filling = pool.fill([machine], rate="1 MiB", amount="16 MiB")
filling.watch(0.5)
print(machine.process, flush=True)
filling.watch(60)
"""


def test_killing_the_process_while_a_guest_fills_its_pool_leaves_nothing(repository):
    words = [sys.executable, "-c", _FILLS]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, cwd=repository)
    _data, _used, root, place = json.loads(process.stdout.readline())
    keeper, qemu = int(Path(place).parts[2]), int(process.stdout.readline())
    assert not gone(keeper, 0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert gone(keeper)
    assert gone(qemu)
    ends = time.monotonic() + 15
    while Path(root).exists() and time.monotonic() < ends:
        time.sleep(0.1)
    assert not Path(root).exists()


def test_an_ordinary_user_has_pools_too(as_nobody):
    data, used, root, _place = json.loads(as_nobody(["-c", _OPENS]).splitlines()[-1])
    assert data == 4 * MEBI
    assert used == EMPTY + TABLE + 4 * MEBI
    assert not Path(root).exists()


def test_the_exercise_can_be_done_on_real_guests():
    from labkit.course.checks.pool import below_goal

    verdict = below_goal({"web": 12, "mail": 10}, lambda host, _pool: host.machines["web"].volume("web-data").trim())
    assert verdict.done, verdict.said
    assert "On real guests" in verdict.said


def test_what_one_guest_has_written_is_all_counted(host):
    pool = host.pool("8 MiB")
    guest = host.create("m1", disks=[pool.disk("d1", "64 MiB")])
    seen = pool.fill([guest], rate="64 MiB", amount="256 KiB").watch(60)
    assert seen.value("pool", "used") == EMPTY + TABLE + 262144


def test_a_paused_guest_is_said_to_be_paused(host):
    pool = host.pool("2 MiB")
    guest = host.create("m1", disks=[pool.disk("d1", "64 MiB")])
    with pytest.raises(HostError, match="is paused: its pool has no room.*resume"):
        guest.write("d1", [(at * MEBI, MEBI) for at in range(4)])
    with pytest.raises(HostError, match="is paused: its pool has no room"):
        guest.execute(["true"])
    pool.grow("8 MiB")
    guest.resume()
    assert guest.execute(["echo", "on"]).output == "on\n"


def test_what_a_pool_may_still_take_is_promised(host, monkeypatch):
    before = capacity.promised_to_stores()
    pool = host.pool("512 MiB")
    pool.disk("data", "64 MiB").write(0, 4 * MEBI)
    assert pool.disks["data"].guest_bytes == 4 * MEBI
    assert capacity.promised_to_stores() == before + (512 * MEBI - pool.used) / MEBI
    monkeypatch.setattr(capacity, "free_memory", lambda: capacity.RESERVE + 1000.0 + before)
    with pytest.raises(HostError, match=r"508 MiB are promised|507 MiB are promised"):
        host.pool("512 MiB")
    with pytest.raises(HostError, match="promised to machines that run and to pools"):
        host.create("m1", memory="512 MiB")
    with pytest.raises(HostError, match="promised"):
        pool.grow("1 GiB")
    pool.grow("600 MiB")
    pool.remove()
    assert capacity.promised_to_stores() == before
    host.pool("512 MiB").remove()
