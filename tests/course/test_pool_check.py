"""The exercise with the full pool: what reaches the goal, and what only looks as if it did."""

import pytest

from labkit.course.checks.pool import below_goal, full_pool, look

VALUES = {"web": 16, "mail": 10}


def tried(given, values=VALUES):
    return below_goal(values, given, where="simulated")


def test_it_begins_fuller_than_it_may_be():
    with full_pool(VALUES, "simulated") as (place, said):
        assert 0.9 < place.pool.used / place.pool.size <= 0.94
        assert "simulated" in said
        assert not place.lost()
        assert list(place.pool.disks) == ["web-data", "mail-data", "archive"]


def test_doing_nothing_is_not_enough():
    verdict = tried(lambda host, pool: None)
    assert not verdict.done
    assert "below 80%" in verdict.said


@pytest.mark.parametrize("name", ["web", "mail"])
@pytest.mark.parametrize("values", [VALUES, {"web": 12, "mail": 12}])
def test_telling_the_disk_is(name, values):
    verdict = tried(lambda host, pool: host.machines[name].volume(f"{name}-data").trim(), values)
    assert verdict.done, verdict.said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda host, pool: pool.disks["archive"].remove(), "archive is gone"),
        (lambda host, pool: pool.grow("80 MiB"), "has grown"),
        (lambda host, pool: (host.machines["web"].stop(), pool.disks["web-data"].remove()), "web does not run"),
        (
            lambda host, pool: (
                host.machines["web"].volume("web-data").delete("letters"),
                host.machines["web"].volume("web-data").trim(),
            ),
            "web has lost letters",
        ),
        (lambda host, pool: host.machines["web"].discard("web-data", [(0, 64 << 20)]), "web has lost letters"),
    ],
)
def test_what_loses_something_is_not(given, said):
    verdict = tried(given)
    assert not verdict.done
    assert said in verdict.said


def test_it_can_be_looked_at(capsys):
    look(VALUES, "simulated")
    printed = capsys.readouterr().out
    assert "archive" in printed
    assert "of 64: 9" in printed
