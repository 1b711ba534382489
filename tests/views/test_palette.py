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
