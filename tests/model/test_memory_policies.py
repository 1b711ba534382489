"""Who gets how much memory: the policies held against the same answers found by other means."""

import math
from fractions import Fraction
from random import Random

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.host.paging import MECHANISMS, PAGING, Programs
from labkit.host.policies import DYNAMIC, ESXI, HYPER_V, POLICIES, STATIC, HyperV, Policy, Seen, moves
from labkit.host.policies.pouring import shared
from labkit.host.policies.tax import paid_for_a_page, taxed
from labkit.model.memory.reclaim import Ours, Theirs
from labkit.model.memory.swapping import reclaim
from labkit.model.memory.together import sharers

MIB = st.integers(1, 4000)


@st.composite
def machines(draw, most=6):
    """Machines with anything that can be seen of them, and a host that has room for their minima at least."""
    seen = []
    for number in range(draw(st.integers(1, most))):
        minimum, room, used, beyond = draw(MIB), draw(MIB), draw(MIB), draw(MIB)
        promised = minimum + room
        granted = draw(st.integers(minimum, promised))
        active, weight = draw(st.integers(0, granted)), draw(st.sampled_from([1, 2, 5, 20]))
        seen.append(Seen(f"m{number}", promised, minimum, granted, used, used + beyond, active, weight))
    least, promised = sum(one.minimum for one in seen), sum(one.promised for one in seen)
    return seen, least + draw(st.integers(0, promised - least + 100))


# -- what holds for every policy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES.values(), ids=lambda policy: policy.name)
@settings(deadline=None)
@given(case=machines())
def test_no_more_than_there_is_and_nobody_below_the_minimum(policy, case):
    seen, host = case
    targets = policy.targets(seen, host)
    assert isinstance(policy, Policy) and len(targets) == len(seen)
    assert sum(targets) <= host * (1 + 1e-9)
    for one, target in zip(seen, targets, strict=True):
        assert one.minimum * (1 - 1e-9) <= target <= one.promised * (1 + 1e-9)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=lambda policy: policy.name)
@settings(deadline=None)
@given(case=machines(), seed=st.integers(0, 99))
def test_the_order_of_machines_decides_nothing(policy, case, seed):
    seen, host = case
    order = list(range(len(seen)))
    Random(seed).shuffle(order)
    there = policy.targets(seen, host)
    again = policy.targets([seen[place] for place in order], host)
    assert again == pytest.approx([there[place] for place in order], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=lambda policy: policy.name)
def test_minima_that_there_is_no_room_for_are_refused(policy):
    seen = [Seen(name, 100, 60, 60, 60, 60, 60) for name in "ab"]
    with pytest.raises(ValueError, match="the minima come to 120, more than the 100"):
        policy.targets(seen, 100)


def test_a_policy_cannot_be_changed():
    for policy in POLICIES.values():
        with pytest.raises(AttributeError):
            policy.name = "another"
    assert list(POLICIES) == ["static", "dynamic", "hyper-v", "esxi"]


@settings(deadline=None)
@given(case=machines(), policy=st.sampled_from(list(POLICIES.values())), floor=st.floats(0, 1))
def test_moving_never_gives_more_than_there_is(case, policy, floor):
    """Whatever the floors are that guests cannot go below, and however much is free."""
    seen, host = case
    granted = shared([one.granted for one in seen], [one.minimum for one in seen], [1.0] * len(seen), host)
    targets = policy.targets(seen, host)
    told = moves(granted, targets, [floor * has for has in granted], host)
    assert sum(told) <= max(host, sum(granted)) + 1e-6
    for has, goal, at_least, now in zip(granted, targets, [floor * has for has in granted], told, strict=True):
        assert now >= min(has, at_least) - 1e-9
        assert min(has, goal) - 1e-6 <= now <= max(has, goal) + 1e-6


def test_moving_takes_first():
    assert moves([100, 100], [60, 140], [0, 0], 200) == [60, 140]
    assert moves([100, 100], [60, 140], [80, 0], 200) == [80, 120]  # a guest that does not let go
    assert moves([50, 50], [100, 150], [0, 0], 160) == pytest.approx([70, 90])


def by_bisection(wishes, minima, weights, total):
    """clamp(level × weight, minimum, wish), the level found by halving."""

    def parts(level):
        return [
            max(least, min(wish, level * weight)) for wish, least, weight in zip(wishes, minima, weights, strict=True)
        ]

    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(parts(middle)) < total else (low, middle)
    return parts(high)


@settings(deadline=None)
@given(data=st.data(), count=st.integers(1, 6))
def test_shares_with_a_floor_and_a_ceiling(data, count):
    draw = lambda least, most: [data.draw(st.integers(least, most)) for _ in range(count)]  # noqa: E731
    minima, more, weights = draw(0, 500), draw(0, 500), draw(1, 20)
    wishes = [least + extra for least, extra in zip(minima, more, strict=True)]
    total = data.draw(st.integers(sum(minima), sum(wishes) + 50))
    found = shared(wishes, minima, weights, total)
    assert sum(found) == pytest.approx(min(total, sum(wishes)))
    assert found == pytest.approx(by_bisection(wishes, minima, weights, total), abs=1e-6)


# -- each by itself -------------------------------------------------------------------------------------------------


def test_fixed_parts():
    seen = [Seen("a", 6144, 64, 6144, 1, 1, 1), Seen("b", 12288, 64, 12288, 1, 1, 1)]
    assert STATIC.targets(seen, 12288) == pytest.approx([4096, 8192])
    assert STATIC.targets(seen, 99999) == [6144, 12288]


def test_what_is_used_and_some_to_spare():
    seen = [Seen("a", 1000, 100, 1000, 300, 300, 300), Seen("b", 1000, 100, 1000, 20, 20, 20)]
    assert DYNAMIC.targets(seen, 2000) == [400, 120]
    assert DYNAMIC.targets(seen, 300) == pytest.approx([180, 120])


@settings(deadline=None)
@given(
    committed=st.integers(0, 5000),
    limits=st.tuples(MIB, MIB).map(sorted),
    buffer=st.integers(5, 2000),
)
def test_hyper_v_gives_what_is_committed_and_a_buffer(committed, limits, buffer):
    """Against whole-number arithmetic: sorted, what is in the middle is what is given."""
    least, most = limits
    wished = Fraction(committed) * (100 + buffer) / 100
    assert HyperV(buffer=buffer / 100).target(committed, least, most) == pytest.approx(
        float(sorted([Fraction(least), wished, Fraction(most)])[1])
    )


def test_hyper_v_as_microsoft_tells_it():
    assert HYPER_V.target(1000, 32, 4096) == pytest.approx(1200)
    seen = [Seen(name, 4096, 512, 2000, 1000, 1000, 0, weight) for name, weight in (("a", 1), ("b", 3))]
    assert HYPER_V.targets(seen, 3000) == pytest.approx([1200, 1200])
    assert HYPER_V.targets(seen, 2200) == pytest.approx([1000, 1200])  # "the buffer isn't maintained" for everybody
    assert HYPER_V.targets(seen, 2000) == pytest.approx([1000, 1000])
    assert HYPER_V.targets(seen, 1600) == pytest.approx([600, 1000])  # and then by weight
    for wrong in (0.04, 21):
        with pytest.raises(ValueError, match="from 5% to 2000%"):
            HyperV(buffer=wrong)


def test_hyper_v_gives_the_start_up_memory_until_a_guest_has_reported():
    """Neither what is committed nor a buffer counts before; the limits do."""

    def machine(name, reported, minimum=32):
        return Seen(name, 2048, minimum, 1000, 900, 1000, 900, 1.0, reported)

    policy = HyperV(startup=512)
    assert policy.targets([machine("new", False), machine("old", True)], 3000) == pytest.approx([512, 1200])
    assert policy.targets([machine("new", False, minimum=600)], 3000) == pytest.approx([600])
    assert HyperV(startup=4096).targets([machine("new", False)], 3000) == pytest.approx([2048])
    assert HYPER_V.targets([machine("new", False)], 3000) == pytest.approx([32])
    assert policy.targets([machine("new", False), machine("old", True)], 1600) == pytest.approx([512, 1088])
    others = [STATIC, DYNAMIC, ESXI]
    for one in others:
        assert one.targets([machine("a", False)], 3000) == one.targets([machine("a", True)], 3000)


@pytest.mark.parametrize("policy", [DYNAMIC, HYPER_V, ESXI], ids=lambda policy: policy.name)
def test_where_memory_is_short_it_goes_by_weight(policy):
    """1 to 3, and both want all they can get; ESX keeps 6% of the host free."""
    seen = [Seen(name, 1000, 50, 400, 1000, 1000, 1000, weight) for name, weight in (("a", 1), ("b", 3))]
    total = 800 * (0.94 if policy is ESXI else 1)
    assert policy.targets(seen, 800) == pytest.approx([total / 4, 3 * total / 4])


# -- the idle memory tax --------------------------------------------------------------------------------------------


def revoked(shares, active, minima, maxima, tax, total, page):
    """Min-funding revocation, a page at a time: it goes from whoever pays least for its pages, until all fit."""
    memory = list(maxima)
    while sum(memory) > total + 1e-9:

        def paid(place):
            own, touched = memory[place], min(active[place], memory[place])
            f = touched / own if own else 1.0
            return shares[place] / (own * (f + (1 - f) / (1 - tax))) if own else math.inf

        can = [place for place in range(len(memory)) if memory[place] - page >= minima[place] - 1e-9]
        memory[min(can, key=paid)] -= page
    return memory


@settings(max_examples=60, deadline=None)
@given(data=st.data(), tax=st.sampled_from([0, 0.25, 0.5, 0.75, 0.9]))
def test_the_tax_against_revocation_page_by_page(data, tax):
    count = data.draw(st.integers(1, 4))
    draw = lambda least, most: [data.draw(st.integers(least, most)) for _ in range(count)]  # noqa: E731
    shares, minima, more, parts = draw(1, 20), draw(0, 40), draw(1, 200), draw(0, 100)
    maxima = [least + extra for least, extra in zip(minima, more, strict=True)]
    active = [most * part / 100 for most, part in zip(maxima, parts, strict=True)]
    total = data.draw(st.integers(sum(minima), sum(maxima)))
    page = 0.5
    found = taxed(shares, active, minima, maxima, tax, total)
    # Only whole pages move there, so that each may be one off, and whoever has the rest of the others' too.
    assert found == pytest.approx(revoked(shares, active, minima, maxima, tax, total, page), abs=page * (count + 1))
    assert sum(found) == pytest.approx(total)


def test_the_ratio_of_the_paper():
    """ρ = S / (P·(f + k·(1 − f))), k = 1 / (1 − τ)."""
    assert paid_for_a_page(1000, 400, 400, 0.75) == pytest.approx(1000 / 400)
    assert paid_for_a_page(1000, 400, 100, 0.75) == pytest.approx(1000 / (400 * (0.25 + 4 * 0.75)))
    assert paid_for_a_page(1000, 400, 100, 0) == pytest.approx(1000 / 400)


def test_two_machines_of_256_in_360():
    """The example of section 5.4: equal shares, one idle and one that wants all it can get."""
    pure = taxed([1, 1], [40, 256], [0, 0], [256, 256], 0, 360)
    assert pure == pytest.approx([180, 180])
    idle, busy = taxed([1, 1], [40, 256], [0, 0], [256, 256], 0.75, 360)
    assert busy == 256 and idle == pytest.approx(104)  # nothing keeps it from having all that it was promised
    # In 300 the busy one has all pages active, E, and the idle one 40 + (E - 40)/4: so E is 216.
    assert taxed([1, 1], [40, 256], [0, 0], [256, 256], 0.75, 300) == pytest.approx([84, 216])


def test_most_of_what_is_idle_may_be_taken_and_no_more():
    """At tax τ, shares being equal and all scarce, an idle machine keeps at least 1 − τ of what the busy one has."""
    for tax in (0.0, 0.5, 0.75):
        idle, busy = taxed([1, 1], [0, 10_000], [0, 0], [10_000, 10_000], tax, 8000)
        assert idle == pytest.approx((1 - tax) * busy)


def test_esx_gives_all_where_there_is_enough_and_keeps_some_free_where_not():
    seen = [Seen(name, 400, 10, 400, 400, 400, active, 1) for name, active in (("a", 400), ("b", 0))]
    assert ESXI.targets(seen, 1000) == [400, 400]
    targets = ESXI.targets(seen, 600)
    assert sum(targets) == pytest.approx(0.94 * 600) and targets[0] == 400
    with pytest.raises(ValueError, match="from 0 to less than 1"):
        taxed([1], [1], [0], [1], 1.0, 1)


def test_what_a_sample_of_100_pages_tells():
    """The standard error of t/n is √(f(1 − f)/n): with 100 pages 5% at the worst."""
    draw, real = Random(1), 0.5
    estimates = [sum(draw.random() < real for _ in range(ESXI.samples)) / ESXI.samples for _ in range(4000)]
    spread = math.sqrt(sum((one - real) ** 2 for one in estimates) / len(estimates))
    assert spread == pytest.approx(math.sqrt(real * (1 - real) / 100), rel=0.05)


# -- reclaiming -----------------------------------------------------------------------------------------------------


def test_states():
    assert [ESXI.state(free) for free in (0.07, 0.05, 0.039, 0.019, 0.009)] == ["high", "high", "soft", "hard", "low"]
    assert ESXI.state(0.05, before="soft") == "soft"  # it goes back only above the threshold of the better one
    assert ESXI.state(0.06, before="soft") == "high"
    assert ESXI.state(0.05, before="low") == "soft"


@settings(deadline=None)
@given(seed=st.integers(0, 99), count=st.integers(2, 60), gone=st.integers(0, 60))
def test_victims_keep_count(seed, count, gone):
    victims = Theirs(count, Random(seed))
    went = [victims.go() for _ in range(min(gone, count))]
    assert len(set(went)) == len(went) and len(victims) == count - len(went)
    assert all((page in victims) == (page not in went) for page in range(count))


def test_the_guest_gives_up_what_it_can_spare():
    victims = Ours(10, 3, Random(1))
    assert [victims.go() for _ in range(3)] == [-1, -1, -1] and all(page in victims for page in range(10))
    assert victims.go() in range(10) and len(victims) == 9


def reclaimed(how, programs, *, ratio=1.5, seconds=60.0, memory=32.0, store="disk", names=("m1", "m2", "m3", "m4")):
    sizes = dict.fromkeys(names, memory)
    total = memory * len(names) / ratio
    return reclaim(simpy.Environment(), sizes, programs, how, memory=total, store=store, seconds=seconds, seed=1)


def test_a_balloon_costs_nothing_while_there_is_something_to_spare():
    seen = reclaimed("balloon", Programs(0.5, 0.3, 0.3, 256, 0.2))
    assert seen.value("m1", "reclaimed") == pytest.approx(32 / 3, abs=0.01)
    assert seen.value("m1", "slowdown") == pytest.approx(1.0)


def test_a_balloon_that_takes_what_is_worked_on():
    """A third is lacking, a tenth can be spared: of the 0.9 that is worked on 0.2333 is missing at any time."""
    seen = reclaimed("balloon", Programs(0.9, 0.05, 0.0, 256, 0.0), seconds=600)
    longer = 1 + 256 * (1 / 3 - 0.1) / 0.9 * PAGING.stores["disk"].value
    assert seen.value("m1", "slowdown") == pytest.approx(longer, rel=0.01)
    quick = reclaimed("balloon", Programs(0.9, 0.05, 0.0, 256, 0.0), store="ssd")
    flash = 110e-6 / (60 / 7200 / 2)  # the data sheet's latency over half a turn
    assert quick.value("m1", "slowdown") - 1 == pytest.approx((longer - 1) * flash, rel=0.1)


def test_a_host_that_swaps_at_random_does_worse_at_first_and_learns():
    programs = Programs(0.5, 0.3, 0.0, 256, 0.0)
    soon, late = (reclaimed("swap", programs, seconds=seconds).value("m1", "slowdown") for seconds in (2, 600))
    at_first = 1 + 256 / 3 * PAGING.stores["disk"].value
    assert soon == pytest.approx(at_first, rel=0.06)
    assert 1 < late < 1 + (soon - 1) / 4


def test_sharing_finds_what_is_equal_and_a_write_ends_it():
    """Of four equal pages one is kept. Where that is enough, nothing is swapped, until somebody writes."""
    programs = Programs(0.5, 0.3, 0.4, 256, 0.0)
    seen = reclaimed("sharing", programs, ratio=1.2)
    found = sum(seen.value(f"m{number}", "reclaimed") for number in range(1, 5))
    assert found == pytest.approx(32 * 0.8 * 0.4 * 3, rel=0.03)
    assert seen.value("m1", "slowdown") == pytest.approx(1.0) and not swapped(seen, "m1")
    written = reclaimed("sharing", Programs(0.5, 0.3, 0.4, 256, 1.0), ratio=1.2, seconds=120)
    assert sum(written.value(f"m{number}", "reclaimed") for number in range(1, 5)) < found * 0.6
    assert written.value("m2", "slowdown") > 1 and swapped(written, "m2") > 0


def swapped(seen, machine):
    return next(line.values[0] for line in seen.series if (line.machine, line.quantity) == (machine, "swapped"))


@pytest.mark.parametrize("how", MECHANISMS)
@pytest.mark.parametrize("writes", [0.0, 0.5])
def test_each_page_is_somewhere_and_what_is_lacking_is_gone(how, writes):
    """Of a machine of 32 MiB a third is lacking, however it is got back: to a page, it takes no more than the rest."""
    seen = reclaimed(how, Programs(0.5, 0.3, 0.4, 256, writes))
    for name in ("m1", "m2", "m3", "m4"):
        parts = {line.quantity: line.values[0] for line in seen.series if line.machine == name}
        assert sum(parts.values()) == pytest.approx(32, abs=1e-6) and min(parts.values()) >= 0
        gone = sum(parts.get(part, 0.0) for part in ("ballooned", "shared", "swapped"))
        assert gone == pytest.approx(32 / 3, abs=2 / 256)
        found = parts["shared"] if how == "sharing" else gone
        assert seen.value(name, "reclaimed") == pytest.approx(found, abs=1e-9)


def test_a_neighbour_that_writes_costs_the_others_too():
    """Two guests of 100 equal pages, each to be relieved of 25: once one has written 80, they share 20, and swap 15."""
    names = ("a", "b")
    programs = Programs(working=1.0, cold=0.0, identical=1.0, touches=1.0, writes=0.0)
    draws = {name: Random(name) for name in names}
    guests = sharers(dict.fromkeys(names, 100), dict.fromkeys(names, 25), programs, 1.0, Random(1), draws)
    assert [guest.got_back() for guest in guests.values()] == [50, 50]
    assert sum(guests["a"].fetch(page, True) for page in range(80)) == pytest.approx(80 * PAGING.copy.value)
    for guest in guests.values():
        parts = guest.parts()
        assert (parts["shared"], parts["swapped"]) == (10, 15) and sum(parts.values()) == 100
    # What was swapped of the other one's own has to be fetched, and another one goes.
    assert sum(guests["b"].fetch(page, False) for page in range(100)) >= 15
    assert guests["b"].parts()["swapped"] == 15


def test_with_nothing_equal_sharing_is_swapping():
    shared, swap = (reclaimed(how, Programs(0.5, 0.3, 0.0, 256, 0.2)) for how in ("sharing", "swap"))
    assert shared.value("m1", "reclaimed") == 0
    assert shared.value("m1", "slowdown") == pytest.approx(swap.value("m1", "slowdown"), abs=1e-9)


def test_what_sharing_finds_need_not_be_swapped():
    """At first a page of a random one of the machine's own is gone: as many as sharing did not find, of those left."""
    programs = Programs(0.5, 0.3, 0.4, 256, 0.0)
    shared, swap = (reclaimed(how, programs, seconds=2).value("m1", "slowdown") - 1 for how in ("sharing", "swap"))
    found = 0.8 * 0.4 * 0.75  # of a machine's memory
    own = 1 - 0.8 * 0.4
    missing = (1 / 3 - found) / own * (1 - 0.4)  # of what is worked on 0.6 is its own
    assert shared == pytest.approx(256 * missing * PAGING.stores["disk"].value, rel=0.25)
    assert shared < swap / 2


@pytest.mark.parametrize("how", MECHANISMS)
def test_the_same_twice(how):
    first, again = (reclaimed(how, Programs(0.5, 0.3, 0.3, 256, 0.2), seconds=5) for _ in range(2))
    assert first.rows == again.rows
