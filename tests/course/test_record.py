"""Merging two copies of a learner's record, whatever they hold."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.course.record import VERSION, NewerRecordError, checked, empty, merge

shared_machine = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
names = st.sampled_from(["first", "second"])
times = st.sampled_from(["2026-11-23T10:00:01", "2026-11-23T10:00:02", "2026-11-23T10:00:03"])
numbers = st.integers(0, 3) | st.floats(0, 1)
predictions = st.dictionaries(
    names, st.fixed_dictionaries({"at": times, "value": numbers, "sure": st.sampled_from([50, 75])}), max_size=2
)
outcomes = st.dictionaries(
    names, st.fixed_dictionaries({"at": times, "values": st.dictionaries(st.just("live"), numbers)}), max_size=2
)
attempts = st.lists(
    st.fixed_dictionaries({"at": times, "done": st.booleans(), "said": st.sampled_from("ab")}), max_size=2
)
exercises = st.dictionaries(
    names,
    st.fixed_dictionaries(
        {}, optional={"attempts": attempts, "hints": st.integers(0, 4), "solution": st.booleans(), "done": times}
    ),
    max_size=3,
)
lessons = st.fixed_dictionaries(
    {
        "epoch": st.integers(0, 2),
        "predictions": predictions,
        "outcomes": outcomes,
        "quiz": st.dictionaries(names, attempts, max_size=2),
        "exercises": exercises,
        "reached": st.dictionaries(names, times, max_size=3),
    },
    optional={"of a later version": st.integers()},
)
records = st.fixed_dictionaries(
    {
        "version": st.just(VERSION),
        "epoch": st.integers(0, 1),
        "learner": st.none() | st.integers(0, 9),
        "lessons": st.dictionaries(st.sampled_from(["00", "02"]), lessons, max_size=2),
    }
).map(checked)


@shared_machine
@given(records, records)
def test_order_does_not_matter(one, other):
    assert merge(one, other) == merge(other, one)


@shared_machine
@given(records, records, records)
def test_grouping_does_not_matter(one, two, three):
    assert merge(merge(one, two), three) == merge(one, merge(two, three))


@shared_machine
@given(records, records)
def test_merging_again_changes_nothing(one, other):
    assert merge(one, one) == one
    both = merge(one, other)
    assert merge(both, other) == merge(both, one) == both


@shared_machine
@given(records, records)
def test_nothing_of_one_book_is_lost(one, other):
    both = merge(one, other)
    for record in (one, other):
        if record["epoch"] < both["epoch"]:
            continue
        for number, lesson in record["lessons"].items():
            if lesson["epoch"] < both["lessons"][number]["epoch"]:
                continue
            for part in ("predictions", "outcomes", "quiz", "exercises", "reached"):
                assert lesson[part].keys() <= both["lessons"][number][part].keys()
            for name, answer in lesson["predictions"].items():
                assert both["lessons"][number]["predictions"][name]["at"] <= answer["at"]


@shared_machine
@given(records, records)
def test_a_merge_is_a_record(one, other):
    both = merge(one, other)
    assert checked(json.loads(json.dumps(both))) == both


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
lesson_like = st.dictionaries(
    st.sampled_from(["epoch", "predictions", "outcomes", "quiz", "exercises", "reached"]), json_values, max_size=4
)


@shared_machine
@given(json_values | st.fixed_dictionaries({"version": st.just(1), "lessons": st.dictionaries(names, lesson_like)}))
def test_any_json_is_a_record_or_refused(document):
    try:
        record = checked(document)
    except ValueError:
        return
    assert merge(record, empty()) == merge(empty(), record)


def test_a_reset_book_wins():
    old = checked({"version": 1, "epoch": 0, "lessons": {"02": {"reached": {"first": "2026"}}}})
    new = {**empty(7), "epoch": 1}
    assert merge(old, new) == merge(new, old) == new


def test_a_newer_version_is_told_apart():
    with pytest.raises(NewerRecordError):
        checked({"version": VERSION + 1})
