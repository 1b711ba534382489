"""Xen's rules for vCPUs that spin on one CPU, against the same reckoned by hand, period by period, in whole credits.

The reckoning imports nothing of labkit. It follows `csched_acct` and `csched_runq_sort` in xen/common/sched/credit.c
for the plain case: everybody spins, each turn is one accounting period, and nothing is lost to switches. So the model
is given a switch that takes next to nothing, just so that a turn ends after the accounting that falls together with it;
in 100 periods that adds up to 1e-6 credits. Then all turns must be the same, not only nearly.
"""

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labkit.host import CpuLoad
from labkit.model import RULES, SimulatedHost

SLICE = 0.030


def up(number: int, by: int) -> int:
    """A quotient, rounded up."""
    return -(-number // by)


def turns(weights: Sequence[int], periods: int) -> list[int]:
    """Who runs in each period."""
    credit, over = [0] * len(weights), [False] * len(weights)
    queue, runs, balance = list(range(1, len(weights))), 0, 0
    earning: list[int] = []  # the newest first
    order = []
    for _ in range(periods):
        order.append(runs)
        credit[runs] -= 300
        if runs not in earning:
            earning.insert(0, runs)
        total, balance_before, balance = 300 + max(-balance, 0), balance, 0
        whole = left = sum(weights[i] for i in earning)
        short = False
        for i in list(earning):
            left -= weights[i]
            peak = 300 + up(max(-balance_before, 0) * weights[i], whole)
            fair = up(total * weights[i], whole)
            if fair < peak:
                short = True
            else:
                if left:
                    total += up((fair - peak) * whole, left)
                if short:
                    earning.remove(i)
                    earning.insert(0, i)
                fair = peak
            credit[i] = max(credit[i] + fair, -300)
            over[i] = credit[i] < 0
            if credit[i] > 300:
                earning.remove(i)
                credit[i] //= 2
            balance += credit[i]
        queue.sort(key=lambda i: over[i])
        place = len(queue)
        while place and over[queue[place - 1]] > over[runs]:
            place -= 1
        queue.insert(place, runs)
        runs = queue.pop(0)
    return order


@given(weights=st.lists(st.integers(2, 65535), min_size=1, max_size=6))
@example(weights=[512, 256])
@example(weights=[1000, 100, 100])
@example(weights=[1024, 512, 256, 128, 64])
@settings(max_examples=100, deadline=None)
def test_every_turn_is_as_reckoned_by_hand(weights):
    RULES["swift"] = dataclasses.replace(RULES["xen"], name="swift", switch_cost=1e-12)
    try:
        host = SimulatedHost(1, rules="swift")
    finally:
        del RULES["swift"]
    for number, weight in enumerate(weights):
        host.create(f"m{number}", shares=weight).run(CpuLoad())
    periods = 100
    seen = host.observe(periods * SLICE)
    begun = {}
    for event in seen.events:
        for turn in range(round(event.time / SLICE), round((event.time + event.seconds) / SLICE)):
            begun[turn] = int(event.machine[1:])
        assert event.seconds == pytest.approx(round(event.seconds / SLICE) * SLICE, abs=1e-9)
    assert [begun[turn] for turn in range(periods)] == turns(weights, periods)
