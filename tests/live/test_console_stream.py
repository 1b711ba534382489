"""A machine's serial port as a stream: both ways, held by one, ended with the machine, nothing lost from its log."""

import subprocess
import sys
import time

import pytest

from labkit.host import HostError
from labkit.host.consoles import HasConsole, Terminal
from labkit.live import console

pytestmark = [pytest.mark.live, pytest.mark.timeless]


@pytest.fixture(scope="module")
def machine(shared_host):
    return shared_host.create("m1")


def until(terminal, wanted: bytes, seconds: float = 20.0) -> bytes:
    """Read until something was printed; each wait ends as soon as anything comes."""
    seen, ends = b"", time.monotonic() + seconds
    while wanted not in seen and time.monotonic() < ends:
        seen += terminal.read(1.0)
    assert wanted in seen, seen[-200:]
    return seen


def test_what_is_typed_arrives_and_the_answer_is_in_the_log_too(machine):
    terminal = machine.terminal()
    assert isinstance(machine, HasConsole) and isinstance(terminal, Terminal)
    assert terminal.write(b"echo $((6 * 7)) apples\n") == 23
    until(terminal, b"42 apples")
    ends = time.monotonic() + 5
    while "42 apples" not in machine.console() and time.monotonic() < ends:
        time.sleep(0.05)
    assert "42 apples" in machine.console()
    assert "virsh console m1" in machine.host.journal()


def test_a_second_takes_over_from_the_first(machine):
    first, second = machine.terminal(), machine.terminal()
    assert first.ended and first.read(5) == b"" and first.write(b"x") == 0
    second.write(b"echo se'cond'\n")
    until(second, b"second")


def test_another_holder_is_left_alone_unless_it_is_forced(machine):
    """Somebody outside this module holds it: libvirt alone knows of them."""
    machine.terminal().close()
    elsewhere = machine.host.connection.newStream(1)
    machine.domain.openConsole(None, elsewhere, 0)
    with pytest.raises(HostError, match="holds the console of m1") as refused:
        machine.terminal()
    assert "force=True" in refused.value.remedy
    forced = machine.terminal(force=True)
    forced.write(b"echo ta'ken'\n")
    until(forced, b"taken")


def test_the_screen_has_the_size_that_it_was_told(machine):
    terminal = machine.terminal()
    terminal.resize(31, 97)
    terminal.write(b"stty size\n")
    until(terminal, b"31 97")


def test_who_does_not_read_in_time_gets_the_newest_and_the_log_has_it_all(machine, monkeypatch):
    monkeypatch.setattr(console, "KEPT", 2000)
    before = machine.console().count("apple pie")
    terminal = machine.terminal()
    terminal.write(b"for n in $(seq 400); do echo $n apple' 'pie; done; echo do'ne'\n")
    ends = time.monotonic() + 20
    while "400 apple pie" not in machine.console() and time.monotonic() < ends:
        time.sleep(0.1)
    time.sleep(0.5)
    seen = terminal.read(5)
    assert len(seen) <= 2000 and b"400 apple pie" in seen
    assert terminal.passed_over > 3000
    assert machine.console().count("apple pie") - before == 400


def test_it_ends_with_the_machine(shared_host):
    machine = shared_host.create("m2")
    terminal = machine.terminal()
    machine.stop()
    begun = time.monotonic()
    while not terminal.ended and time.monotonic() < begun + 10:
        terminal.read(1)
    assert "switched off" in terminal.ended
    terminal.read(1)  # what it said last
    assert terminal.read(1) == b""
    terminal.close()
    terminal.close()
    with pytest.raises(HostError, match="switched off"):
        machine.terminal()


def test_a_program_ends_though_it_holds_a_console(repository, open_live):
    open_live().close()
    program = "import labkit; host = labkit.live(); t = host.create('m1').terminal(); print('held', flush=True)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=repository, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "held\n", "")
