"""The exercise of lesson 03 looks at what is on a host, whoever brought it about."""

import pytest

import labkit
from labkit.course import Lesson, Progress
from labkit.course.checks import memory
from labkit.host import HostError

VALUES = {"idle": "shop", "amount": 40}


def judged(change):
    return memory.reclaim_goal(VALUES, change, "simulated")


def setting(name, keeps):
    return lambda host: host.machines[name].set(memory=keeps)


def test_the_idle_one_gives_what_is_wanted():
    verdict = judged(setting("shop", memory.MEMORY - 40))
    assert verdict.done
    assert "40 MiB back from shop" in verdict.said and "reports is untouched" in verdict.said
    assert verdict.said.endswith("On the simulated host.")


@pytest.mark.parametrize(
    ("name", "keeps", "said"),
    [
        ("shop", memory.MEMORY, "The host has nothing back yet; 40 MiB are wanted."),
        ("shop", memory.MEMORY - 30, "40 MiB are wanted"),
        ("shop", memory.MEMORY - 60, "only 40 MiB are wanted"),
        ("reports", memory.MEMORY - 40, "reports is at work"),
    ],
)
def test_too_little_too_much_and_from_the_wrong_one(name, keeps, said):
    verdict = judged(setting(name, keeps))
    assert not verdict.done
    assert said in verdict.said


def test_taking_from_both_is_not_leaving_the_busy_one_alone():
    def change(host):
        host.machines["shop"].set(memory=memory.MEMORY - 40)
        host.machines["reports"].set(memory=memory.MEMORY - 8)

    assert "has lost 8 MiB" in judged(change).said


def test_switching_a_machine_off_is_no_way():
    assert "both have to go on running" in judged(lambda host: host.machines["shop"].stop()).said


def test_it_judges_a_host_as_it_finds_it():
    with memory.two_machines(VALUES, "simulated") as (host, _said):
        host.machines["shop"].set(memory=memory.MEMORY - 40)
        assert memory.reclaim_goal(VALUES, host).done


def test_what_would_kill_the_guest_is_told_in_words():
    task = Lesson("03", Progress(None)).exercise("reclaim")
    verdict = task.check(setting(task.values["idle"], 40), where="simulated")
    assert not verdict.done
    assert "would run out of memory" in verdict.said and "Leave it" in verdict.said


def test_without_a_live_host_it_says_so_and_goes_on(monkeypatch, capsys):
    def none(*_given, **_named):
        raise HostError("There is no libvirt.", "Run ./course open.")

    monkeypatch.setattr(labkit, "live", none, raising=False)
    memory.look(VALUES)
    out = capsys.readouterr().out
    assert "On the simulated host, as real guests cannot be had: There is no libvirt. Run ./course open." in out
    lines = {line[:25].strip(): line.split()[-2:] for line in out.splitlines()}
    assert lines["What the balloon leaves"] == ["192", "192"]
    assert int(lines["Free in the guest"][0]) > int(lines["Free in the guest"][1])  # which tells the two apart
    assert abs(int(lines["On the host"][0]) - int(lines["On the host"][1])) < 8  # and this does not
