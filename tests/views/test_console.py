"""A console on the page: what goes to the machine, what comes back, what is passed over, and how it ends."""

import re
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import labkit
from labkit import views
from labkit.host import HostError
from labkit.views import console, networklab
from labkit.views.console import Console, plain

VIEWS = Path(__file__).parents[2] / "labkit" / "views"
JS = VIEWS / "js"
BUNDLE = ("console.js", "console.css")


class FakeTerminal:
    """A cable's end: bytes come where the test puts them."""

    def __init__(self):
        self.ended, self.passed_over, self.typed, self.sizes, self.takes = "", 0, b"", [], 10**6
        self.came, self.changed = b"", threading.Condition()

    def prints(self, came):
        with self.changed:
            self.came += came
            self.changed.notify_all()

    def ends(self, why):
        with self.changed:
            self.ended = self.ended or why
            self.changed.notify_all()

    def read(self, timeout=None):
        with self.changed:
            self.changed.wait_for(lambda: self.came or self.ended, timeout)
            came, self.came = self.came, b""
            return came

    def write(self, typed):
        taken = typed[: self.takes]
        self.typed += taken
        return len(taken)

    def resize(self, rows, columns):
        time.sleep(0.05)
        if columns == 13:
            raise HostError("m1 did not change it.", "Type it.")
        self.sizes.append((rows, columns))

    def close(self):
        self.ends("It was closed.")


class FakeMachine:
    name = "m1"

    def __init__(self):
        self.terminals, self.refuses = [], False

    def console(self):
        return "\x1b[6nlabkit: ready 1.2\r\n/ # \x1b[Jls\r\nbin  dev\r\n"

    def terminal(self, *, force=False):
        if self.refuses and not force:
            raise HostError("Somebody in another program holds the console of m1.", "Close it there.")
        if self.terminals:
            self.terminals[-1].ends("Another console of this notebook has taken over.")
        self.terminals.append(FakeTerminal())
        return self.terminals[-1]


class Sent(Console):
    """Keeps what goes to the page."""

    def __init__(self, *words, **named):
        self.sent = []
        super().__init__(*words, **named)

    def send(self, content, buffers=None):
        self.sent.append((content["do"], bytes(buffers[0])))

    def shown(self):
        return b"".join(text for do, text in self.sent if do == "print")

    def hears(self, **asked):
        self._handle_custom_msg(asked, [])


@pytest.fixture
def machine():
    return FakeMachine()


@pytest.fixture
def opened(machine):
    made = Sent(machine)
    yield made
    made.close()


def until(true):
    ends = time.monotonic() + 10
    while not true() and time.monotonic() < ends:
        time.sleep(0.01)
    assert true()


def test_what_is_printed_is_shown_and_is_there_for_a_page_opened_later(machine, opened):
    machine.terminals[0].prints(b"/ # \x1b[6n")
    until(lambda: opened.shown() == b"/ # \x1b[6n")
    opened.hears(do="begin")
    assert opened.sent[-1] == ("begin", b"/ # \x1b[6n")


def test_only_bytes_that_were_typed_go_to_the_machine(machine, opened):
    assert "Press Enter" in opened.state
    opened.hears(do="type", text="ping 10.0.0.2\r")
    assert opened.state == "Connected."
    opened.hears(do="type", text="\x03é\ud800")
    for asked in ({"do": "type", "text": 5}, {"do": "type"}, {"do": "run", "text": "x"}, {"do": "size", "rows": "2"}):
        opened.hears(**asked)
    opened._handle_custom_msg("type", [])
    assert machine.terminals[0].typed == b"ping 10.0.0.2\r\x03\xc3\xa9?"


def test_what_is_not_taken_is_said(machine, opened):
    machine.terminals[0].takes = 4
    opened.hears(do="type", text="123456")
    assert opened.state == "m1 does not take what is typed: 2 characters did not reach it."


def test_a_flood_is_passed_over_and_the_newest_is_shown(machine, opened, monkeypatch):
    monkeypatch.setattr(console, "EVERY", 0.001)
    machine.terminals[0].prints(b"y\r\n" * 100_000 + b"the end")
    until(lambda: opened.shown().endswith(b"the end"))
    skipped = 300_007 - console.BEHIND
    assert f"[{skipped:,} bytes came too fast to be shown".encode() in opened.shown()
    assert all(len(text) <= console.PORTION for _do, text in opened.sent)
    opened.hears(do="begin")
    assert len(opened.sent[-1][1]) <= console.BEHIND


def test_what_nobody_fetched_in_time_is_said_too(machine, opened):
    machine.terminals[0].passed_over = 1234
    machine.terminals[0].prints(b"late")
    until(lambda: opened.shown().endswith(b"late"))
    assert b"[1,234 bytes came too fast" in opened.shown()


def test_it_ends_with_the_machine_and_can_be_connected_again(machine, opened):
    machine.terminals[0].prints(b"last words")
    machine.terminals[0].ends("The machine was switched off.")
    until(lambda: not opened.held)
    assert (opened.state, opened.shown()) == ("The machine was switched off.", b"last words")
    opened.hears(do="type", text="anybody?")
    assert machine.terminals[0].typed == b""
    opened.hears(do="connect")
    assert opened.held and len(machine.terminals) == 2
    opened.hears(do="connect")  # it is held already
    assert len(machine.terminals) == 2


def test_when_stop_has_been_pressed_it_says_so_and_offers_no_other_machine(monkeypatch):
    machines = [FakeMachine(), FakeMachine()]
    made = []

    def fake(*_machines, rows):
        made.extend(Sent(machine, rows=rows) for machine in machines)
        return console.Consoles(made)

    monkeypatch.setattr(networklab, "_live", lambda _tell: labkit.simulated())
    monkeypatch.setattr(networklab, "consoles", fake)
    lab = networklab.NetworkLab((10, 10))
    assert all(each.held and not each.over for each in made)
    lab.stop_button.click()
    time.sleep(0.1)  # the threads that wait for what is printed end
    for each, machine in zip(made, machines, strict=True):
        assert each.state == "Stop has switched the machines off. Run the cell again to make new ones."
        assert each.over and not each.held and machine.terminals[0].ended
        each.hears(do="connect")
        assert len(machine.terminals) == 1
    lab.stop()  # twice is no error


def test_a_second_one_takes_over_and_the_first_says_so(machine, opened):
    second = Sent(machine)
    until(lambda: not opened.held)
    assert second.held and "taken over" in opened.state
    second.close()


def test_a_refusal_is_said_in_words_and_can_be_forced(machine):
    machine.refuses = True
    refused = Sent(machine)
    assert not refused.held and refused.state.startswith("Somebody in another program holds the console of m1.")
    forced = Sent(machine, force=True)
    assert forced.held
    forced.close()


def test_of_many_sizes_the_last_counts_and_a_failure_is_said(machine, opened):
    for columns in (60, 61, 62, 80):
        opened.hears(do="size", rows=16, columns=columns)
    until(lambda: machine.terminals[0].sizes and machine.terminals[0].sizes[-1] == (16, 80))
    assert len(machine.terminals[0].sizes) <= 2
    opened.hears(do="size", rows=16, columns=13)
    until(lambda: "m1 did not change it." in opened.state)


def test_a_simulated_machine_says_that_it_has_none():
    with labkit.simulated() as host:
        shown = views.Console(host.create("m1"))
        assert not shown.possible and not shown.held
        assert shown.state.startswith("m1 is a simulated machine and has no console")
        assert repr(shown) == f"Console of m1. {shown.state}"
        assert repr(views.consoles(host.machines["m1"])) == repr(shown)


def test_somebody_elses_machine_is_not_taken_for_a_simulated_one():
    shown = Console(SimpleNamespace(name="shop", host=SimpleNamespace(kind="live")))
    assert shown.state == "shop is not labkit's own machine, and its console stays with its owner: virsh console shop"


def test_its_text_twin_has_the_last_lines(opened):
    said = opened._repr_mimebundle_()
    data = said[0] if isinstance(said, tuple) else said
    assert data["text/plain"].splitlines()[1:] == [
        "The last lines on it:",
        "  labkit: ready 1.2",
        "  / # ls",
        "  bin  dev",
    ]


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("a\r\nb\r\n", "a\nb\n"),
        ("\x1b[1;34mbin\x1b[m  \x1b]0;title\x07dev", "bin  dev"),
        ("10%\r20%\r100%\r\n", "100%\n"),
        ("/ # \x1b[6n\x1b[J\r/ # \x1b[Jls\r\n", "/ # ls\n"),
    ],
)
def test_words_without_what_only_a_terminal_understands(printed, words):
    assert plain(printed) == words


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    if not (JS / "node_modules" / "@xterm" / "xterm").is_dir():
        subprocess.run(["npm", "ci"], cwd=JS, check=True, timeout=240)
    into = tmp_path_factory.mktemp("static")
    subprocess.run(["node", "build.mjs", str(into)], cwd=JS, check=True, timeout=60)
    return into


@pytest.mark.parametrize("name", BUNDLE)
def test_bundle_and_source_match(rebuilt, name):
    assert (rebuilt / name).read_bytes() == (VIEWS / "static" / name).read_bytes(), "run `npm run build` in views/js"


@pytest.mark.parametrize("name", BUNDLE)
def test_it_asks_nobody_and_brings_its_licence(name):
    text = (VIEWS / "static" / name).read_text(encoding="utf-8")
    named = set(re.findall(r"https?://[^\"'`\s)]+", text))
    assert named <= {"http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg"}  # names of languages, not of places
    assert not re.search(r"@import|\bfetch\(|XMLHttpRequest|WebSocket|sourceMappingURL", text)
    assert "Permission is hereby granted, free of charge" in text and "The xterm.js authors" in text
    assert len(text) < 400_000
