"""The exercise of lesson 01: two machines that do not notice each other."""

import pytest

import labkit
from labkit.course import Lesson, Progress
from labkit.course.checks.neighbours import neighbours_goal
from labkit.course.content import content

VALUES = content("01").exercises["keep-apart"].values


def tried(values, test=None, build=None, **host):
    with labkit.simulated(cpus=host.get("cpus", values["cpus"])) as made:
        made.create("test", **{"vcpus": values["vcpus"], **(test or {})})
        made.create("build", **(build or {}))
        return neighbours_goal(values, made)


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_the_first_try_is_not_yet(values):
    verdict = tried(values)
    assert not verdict.done
    assert "somebody else is on its CPU" in verdict.said


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_cpus_of_their_own_keep_them_apart(values):
    apart = range(1, values["cpus"])
    assert tried(values, {"pin": apart}, {"pin": [0]}).done
    assert tried(values, {"pin": apart}).done  # build may also go where it likes
    assert not tried(values, {}, {"pin": [0]}).done  # but to bind only build does not help


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_neither_shares_nor_caps_keep_them_wholly_apart(values):
    assert not tried(values, {}, {"shares": 262144}).done
    assert not tried(values, {"cap": values["least"] / 2}).done


def test_who_starves_the_test_machine_is_told():
    values = VALUES[1]
    verdict = tried(values, {"pin": [0]}, {"pin": [1]})
    assert not verdict.done and "promised" in verdict.said


def test_what_is_not_as_asked_is_said():
    values = VALUES[0]
    assert "The host has 5 CPUs" in tried(values, cpus=5).said
    assert "test has 1 vCPU;" in tried(values, {"vcpus": 1}).said
    assert "build has 2 vCPUs" in tried(values, {}, {"vcpus": 2}).said
    with labkit.simulated(cpus=values["cpus"]) as host:
        host.create("test", vcpus=values["vcpus"])
        assert "no machine called build" in neighbours_goal(values, host).said
        host.create("build")
        host.create("other")
        assert "There is also other" in neighbours_goal(values, host).said


def test_it_is_the_lessons_exercise():
    task = Lesson("01", Progress(None)).exercise("keep-apart")
    with labkit.simulated(cpus=task.values["cpus"]) as host:
        host.create("test", vcpus=task.values["vcpus"])
        host.create("build", vcpus=1)
        assert not task.check(host).done
