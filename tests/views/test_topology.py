"""The picture of a network: who is plugged in where, what passed, who reaches whom."""

import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

import labkit
from labkit import views
from labkit.host import Ability, Event, HostError, Observation, Provenance
from labkit.host.networks import Port, Rule, Shape
from labkit.views import frame as frames
from labkit.views.matrices import asks_only_who, grid, matrix
from labkit.views.topologies import Replay, drawn
from labkit.views.wiring import Frame, Plug, Wiring, frames_of
from labkit.views.wiringdrawing import drawing, labels, marks

SVG = "{http://www.w3.org/2000/svg}"
WEB = Plug("web", Port("lan", vlan=10, address="10.0.0.1/24"), "52:54:00:00:00:01")
DATA = Plug("data", Port("lan", vlan=10, address="10.0.0.2/24", rules=(Rule("drop"),)), "52:54:00:00:00:02")
GUEST = Plug("guest", Port("lan", vlan=20, shape=Shape(8, 16, 1)))
AUDIT = (Plug("audit", Port("lan", trunk=(10, 20))), Plug("audit", Port("office", address="10.0.1.9/24")))
TABLE = {"52:54:00:00:00:01": "web"}
ASKED = Frame(0.0, "web", ("data", "audit"), "who has 10.0.0.2?", "all")
ANSWERED = Frame(0.001, "data", ("web",), "10.0.0.2 is at 52:54:00:00:00:02", "web")


@pytest.fixture
def wiring():
    names = ("web", "data", "guest", "audit", "alone")
    return Wiring(names, (WEB, DATA, GUEST, *AUDIT), {"lan": TABLE, "office": {}}, (ASKED, ANSWERED))


def svg_of(text):
    return ElementTree.fromstring(re.search(r"<svg .*?</svg>", text, re.DOTALL)[0])


def observed(*events):
    return Observation(
        1.0, (), (), [Event(*event[:3], detail=event[3]) for event in events], Provenance("live", "by hand")
    )


def test_the_words_say_who_is_plugged_in_where(wiring):
    said = repr(drawn(wiring)).splitlines()
    assert said == [
        "5 machines and 2 switches.",
        "Switch lan:",
        "  web: VLAN 10, 10.0.0.1/24, 52:54:00:00:00:01",
        "  data: VLAN 10, 10.0.0.2/24, 52:54:00:00:00:02, 1 rule",
        "  guest: VLAN 20, 8 Mbit/s",
        "  audit: trunk 10, 20",
        "  The switch has learnt: 52:54:00:00:00:01 is web.",
        "Switch office:",
        "  audit: no VLAN, 10.0.1.9/24",
        "  The switch has learnt: nothing.",
        "Without a cable: alone.",
        "2 frames passed:",
        "  1. at 0.000 ms web sends to all: who has 10.0.0.2? Seen by data, audit.",
        "  2. at 1.000 ms data sends to web: 10.0.0.2 is at 52:54:00:00:00:02. Seen by web.",
    ]


def test_the_picture_says_the_same_and_no_vlan_is_told_by_its_colour_alone(wiring):
    svg = svg_of(drawing(wiring))
    assert svg.get("role") == "img" and "guest: VLAN 20, 8 Mbit/s" in svg.get("aria-label")
    written = [text.text or "" for text in svg.iter(f"{SVG}text")]
    assert [word for word in written if "VLAN" in word] == ["VLAN 10", "VLAN 10", "VLAN 20", "no VLAN"]
    patterns = {pattern.get("id"): pattern for pattern in svg.iter(f"{SVG}pattern")}
    assert len(patterns) == 2
    assert len({(len(pattern), pattern[0].get("fill")) for pattern in patterns.values()}) == 2  # colour and hatch
    filled = [rect.get("fill") for rect in svg.iter(f"{SVG}rect") if rect.get("fill", "").startswith("url")]
    assert {fill[5:-1] for fill in filled} == set(patterns)
    assert len(filled) == 5  # one for each VLAN of each socket; the trunk has two


def test_nothing_lies_over_anything(wiring):
    """What is written beside a socket ends before the next cable of its machine or the next machine's begins."""
    svg = svg_of(drawing(wiring))
    wide = float(svg.get("viewBox").split()[2])
    cables = sorted(
        float(re.match(r"M([\d.]+),", path.get("d"))[1]) for path in svg.findall(f"{SVG}path") if "V" in path.get("d")
    )
    assert len(cables) == 5
    order = sorted(zip(cables, (WEB, DATA, GUEST, *AUDIT), strict=True), key=lambda pair: pair[0])
    for (here, plug), ends in zip(order, [*cables[1:], wide], strict=True):
        assert here + 10 + 6 * max(map(len, labels(wiring, plug))) < ends


def test_a_frame_is_marked_at_its_senders_cable_and_at_those_who_saw_it(wiring):
    over = marks(wiring, ASKED)
    assert over.count(">sends<") == 1 and over.count(">sees it<") == 2
    assert marks(wiring, Frame(0, "nobody", (), "?")) == ""
    assert marks(wiring, Frame(0, "guest", (), "lost", "web")).count("sees it") == 0


def test_frames_can_be_gone_through_one_by_one(wiring):
    replay = drawn(wiring)
    assert isinstance(replay, Replay)
    assert [frame["words"] for frame in replay.frames] == [ASKED.words, ANSWERED.words]
    assert replay.frames[0]["marks"] == marks(wiring, ASKED)
    page = replay._whole_page()
    assert page.count("<li>") == 2 and "<script" not in page


def test_names_are_only_names():
    evil = Wiring(("<b>",), (Plug("<b>", Port("<i>")),), {"<i>": {"<u>": "<b>"}}, (Frame(0, "<b>", (), "<s>", "<b>"),))
    replay = drawn(evil)
    for text in (replay.picture, replay.below, replay.frames[0]["marks"], replay._whole_page()):
        assert not re.search(r"<[bius]>", text)


def test_frames_are_read_from_events_in_order_of_time():
    seen = observed(
        (0.2, "frame", "m2", "to m1; seen by m1; icmp echo reply"),
        (0.1, "frame", "m1", "to all; seen by m2, m3; who has 10.0.0.2?, VLAN 10"),
        (0.15, "run", "m1", "to m9; seen by m9; no frame"),
        (0.3, "frame", "m1", "to m3; seen by nobody; icmp echo request"),
    )
    assert frames_of(seen) == (
        Frame(0.1, "m1", ("m2", "m3"), "who has 10.0.0.2?, VLAN 10", "all"),
        Frame(0.2, "m2", ("m1",), "icmp echo reply", "m1"),
        Frame(0.3, "m1", (), "icmp echo request", "m3"),
    )


def test_a_frame_of_which_less_is_told_is_shown_all_the_same():
    assert frames_of(observed((0.1, "frame", "m1", "LLDP"))) == (Frame(0.1, "m1", (), "LLDP"),)
    assert frames_of(None) == ()


@dataclass
class FakeNetwork:
    plugs: list = field(default_factory=list)

    def plugged(self):
        return self.plugs

    def table(self):
        return TABLE


def test_a_hosts_network_is_read_from_it():
    lan = FakeNetwork([("data", DATA.port, DATA.mac), ("router", Port("lan"), ""), ("web", WEB.port, WEB.mac)])
    host = SimpleNamespace(networks={"lan": lan}, machines={"web": None, "data": None})
    seen = observed((0.1, "frame", "web", "to data; seen by data; icmp echo request"))
    wiring = views.topology(host, seen).wiring
    assert wiring.machines == ("web", "data", "router")
    assert wiring.plugs == (WEB, DATA, Plug("router", Port("lan")))
    assert wiring.tables == {"lan": TABLE} and len(wiring.frames) == 1
    assert "The switch has learnt" in repr(views.topology(host))  # no module may have the function's name


def test_a_simulated_hosts_network():
    with labkit.simulated() as host:
        lan = host.network("lan")
        for name, vlan in (("m1", 10), ("m2", 10), ("m3", 20)):
            host.create(name, nics=[lan.port(vlan=vlan)])
        assert "The switch has learnt: nothing." in repr(views.topology(host))
        said = repr(views.topology(host, host.capture("m1", "m2", known=False))).splitlines()
    assert [line.split(",")[0].strip() for line in said[2:5]] == ["m1: VLAN 10", "m2: VLAN 10", "m3: VLAN 20"]
    assert re.search(r"1\. at 0.000 ms m1 sends to all: who has 10\.0\.0\.2\? Seen by m2\.", "\n".join(said))
    assert re.search(r"The switch has learnt: \S+ is m1, \S+ is m2\.", "\n".join(said))


@pytest.mark.parametrize("has", [{}, {"networks": {}}])
def test_a_host_without_networks_says_why(has):
    host = SimpleNamespace(can=lambda name: Ability(False, reason=f"No {name} here.", remedy="Open another."), **has)
    with pytest.raises(HostError, match="No networks here") as refused:
        views.topology(host)
    assert refused.value.remedy == "Open another."


def reached(**columns):
    """An outcome of three pairs; each column a number for each."""
    pairs = ("m1>m2", "m2>m1", "m1>m3")
    rows = [
        {"machine": pair, "quantity": "reachable", "unit": "1"}
        | {column: columns.get(column, (None,) * 3)[place] for column in ("theory", "simulated", "live")}
        for place, pair in enumerate(pairs)
    ]
    rows.append({"machine": "m1", "quantity": "cpu", "unit": "CPU", "theory": 1, "simulated": 1, "live": 1})
    experiment = SimpleNamespace(QUANTITIES={"reachable": "1"}, LABELS={"reachable": ("Who is reached", "")}, NEEDS=())
    return SimpleNamespace(experiment=experiment, rows=rows, settings=None, simulated=None, live=None, why_not_live="")


def test_the_matrix_says_once_what_all_say_and_apart_what_they_do_not():
    shown = matrix(reached(theory=(1, 0, 1), simulated=(1.0, 0.0, 1.0), live=(1.0, 1.0, 0.5)))
    assert repr(shown).splitlines()[:4] == [
        "Who is reached",
        "  m1 to m2: yes",
        "  m2 to m1: theory no, simulated no, live yes",
        "  m1 to m3: theory yes, simulated yes, live 0.5",
    ]


def test_the_matrix_is_a_table_with_heads_for_rows_and_columns():
    page = views.matrix(reached(theory=(1, 0, 1))).html
    table = ElementTree.fromstring(re.search(r"<table.*?</table>", page, re.DOTALL)[0])
    heads = [(head.get("scope"), head.text) for head in table.iter("th")]
    assert heads == [
        *(("col", name) for name in ("from, to", "m1", "m2", "m3")),
        *(("row", name) for name in ("m1", "m2", "m3")),
    ]
    cells = [cell.text for cell in table.iter("td")]
    assert cells == ["itself", "yes", "yes", "no", "itself", "–", "–", "–", "itself"]
    assert table.find("caption").text == "Who is reached"


def test_a_matrix_of_nothing_says_so():
    empty = reached()
    empty.rows = []
    assert repr(matrix(empty)) == "Nobody tried to reach anybody."


def learnt_by(replay):
    return [set(re.findall(r"<td>(\w+)</td><td>lan</td>", table)) for table in replay.tables]


def test_the_switch_is_seen_to_learn():
    with labkit.simulated() as host:
        lan = host.network("lan")
        for name, vlan in (("m1", 10), ("m2", 10), ("m3", 20)):
            host.create(name, nics=[lan.port(vlan=vlan)])
        host.capture("m2", "m1")  # what it learns by that is forgotten
        lan.forget()
        replay = views.topology(host, host.capture("m1", "m2", 2, known=False), from_nothing=True)
        now = set(lan.table().values())
    assert [frame.sender for frame in replay.wiring.frames[:2]] == ["m1", "m2"]
    assert learnt_by(replay)[:3] == [set(), {"m1"}, {"m1", "m2"}]
    assert learnt_by(replay)[-1] == now == {"m1", "m2"}
    assert len(replay.tables) == len(replay.frames) + 1
    news = [re.findall(r"The switch learns where (\w+) is\.$", frame["words"]) for frame in replay.frames]
    assert news[:2] == [["m1"], ["m2"]] and not any(news[2:])
    assert "The switch has not learnt where anybody is." in replay.tables[0]
    assert "What the switch has learnt<" in replay.tables[1]
    assert "learnt" not in replay.picture  # the picture does not know at which frame one looks


def test_where_it_is_not_known_when_a_switch_learnt_it_shows_what_it_knows_in_the_end(wiring):
    replay = drawn(wiring)
    assert learnt_by(replay) == [{"web"}] * 3
    assert "What the switches have learnt in the end<" in replay.tables[0]


def test_no_mark_has_the_colour_of_a_vlan(wiring):
    over = svg_of(f"<svg xmlns='http://www.w3.org/2000/svg'>{marks(wiring, ASKED)}</svg>")
    used = {each.get(which) for each in over.iter() for which in ("fill", "stroke")} - {None, "none"}
    assert used == {"currentColor"}


def answers(**columns):
    """The same, of an experiment that asks nothing else, and answers yes or no."""
    found = reached(**columns)
    found.rows.pop()
    found.experiment.LABELS = {"reachable": ("Who is reached", "", "1 or 0")}
    return found


def test_where_only_who_is_asked_the_table_stands_in_the_place_of_bars():
    result = views.run("net-isolation", host="simulated", auditor="trunk")
    assert asks_only_who(result.outcome) and "<svg" not in result.html
    assert "Theory and simulated say the same of each pair." in result.html
    table = ElementTree.fromstring(re.search(r"<table.*?</table>", result.html, re.DOTALL)[0])
    assert [cell.text for cell in table.iter("td")][:4] == ["itself", "yes", "no", "yes"]
    assert "<details><summary>In numbers</summary>" in result.html and "m1>auditor" in result.text
    (quantity,) = views.Panel("net-isolation").view.frame["quantities"]
    assert "say the same of each pair." in quantity["instead"]


@pytest.mark.parametrize("name", ["net-firewall", "net-switch", "isolation", "cpu-shares"])
def test_all_others_have_bars(name):
    result = views.run(name, host="simulated")
    assert not asks_only_who(result.outcome) and "<svg" in result.html
    assert not any(entry["instead"] for entry in frames.build(result.outcome, 1)["quantities"])


def test_a_difference_is_marked_and_named_below():
    page = grid(answers(theory=(1, 0, 1), simulated=(1.0, 0.0, 1.0), live=(1.0, 1.0, 1.0)))
    assert "Theory, simulated and live differ for m2 to m1, in a thick frame." in page
    assert page.count("border:3px solid") == 1
    assert "theory no, simulated no, live yes" in page
    assert "From theory alone." in grid(answers(theory=(1, 0, 1)))


def test_frames_are_counted_in_whole_numbers():
    said = repr(views.run("net-switch", host="simulated"))
    assert re.search(r"^m3 +1 +1 ", said, re.MULTILINE) and ".000" not in said
    assert "the same, 1 frame." in said
