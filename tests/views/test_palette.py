import re

from labkit.views import palette


def test_64_machines_all_look_different():
    looks = [palette.look(index) for index in range(64)]
    assert len({(look.colour, look.pattern) for look in looks}) == 64
    assert len({(look.colour, look.shape) for look in looks}) == 64


def test_neighbours_differ_in_every_respect():
    for index in range(63):
        one, other = palette.look(index), palette.look(index + 1)
        assert one.colour != other.colour
        assert one.pattern != other.pattern
        assert one.dash != other.dash
        assert one.shape != other.shape


def test_the_browser_gets_the_same_looks():
    (sent,) = palette.looks_for_browser(["web"])
    assert sent["name"] == "web"
    assert sent["colour"] == palette.look(0).colour
    assert re.fullmatch("#[0-9A-F]{6}", sent["colour"])


def test_a_name_has_the_same_look_in_every_picture():
    assert palette.places(["m1", "m2", "chain"]) == palette.places(["chain", "m2", "m2", "m1"])
    assert palette.places(["m3", "host"]) == {"m3": 2, "host": 0}
    assert palette.places(["web", "shop", "disk"]) == {"web": 0, "shop": 1, "disk": 2}
    names = [f"m{number}" for number in range(1, 65)]
    assert list(palette.places([*names, "host"]).values()) == list(range(65))
    (m2,) = palette.looks_for_browser(["m2"])
    assert m2["colour"] == palette.look(1).colour


def test_the_ninth_colour_is_not_the_first():
    assert len({palette.look(index).colour for index in range(24)}) == 24
