"""What happens where something is missing or broken: a clear sentence with a remedy, and the simulated host goes on."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from labkit.host import HostError
from labkit.live import accelerator, saved, starting
from labkit.live.accelerator import DEADLINE
from labkit.live.places import cache_root

RUN = "import sys; sys.modules['libvirt'] = None; from labkit.cli import main; sys.exit(main(sys.argv[1:]))"


def labkit(*words: str, program: str = RUN, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | environment,
    )


def test_no_libvirt_at_all():
    ended = labkit("run", "cpu-shares", "--host", "both", "--json")
    assert ended.returncode == 1
    document = json.loads(ended.stdout)
    assert all(row["live"] is None and row["simulated"] is not None for row in document["rows"])
    assert "libvirt is not installed" in document["host"]["why_not_live"]
    assert "Traceback" not in ended.stderr


def test_the_doctor_knows_what_is_missing():
    ended = labkit("doctor", "--json")
    assert ended.returncode == 0
    rows = {row["name"]: row for row in json.loads(ended.stdout)["rows"]}
    assert rows["libvirt for Python"]["state"] == "absent"
    assert "./course open" in rows["libvirt for Python"]["remedy"]
    lessons = json.loads(ended.stdout)["lessons"]
    assert {"00", "01", "02"} <= set(lessons) and set(lessons.values()) == {"simulated"}


def test_a_truncated_image(tmp_path):
    shutil.copytree(cache_root() / "image", tmp_path / "image", symlinks=True)
    (current,) = tmp_path.glob("image/current-*")
    os.truncate(current / "kernel", 1000)
    ended = labkit(
        "doctor", "--json", program=RUN.replace("sys.modules['libvirt'] = None; ", ""), LABKIT_CACHE=str(tmp_path)
    )
    rows = {row["name"]: row for row in json.loads(ended.stdout)["rows"]}
    assert rows["guest image"]["state"] == "broken"
    assert "1,000 bytes" in rows["guest image"]["evidence"]
    assert "labkit image build" in rows["guest image"]["remedy"]
    assert rows["live host"]["state"] == "broken"


@pytest.mark.live
def test_a_truncated_saved_boot_is_made_again(host, monkeypatch):
    used, once = [], saved.once
    monkeypatch.setattr(saved, "once", lambda key, make: used.append(once(key, make)) or used[-1])
    host.create("first").stop()
    os.truncate(used[-1], used[-1].stat().st_size // 2)
    assert host.create("broken").started_from == "power-on"
    assert any("broken was booted from power-on" in line for line in host.journal())
    again = host.create("again")
    assert again.started_from == "saved boot"
    assert again.execute(["hostname"]).output == "again\n"


@pytest.fixture
def device(monkeypatch, tmp_path):
    """A /dev/kvm that opens, and a cache that remembers nothing."""
    monkeypatch.setattr(accelerator, "_no_device", lambda: "")
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))


def test_a_kvm_that_opens_and_does_not_work(device):
    tried = []

    def hangs() -> None:
        tried.append(1)
        raise HostError("probe was not up after 12 s.")

    for _ in range(2):
        found = accelerator.choose(hangs, {"qemu": "1"})
        assert found.name == "TCG"
        assert "did not come up" in found.evidence
    assert len(tried) == 1, "it is tried once for each boot of the computer"
    accelerator.choose(hangs, {"qemu": "2"})
    assert len(tried) == 2, "another QEMU is tried anew"


def test_a_kvm_that_works_is_taken(device):
    assert accelerator.choose(lambda: None, {}).name == "KVM"


@pytest.mark.live
def test_the_accelerator_is_what_a_probe_of_now_says(host):
    """Where /dev/kvm opens, boot a guest on it now: the host's choice has to agree with that."""
    import time

    if accelerator._no_device():
        assert host.accelerator.name == "TCG"
        return
    began = time.monotonic()
    try:
        starting.probe(host)
        works = True
    except HostError:
        works = False
    assert time.monotonic() - began < DEADLINE + 10
    assert host.accelerator.name == ("KVM" if works else "TCG")
    assert not host.machines
