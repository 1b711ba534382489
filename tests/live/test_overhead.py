"""The same small program on the host and in a real guest."""

import subprocess
import sys
from pathlib import Path

import pytest

import labkit.live.trial
from labkit.experiments import overhead
from labkit.experiments.overhead import Settings
from labkit.host import HostError
from labkit.host.timing import Program

pytestmark = pytest.mark.live


@pytest.mark.parametrize("kind", ["compute", "system-call", "disk"])
def test_a_guest_is_slower_than_its_host(host, kind):
    """In turn, so that whoever slows one down slows the other down too; three times, of which the middle one counts."""
    seen = overhead.run(host, Settings(kind=kind, seconds=0.2, repeats=3))
    said = seen.provenance.mechanisms
    assert seen.value("native", "slowdown") == 1
    least = 1.5 if host.accelerator.name == "TCG" else 0.9  # nobody translates every instruction for less
    assert least < seen.value("guest", "slowdown") < 10_000
    assert host.accelerator.name in said["guest"] and "Python 3" in said["programs"]
    assert {row["machine"] for row in seen.rows} == {"native", "guest"} | ({"emulated"} if kind == "compute" else set())
    for place in overhead.SIMULATED_ONLY:
        assert "not measured" in said[place]
    assert not host.machines
    assert seen.provenance.accelerator == host.accelerator.name
    if kind == "compute":  # under TCG the measurement of the guest is that of emulation; on KVM that has its own guest
        same = seen.value("emulated", "slowdown") == seen.value("guest", "slowdown")
        assert same == (host.accelerator.name == "TCG") == ("compare with 'emulated'" in said["guest"])


def test_a_card_without_a_cable_is_not_measured_and_nothing_is_started(host):
    with pytest.raises(HostError, match="without a cable"):
        overhead.run(host, Settings(kind="network"))
    assert not any("create" in line for line in host.journal()[1:])
    guest = host.create("guest")
    with pytest.raises(HostError, match="without a cable"):
        host.times(Program("network", 0.1, 1, 1000.0), guest)


def test_in_four_times_the_time_it_does_more(tmp_path: Path):
    """The program itself, where nothing is between it and the processor, whoever else is at work."""
    file = tmp_path / "disk"
    file.write_bytes(bytes(1 << 20))
    for kind in ("compute", "system-call", "disk"):
        done = []
        for seconds in ("0.1", "0.4"):
            command = [sys.executable, "-I", "-S", labkit.live.trial.__file__, kind, seconds, "0", str(file)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            assert float(said[1]) >= float(seconds) and said[2] == sys.version.split()[0]
            done.append(int(said[0]))
        # Four times the time: whoever else is at work would have to take three quarters of the CPU in one of the two.
        assert done[1] > done[0] > 100
