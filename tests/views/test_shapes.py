"""Views of experiments that are not like `cpu-shares`."""

import threading
import time
from array import array
from xml.etree import ElementTree

import pytest

import labkit
from labkit.experiments import load
from labkit.experiments.outcome import compare
from labkit.host import HostError
from labkit.views import Panel, figure, run, table
from labkit.views.controls import Controls, fractions
from labkit.views.frame import build
from labkit.views.session import stop_running, streams
from labkit.views.text import reading
from labkit.views.watched import WatchedHost, machines_of

from . import invented
from .fakes import FakeHost


def outcome_of(module, **hosts):
    return compare(module, module.Settings(), simulated=FakeHost, **hosts)


def lines_of(text, machine):
    return [line.split() for line in text.splitlines() if line.startswith(f"{machine} ")]


def test_every_unit_has_its_decimals_and_no_theory_is_a_dash():
    text = table(outcome_of(invented.monopoly()))
    assert ["web", "–", "1234.6", "–", "–"] in lines_of(text, "web")
    assert ["web", "–", "9.88", "–", "–"] in lines_of(text, "web")
    assert ["greedy", "–", "3.200", "–", "–"] in lines_of(text, "greedy")
    assert "Mean response time (ms)" in text
    assert "(per second)" in text


def test_a_machine_without_a_quantity_has_no_row_of_it():
    assert len(lines_of(table(outcome_of(invented.monopoly())), "greedy")) == 1


def test_throttled_is_told_in_words():
    text = table(outcome_of(invented.capped()))
    assert "Throttled: wanted a CPU, its cap said no (fraction of the time)" in text
    assert ["m1", "–", "0.750", "–", "–"] in lines_of(text, "m1")


def test_phases_are_named():
    text = table(outcome_of(invented.spike()))
    for phase in ("before", "during the spike", "after"):
        assert f"CPU time used, {phase} (CPU)" in text


def test_what_is_read_aloud_is_the_experiments_headline():
    told = outcome_of(invented.monopoly(HEADLINE="cpu"))
    assert reading(told) == "Simulated: greedy 3.200, web 0.100 CPU."


def test_where_none_is_named_it_is_how_long_people_wait():
    assert reading(outcome_of(invented.monopoly())) == "Simulated mean response time: web 1234.6 ms."
    assert reading(outcome_of(invented.spike())).startswith("Simulated CPU time used, before: all machines")


def test_an_experiments_own_words_come_first():
    own = invented.monopoly(LABELS={"rate": ("Orders", "Fewer orders, less money.")})
    assert "Orders (per second)" in table(outcome_of(own))


def bars(picture):
    """Each panel's bars and the end of its axis, by its words."""
    found = ElementTree.fromstring(f"<div>{picture.html.replace('<br>', '<br/>')}</div>")
    return {svg.get("aria-label"): svg for svg in found.iter("{http://www.w3.org/2000/svg}svg")}


def test_a_figure_leaves_out_what_is_not_there():
    drawn = bars(figure(outcome_of(invented.monopoly())))
    (response,) = [label for label in drawn if "Mean response time" in label]
    assert "web: simulated 1234.6" in response
    assert "theory" not in response and "greedy" not in response


def marks(svg):
    """The numbers along the axis."""
    texts = ["".join(element.itertext()).strip() for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    return [text for text in texts if text.replace(".", "").isdigit()]


def test_phases_are_drawn_on_one_scale():
    drawn = bars(figure(outcome_of(invented.spike())))
    assert len(drawn) == 3
    (scale,) = {tuple(marks(svg)) for svg in drawn.values()}
    assert float(scale[-1]) >= 0.9


def numbers(frame):
    return array("f", frame["data"])


def test_the_browser_gets_scales_and_decimals_that_fit():
    frame = build(outcome_of(invented.monopoly()), 1)
    by_name = {entry["name"]: entry for entry in frame["quantities"]}
    assert by_name["response"]["places"] == 1
    assert by_name["response"]["top"] is None
    assert by_name["cpu"]["top"] == pytest.approx(3.2 * 1.05)
    assert by_name["response"]["simulated"] == [None, 1234.567]
    assert by_name["response"]["curves"] == []
    assert {curve["column"] for curve in by_name["cpu"]["curves"]} == {"simulated"}
    phases = build(outcome_of(invented.spike()), 1)["quantities"]
    assert {entry["whole"] for entry in phases} == {1.0}


def test_a_run_in_phases_has_curves_over_all_of_them():
    outcome = compare(load("cpu-spike"), load("cpu-spike").Settings(), simulated=lambda: labkit.simulated(cpus=2))
    (cpu,) = [entry for entry in build(outcome, 1)["quantities"] if entry["name"] == "cpu"]
    assert cpu["heading"] == "CPU time used, from the beginning to the end (CPU)"
    assert cpu["theory"] == cpu["simulated"] == cpu["live"] == [None] * 3
    assert {curve["machine"] for curve in cpu["curves"]} == {0, 1, 2}


def test_theory_has_no_curve_where_nobody_saw_one():
    module = invented.monopoly(theory={("web", "response"): 1200.0, ("web", "cpu"): 0.1})
    by_name = {entry["name"]: entry for entry in build(outcome_of(module), 1)["quantities"]}
    assert by_name["response"]["theory"] == [None, 1200.0]
    assert by_name["response"]["curves"] == []
    assert any(curve["column"] == "theory" for curve in by_name["cpu"]["curves"])


def test_the_time_line_tells_throttled_stretches_from_runs():
    frame = build(outcome_of(invented.capped()), 1)
    at, count = frame["gantt"]["at"], frame["gantt"]["n"]
    blocks = numbers(frame)[at : at + 4 * count]
    assert [round(value) for value in blocks] == [0, 25, 0, 0, 25, 75, -1, 0]


def controls_of(name):
    return Controls(load(name), load(name).Settings(), lambda _settings: None, lambda _error: None)


def test_controls_of_every_kind():
    module = invented.capped(SHOWN={"seconds": (2, 10)}, names=lambda settings: ["report", "shop", "database"])
    by_setting = Panel(module, open_simulated=lambda _: FakeHost()).controls.by_setting
    assert [slider.description for slider in by_setting["caps"]][0] == "caps of report (%)"
    assert by_setting["caps"][0].step == 1
    assert by_setting["control"][0].options == ("none", "shares", "cap")
    assert by_setting["load"][0].step == 0.05
    assert (by_setting["seconds"][0].min, by_setting["seconds"][0].max) == (2, 10)
    assert by_setting["service_time"][0].value == 0.012
    assert by_setting["service_time"][0].description == "service time (s)"


def test_all_labels_of_a_panel_have_the_room_of_the_longest():
    def rooms(name):
        by_setting = controls_of(name).by_setting
        return {slider.style.description_width for sliders in by_setting.values() for slider in sliders}

    assert rooms("cpu-shares") == {"108px"}
    (wide,) = rooms("cpu-sizing")
    assert 150 <= float(wide.removesuffix("px")) <= 168


def test_settings_that_do_not_fit_each_other_are_refused_in_words():
    panel = Panel("cpu-monopoly", seconds=1.0)
    shown = panel.view.frame["serial"]
    panel.controls.by_setting["arrival_rate"][0].value = 1.0
    assert "must give 20 requests or more" in panel.alert.value
    assert panel.view.frame["serial"] == shown
    panel.controls.by_setting["arrival_rate"][0].value = 50.0
    assert panel.alert.value == ""


def test_a_panel_whose_simulated_host_cannot_says_why():
    def impossible(_settings):
        raise HostError("The glass case is broken.", "Mend it.")

    panel = Panel("cpu-shares", open_simulated=impossible)
    assert "The glass case is broken." in panel.alert.value
    assert "Nothing was run." in panel._repr_mimebundle_()["text/plain"]


def test_a_choice_is_a_setting_like_the_others():
    panel = Panel(invented.capped(), open_simulated=lambda _: FakeHost())
    panel.controls.by_setting["control"][0].value = "cap"
    panel.controls.by_setting["caps"][1].value = 75.0
    assert (panel.settings.control, panel.settings.caps) == ("cap", (25.0, 75.0, 100.0))


def test_a_seed_and_a_percentage_have_sliders_of_their_own():
    by_setting = controls_of("cpu-monopoly").by_setting
    assert (by_setting["seed"][0].min, by_setting["seed"][0].max) == (0, 20)
    assert by_setting["cap"][0].step == 5
    assert 40.0 in [value for _, value in by_setting["arrival_rate"][0].options]


def test_only_what_can_be_seen_at_any_moment_streams():
    assert {name: streams(load(name)) for name in ("cpu-shares", "cpu-cap", "cpu-monopoly", "cpu-spike")} == {
        "cpu-shares": True,
        "cpu-cap": True,
        "cpu-monopoly": False,
        "cpu-spike": False,
    }


def test_round_fractions():
    assert fractions(0.001, 0.02, 0.012) == [0.001, 0.0015, 0.002, 0.003, 0.005, 0.007, 0.01, 0.012, 0.015, 0.02]


def test_how_many_machines():
    assert machines_of(invented.capped(), invented.Caps()) == 3
    assert machines_of(invented.capped(machines=lambda settings: 7), invented.Caps()) == 7


def until(true, seconds=10.0):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def panel_and_hosts():
    hosts = []

    def opened():
        hosts.append(FakeHost(kind="live", boot=0.05, pace=0.05))
        return hosts[-1]

    yield Panel(invented.monopoly(), open_live=opened, open_simulated=lambda _: FakeHost()), hosts
    stop_running()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("labkit live")]


def test_an_experiment_with_an_end_is_run_live_once(panel_and_hosts):
    panel, hosts = panel_and_hosts
    assert panel._repr_mimebundle_()["text/plain"].endswith("host: Simulated or Run live once")
    assert [label for label, _ in panel.switch.options] == ["Simulated", "Run live once"]
    panel.switch.value = "Live"
    assert panel.controls.by_setting["control"][0].disabled
    until(lambda: panel.said.value.startswith("The guests are off; this is what they got"))
    assert panel.switch.value == "Simulated"
    assert hosts[0].closed.is_set()
    assert hosts[0].observed == 1
    assert panel.outcome.live.value("web", "response") == 1234.567
    assert panel.outcome.simulated is not None
    assert "virsh start m1" in panel.asked.value
    assert not panel.controls.by_setting["control"][0].disabled


def test_of_a_run_without_guests_no_guests_are_told():
    """Files alone, as in disk-thin: nothing was switched off, and libvirt was not asked."""
    module = invented.monopoly()
    module.machines = lambda _settings: 0
    hosts = []

    def opened():
        hosts.append(FakeHost(kind="live", boot=0.05, pace=0.05))
        hosts[-1].journal = lambda: ["qemu-img create -q disk.qcow2 1G", "stat disk.qcow2"]
        return hosts[-1]

    panel = Panel(module, open_live=opened, open_simulated=lambda _: FakeHost())
    try:
        panel.start()
        until(lambda: panel.said.value.startswith("The live run is over; this is what it gave. Move a slider"))
        assert panel.progress.value == panel.said.value
        assert "The plain commands (2 commands)" in panel.asked.value
        panel.start()
        until(lambda: len(hosts) == 2)
        panel.stop(wait=5)
        until(lambda: not panel.switch.disabled)
        assert panel.said.value == "The live run is over."
        assert "guest" not in panel.stop_button.tooltip and "real guests" not in panel.switch.tooltips[1]
    finally:
        stop_running()


def test_it_can_be_stopped(panel_and_hosts):
    panel, hosts = panel_and_hosts
    panel.start()
    until(lambda: hosts)
    panel.stop(wait=5)
    assert hosts[0].closed.is_set()
    assert panel.outcome.live is None
    assert panel.switch.value == "Simulated"


def test_a_run_that_was_stopped_early_shows_nothing_of_the_one_before(panel_and_hosts):
    panel, hosts = panel_and_hosts
    panel.start()
    until(lambda: panel.said.value.startswith("The guests are off; this is what they got"))
    assert panel.outcome.live is not None
    panel.start()
    until(lambda: len(hosts) == 2)
    panel.stop(wait=5)
    until(lambda: not panel.switch.disabled)
    assert panel.outcome.live is None
    assert panel.said.value == "The guests are off."


def test_each_look_of_a_run_in_phases_is_told():
    told = []
    module = invented.monopoly()

    def twice(host, asked):
        host.observe(2.0)
        return invented.monopoly().run(host, asked)

    module.run = twice
    with WatchedHost(lambda _tell: FakeHost(kind="live"), lambda words, part: told.append(words)) as host:
        module.run(host, module.Settings())
    assert [words for words in told if words.startswith("measuring")] == [
        "measuring for 2 s",
        "measuring for 6 s, look 2",
    ]


def test_run_takes_such_an_experiment_too():
    result = run(invented.monopoly(), open_live=lambda: FakeHost(kind="live"), open_simulated=lambda _: FakeHost())
    assert result.value("web", "response", "live") == 1234.567
    assert ">1234.6</td>" in result.html
