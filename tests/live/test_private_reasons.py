"""Why there is no private host here, and what libvirt cannot do in one: each reason is said, with what to do."""

import os
import subprocess
import sys

import pytest

import labkit
from labkit.host import HostError
from labkit.live import private, report
from labkit.live.private import cards, examine, forbidden, programs
from labkit.live.report import Finding


def test_root_in_a_plain_container_is_told_why():
    if os.geteuid():
        pytest.skip("only root can give a right up")
    less = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    program = "from labkit.live import private; private.open_private()"
    done = subprocess.run([*less, sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "CAP_SYS_ADMIN" in done.stderr.splitlines()[-1], done.stderr


def test_each_refusal_has_its_reason(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    switched = tmp_path / "apparmor_restrict_unprivileged_userns"
    switched.write_text("1\n")
    monkeypatch.setattr(forbidden, "_SWITCHES", ((str(switched), "1", "sysctl -w it=0"),))
    error = forbidden.refused("unshare: write failed /proc/self/uid_map: Operation not permitted")
    assert switched.name in error.message and "sysctl -w it=0" in error.remedy
    switched.write_text("0\n")
    error = forbidden.refused("unshare: unshare failed: Operation not permitted\n")
    assert "unshare failed" in error.message and "--privileged" in error.remedy


def test_each_missing_program_has_its_package(monkeypatch):
    monkeypatch.setattr(programs, "find", lambda program: None if program in ("libvirtd", "ip") else "/bin/true")
    with pytest.raises(HostError) as caught:
        private.open_private()
    assert "libvirtd, ip, not installed" in caught.value.message
    assert "apt-get install --no-install-recommends libvirt-daemon iproute2" in caught.value.remedy
    assert "./course open" in caught.value.remedy


def test_what_libvirt_cannot_do_together_is_refused():
    with pytest.raises(HostError, match="nwfilter does not work on ports of Open vSwitch"):
        cards.card("52:54:00:00:00:01", switch="lan", filter="clean-traffic")
    with pytest.raises(HostError, match="VLANs on ports of Open vSwitch only"):
        cards.card("52:54:00:00:00:01", bridge="lan", vlan=10)


def test_an_unshare_that_is_too_old():
    said = "unshare: unrecognized option '--map-auto'\nTry 'unshare --help' for more information."
    error = forbidden.refused(said)
    assert "older than 2.38" in error.message and "util-linux" in error.remedy


def test_the_doctor_says_why_there_is_none(monkeypatch):
    monkeypatch.setattr(programs, "find", lambda _program: None)
    (row,) = examine.findings()
    assert (row.name, row.state) == ("private host", "absent")
    assert "dnsmasq" not in row.evidence and "libvirtd" in row.evidence and "libvirt-daemon" in row.remedy
    monkeypatch.undo()
    monkeypatch.setattr(programs, "find", lambda program: f"/bin/{program}")
    monkeypatch.setattr(forbidden, "foreseen", lambda: HostError("No namespaces.", "Go elsewhere."))
    (row,) = examine.findings()
    assert (row.state, row.evidence, row.remedy) == ("broken", "No namespaces.", "Go elsewhere.")


def test_networks_are_live_where_each_part_works_or_is_fetched(monkeypatch):
    parts = ("private host", "virtual networks", "firewall", "VLANs", "shaping")
    all_there = [Finding(name, "works", "seen") for name in parts]
    assert report._in_private(all_there) and not report._in_private([])
    for place in (0, 2, 4):
        assert not report._in_private([*all_there[:place], *all_there[place + 1 :]]), parts[place]
    to_fetch = [*all_there[:3], Finding("VLANs", "absent", "not yet"), all_there[4]]
    monkeypatch.setattr(report.shutil, "which", lambda program: f"/usr/bin/{program}")
    assert report._in_private(to_fetch)
    monkeypatch.setattr(report.shutil, "which", lambda _program: None)
    assert not report._in_private(to_fetch)
    assert set(report.LESSONS["06"]) <= set(report._NETWORKED)


def test_networks_and_an_address_do_not_go_together(monkeypatch):
    monkeypatch.delenv("LABKIT_NO_LIVE", raising=False)
    with pytest.raises(HostError, match="no networks at qemu:///system"):
        labkit.live("qemu:///system", networks=True)
