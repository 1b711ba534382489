"""How far a live run has come: machines and steps are equal parts of the whole, which is full at its end only."""

import pytest

from labkit.experiments import NAMES, load
from labkit.views.watched import WatchedHost, steps_of


class Told:
    """A host that tells what it does while it makes machines and does something with them."""

    def __init__(self, tell):
        self.progress = tell

    def create(self, name, **_how):
        self.progress(f"Booting {name}", 0.5)
        return name

    def do(self, words, *parts):
        for part in parts or (0.0,):
            self.progress(words, part)

    def observe(self, _seconds, _every):
        self.progress("Measuring", 0.5)
        self.progress("Measuring", 1.0)

    def journal(self):
        return []

    def close(self):
        pass


def watched(machines, steps):
    said = []
    host = WatchedHost(Told, lambda words, part: said.append((words, round(part, 3))), machines, steps=steps)
    return host, said


def test_steps_and_machines_share_the_whole():
    host, said = watched(1, 4)
    host.create("web")
    host.do("writing")
    host.do("taking it", 0.0, 0.5, 1.0)
    host.observe(0.2)
    assert said == [
        ("opening the live host", 0.0),
        ("starting web", 0.0),
        ("Booting web", 0.1),
        ("writing", 0.2),
        ("taking it", 0.4),
        ("taking it", 0.5),
        ("taking it", 0.6),
        ("measuring for 0.2 s", 0.6),
        ("Measuring", 0.9),
        ("Measuring", 1.0),
    ]


def test_the_same_words_from_the_beginning_are_another_step():
    host, said = watched(1, 3)
    host.create("m1")
    host.do("watching", 0.0, 1.0)
    host.do("watching", 0.0, 1.0)
    assert [part for words, part in said if words == "watching"] == [0.25, 0.5, 0.5, 0.75]


def test_a_machine_that_comes_later_counts_on():
    host, said = watched(2, 2)
    host.create("m1")
    host.do("writing", 1.0)
    host.create("m2")
    host.do("looking")
    assert [part for words, part in said if words in ("starting m2", "looking")] == [0.5, 0.75]


def test_more_than_was_counted_is_not_more_than_all():
    host, said = watched(1, 1)
    host.create("m1")
    for number in range(5):
        host.do(f"step {number}")
    assert said[-1][1] == 1.0 and [part for _words, part in said] == sorted(part for _words, part in said)


def test_without_steps_a_measurement_is_a_whole_of_its_own():
    host, said = watched(2, 0)
    host.create("m1")
    host.create("m2")
    host.observe(1.0)
    assert [part for words, part in said if words == "Measuring"] == [0.5, 1.0]
    assert said[-3] == ("measuring for 1 s", 0.0)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("snapshot-")])
def test_the_experiments_of_snapshots_say_how_many(name):
    module = load(name)
    assert steps_of(module, module.Settings()) > 1
