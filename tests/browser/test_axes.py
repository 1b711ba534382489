"""What a person sees who plays: a longer bar is a larger number, and where it was before is still seen."""

import re

import pytest

from labkit.bench.browser import notebook_of, run_all

from .test_panel import drawn, wait_for_frame_after

pytestmark = pytest.mark.browser

CELL = """
from labkit import views
views.Panel("snapshot-revert", before="0+4194304", after="0+1048576")
"""
POOL = """
from labkit import views
views.Panel("disk-pool")
"""


@pytest.fixture
def opened(notebook):
    def opens(cell, **how):
        page = notebook(notebook_of(cell), **how).page
        page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        run_all(page)
        page.wait_for_selector(".labkit-view[data-drawn]")
        return page

    return opens


def card(page, heading):
    return page.locator(".lk-card").filter(has_text=heading)


def bar(page):
    """Length in px and bytes of what the disk's files grew by."""
    found = card(page, "Growth of the disk's files").locator('.lk-bar[data-column="simulated"]')
    return float(found.get_attribute("width")), float(found.get_attribute("data-value"))


def write(page, words):
    page.wait_for_timeout(1600)  # what comes sooner is one change with the last
    serial = drawn(page)
    box = page.get_by_role("textbox", name=re.compile("^after"))
    box.fill(words)
    box.press("Enter")
    wait_for_frame_after(page, serial)


def test_twice_as_much_is_twice_as_long(opened):
    page = opened(CELL)
    seen = [bar(page)]
    for words in ("0+1048576, 4194304+262144", "0+2097152"):
        write(page, words)
        seen.append(bar(page))
    lengths, amounts = zip(*seen, strict=True)
    assert amounts[0] < amounts[1] < amounts[2] == pytest.approx(2 * amounts[0], rel=0.05)
    for length, amount in seen[1:]:
        assert length / amount == pytest.approx(lengths[0] / amounts[0], rel=0.005)
    # A tick where it was before, to the same scale, and its number in words.
    was = card(page, "Growth of the disk's files").locator(".lk-was").last
    assert float(was.get_attribute("data-value")) == amounts[1]
    name = card(page, "Growth of the disk's files").get_by_role("img").get_attribute("aria-label")
    assert f"Before the last change: disk {amounts[1] / 2**20:.2f} MiB" in name
    assert page.locator(".lk-was-said").last.text_content() == f"was {amounts[1] / 2**20:.2f} MiB"
    assert page.locator(".lk-was-key").is_visible()
    # What is a sixth of its axis or less gets a new one, and so does all after Reset.
    write(page, "0+65536")
    length, amount = bar(page)
    assert length / amount > 3 * lengths[0] / amounts[0]
    serial = drawn(page)
    page.get_by_role("button", name="Reset").click()
    wait_for_frame_after(page, serial)
    assert bar(page) == pytest.approx(seen[0])
    assert page.locator(".lk-was").count() == 1 and page.locator(".lk-was-key").is_hidden()


def test_a_line_of_theory_says_what_it_is_and_cards_line_up(opened):
    page = opened(POOL, height=1600)
    lines = page.locator(".lk-lines").filter(has_text=re.compile("theory: .* MiB"))
    texts = lines.locator("text").all_text_contents()
    marks = [float(text.replace(",", "")) for text in texts if text.replace(",", "").replace(".", "").isdigit()]
    assert marks and max(marks) < 1000
    assert lines.locator(".lk-lines-key").text_content() == "Lines: theory dotted, simulated dashed."
    tops = page.evaluate(
        """() => [...document.querySelectorAll(".lk-cards .lk-card")].map((card) =>
          [".lk-bars", ".lk-scroll"].map((part) => Math.round(card.querySelector(part).getBoundingClientRect().top)))"""
    )
    assert len(tops) >= 4
    for left, right in zip(tops[::2], tops[1::2], strict=False):
        assert left == right


def test_a_drag_of_a_slider_is_one_change(opened):
    page = opened(CELL)
    room = card(page, "Room for the memory")
    before = room.locator('.lk-bar[data-column="simulated"]').get_attribute("data-value")
    handle = page.get_by_role("slider", name="held")
    handle.focus()
    serial = drawn(page)
    for _step in range(6):
        page.keyboard.press("ArrowRight")
    wait_for_frame_after(page, serial + 1)
    now = room.locator('.lk-bar[data-column="simulated"]').get_attribute("data-value")
    assert now != before == room.locator(".lk-was").get_attribute("data-value")
