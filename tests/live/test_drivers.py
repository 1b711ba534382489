"""The drivers of this machine's libvirt: every one answers or is ended, and what is said of the test driver is so."""

import socket
import subprocess
import sys
import time

import pytest

from labkit.live import drivers
from labkit.live.controls import CONTROLS, INERT, offers

pytest.importorskip("libvirt")
pytestmark = pytest.mark.timeless


@pytest.fixture(scope="module")
def found():
    return {driver.name: driver for driver in drivers.examine()}


def test_every_driver_is_told_of(found):
    assert set(found) == {
        *("qemu", "test", "esx", "vmware", "vbox", "xen", "lxc", "openvz", "hyperv", "vz", "bhyve", "ch")
    }
    for driver in found.values():
        assert driver.state in ("works", "absent", "broken") and driver.evidence
        assert (driver.state == "works") != bool(driver.remedy)
        assert bool(driver.can) == (driver.state == "works")
        assert set(driver.can) <= set(driver.has_calls_for) <= set(CONTROLS)


def test_the_test_driver_works_and_its_inert_setters_are_known(found):
    test = found["test"]
    assert test.state == "works"
    assert {"inventory", "state", "start", "stop", "memory", "snapshot", "revert"} <= set(test.can)
    assert set(offers("test")) - set(test.can) == set(INERT["test"]), "tried just now, and written in controls"
    assert "reads back 50" in test.evidence


def test_a_driver_without_its_program_says_what_is_missing(found):
    import shutil

    if shutil.which("vmrun"):
        pytest.skip("VMware Workstation is here")
    assert found["vmware"].state == "absent" and "vmrun" in found["vmware"].evidence + found["vmware"].remedy


def test_a_remote_hypervisor_is_asked_for_its_address(found):
    assert found["esx"].state == "absent" and "labkit.live('esx://" in found["esx"].remedy


def test_no_driver_can_keep_the_others_waiting(monkeypatch, tmp_path):
    """A driver that listens and never answers: a socket that takes the connection and says nothing."""
    place = tmp_path / "silent"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(place))
        silent.listen()
        known = (
            drivers.Known("test", "test:///default", "books", "r"),
            drivers.Known("silent", f"test+unix:///default?socket={place}", "nobody", "Wait for ever."),
        )
        monkeypatch.setattr(drivers, "DRIVERS", known)
        child = f"from labkit.live import drivers as d; d.DRIVERS = (d.Known(*{tuple(vars(known[1]).values())!r}),); "
        popen = subprocess.Popen

        def start(words, **options):
            program = [sys.executable, "-c", child + "d._main('silent')"] if words[-1] == "silent" else words
            return popen(program, **options)

        monkeypatch.setattr(drivers.subprocess, "Popen", start)
        began = time.monotonic()
        test, stuck = drivers.examine(limit=6.0)  # the other one takes one or two
        assert time.monotonic() - began < 60.0, "it never ends by itself"
    assert test.state == "works"
    assert stuck.state == "broken" and "did not answer within 6 s" in stuck.evidence and stuck.remedy


def test_what_breaks_is_told_and_not_raised(monkeypatch):
    monkeypatch.setattr(drivers, "DRIVERS", (drivers.Known("no such", "x:///", "nobody", "None."),))
    (broken,) = drivers.examine()
    assert broken.state == "broken" and broken.evidence


def test_nothing_is_started_and_nothing_is_called_up():
    """No address names another computer, and no daemon is started by looking."""
    for known in drivers.DRIVERS:
        assert known.uri.partition("://")[2].startswith("/"), known.uri
    import psutil

    def daemons():
        return {p.pid for p in psutil.process_iter(["name"]) if p.info["name"].startswith(("libvirtd", "virt"))}

    before = daemons()
    drivers.examine()
    assert daemons() <= before
