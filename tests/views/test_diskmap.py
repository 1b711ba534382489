"""A disk as squares: what is filled, in the drawing and in words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import labkit
from labkit.host.disks import Extent
from labkit.views.diskmap import disk_map, drawing, filled, size_in_words

MEBI = 1 << 20


def test_squares_by_hand():
    extents = [Extent(0, 4, False), Extent(4, 6, True, 0), Extent(10, 6, False)]
    assert filled(extents, 16, 4) == [0, 1, 0.5, 0]
    assert filled([Extent(0, 16, True)], 16, 4) == [1, 1, 1, 1]
    assert filled([Extent(0, 0, True)], 16, 4) == [0, 0, 0, 0]


@given(st.lists(st.tuples(st.integers(1, 5000), st.booleans()), min_size=1, max_size=40), st.integers(1, 64))
def test_nothing_gets_lost_between_squares(stretches, squares):
    extents, start = [], 0
    for length, data in stretches:
        extents.append(Extent(start, length, data, start if data else None))
        start += length
    parts = filled(extents, start, squares)
    assert all(0 <= part <= 1 for part in parts)
    assert sum(parts) * start / squares == pytest.approx(sum(length for length, data in stretches if data), rel=1e-9)


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 B"), (512, "512 B"), (4096, "4 KiB"), (1536, "1.5 KiB"), (6881280, "6.6 MiB"), (1 << 30, "1 GiB")],
)
def test_sizes_as_people_say_them(size, said):
    assert size_in_words(size) == said


def test_a_disk_of_the_simulated_host():
    with labkit.simulated() as host:
        disk = host.disk("data", "1 GiB")
        disk.write(0, 4096)
        disk.write(10 * MEBI, 2 * MEBI)
        picture = disk_map(disk)
    assert repr(picture) == (
        "disk data: 1 GiB promised, its file is 2.4 MiB long and has room for 2.1 MiB of the disk. "
        "Of 1,024 squares of 1 MiB each 2 are filled, 1 in part, 1,021 empty."
    )
    assert repr(picture) in picture.html and 'role="img"' in picture.html
    # 64 KiB of 1 MiB are a sixteenth of 11 px, less than can be seen: it is drawn 2 px high.
    assert heights(drawn_alone(picture.html)) == [2, 11, 11]
    for said in ("2 full: ", "1 in part, by a sliver or more: ", "1,021 empty: ", "2.4 MiB, on 1 GiB promised"):
        assert said in picture.html


def drawn_alone(page):
    """The squares and the ruler, without the legend."""
    return page[: page.index("</svg>")]


def heights(svg):
    return [float(high) for high in re.findall(r'height="(\S+)" fill="#0072B2"/>', svg)]


def test_a_square_is_as_high_as_it_is_full():
    """Two of ten parts of the first square, five of the second, all but a thousandth of the third."""
    unit = 65536
    disk = [Extent(0, unit // 5, True), Extent(unit, unit // 2, True), Extent(2 * unit, unit - 64, True)]
    first, second, third = heights(drawn_alone(drawing("d", 4 * unit, unit, disk)[0]))
    assert first == pytest.approx(11 / 5, abs=0.01) and second == 5.5
    assert third == 10, "what is not full does not look full"


def test_every_square_has_its_lines():
    svg, _said = drawing("d", 40 * 65536, 65536, [])
    path = re.search(r'<path d="(.*?)"', svg)[1]
    assert re.findall(r"M0 (\d+)H(\d+)", path) == [("0", "384"), ("12", "384"), ("24", "96")]
    downs = re.findall(r"M(\d+) 0V(\d+)", path)
    assert len(downs) == 33 and [down for _at, down in downs] == ["24"] * 9 + ["12"] * 24


def test_a_disk_of_any_size_fits_the_page():
    for size in (512, 65536, 3 * MEBI, 100 << 30):
        svg, said = drawing("<d>", size, size // 2, [Extent(0, size, True)])
        assert "&lt;d&gt;" in svg and "<d>" in said
        svg = drawn_alone(svg)
        assert "<text" not in svg, "letters in a drawing shrink with it"
        width, height = map(float, re.search(r'viewBox="\S+ \S+ (\S+) (\S+)"', svg).groups())
        assert width == 386 and height < 600
