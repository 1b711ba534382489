"""Weights from nice values and control groups, worked out apart from any guest."""

import pytest

from labkit.live.shares import ControlGroups, in_root_group, nice_for


@pytest.mark.parametrize(("shares", "nice"), [(1024, 0), (512, 3), (256, 6), (15, 19), (2, 19)])
def test_the_nearest_nice_value(shares, nice):
    assert nice_for(shares, 1024) == nice


def test_on_cgroup_v2_ratios_stay():
    assert [ControlGroups(True)._value(shares) for shares in (256, 512, 1024)] == [25, 50, 100]
    assert ControlGroups(True)._value(2) == 1
    assert ControlGroups(True)._value(262144) == 10000
    assert ControlGroups(False)._value(512) == 512


def test_the_root_group_on_cgroup_v1():
    assert in_root_group("3:cpu,cpuacct:/\n0::/user.slice\n")
    assert not in_root_group("3:cpu,cpuacct:/session\n")


def test_the_root_group_on_cgroup_v2(tmp_path):
    """A desktop: the slice above the terminal has the controller, the terminal's own scope has not."""
    scope = tmp_path / "user.slice" / "app.slice" / "terminal.scope"
    scope.mkdir(parents=True)
    membership = "0::/user.slice/app.slice/terminal.scope\n"
    assert in_root_group(membership, tmp_path)
    (tmp_path / "user.slice" / "app.slice" / "cpu.weight").write_text("100")
    assert not in_root_group(membership, tmp_path)
