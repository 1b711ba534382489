"""An ordinary user's caps and shares, in a control group that was delegated to that user."""

import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from labkit.live import delegated, guardian
from labkit.live.delegated import DelegatedGroups
from labkit.live.journal import Journal

OURS = Path("/sys/fs/cgroup/cpu/labkit-test-delegated")


@pytest.fixture
def group():
    """A CPU control group of root's; it has to be empty again at the end."""
    try:
        OURS.mkdir()
    except OSError:
        pytest.skip("this kernel's CPU control groups are not those of cgroup v1, or not ours to make")
    yield OURS
    until = time.monotonic() + 5.0  # the guardian may still be on its way out
    while True:
        try:
            return OURS.rmdir()
        except OSError:
            left = [path.name for path in OURS.iterdir() if path.is_dir()]
            assert time.monotonic() < until, f"left behind: {left}"
            time.sleep(0.1)


@pytest.fixture
def given_away(group):
    """The same, made over to the user `nobody` as an administrator would."""
    for path in (group, group / "tasks", group / "cgroup.procs"):
        shutil.chown(path, "nobody", "nogroup")
    return group


def inside(group: Path) -> list[str]:
    return ["sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"', "sh"]


@pytest.mark.live
def test_an_ordinary_user_s_caps_hold(measured_as_nobody, given_away):
    """A quarter, a half and a whole CPU at most, equal shares, one CPU: what the first leaves, the others halve."""
    document, room = measured_as_nobody("cpu-cap", inside(given_away))
    assert "delegated to this user (v1, cpu.cfs_quota_us)" in document["host"]["live"]["mechanisms"]["cap"]
    values = {(row["machine"], row["quantity"]): row["live"] for row in document["rows"]}
    for name, part in (("m1", 0.25), ("m2", 0.375), ("m3", 0.375)):
        assert values[name, "cpu"] == pytest.approx(part, abs=0.03 + room)
        parts = [values[name, quantity] for quantity in ("cpu", "ready", "throttled")]
        assert sum(parts) == pytest.approx(1, abs=0.05 + room)
    # In turns with both others it has its quarter after 0.075 s of every 0.1 s; later, where others take the CPU too.
    assert values["m1", "throttled"] > 0.1 - room


@pytest.mark.live
def test_an_ordinary_user_s_shares_are_then_exact(measured_as_nobody, given_away):
    document, room = measured_as_nobody("cpu-shares", inside(given_away))
    assert "delegated to this user (v1, cpu.shares)" in document["host"]["live"]["mechanisms"]["shares"]
    assert document["host"]["live"]["weights"] == {"m1": 256, "m2": 512, "m3": 1024}
    values = {row["machine"]: row["live"] for row in document["rows"] if row["quantity"] == "cpu"}
    for name, shares in (("m1", 256), ("m2", 512), ("m3", 1024)):
        assert values[name] == pytest.approx(shares / 1792, abs=0.03 + room)
    assert values["m1"] < values["m2"] < values["m3"], "others take from all alike, however much"


LIFE = """
import json, sys, labkit
from pathlib import Path
from labkit.host import CpuLoad
here, told = Path(sys.argv[1]), {}
def read(group):
    names = ("cpu.shares", "cpu.cfs_quota_us", "tasks")
    return {str(path.relative_to(group)): [(path / name).read_text().split() for name in names]
            for path in [group, *sorted(group.glob("vcpu*"))]}
def groups():
    return [path for path in here.iterdir() if path.is_dir()]
with labkit.live() as host:
    told["before"] = len(groups())
    machine = host.create("m", maximum_vcpus=2, cap=0.25, shares=300, pin=[0])
    (group,) = groups()
    told["threads"], told["named"] = [machine.vcpu_threads], group.name == machine.domain_name
    told["made"] = read(group)
    machine.run(CpuLoad())
    seen = host.observe(3.0)
    told["cpu"], told["throttled"] = seen.value("m", "cpu"), seen.value("m", "throttled")
    machine.set(vcpus=2)
    told["threads"].append(machine.vcpu_threads)
    host.observe(1.0)
    told["counters"] = [str(file.relative_to(group)) for file in machine.throttle_counters]
    told["grown"] = read(group)
    machine.set(shares=600, cap=float("inf"))
    told["freed"] = read(group)
    machine.stop()
    told["after"], told["journal"] = len(groups()), host.journal()
print(json.dumps(told))
"""


@pytest.mark.live
def test_each_vcpu_s_thread_has_its_part_of_the_cap_and_the_machine_its_shares(as_nobody, given_away):
    told = json.loads(as_nobody(["-c", LIFE, str(given_away)], before=inside(given_away)))
    (first,), (same, second) = told["threads"]
    assert first == same
    assert told["named"] and told["before"] == told["after"] == 0
    assert told["made"] == {".": [["300"], ["-1"], []], "vcpu0": [["1024"], ["25000"], [str(first)]]}
    parts = {f"vcpu{n}": [["1024"], ["12500"], [str(thread)]] for n, thread in enumerate((first, second))}
    assert told["counters"] == ["vcpu0/cpu.stat", "vcpu1/cpu.stat"]
    assert told["grown"] == {".": [["300"], ["-1"], []]} | parts
    free = {f"vcpu{n}": [["1024"], ["-1"], [str(thread)]] for n, thread in enumerate((first, second))}
    assert told["freed"] == {".": [["600"], ["-1"], []]} | free
    # One quota more or less falls into 3 s, as the look begins anywhere in a period of 0.1 s.
    assert 0 < told["cpu"] <= 0.25 * (1 + 0.1 / 3) + 0.005
    assert told["throttled"] > 0, told
    assert any("echo 25000 > " in line and "/vcpu0/cpu.cfs_quota_us" in line for line in told["journal"])


CRASH = """
import os, sys, labkit
from pathlib import Path
host = labkit.live()
host.create("m", cap=0.5)
assert len([path for path in Path(sys.argv[1]).iterdir() if path.is_dir()]) == 1
os._exit(0)
"""


@pytest.mark.live
def test_a_crash_leaves_no_group(as_nobody, given_away):
    as_nobody(["-c", CRASH, str(given_away)], before=inside(given_away))  # the fixture sees that nothing stays


CAN = """
import json, sys, labkit
with labkit.live() as host:
    cap, shares = host.can("cap"), host.can("shares")
    print(json.dumps([cap.yes, cap.reason, cap.remedy, shares.mechanism]))
"""


@pytest.mark.live
def test_a_group_of_somebody_else_s_is_left_alone(as_nobody, group):
    yes, reason, remedy, shares = json.loads(as_nobody(["-c", CAN], before=inside(group)))
    assert not yes
    assert "delegated" in reason
    assert "systemd-run --user --scope -p Delegate=yes ./course open" in remedy
    assert "nice values of the vCPU threads" in shares


def test_what_was_left_goes_by_its_mark(group, tmp_path):
    root = tmp_path / "0a1b2c3d"
    root.mkdir()
    (root / guardian.DELEGATED).write_text(str(group))
    left = group / "lk-0a1b2c3d-9999-m"
    (left / "vcpu0").mkdir(parents=True)
    strangers = [group / "lk-ffffffff-9999-m", group / "somebody"]
    for stranger in strangers:
        stranger.mkdir()
    try:
        assert guardian.control_groups_left(str(root)) == [left / "vcpu0", left]
        done = guardian.end_everything(str(root), quiet=0.0)
        assert f"control group {left}" in done
        assert not left.exists()
        assert all(stranger.exists() for stranger in strangers)
    finally:
        for path in [left / "vcpu0", left, *strangers]:
            if path.exists():
                path.rmdir()


def test_nothing_outside_the_control_groups_is_looked_at(tmp_path):
    root, elsewhere = tmp_path / "0a1b2c3d", tmp_path / "elsewhere"
    root.mkdir()
    (elsewhere / "lk-0a1b2c3d-9999-m").mkdir(parents=True)
    for named in (str(elsewhere), f"/sys/fs/cgroup/../../..{elsewhere}", ""):
        (root / guardian.DELEGATED).write_text(named)
        assert guardian.control_groups_left(str(root)) == []


# -- cgroup v2, on a tree of plain files ----------------------------------------------------------


@pytest.fixture
def written(tmp_path, monkeypatch):
    """What is written, in its order, by the path in the tree."""
    said, write = [], Path.write_text

    def write_text(path, text, *more, **words):
        said.append((str(path.relative_to(tmp_path)), text))
        return write(path, text, *more, **words)

    monkeypatch.setattr(Path, "write_text", write_text)
    return said


def machine_of(threads: list[int], **also):
    settings = {"name": "m", "domain_name": "lk-1-2-m", "shares": 256, "shares_in_force": None}
    return SimpleNamespace(vcpu_threads=threads, **(settings | also))


def test_threaded_groups_on_cgroup_v2(tmp_path, written):
    """Each group is told that it is threaded before its parent gives it the controller and a thread comes in."""
    groups, machine, journal = DelegatedGroups(tmp_path, True), machine_of([11]), Journal()
    assert groups.apply([machine], journal) == {"m": 25.0}
    made = [
        ("lk-1-2-m/cgroup.type", "threaded"),
        ("cgroup.subtree_control", "+cpu"),
        ("lk-1-2-m/vcpu0/cgroup.type", "threaded"),
        ("lk-1-2-m/cgroup.subtree_control", "+cpu"),
        ("lk-1-2-m/vcpu0/cgroup.threads", "11"),
        ("lk-1-2-m/cpu.weight", "25"),
    ]
    assert written == made
    del written[:]
    assert groups.apply([machine], journal) == {"m": 25.0}
    assert not written
    groups.limit(machine, 100_000, 25_000)
    assert written == [("lk-1-2-m/vcpu0/cpu.max", "25000 100000")]
    del written[:]
    machine.vcpu_threads = [11, 12]
    groups.extend(machine)
    assert written[-2:] == [
        ("lk-1-2-m/vcpu1/cpu.max", "25000 100000"),  # the cap is there before the thread is
        ("lk-1-2-m/vcpu1/cgroup.threads", "12"),
    ]
    assert ("lk-1-2-m/vcpu0/cgroup.threads", "11") not in written
    groups.limit(machine, 100_000, -1)
    assert written[-1] == ("lk-1-2-m/vcpu1/cpu.max", "max 100000")
    assert "never seen" in groups.caps.mechanism


def test_which_group_decides_on_the_cpu(tmp_path):
    scope = tmp_path / "user.slice" / "run-1.scope"
    scope.mkdir(parents=True)
    v2 = "0::/user.slice/run-1.scope\n"
    assert delegated.own_group("2:cpu,cpuacct:/mine\n0::/\n", tmp_path) == (tmp_path / "cpu" / "mine", False)
    assert delegated.own_group(v2, tmp_path) is None
    (scope / "cgroup.controllers").write_text("memory pids\n")
    assert delegated.own_group(v2, tmp_path) is None
    (scope / "cgroup.controllers").write_text("cpu memory pids\n")
    assert delegated.own_group(v2, tmp_path) == (scope, True)
    assert delegated.own_group("1:cpu:/../../elsewhere\n", tmp_path) is None


@pytest.mark.parametrize(
    ("name", "mark", "keeps"),
    [
        ("terminal.scope", None, True),
        ("terminal.scope", b"0", True),
        ("run-1.scope", b"1", False),
        ("by-hand", None, False),
    ],
)
def test_what_systemd_manages_is_left_to_it(tmp_path, monkeypatch, name, mark, keeps):
    def getxattr(path, attribute):
        assert (path, attribute) == (tmp_path / name, "user.delegate")
        if mark is None:
            raise OSError(61, "No data available")
        return mark

    monkeypatch.setattr(delegated.os, "getxattr", getxattr)
    assert delegated.systemd_keeps(tmp_path / name) is keeps


def test_only_an_ordinary_user_s_own_guests_are_taken(tmp_path, written):
    """A group is looked for neither as root nor for a libvirt elsewhere, and taken where all of it can be done."""
    (tmp_path / "cgroup.controllers").write_text("cpu\n")
    own, root = tmp_path / "own", tmp_path / "root"
    own.write_text("0::/\n")
    root.mkdir()
    del written[:]
    for privileged, place in ((True, root), (False, None)):
        driver = SimpleNamespace(privileged=privileged, root=place, id="1")
        assert delegated.found(driver, own, tmp_path) is None
    assert not written
    driver = SimpleNamespace(privileged=False, root=root, id="1")
    assert isinstance(delegated.found(driver, own, tmp_path), DelegatedGroups)
    assert written[0] == (f"root/{guardian.DELEGATED}", str(tmp_path))
    assert all(path.startswith(("lk-1-trial", "cgroup.subtree_control")) for path, _text in written[1:])
