"""The simulated scanner against counting: what is equal is known, so what can be saved is, too."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.host import HostError, MemoryLoad
from labkit.model.memory import Pages, Scanner

contents = st.lists(st.integers(0, 6), max_size=30)
rooms = st.lists(contents, min_size=1, max_size=5).filter(any)
writes = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 29), st.integers(0, 8)), max_size=30)


def furnished(room):
    machines = []
    for numbers in room:
        pages = Pages()
        for place, content in enumerate(numbers):
            pages.write(place, content)
        machines.append(pages)
    return machines


def saved(room, zero_pages):
    """Of pages that are equal all but one are saved; of pages of zeros all, where the host has one anyway."""
    counts = Counter(content for numbers in room for content in numbers)
    zeros = counts.pop(0, 0)
    return sum(count - 1 for count in counts.values()) + (zeros if zero_pages else max(0, zeros - 1))


def passed(scanner, passes):
    ends = scanner.passes + passes
    while scanner.passes < ends:
        scanner.scan(7)


@given(rooms, st.booleans())
def test_two_passes_find_all_that_is_equal(room, zero_pages):
    machines = furnished(room)
    scanner = Scanner(machines, zero_pages=zero_pages)
    passed(scanner, 1)
    # One look is not enough: a page has to be found unchanged.
    assert scanner.saved <= 7
    passed(scanner, 1)
    assert scanner.saved == saved(room, zero_pages)
    counts = Counter(content for numbers in room for content in numbers)
    for pages, numbers in zip(machines, room, strict=True):
        alike = [content for content in numbers if counts[content] > 1 and not (zero_pages and content == 0)]
        assert scanner.merged(pages) == len(alike)
    passed(scanner, 2)
    assert scanner.saved == saved(room, zero_pages)


@settings(deadline=None)
@given(rooms, writes, st.booleans(), st.integers(1, 40))
def test_who_writes_gets_a_page_of_his_own(room, written, zero_pages, pace):
    room = [list(numbers) for numbers in room]
    machines = furnished(room)
    scanner = Scanner(machines, zero_pages=zero_pages)
    for machine, place, content in written:
        scanner.scan(pace)
        if machine < len(room) and place < len(room[machine]):
            machines[machine].write(place, content)
            room[machine][place] = content
        # Nobody sees anything but what he wrote, and never is more saved than there is to save.
        assert [pages.contents for pages in machines] == room
        assert 0 <= scanner.saved <= saved(room, zero_pages)
    passed(scanner, 4)
    found, most = scanner.saved, saved(room, zero_pages)
    # A page that is kept for a single one, as the others were written, is found by the next that is like it.
    assert found == most
    scanner.part_all()
    assert scanner.saved == 0 and [pages.contents for pages in machines] == room


fillings = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(0, 12), st.integers(0, 2)), max_size=12
)


@settings(deadline=None)
@given(fillings, st.integers(0, 12))
def test_what_is_only_noted_is_what_was_written_page_by_page(filled, attached):
    """Filled in pieces, again and again, with a scanner that comes in between and goes."""
    pages, written = Pages(), []
    scanner = None
    for turn, (start, count, alike, seed) in enumerate(filled):
        if turn == attached:
            scanner = Scanner([pages], zero_pages=True)
        for begin in range(start, start + count, 5):
            pages.fill(begin, min(begin + 5, start + count), alike, seed)
        written += [0] * (start + count - len(written) if count else 0)
        for place in range(start, start + count):
            written[place] = place + 1 if place < alike else -((seed << 32) + place + 1)
        if scanner is not None:
            assert pages.contents == written
    Scanner([pages], zero_pages=True)
    assert pages.contents == written


def test_a_day_of_filling_is_not_written_page_by_page():
    with labkit.simulated() as host:
        machine = host.create("m", memory=512)
        for size in (200, 100, 300, 50):
            job = machine.run(MemoryLoad(size, 0.5))
            job.wait()
            job.cancel()
        assert len(machine.holding.pages) == 0 and len(machine.holding.pages._noted) <= 4
        machine.holding.pages.write_out()
        assert len(machine.holding.pages) == 300 * 256


def test_what_was_noted_and_then_written_is_not_merged():
    """In the second pass a page is noted, and changes before its like is found."""
    machines = furnished([[1, 2], [3, 1]])
    scanner = Scanner(machines, zero_pages=True)
    passed(scanner, 1)
    scanner.scan(2)  # half the second pass: page 0 of the first machine is noted
    machines[0].write(0, 9)
    scanner.scan(2)
    assert scanner.saved == 0 and [pages.contents for pages in machines] == [[9, 2], [3, 1]]
    assert [scanner.merged(pages) for pages in machines] == [0, 0]
    machines[0].write(0, 1)
    passed(scanner, 3)
    assert scanner.saved == 1


def test_a_page_that_changes_all_the_time_is_never_shared():
    machines = furnished([[1, 2], [1, 2]])
    scanner = Scanner(machines, zero_pages=True)
    for turn in range(6):
        passed(scanner, 1)
        for pages in machines:
            pages.write(0, 10 + turn)
    assert scanner.saved == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.floats(0, 1), st.integers(1, 6), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_machines_that_are_filled(count, identical, size, seeds):
    """By seeds: the pages of its own are those of another of the same seed too."""
    total = size * 256
    alike = round(total * identical)
    with labkit.simulated() as host:
        for number in range(count):
            host.create(f"m{number}").run(MemoryLoad(size, identical, seed=seeds[number]))
        host.observe(1.0)
        with host.share_pages(100_000) as sharing:
            for _look in range(30):
                host.observe(0.1)
            assert sharing.passes >= 2
            families = Counter(seeds[:count])
            expected = (count - 1) * alike + sum(of - 1 for of in families.values()) * (total - alike)
            assert sharing.saved * 256 == pytest.approx(expected)
            for number in range(count):
                own = total - alike if families[seeds[number]] > 1 else 0
                assert sharing.merged(f"m{number}") * 256 == pytest.approx((alike if count > 1 else 0) + own)


def test_the_scanner_is_as_fast_as_it_is_told():
    """3 machines of 10 MiB are 7,680 pages: at 5,000 a second, the rules' own pace, a pass takes 1.536 s."""
    with labkit.simulated() as host:
        for number in range(3):
            host.create(f"m{number}").run(MemoryLoad(10, 1.0))
        host.observe(1.0)
        sharing = host.share_pages()
        with pytest.raises(HostError, match="already"):
            host.share_pages()
        host.observe(1.5)
        assert sharing.passes == 0
        host.observe(0.1)
        assert sharing.passes == 1 and sharing.saved < 2560 * 2 / 256
        host.observe(1.5)
        assert sharing.passes == 2 and sharing.saved == pytest.approx(20)
        sharing.stop()
        sharing.stop()
        assert sharing.saved == 0 and sharing.merged("m0") == 0
        host.observe(1.0)
        assert sharing.saved == 0
        host.share_pages(rate=50).stop()
        for wrong in (1, 10**7):
            with pytest.raises(ValueError, match="rate"):
                host.share_pages(rate=wrong)


def test_memory_filled_anew_is_shared_no_more():
    with labkit.simulated() as host:
        jobs = [host.create(f"m{number}").run(MemoryLoad(4, 1.0)) for number in range(2)]
        host.observe(0.5)
        with host.share_pages(50_000) as sharing:
            host.observe(1.0)
            assert sharing.saved == pytest.approx(4)
            jobs[0].cancel()
            host.observe(1.0)
            assert sharing.saved == pytest.approx(4)  # what is cleared away stays until somebody writes there
            host.machines["m0"].run(MemoryLoad(2, 0.0, seed=9)).wait()
            assert sharing.saved == pytest.approx(2)


@given(rooms.filter(lambda room: len(room) > 1), st.integers(0, 60), st.booleans())
def test_a_machine_that_is_switched_off_shares_no_more(room, looked, zero_pages):
    machines = furnished(room)
    scanner = Scanner(machines, zero_pages=zero_pages)
    scanner.scan(looked)
    scanner.forget(machines[0])
    assert scanner.saved <= saved(room[1:], zero_pages)
    if any(room[1:]):
        passed(scanner, 4)
        assert scanner.saved == saved(room[1:], zero_pages)


def test_switched_off_on_the_host():
    with labkit.simulated() as host:
        machines = [host.create(f"m{number}") for number in range(3)]
        for machine in machines:
            machine.run(MemoryLoad(2, 1.0))
        host.observe(0.5)
        sharing = host.share_pages(50_000)
        host.observe(0.5)
        assert sharing.saved == pytest.approx(4)
        machines[1].stop()
        assert sharing.saved == pytest.approx(2) and sharing.merged("m1") == 0
