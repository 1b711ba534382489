"""The pictures of type 1 and type 2: they stand, they can be read, and they count what the model counts."""

import re
from xml.etree import ElementTree

import pytest

from labkit.host import Event, Observation, Provenance
from labkit.views.layers import Layers, two_types
from labkit.views.passings import passings, played
from labkit.views.stackdrawing import drawing, label
from labkit.views.stacks import STACKS

SVG = "{http://www.w3.org/2000/svg}"
LETTER = 7.4  # px of a bold letter of 13 px, on average
BY_KEY = {stack.key: stack for stack in STACKS}


@pytest.fixture(scope="module")
def counted():
    return played()


@pytest.fixture(params=STACKS, ids=lambda stack: stack.key)
def stack(request):
    return request.param


def parts(stack, tag, show="write", step=None):
    return list(ElementTree.fromstring(drawing(stack, show, step)).iter(f"{SVG}{tag}"))


def numbers(element, *names):
    return [float(element.get(name)) for name in names]


def rectangles(stack):
    found = [numbers(rect, "x", "y", "width", "height") for rect in parts(stack, "rect")]
    return dict(zip((box.key for box in stack.boxes), found, strict=True))


def overlap(one, other):
    (x, y, w, h), (a, b, c, d) = one, other
    return min(x + w, a + c) - max(x, a) > 0.1 and min(y + h, b + d) - max(y, b) > 0.1


def test_boxes_lie_beside_and_upon_each_other(stack):
    found = list(rectangles(stack).values())
    assert not any(overlap(a, b) for n, a in enumerate(found) for b in found[:n])
    _, _, wide, high = map(float, ElementTree.fromstring(drawing(stack)).get("viewBox").split())
    assert all(x >= 0 and y >= 0 and x + w <= wide and y + h <= high for x, y, w, h in found)


def test_no_box_stands_on_air(stack):
    for box in stack.boxes:
        below = [other for other in stack.boxes if other.row == box.row - 1]
        held = [other for other in below if other.left < box.right and box.left < other.right]
        assert held or box.row == 0, box.key


def test_words_fit_into_their_boxes(stack):
    for box in stack.boxes:
        wide = rectangles(stack)[box.key][2]
        assert all(len(line) * LETTER <= wide + 6 for line in box.lines), box.key


def test_a_write_begins_in_the_guest_and_ends_at_the_disk(stack):
    way = [move.to for move in stack.moves]
    assert way[:2] == ["p1", "g1"] and way[-1] == "hardware"
    assert set(way) <= {box.key for box in stack.boxes}
    assert all(one != other for one, other in zip(way, way[1:], strict=False))
    assert stack.crossings == len(way) - 1


def test_a_write_leaves_the_guest_once_and_never_goes_through_the_other_one(stack):
    assert [move.by in ("exit", "hypercall") for move in stack.moves].index(True) == 2
    assert sum(move.by in ("exit", "hypercall") for move in stack.moves) == 1
    assert {"g2", "p2"}.isdisjoint(move.to for move in stack.moves)


def test_every_step_is_marked_in_its_own_box(stack):
    found = rectangles(stack)
    marks = [numbers(circle, "cx", "cy") for circle in parts(stack, "circle")]
    assert len(marks) == len(stack.moves)
    for (x, y), move in zip(marks, stack.moves, strict=True):
        left, top, wide, high = found[move.to]
        assert left < x < left + wide and top < y < top + high
    assert len({(round(x), round(y)) for x, y in marks}) == len(marks)


def test_one_step_is_filled_and_the_rest_of_the_way_is_dotted(stack):
    filled = [c for c in parts(stack, "circle", step=2) if "fill:currentColor" in c.get("style")]
    assert len(filled) == 1
    dotted = [line for line in parts(stack, "line", step=2) if line.get("stroke-dasharray")]
    assert len(dotted) == stack.crossings - 1


def test_the_clock_is_where_it_is_decided(stack):
    (face,) = parts(stack, "circle", "scheduler")
    x, y = numbers(face, "cx", "cy")
    left, top, wide, high = rectangles(stack)[stack.scheduler]
    assert left < x < left + wide and top < y < top + high


def test_a_drawing_has_words_and_takes_the_pages_colours(stack):
    for show in ("layers", "scheduler", "write"):
        drawn = drawing(stack, show)
        assert 'role="img"' in drawn and label(stack, show)[:20] in drawn
        for box in stack.boxes:
            assert all(line.replace("'", "&#x27;") in drawn for line in box.lines)
        assert not re.search(r"fill:(#|black|white)", drawn)


def test_who_schedules():
    assert {key: stack.box(stack.scheduler).kind for key, stack in BY_KEY.items()} == {
        "type-1": "hypervisor",
        "type-2": "system",
        "kvm": "system",
        "hyper-v": "hypervisor",
        "macos": "system",
        "windows": "system",
    }


def test_type_2_crosses_more_than_type_1_and_kvm_lies_between():
    assert BY_KEY["type-1"].crossings < BY_KEY["kvm"].crossings < BY_KEY["type-2"].crossings


def test_the_model_counts_what_is_drawn(counted):
    """An exit is there and back at once; a world switch is drawn on the way down, and it takes another one back."""
    for stack in STACKS:
        if not stack.place:
            continue
        doors = counted[stack.place].doors
        drawn = [move.by for move in stack.moves]
        assert round(doors["exit"]) == drawn.count("exit")
        assert round(doors.get("world switch", 0)) == 2 * drawn.count("world switch")


def test_what_a_request_costs_is_what_was_published(counted):
    """20 µs until the device hears it (Hajnoczi, 2016); 25.7 µs at 733 MHz in the host's program (Sugerman, 2001)."""
    assert counted["guest"].microseconds == pytest.approx(20.0, rel=0.02)
    two_switches = 2 * 2000 / 2930
    assert counted["hosted"].microseconds == pytest.approx(20.0 + two_switches + 25.7 * 733 / 2930, rel=0.02)
    assert round(counted["nested"].doors["exit"]) == 14


def test_passings_are_read_off_the_events():
    exit_cost, device = 2000 / 2.93e9, 20e-6 - 2000 / 2.93e9
    spent = {"guest": 1.0, "exit": 300 * exit_cost, "device": 100 * device}
    events = [Event(0.0, "layer", "guest", seconds, detail=f"{name}: x") for name, seconds in spent.items()]
    events.append(Event(0.0, "layer", "native", 1.0, detail="program: x"))
    seen = Observation(1.0, (), (), events, Provenance("simulated", "a host"))
    assert list(passings(seen)) == ["guest"]
    passed = passings(seen)["guest"]
    assert passed.requests == 100
    assert passed.doors["exit"] == pytest.approx(3.0)
    assert "3 exits" in passed.words() and "100 requests" in passed.words()


def test_the_widget_is_taken_apart_by_its_buttons(counted):
    widget = Layers(counted)
    assert widget.step.layout.display == "none"
    assert "Source: VMware" in widget._said.value
    widget.show.value = "scheduler"
    assert "own scheduler decides" in repr(widget).splitlines()[1]
    widget.show.value = "write"
    assert widget.step.layout.display == ""
    assert "1 exit" in widget._said.value
    widget.built.value = "type-2"
    assert len(widget.step.options) == 1 + 7
    assert "2 world switches" in widget._said.value
    widget.step.value = 4
    assert "world switch" in widget._said.value and "4 of 7" in widget._said.value
    assert "Mark 4 is filled" in widget._drawn.value
    widget.built.value = "hyper-v"
    assert widget.step.value == 0
    assert "no published numbers" in widget._said.value


def test_without_a_count_it_says_so():
    widget = Layers({})
    widget.show.value = "write"
    assert "did not count" in widget._said.value


def test_the_twin_tells_all_six_and_a_page_shows_them(counted):
    bundle = Layers(counted)._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    for stack in STACKS:
        assert f"{stack.name}: {stack.says}" in data["text/plain"]
        assert stack.sources in data["text/plain"]
        assert f"<summary>{stack.name}</summary>" in data["text/html"]
    assert data["text/html"].count("<svg") == data["text/html"].count("aria-label") == len(STACKS)
    assert repr(Layers(counted)) == data["text/plain"]


def test_the_two_types_have_words():
    picture = two_types()
    assert picture.html.count('role="img"') == 2
    assert "Type 1, from the bottom up" in picture.text and "Type 2, from the bottom up" in picture.text
