"""Where the memory is: what a person sees of it adds up, and says no more than was observed."""

import dataclasses
from array import array
from dataclasses import dataclass

import pytest

from labkit.experiments.outcome import compare
from labkit.experiments.settings import size
from labkit.host import Event, Observation, Provenance
from labkit.host.memory import QUANTITIES as MEMORY
from labkit.views import Panel
from labkit.views.frame import Curve, build, curves_of
from labkit.views.memory import PARTS, host_size, on_host, parts_of, promised, sentences, states
from labkit.views.palette import look
from labkit.views.session import streams
from labkit.views.tape import Tape

from . import remembering
from .fakes import FakeHost


def outcome_of(module, **hosts):
    return compare(module, module.Settings(), simulated=FakeHost, **hosts)


def test_what_a_guest_says_of_itself_is_laid_out_in_full():
    parts = parts_of({"guest_total": 90.379, "guest_free": 62.179, "host_resident": 128.0}, 256.0)
    assert list(parts) == ["kernel", "used", "free", "ballooned"]
    assert parts["used"] == pytest.approx(28.2)
    assert parts["free"] == pytest.approx(62.179)
    # 218.379 MiB is what a guest of 256 MiB has to deal out without a balloon: the rest is its kernel's own.
    assert parts["kernel"] == pytest.approx(256 - 218.379, abs=0.01)
    assert parts["ballooned"] == pytest.approx(128.0, abs=0.01)
    assert sum(parts.values()) == pytest.approx(256.0)


def test_without_the_promise_nothing_is_made_up():
    assert set(parts_of({"guest_total": 90.0, "guest_free": 60.0})) == {"used", "free"}
    assert parts_of({"guest_total": 90.0}) == {}
    assert parts_of({"cpu": 0.5}) == {}


def test_what_is_in_the_balloon_or_on_the_disk_takes_no_room():
    seen = {"working_set": 60.0, "idle": 100.0, "ballooned": 50.0, "swapped": 30.0, "shared": 10.0}
    assert on_host(seen, parts_of(seen)) == 160.0
    assert on_host({**seen, "host_resident": 170.0}, parts_of(seen)) == 170.0
    assert on_host({}, {}) is None


def test_parts_differ_in_colour_and_in_pattern():
    # What is in use, and what is not there, go by two names, of which a picture has one.
    shown_together = [part for part in PARTS if part.name not in ("working_set", "short")]
    assert len({part.colour for part in shown_together}) == len({part.pattern for part in shown_together}) == 7
    assert {part.colour for part in PARTS} <= {look(index).colour for index in range(8)}


def test_what_a_guest_lacks_is_a_part_of_what_others_have():
    seen = {"guest_total": 120.0, "guest_free": 20.0, "short": 30.0, "idle": 6.0}
    parts = parts_of(seen, 240.0)
    assert list(parts) == ["kernel", "used", "free", "short", "ballooned"]
    assert parts["short"] == 30.0
    assert sum(parts.values()) == pytest.approx(240.0)
    assert on_host({}, parts) == pytest.approx(parts["kernel"] + 120.0)
    assert parts_of({"short": 30.0}, 240.0) == {}


def test_quantities_seen_at_other_times_are_those_of_their_interval():
    module = remembering.balloon()
    module.QUANTITIES["short"] = "MiB"
    outcome = outcome_of(module)
    lines = [*curves_of(outcome), Curve("simulated", "m1", "short", (2.0, 4.0), (10.0, 20.0))]
    frame = build(outcome, 1, curves=lines)
    (row,) = frame["memory"]["rows"]
    data = numbers(frame)
    # In the first second there is no balloon, and so nothing that the guest could lack.
    assert list(data[row["v"]["short"] : row["v"]["short"] + row["n"]]) == pytest.approx([0, 10, 20, 20], abs=0.01)


def numbers(frame):
    return array("f", frame["data"])


def test_a_frame_has_every_moment():
    frame = build(outcome_of(remembering.balloon(), live=lambda: FakeHost(kind="live")), 1)
    memory, data = frame["memory"], numbers(frame)
    assert [(row["machine"], row["column"], row["promised"]) for row in memory["rows"]] == [
        (0, "simulated", 256.0),
        (0, "live", 256.0),
    ]
    row = memory["rows"][0]
    assert list(data[row["t"] : row["t"] + row["n"]]) == [1.0, 2.0, 3.0, 4.0]
    ballooned = data[row["v"]["ballooned"] : row["v"]["ballooned"] + row["n"]]
    assert list(ballooned) == pytest.approx([0.0, 40.0, 80.0, 128.0], abs=0.01)
    assert list(data[row["h"] : row["h"] + row["n"]]) == [256.0, 216.0, 176.0, 128.0]
    assert [part["name"] for part in memory["parts"]] == ["kernel", "used", "free", "ballooned"]
    live = memory["rows"][1]
    assert live["parts"]["free"] == pytest.approx(row["parts"]["free"] + 5.0)


def test_the_host_has_a_size_where_a_setting_says_so():
    known = outcome_of(remembering.dynamic())
    assert host_size(known) == build(known, 1)["memory"]["host"] == 512.0
    assert host_size(outcome_of(remembering.balloon())) is None


def test_a_setting_may_say_what_was_promised():
    @dataclass(frozen=True)
    class Promised(remembering.Dynamic):
        promised: float = size(240.0, minimum=1.0, maximum=4096.0, about="what each was promised")

    own = remembering.dynamic(2)
    own.Settings = Promised
    assert promised(outcome_of(own)) == {"m1": 240.0, "m2": 240.0}
    assert [row["promised"] for row in build(outcome_of(own), 1)["memory"]["rows"]] == [240.0, 240.0]


def test_other_experiments_have_none(simulated):
    assert build(simulated, 1)["memory"] is None
    assert sentences(simulated) == []


def test_the_words_say_what_the_picture_shows():
    (said,) = sentences(outcome_of(remembering.balloon()))
    assert said == (
        "memory of m1, simulated: the guest kernel's own 37.6, used by the guest 28.2, free in the guest 62.2 and "
        "ballooned 128.0 MiB; on the host it takes 128.0 MiB"
    )
    panel = Panel(remembering.balloon(), open_simulated=lambda _: FakeHost())
    assert said in panel._repr_mimebundle_()["text/plain"]


def with_states(seen, *those):
    return dataclasses.replace(seen, events=tuple(Event(at, "state", "host", 2.0, detail=name) for at, name in those))


def test_the_host_s_states_in_words():
    outcome = outcome_of(remembering.dynamic(1))
    assert states(outcome) == [] and len(sentences(outcome)) == 1
    simulated = with_states(outcome.simulated, (0.0, "high"), (2.0, "soft"), (4.0, "high"))
    told = dataclasses.replace(outcome, simulated=simulated, live=with_states(outcome.simulated, (0.5, "low")))
    assert states(told) == sentences(told)[-2:]
    assert states(told) == [
        "the host, simulated, was in the state high from 0 s to 2 s, soft from 2 s to 4 s and high from 4 s to 6 s",
        "the host, live, was in the state low from 0.5 s to 2.5 s",
    ]
    many = with_states(outcome.simulated, *((2.0 * place, "soft") for place in range(12)))
    (said,) = states(dataclasses.replace(outcome, simulated=many))
    assert said.count("soft from") == 7 and said.endswith("soft from 12 s to 14 s and in 5 more stretches another")


def test_the_panel_says_esx_s_states():
    panel = Panel("memory-dynamic", policy="esxi", steps=2)
    assert "the host, simulated, was in the state high from 0 s to 2 s" in panel._repr_mimebundle_()["text/plain"]


def test_page_sharing_has_bars():
    panel = Panel("memory-sharing", machines=2, size=4)
    frame = panel.view.frame["memory"]
    assert [part["name"] for part in frame["parts"]] == ["used", "shared"]
    # 4 MiB each, half of it the same: one of two copies of 2 MiB stays, and each machine is relieved of a half.
    assert [row["parts"] for row in frame["rows"]] == [pytest.approx({"used": 3.0, "shared": 1.0})] * 2
    assert [row["host"] for row in frame["rows"]] == pytest.approx([3.0, 3.0])


def test_memory_can_be_watched_without_end():
    module = remembering.balloon(prepare=lambda *_: [], adjust=lambda *_: None)
    assert set(module.QUANTITIES) == set(MEMORY)
    assert streams(module)
    assert not streams(remembering.dynamic(prepare=lambda *_: [], adjust=lambda *_: None))


def test_of_an_amount_the_last_stretch_tells_and_of_a_rate_the_mean():
    tape = Tape("live")
    for free, cpu in ((190.0, 0.2), (62.0, 0.4)):
        rows = (
            {"machine": "m1", "quantity": "guest_free", "unit": "MiB", "value": free},
            {"machine": "m1", "quantity": "cpu", "unit": "CPU", "value": cpu},
        )
        tape.add(Observation(1.0, rows, (), (), Provenance("live", "by hand")))
    assert tape.mean().value("m1", "guest_free") == 62.0
    assert tape.mean().value("m1", "cpu") == pytest.approx(0.3)


@pytest.mark.parametrize("machines", [1, 12])
def test_few_and_many_machines_in_one_frame(machines):
    frame = build(outcome_of(remembering.dynamic(machines)), 1)
    assert len(frame["memory"]["rows"]) == machines
    assert len(frame["data"]) < 20_000
