"""The picture of a chain: what it shows is what the maps say, and its words say the same."""

import re
from xml.etree import ElementTree

import pytest

import labkit
from labkit.views.chain import layers_of, where_it_lies
from labkit.views.palette import look

KIBI, MEBI = 1 << 10, 1 << 20


@pytest.fixture
def top():
    with labkit.simulated() as host:
        base = host.disk("base", "16 MiB")
        base.write(0, 8 * MEBI)
        middle = host.disk("middle", backing=base)
        middle.write(MEBI, 2 * MEBI)
        upper = host.disk("top", backing=middle)
        upper.write(2 * MEBI, 4 * MEBI)
        yield upper


def test_what_shows_and_what_is_hidden(top):
    found = {layer.name: (layer.shown, layer.hidden) for layer in layers_of(top)}
    assert found == {
        "top": (((2 * MEBI, 6 * MEBI),), ()),
        "middle": (((MEBI, 2 * MEBI),), ((2 * MEBI, 3 * MEBI),)),
        "base": (((0, MEBI), (6 * MEBI, 8 * MEBI)), ((MEBI, 6 * MEBI),)),
    }
    for disk, layer in zip((top, top.backing, top.backing.backing), layers_of(top), strict=True):
        assert layer.shown_bytes + layer.hidden_bytes == disk.guest_bytes


def test_its_words_say_the_same(top):
    lines = repr(where_it_lies(top)).splitlines()
    assert lines[0] == (
        "A disk of 16.0 MiB in 3 layers, the topmost first; the guest sees 8.0 MiB of data, and 6.0 MiB more is kept "
        "that it does not see."
    )
    assert lines[1:] == [
        "top: 4.0 MiB shows, 0.0 MiB is hidden.",
        "middle: 1.0 MiB shows, 1.0 MiB is hidden.",
        "base: 3.0 MiB shows, 5.0 MiB is hidden.",
    ]


def test_the_drawing_is_well_formed_and_spoken(top):
    drawn = where_it_lies(top)
    svg = ElementTree.fromstring(drawn.html[: drawn.html.index("</svg>") + 6])
    assert svg.get("role") == "img" and svg.get("aria-label") == " ".join(repr(drawn).splitlines())
    rectangles = [each.attrib for each in svg.iter("{http://www.w3.org/2000/svg}rect")]
    high = [float(each["height"]) for each in rectangles if each["fill"] != "none"]
    # Hidden in the middle and in the base, shown in four places, each of them twice: told by height, not by a colour.
    assert high.count(min(high)) == 4 and high.count(max(high)) == 8 and len(high) == 12
    text = [each.text for each in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert text[::2] == ["guest sees", "top", "middle", "base", "hidden"]
    assert text[1::2] == ["8.0 MiB", "4.0 of 4.0 MiB", "1.0 of 2.0 MiB", "3.0 of 8.0 MiB", "6.0 MiB"]
    assert all(each.get("stroke") == "currentColor" for each in rectangles)  # also a pale colour has an edge
    assert not re.search(r"fill=\"(black|white|#000|#fff)", drawn.html)


def test_one_layer_and_an_empty_one():
    with labkit.simulated() as host:
        assert "1 layer," in repr(where_it_lies(host.disk("alone", "1 MiB")))


def test_a_layer_has_the_colour_that_its_bar_has():
    """The picture is beside the chart of the layers' sizes: m1 is the base in both."""
    from labkit.experiments import snapshot_chain
    from labkit.views import run

    asked = snapshot_chain.Settings(depth=3)
    with labkit.simulated() as host:
        svg = where_it_lies(snapshot_chain.build(host, asked)[-1]).html
    bars = run("snapshot-chain", host="simulated", depth=3).html
    names = ["guest sees", "m4", "m3", "m2", "m1", "hidden"]
    rows = re.split(r"<text[^>]*text-anchor=\"end\"[^>]*>([^<]*)</text>", svg)
    assert rows[1::2] == names
    of_rows = dict(zip(names, [set(re.findall(r'fill="(#\w{6})"', row)) for row in rows[2::2]], strict=True))
    for place, name in enumerate(("m1", "m2", "m3", "m4")):
        assert of_rows[name] == {look(place).colour}
        assert look(place).colour.lower() in bars.lower()
