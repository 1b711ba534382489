import threading
import time

import pytest

from labkit.host import HostError
from labkit.views import Panel
from labkit.views.cells import Cell
from labkit.views.controls import steps
from labkit.views.session import stop_running

from .fakes import FakeHost


def until(true, seconds=10.0):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def nothing_left_running():
    yield
    stop_running()
    # A thread has told how it ended a moment before it is over.
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("labkit live")])


@pytest.fixture
def hosts():
    return []


@pytest.fixture
def open_live(hosts):
    def opened():
        hosts.append(FakeHost(kind="live", offset=0.01, pace=0.02))
        return hosts[-1]

    return opened


def test_its_text_twin_is_the_simulated_table_in_full():
    text = Panel("cpu-shares")._repr_mimebundle_()["text/plain"]
    assert text == Panel("cpu-shares")._repr_mimebundle_()["text/plain"]
    assert "m3           0.571      0.571          –                 –" in text
    assert "simulated host, 1 CPU, Linux's rules" in text
    assert "…" not in text and len(text) > 600


def test_controls_come_from_the_settings():
    controls = Panel("cpu-shares", shares=(7, 100, 100, 3)).controls.by_setting
    assert [slider.value for slider in controls["shares"]] == [7, 100, 100, 3]
    assert [slider.description for slider in controls["shares"]][0] == "shares of m1"
    assert (controls["cpus"][0].min, controls["cpus"][0].max) == (1, 8)
    for sliders in controls.values():
        for slider in sliders:
            assert slider.description and slider.tooltip


def test_steps_hold_the_range_and_the_exact_value():
    found = steps(2, 262144, 1000)
    assert found[0] == 2 and found[-1] == 262144
    assert {256, 384, 512, 768, 1000, 1024} <= set(found)


def test_a_slider_redraws_at_once():
    panel = Panel("cpu-shares")
    before = panel.view.frame
    panel.controls.by_setting["shares"][0].value = 1024
    after = panel.view.frame
    assert after["serial"] == before["serial"] + 1
    assert round(after["quantities"][0]["theory"][0], 3) == 0.4
    assert after["data"] != before["data"]
    assert panel.settings.shares == (1024, 512, 1024)


def test_sliders_are_short_on_screen_but_take_any_start():
    controls = Panel("cpu-shares", cpus=16, shares=(8, 100, 8192)).controls.by_setting
    assert (controls["cpus"][0].max, controls["cpus"][0].value) == (16, 16)
    assert [slider.options[0][1] for slider in controls["shares"]] == [8, 64, 64]
    assert [slider.options[-1][1] for slider in controls["shares"]] == [4096, 4096, 8192]


def test_reset_puts_every_slider_back_as_one_change():
    panel = Panel("cpu-shares")
    panel.controls.by_setting["shares"][0].value = 1024
    panel.controls.by_setting["cpus"][0].value = 2
    serial, begun, asked = (panel.view.frame[name] for name in ("serial", "begun", "asked"))
    panel.reset_button.click()
    assert panel.view.frame["serial"] == serial + 1
    assert panel.view.frame["begun"] == begun + 1 and panel.view.frame["asked"] != asked  # axes and ticks begin anew
    assert panel.settings == panel.experiment.Settings()


def test_a_wrong_setting_is_refused_when_the_panel_is_made():
    with pytest.raises(ValueError, match="there is no setting 'share'"):
        Panel("cpu-shares", share=3)


def test_live_streams_beside_the_simulated_curve_and_stops(open_live, hosts):
    panel = Panel("cpu-shares", open_live=open_live)
    panel.switch.value = "Live"
    until(lambda: panel.view.frame["mode"] == "live" and panel.outcome.live.seconds >= 3)
    cpu = panel.view.frame["quantities"][0]
    assert None not in cpu["theory"] + cpu["simulated"] + cpu["live"]
    assert panel.stop_button.layout.display == ""
    assert panel.controls.by_setting["cpus"][0].disabled
    assert not panel.controls.by_setting["shares"][0].disabled
    assert "virsh start m1" in panel.asked.value
    assert panel.said.value == "The guests are up; measuring."
    panel.stop_button.click()
    until(lambda: panel.switch.value == "Simulated")
    assert hosts[0].closed.is_set()
    assert panel.said.value.startswith("The guests are off")
    assert panel.stop_button.layout.display == "none"
    assert not panel.controls.by_setting["cpus"][0].disabled
    assert panel.outcome.live is not None  # what they got stays in the picture
    panel.controls.by_setting["shares"][0].value = 512
    assert panel.outcome.live is None


def test_live_follows_the_slider(open_live, hosts):
    panel = Panel("cpu-shares", open_live=open_live)
    panel.start()
    until(lambda: panel.outcome.live is not None)
    panel.controls.by_setting["shares"][0].value = 2048
    until(lambda: panel.outcome.settings.shares[0] == 2048 and panel.outcome.live is not None)
    assert panel.outcome.live.value("m1", "cpu") == pytest.approx(0.571 + 0.01, abs=0.001)
    assert panel.outcome.simulated.value("m1", "cpu") == pytest.approx(0.571, abs=0.01)
    assert "--set cpu_shares=2048" in panel.asked.value
    panel.switch.value = "Simulated"
    until(lambda: hosts[0].closed.is_set() and not panel.switch.disabled)
    assert panel.switch.value == "Simulated"


def test_where_live_is_impossible_it_says_why_and_goes_on():
    def impossible():
        raise HostError("There is no <libvirt> here.", "Run ./course open.")

    panel = Panel("cpu-shares", open_live=impossible)
    panel.switch.value = "Live"
    until(lambda: panel.alert.value)
    assert panel.alert.role == "alert"
    assert "There is no &lt;libvirt&gt; here." in panel.alert.value
    assert "Run ./course open." in panel.alert.value
    until(lambda: panel.switch.value == "Simulated")
    assert not panel.switch.disabled
    panel.controls.by_setting["shares"][0].value = 512
    assert panel.alert.value == ""


def test_a_guest_that_dies_is_told_and_cleaned_up(hosts):
    def opened():
        hosts.append(FakeHost(kind="live", pace=0.01, fail_after=2))
        return hosts[-1]

    panel = Panel("cpu-shares", open_live=opened)
    panel.start()
    until(lambda: "The guest m1 stopped." in panel.alert.value)
    assert hosts[0].closed.is_set()
    assert panel.outcome.live is None


def test_an_unforeseen_failure_is_told_too(hosts):
    class Broken(FakeHost):
        def observe(self, seconds, every=0.2):
            raise OSError("no such file")

    panel = Panel("cpu-shares", open_live=lambda: Broken(kind="live"))
    panel.start()
    until(lambda: "no such file" in panel.alert.value)


def test_stop_while_it_boots(hosts):
    def opened():
        hosts.append(FakeHost(kind="live", boot=0.2))
        return hosts[-1]

    panel = Panel("cpu-shares", open_live=opened)
    panel.start()
    until(lambda: "starting m1" in panel.progress.value)
    panel.stop(wait=5)
    assert hosts[0].closed.is_set()
    assert not hosts[0].machines
    assert panel.alert.value == "" and panel.asked.value == ""
    assert panel.switch.value == "Simulated"


def test_one_live_run_at_a_time(open_live, hosts):
    one = Panel("cpu-shares", open_live=open_live)
    one.start()
    until(lambda: one.outcome.live is not None)
    other = Panel("cpu-shares", open_live=open_live)
    other.start()
    until(lambda: other.outcome.live is not None)
    assert hosts[0].closed.is_set()
    until(lambda: "live run has taken over; the guests of this one were switched off" in one.alert.value)
    assert "Press Live to start again." in one.alert.value
    assert one.switch.value == "Simulated"
    assert one.outcome.live is not None  # what had been measured stays
    other.stop(wait=5)
    until(lambda: other.switch.value == "Simulated")
    assert other.alert.value == ""  # this end was the person's wish


def test_a_new_panel_leaves_live_runs_alone_unless_its_cell_runs_again(open_live, hosts, monkeypatch):
    runs = [Cell("a cell", "first run")]
    monkeypatch.setattr("labkit.views.panel.this_cell", lambda: runs[-1])
    panel = Panel("cpu-shares", open_live=open_live)
    panel.start()
    until(lambda: panel.outcome.live is not None)
    for other in (Cell("a cell", "first run"), Cell("another cell", "its run"), Cell()):
        runs.append(other)
        Panel("cpu-shares")
        seen = panel.outcome.live.seconds
        until(lambda seen=seen: panel.outcome.live.seconds > seen)
        assert not hosts[0].closed.is_set()
    runs.append(Cell("a cell", "second run"))
    Panel("cpu-shares")
    until(hosts[0].closed.is_set)


def test_stop_answers_at_once_and_old_commands_go(hosts):
    slow = threading.Event()

    class Slow(FakeHost):
        def observe(self, seconds, every=0.2):
            slow.wait(5)
            return super().observe(seconds, every)

    def opened():
        hosts.append(Slow(kind="live"))
        return hosts[-1]

    panel = Panel("cpu-shares", open_live=opened)
    panel.start()
    until(lambda: "virsh start m3" in panel.asked.value)
    assert panel.said.value == "Measuring."
    panel.stop()
    assert panel.stop_button.description == "Stopping…"
    assert "stopping" in panel.progress.value
    slow.set()
    until(lambda: panel.switch.value == "Simulated")
    assert panel.stop_button.description == "Stop"
    panel.controls.by_setting["shares"][0].value = 512
    assert panel.asked.value == ""


def test_while_newer_numbers_are_computed_it_says_so():
    seen, panels = [], []

    def opened(_settings):
        seen.extend(panel.view.computing for panel in panels)
        return FakeHost()

    panels.append(Panel("cpu-shares", open_simulated=opened))
    panels[0].controls.by_setting["shares"][0].value = 512
    assert seen == [True]
    assert not panels[0].view.computing


def test_controls_that_make_no_difference_are_hidden():
    panel = Panel("cpu-monopoly")
    by_setting = panel.controls.by_setting

    def hidden(name):
        return by_setting[name][0].layout.display == "none"

    assert hidden("shares") and hidden("cap") and not hidden("seconds")
    by_setting["control"][0].value = "cap"
    assert hidden("shares") and not hidden("cap")
    panel.reset_button.click()
    assert hidden("cap")


def test_closing_the_panel_ends_the_guests(open_live, hosts):
    panel = Panel("cpu-shares", open_live=open_live)
    panel.start()
    until(lambda: panel.outcome.live is not None)
    panel.close()
    until(lambda: hosts[0].closed.is_set())
