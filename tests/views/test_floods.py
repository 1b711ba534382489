"""A browser that floods the kernel, or sends what no slider of ours would: the last true wish counts, nothing hangs."""

import random
import threading
import time
from contextlib import suppress

import pytest
from traitlets import TraitError

from labkit.experiments import load
from labkit.experiments.settings import SettingError, validate
from labkit.views import Panel, run
from labkit.views.asked import Openers
from labkit.views.latest import Latest
from labkit.views.session import Audience, Session, stop_running

from .fakes import FakeHost


def until(true, seconds=20.0):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def nothing_left_running():
    yield
    stop_running()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("labkit live")])


def live(**how):
    hosts = []

    def opened():
        hosts.append(FakeHost(kind="live", pace=0.02, **how))
        return hosts[-1]

    return hosts, opened


# Floods


def test_a_wish_made_during_one_that_fails_is_still_done():
    done, begun, go_on = [], threading.Event(), threading.Event()

    def work(wish):
        done.append(wish)
        if wish == 1:
            begun.set()
            assert go_on.wait(5)
            raise ValueError("one")

    latest, told = Latest(work), []

    def ask():
        try:
            latest.ask(1)
        except ValueError as error:
            told.append(str(error))

    first = threading.Thread(target=ask)
    first.start()
    assert begun.wait(5)
    latest.ask(2)  # returns at once: the first thread is at work
    go_on.set()
    first.join(5)
    assert (done, told) == ([1, 2], ["one"])
    latest.ask(3)
    assert done == [1, 2, 3]


@pytest.mark.parametrize("nothing", [None, 0, ()])
def test_any_wish_is_a_wish(nothing):
    done = []
    latest = Latest(done.append)
    latest.ask(nothing)
    latest.ask(1)
    assert done == [nothing, 1], "it must not stay busy for ever"


def test_a_thousand_moves_end_at_the_last_one():
    panel = Panel("cpu-shares")
    sliders = panel.controls.by_setting["shares"]
    moves = random.Random(1)

    def flood():
        for _ in range(60):
            slider = moves.choice(sliders)
            slider.index = moves.randrange(len(slider.options))

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    sliders[0].value = 64
    sliders[0].value = 2048
    until(lambda: panel.outcome.settings.shares == tuple(slider.value for slider in sliders))
    assert panel.outcome.settings.shares[0] == 2048 and panel.alert.value == ""


def test_a_flood_on_running_guests_changes_them_to_the_last_wish():
    hosts, opened = live()
    panel = Panel("cpu-shares", shares=(512, 512), open_live=opened)
    panel.start()
    until(lambda: panel.outcome.live is not None)
    first = panel.controls.by_setting["shares"][0]
    for number in range(200):
        first.index = number % len(first.options)
    first.value = 1024
    until(lambda: hosts[0].machines and hosts[0].machines["m1"].shares == 1024)
    changes = sum("schedinfo" in line for line in hosts[0].log)
    assert changes < 200, "each stretch takes the last wish, not every one"
    panel.stop(20)
    assert hosts[0].closed.is_set()


def test_a_flood_on_the_switch_ends_with_no_guests():
    hosts, opened = live(boot=0.01)
    panel = Panel("cpu-shares", shares=(512, 512), open_live=opened)
    for _ in range(40):
        panel.switch.value = "Live"
        panel.switch.value = "Simulated"
    panel.stop(20)
    until(lambda: panel._session is None)
    assert panel.switch.value == "Simulated" and not panel.switch.disabled
    until(lambda: all(host.closed.is_set() for host in hosts))
    assert not any(host.machines for host in hosts)


def test_of_sessions_that_begin_at_once_one_runs_at_a_time():
    experiment = load("cpu-shares")
    inside, most, ended = [], [], []

    class Counting(FakeHost):
        def __init__(self):
            super().__init__(kind="live", pace=0.02)
            inside.append(self)
            most.append(len(inside))
            time.sleep(0.1)

        def close(self):
            super().close()
            if self in inside:
                inside.remove(self)

    def nothing(*_what):
        return None

    openers = Openers.of(Counting, lambda settings: FakeHost(settings.cpus))
    sessions = [
        Session(experiment, experiment.Settings(), openers, Audience(nothing, nothing, nothing, ended.append))
        for _ in range(6)
    ]
    for session in sessions:
        session.start()
    time.sleep(1.0)
    for session in sessions:
        session.stop(20)
    until(lambda: len(ended) == 6)
    assert most and max(most) == 1, "two would measure each other"
    assert ended == [None] * 6


# What no slider of ours would send

FORGED = [
    {"value": "many"},
    {"value": None},
    {"value": [1, [2, [3]]]},
    {"value": {"a": 1}},
    {"value": float("nan")},
    {"value": float("inf")},
    {"value": 10**40},
    {"value": -1},
    {"value": 1e308, "max": 1e309},
    {"value": 5000, "max": 5000},
    {"value": -5000, "min": -5000},
    {"value": "\x00\ud800"},
    {"index": -1},
    {"index": 10**9},
    {"index": "0"},
    {"index": None},
    {"options": []},
    {"_options_labels": [], "index": 0},
    {"step": 0},
    {"nonsense": 1},
    {"disabled": "yes"},
]


@pytest.mark.parametrize("state", FORGED, ids=ascii)
@pytest.mark.parametrize("experiment", ["cpu-shares", "cpu-monopoly"])
def test_forged_messages_of_every_slider(experiment, state):
    panel = Panel(experiment)
    for sliders in panel.controls.by_setting.values():
        for slider in sliders:
            with suppress(TraitError):  # which ipywidgets logs; the kernel goes on
                slider.set_state(state)
            assert validate(panel.settings) == panel.settings, "what is simulated is always within the range"
            assert isinstance(panel.settings, load(experiment).Settings)
    assert "Traceback" not in panel.alert.value and len(panel.alert.value) < 600
    whole = Panel(experiment)
    assert whole.outcome.simulated is not None


def test_a_forged_move_of_a_slider_that_is_locked_while_live():
    hosts, opened = live()
    panel = Panel("cpu-shares", shares=(512, 512), open_live=opened)
    panel.start()
    until(lambda: panel.outcome.live is not None)
    panel.controls.by_setting["cpus"][0].set_state({"value": 4})
    time.sleep(0.2)
    panel.stop(20)
    until(lambda: panel._session is None)
    assert hosts[0].closed.is_set()


# Settings in a cell

SETTINGS = [
    {"shares": "256,512"},
    {"shares": 256},
    {"shares": None},
    {"shares": {"m1": 1}},
    {"shares": [[256], [512]]},
    {"shares": [256, "512"]},
    {"shares": [256, True]},
    {"shares": [256, float("nan")]},
    {"shares": [256, 10**5000]},
    {"shares": [256, [10**5000]]},
    {"shares": [256, "\x00\ud800"]},
    {"shares": [256] * 10_000},
    {"shares": range(2, 5)},
    {"shares": iter([256, 512])},
    {"shares": ()},
    {"cpus": "1"},
    {"cpus": 1.5},
    {"cpus": True},
    {"cpus": 10**5000},
    {"cpus": float("inf")},
    {"cpus": b"1"},
    {"seconds": "six"},
    {"seconds": 1e400},
    {"seconds": -0.0},
    {"seconds": complex(1, 1)},
    {"sécondes": 6},
    {"\x00": 6},
    {"__class__": int},
    {"x" * 100_000: 6},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=range(len(SETTINGS)))
def test_hostile_settings_in_a_cell(settings):
    with pytest.raises(SettingError) as caught:
        run("cpu-shares", host="simulated", **settings)
    said = str(caught.value)
    assert 20 < len(said) < 300 and said.isprintable() and said.endswith("."), said


@pytest.mark.parametrize("name", ["", "cpu-shares\n", "../cpu-shares", "\x00", "x" * 100_000, "os"])
def test_hostile_names_of_experiments(name):
    with pytest.raises(SettingError) as caught:
        run(name, host="simulated")
    assert 20 < len(str(caught.value)) < 300 and str(caught.value).isprintable()


@pytest.mark.parametrize("host", ["", "LIVE", None, 1, ["live"], {"a": 1}, "x" * 100_000])
def test_hostile_names_of_hosts(host):
    with pytest.raises(ValueError, match="host is 'both', 'simulated' or 'live'") as caught:
        run("cpu-shares", host=host)
    assert len(str(caught.value)) < 200


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_host_that_fails_in_a_way_nobody_thought_of():
    """A panel tells it, and its switch is not left on Live."""

    class Odd(FakeHost):
        def observe(self, seconds, every=0.2):
            raise ZeroDivisionError("nobody thought of that")

    panel = Panel("cpu-shares", shares=(512, 512), open_live=lambda: Odd(kind="live"))
    panel.start()
    until(lambda: panel._session is None and panel.alert.value)
    assert "The live run ended" in panel.alert.value
    assert panel.switch.value == "Simulated" and not panel.switch.disabled
