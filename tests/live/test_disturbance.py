"""What others take of the CPUs is a part of their time: never less than none of it, never more than all."""

import pytest

from labkit.live.counters import Reading, disturbance

pytestmark = pytest.mark.timeless


def reading(time, ran, *busy):
    return Reading(time, {"m1": ran}, {"m1": 0.0}, {"m1": 0.0}, dict(enumerate(busy)), False)


@pytest.mark.parametrize(
    ("ran", "busy", "part"),
    [
        (0.1, (0.1, 0.0), 0.0),
        (0.1, (0.2, 0.1), 0.5),
        (0.0, (0.21, 0.21), 1.0),  # a tick more on each than the look lasted
        (0.2, (0.19, 0.0), 0.0),  # and a tick less
    ],
)
def test_the_ticks_of_a_short_look_do_not_make_more_than_all(ran, busy, part):
    assert disturbance(reading(0.0, 0.0, 0.0, 0.0), reading(0.2, ran, *busy), (0, 1)) == pytest.approx(part)
