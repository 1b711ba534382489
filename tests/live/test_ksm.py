"""Page sharing by the kernel: what is saved, who may switch it on, and that all is put back, after a crash, too."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labkit.experiments import memory_sharing
from labkit.host import HostError, MemoryLoad
from labkit.live import guardian, ksm

pytestmark = pytest.mark.live

PLACE = Path("/sys/kernel/mm/ksm")


@pytest.fixture
def settings(merging):
    """Reads the switches of the kernel's page merging, which no other test touches meanwhile."""
    with merging() as read:
        yield read


@pytest.fixture
def sharing(settings, host, monkeypatch):
    """A host that is allowed to switch the kernel's page merging on; what it was is what it has to be afterwards."""
    monkeypatch.setenv(ksm.CONSENT, "1")
    for ability in ("sharing", "filling"):
        if not (able := host.can(ability)):
            pytest.skip(able.reason)
    return host


def test_it_is_refused_without_consent_and_nothing_is_touched(host, settings, monkeypatch):
    monkeypatch.delenv(ksm.CONSENT, raising=False)
    before = settings()
    able = host.can("sharing")
    assert not able and able.reason and able.remedy
    if os.geteuid() == 0 and (PLACE / "run").exists():
        assert ksm.CONSENT in able.remedy
    with pytest.raises(HostError):
        host.share_pages()
    with pytest.raises(HostError):
        memory_sharing.run(host, memory_sharing.Settings())
    assert settings() == before and not host.machines


def test_a_run_without_consent_has_an_empty_column_and_says_why(repository):
    environment = {name: value for name, value in os.environ.items() if name != ksm.CONSENT}
    command = [sys.executable, "-m", "labkit.cli", "run", "memory-sharing", "--host", "both", "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=repository, timeout=120, env=environment, check=False
    )
    document = json.loads(done.stdout)
    assert done.returncode == 1 and document["host"]["why_not_live"]
    assert {row["live"] for row in document["rows"]} == {None}
    assert document["rows"][0]["simulated"] == document["rows"][0]["theory"] == 72.0


def test_an_ordinary_user_hears_that_only_root_may(as_nobody):
    program = "import labkit; host = labkit.live(); print(host.can('sharing').reason); host.close()"
    assert "root" in as_nobody(["-c", f"import os; os.environ['{ksm.CONSENT}'] = '1'; {program}"])


def pages_of(machine):
    """The pages of a guest that begin as the filling program's do, counted by kind, from QEMU's own memory."""
    begins, count = machine.gauge._address(), int(machine.memory) * 256
    with Path(f"/proc/{machine.process}/mem").open("rb", 0) as memory:
        memory.seek(begins)
        found = [memory.read(4096) for _page in range(count)]
    known = [page[:35] for page in found if page.endswith(b"." * 4000) and page[:1] in (b"i", b"o")]
    return [page for page in known if page[:1] == b"i"], [page for page in known if page[:1] == b"o"]


def test_guests_are_filled_with_what_is_known(sharing):
    machines = [sharing.create(name) for name in ("m1", "m2")]
    for seed, machine in enumerate(machines):
        machine.run(MemoryLoad(8, identical=0.25, seed=seed)).wait(60)
    (alike, own), (alike_there, own_there) = map(pages_of, machines)
    assert len(alike) == len(set(alike)) == 512 and set(alike) == set(alike_there)
    assert len(own) == len(set(own)) == len(own_there) == 1536 and not set(own) & set(own_there)


def test_three_real_guests_share_what_is_the_same(sharing):
    """3 machines of 32 MiB, 3/4 the same: of 72 MiB 48 are saved."""
    asked = memory_sharing.Settings(machines=3, identical=0.75, size=32.0)
    seen = memory_sharing.run(sharing, asked)
    assert seen.value("host", "saved") == pytest.approx(48.0, abs=memory_sharing.bounds(asked)["saved"])
    each = [seen.value(f"m{number}", "shared") for number in (1, 2, 3)]
    assert each == pytest.approx([16.0] * 3, abs=memory_sharing.bounds(asked)["shared"])
    assert seen.provenance.mechanisms["sharing"]
    said = " ".join(sharing.journal())
    assert f"echo 1 >{PLACE}/run" in said and f"echo 2 >{PLACE}/run" in said
    assert not sharing.machines


def test_what_others_have_in_use_is_left_alone(sharing, settings, monkeypatch):
    monkeypatch.setattr(ksm, "_read", lambda name: {"run": "1"}.get(name, "7"))
    before = settings()
    with pytest.raises(HostError, match="in use on this computer already"):
        sharing.share_pages()
    assert settings() == before
    assert not (sharing.root / guardian.KERNEL_SETTINGS).exists()


CRASH = """
import labkit, os, psutil, signal
with labkit.live() as host:
    host.share_pages(7777)
    print(host.root, open("/sys/kernel/mm/ksm/run").read(), flush=True)
    for child in psutil.Process().children():
        if child.name().startswith("python") and "GUARDIAN" == "too":
            child.kill()
            child.wait()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("guardian_too", [False, True])
def test_all_is_put_back_after_a_crash(sharing, settings, repository, guardian_too):
    """By the guardian; and where that is killed, too, by whoever clears the host's directory away."""
    before = settings()
    crash = CRASH.replace("GUARDIAN", "too" if guardian_too else "not")
    done = subprocess.run(
        [sys.executable, "-c", crash], capture_output=True, text=True, cwd=repository, timeout=120, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    root, run = done.stdout.split()
    assert run == "1"
    if guardian_too:
        guardian.end_everything(root)
    ends = time.monotonic() + 20
    while settings() != before or Path(root).exists():
        assert time.monotonic() < ends, f"not put back: {settings()} was {before}"
        time.sleep(0.1)


@pytest.fixture
def advised(sharing):
    """A host on a computer whose kernel sets the pace of its page merging by itself; as it was afterwards."""
    mode = PLACE / "advisor_mode"
    if not mode.exists():
        pytest.skip("this kernel has no advisor for page merging")
    before, pace = ksm._read("advisor_mode"), (PLACE / "pages_to_scan").read_text()
    mode.write_text("scan-time")
    try:
        yield sharing
    finally:
        mode.write_text(before)
        if before == "none":
            (PLACE / "pages_to_scan").write_text(pace)


def test_an_advisor_that_was_on_is_on_again_and_the_run_is_not_lost(advised, settings, recwarn):
    """With an advisor the kernel refuses a number of pages from others."""
    before = settings()
    assert "[scan-time]" in before["advisor_mode"]
    with advised.share_pages(5000) as kept:
        assert settings()["use_zero_pages"].strip() == "1" and settings()["smart_scan"].strip() == "0"
        assert "[none]" in settings()["advisor_mode"] and settings()["pages_to_scan"].strip() == "100"
        assert kept.passes >= 0
    assert settings() == before and not recwarn.list
    assert not (advised.root / guardian.KERNEL_SETTINGS).exists()


def test_what_cannot_be_put_back_is_tried_again_and_nothing_else(sharing, settings, monkeypatch, tmp_path):
    """A refusal loses no result; the directory keeps what is still to do, and only that, until it is done."""
    before = settings()
    pace = [str(PLACE / "sleep_millisecs"), before["sleep_millisecs"].strip()]
    real, refused = Path.write_text, []

    def write(path, text, *rest, **more):
        if path == PLACE / "sleep_millisecs" and refused:
            raise OSError(22, "Invalid argument")
        return real(path, text, *rest, **more)

    monkeypatch.setattr(Path, "write_text", write)
    with pytest.warns(RuntimeWarning, match="could be put back: Invalid argument"), sharing.share_pages(5000):
        refused.append(True)
    record = sharing.root / guardian.KERNEL_SETTINGS
    assert json.loads(record.read_text()) == [pace]
    record.rename(tmp_path / guardian.KERNEL_SETTINGS)
    said = guardian.end_everything(str(tmp_path), quiet=0.0)
    assert "not put back" in " ".join(said) and (tmp_path / guardian.KERNEL_SETTINGS).exists()
    refused.clear()
    said = guardian.end_everything(str(tmp_path), quiet=0.0)
    assert "page merging, put back" in " ".join(said) and not tmp_path.exists()


def test_equal_pages_of_others_alone_are_enough_to_be_refused(sharing, monkeypatch):
    """Switched off, and yet somebody's pages are merged still."""
    monkeypatch.setattr(ksm, "_read", lambda name: {"run": "0"}.get(name, "7"))
    with pytest.raises(HostError, match="in use on this computer already"):
        sharing.share_pages()


def test_the_broom_writes_to_the_kernel_s_page_merging_alone(tmp_path):
    other = tmp_path / "other"
    other.write_text("mine")
    (tmp_path / guardian.KERNEL_SETTINGS).write_text(json.dumps([[str(other), "0"]]))
    guardian.put_settings_back(str(tmp_path))
    assert other.read_text() == "mine"
    assert guardian.put_settings_back(str(tmp_path)) == []


def test_a_host_that_is_closed_shares_no_more(sharing, settings):
    before = settings()
    kept = sharing.share_pages(5000)
    assert settings()["run"].strip() == "1" and kept.passes >= 0
    with pytest.raises(HostError, match="in use"):
        sharing.share_pages()
    sharing.close()
    assert settings() == before
    kept.stop()
