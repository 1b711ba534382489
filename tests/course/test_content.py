"""The lessons' files: every one keeps the rules, and every solution reaches its goal."""

import pytest

import labkit
from labkit.course import Lesson, Progress, Verdict
from labkit.course.content import LESSONS, Option, Question, content
from labkit.course.exercise import Exercise

NUMBERS = sorted(path.stem for path in LESSONS.glob("*.toml"))
EXERCISES = [(number, name) for number in NUMBERS for name in content(number).exercises]
VARIANTS = [(n, name, v) for n, name in EXERCISES for v in range(len(content(n).exercises[name].values))]


@pytest.mark.parametrize("number", NUMBERS)
def test_the_questions_are_about_misconceptions(number):
    for question in content(number).questions:
        assert question.misconception, question.id
        assert len(question.options) >= 3, question.id


@pytest.mark.parametrize(("number", "name"), EXERCISES)
def test_hints_do_not_give_it_away(number, name):
    task = content(number).exercises[name]
    assert len(task.hints) >= 3
    assert len(task.values) >= 2
    assert not set(task.solution.strip().splitlines()) & {line for hint in task.hints for line in hint.splitlines()}


@pytest.mark.parametrize(("number", "name", "variant"), VARIANTS)
def test_the_solution_reaches_the_goal(number, name, variant):
    task = content(number).exercises[name]
    exercise = Exercise(Progress(None), number, name, type(task)(**{**vars(task), "values": [task.values[variant]]}))
    assert "$" not in exercise.goal
    for _ in exercise.hints:
        exercise.hint()
    exec(exercise.solution(), {"labkit": labkit, "task": exercise})
    assert exercise.text().splitlines()[1].startswith("Done.")


def test_the_first_try_is_not_yet():
    task = Lesson("02", Progress(None)).exercise("three-machines")
    kept = task.values["database"]
    verdict = task.check({"web": kept, "database": kept, "backup": kept})
    assert not verdict.done
    assert "web got 33%" in verdict.said
    by_percent = {"web": task.values["web"], "backup": task.values["backup"]}
    percent = task.check({**by_percent, "database": 100 - sum(by_percent.values())})
    assert not percent.done and f"keeps its {kept} shares" in percent.said
    assert not task.check({"web": 1024}).done
    assert not task.check({"web": 1.5, "database": 1024, "backup": 1024}).done


def test_the_three_may_also_be_on_a_host():
    task = Lesson("02", Progress(None)).exercise("three-machines")
    web, backup = task.values["web"], task.values["backup"]
    with labkit.simulated(cpus=1) as host:
        assert "no machine called web" in task.check(host).said
        for name, percent in (("web", web), ("database", 100 - web - backup), ("backup", backup)):
            machine = host.create(name, shares=10 * percent, pin=[0])
            if name != "backup":
                machine.run(labkit.CpuLoad())
        assert "backup does not want the CPU" in task.check(host).said
        host.machines["backup"].run(labkit.CpuLoad())
        assert task.check(host).done


def test_a_first_machine():
    task = Lesson("00", Progress(None)).exercise("first-machine")
    name, vcpus = task.values["name"], task.values["vcpus"]
    with labkit.simulated(cpus=2) as host:
        assert "no machine on this host" in task.check(host).said
        host.create(name, vcpus=1)
        assert f"{name} is running, with 1 vCPU;" in task.check(host).said
        host.machines[name].stop()
        host.create(name, vcpus=vcpus)
        assert task.check(host).done


@pytest.mark.parametrize(
    "options",
    [
        [Option("a", "w", True)],
        [Option("a", "w"), Option("b", "w")],
        [Option("a", "w", True), Option("b", "")],
        [Option("a", "w", True), Option("a", "w")],
    ],
)
def test_a_question_that_breaks_a_rule(options):
    with pytest.raises(ValueError):
        Question("q", "?", options)


def test_a_lesson_without_a_file():
    assert content("77").questions == ()
    assert Verdict(True, "") and repr(Verdict(True, "")) == "Done."
