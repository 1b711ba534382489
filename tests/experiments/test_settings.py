"""Settings: what is taken, what is refused, and that the refusal says what would do."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.experiments import NAMES, SettingError, load
from labkit.experiments.settings import choice, describe, from_text, integer, integers, number, numbers, size, validate


@dataclasses.dataclass(frozen=True)
class Everything:
    """One setting of each type."""

    rate: float = number(1.5, minimum=0.5, maximum=8.0, unit="1/s", about="a rate")
    count: int = integer(3, minimum=1, maximum=9, unit="1", about="a count")
    parts: tuple[int, ...] = integers((1, 2), minimum=1, maximum=5, shortest=1, longest=3, unit="1", about="some parts")
    kind: str = choice("raw", ("raw", "qcow2"), about="a kind")
    memory: float = size(128.0, minimum=64.0, maximum=1024.0, about="an amount")
    rates: tuple[float, ...] = numbers(
        (1.5,), minimum=0.5, maximum=8.0, shortest=1, longest=3, unit="1/s", about="rates"
    )

    def check(self):
        if self.rate == 5 and self.count == 5:
            raise SettingError("rate and count must not both be 5.")


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_within_their_own_ranges(name):
    settings = load(name).Settings
    assert validate(settings()) == settings()
    assert set(describe(settings)) == {field.name for field in dataclasses.fields(settings)}


def test_each_type_is_read_from_words():
    words = {"rate": "2", "count": "4", "parts": "5,4,3", "kind": "qcow2", "memory": "1 GiB", "rates": "2,0.75"}
    assert from_text(Everything, words) == Everything(2.0, 4, (5, 4, 3), "qcow2", 1024.0, (2.0, 0.75))


def test_values_are_checked_against_each_other_too():
    with pytest.raises(SettingError, match="both be 5"):
        from_text(Everything, {"rate": "5", "count": "5"})


def test_a_list_says_what_its_items_are():
    described = describe(Everything)
    assert described["rates"]["type"] == described["parts"]["type"] == "list"
    assert described["rates"]["item"] == "number" and described["rates"]["default"] == [1.5]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rate", "fast"),
        ("rate", "nan"),
        ("rate", "inf"),
        ("rate", "0.49"),
        ("count", "1.5"),
        ("count", "0"),
        ("count", "9" * 400),
        ("count", "9" * 5000),
        ("parts", ""),
        ("parts", "1,,2"),
        ("parts", "1,2,3,4"),
        ("parts", "6"),
        ("parts", "٣"),
        ("parts", "1_0"),
        ("parts", "1.5"),
        ("parts", ",".join(["1"] * 20_000)),
        ("count", "٣"),
        ("rate", "٣"),
        ("rates", ""),
        ("rates", "nan"),
        ("rates", "1,inf"),
        ("rates", "0.1"),
        ("rates", "1,2,3,4"),
        ("kind", "floppy"),
        ("memory", "much"),
        ("memory", "2 GiB"),
        ("memory", "-64 MiB"),
        ("colour", "blue"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name, text):
    with pytest.raises(SettingError) as refused:
        from_text(Everything, {name: text})
    assert name in str(refused.value) and len(str(refused.value)) < 300


@given(st.sampled_from(["rate", "count", "parts", "kind", "memory", "rates"]), st.text(max_size=50))
def test_any_text_is_either_within_range_or_refused(name, text):
    try:
        settings = from_text(Everything, {name: text})
    except SettingError:
        return
    assert 0.5 <= settings.rate <= 8.0 and 1 <= settings.count <= 9 and settings.kind in ("raw", "qcow2")
    assert 1 <= len(settings.parts) <= 3 and all(1 <= part <= 5 for part in settings.parts)
    assert 1 <= len(settings.rates) <= 3 and all(0.5 <= rate <= 8 for rate in settings.rates)
    assert math.isfinite(settings.memory) and 64 <= settings.memory <= 1024


@pytest.mark.parametrize("value", [True, None, "3", math.nan, 2.5, [3], 10**400, 10**5000], ids=lambda value: "")
def test_wrong_values_from_python_are_refused_too(value):
    for wrong in (Everything(count=value), Everything(rates=(value, 10**5000)), Everything(kind=value)):
        with pytest.raises(SettingError) as refused:
            validate(wrong)
        assert len(str(refused.value)) < 300


def test_an_experiment_that_there_is_not():
    with pytest.raises(SettingError, match="cpu-shares"):
        load("cpu-sharks")
