"""A learner's wrong call ends in one sentence, without Python's names of classes."""

import pytest

from labkit.course.checks.pool import below_goal
from labkit.course.mistakes import in_words

VALUES = {"web": 16, "mail": 10}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda host, pool: pool.remove("archive"), "remove() takes nothing, and was given 1 value."),
        (lambda host, pool: pool.grow(), "grow() needs size, which was not given."),
        (lambda host, pool: pool.grow(by=3), "grow() does not take by=."),
        (lambda host, pool: pool.shrink(), "There is no shrink here"),
        (lambda host, pool: pool.disks["letters"].remove(), "There is nothing of the name 'letters' here."),
        (lambda host, pool: host.machines["web"].volume("web-data").files(), "cannot be called"),
        (lambda host, pool: archiv.remove(), "Nothing is called archiv here."),  # noqa: F821
        (lambda: None, "<lambda>() takes nothing, and was given 2 values."),
    ],
)
def test_a_wrong_call_is_told_with_what_can_be_called(given, said):
    verdict = below_goal(VALUES, given, where="simulated")
    assert not verdict.done
    assert verdict.said.startswith(said) or said in verdict.said.partition(". What can")[0] + "."
    assert "`pool.grow(size)`" in verdict.said and "SimulatedPool" not in verdict.said


def test_a_smaller_pool_is_refused_in_mebibytes():
    from labkit.host import HostError

    with pytest.raises(HostError, match="The pool has 64 MiB, and 16 MiB would be less"):
        below_goal(VALUES, lambda host, pool: pool.grow(16), where="simulated")


def test_what_has_no_better_words_keeps_its_own():
    assert in_words(ZeroDivisionError("division by zero")) == (
        "What was given could not be looked at (ZeroDivisionError: division by zero)."
    )
