"""What every experiment promises: names, rows, needs asked for first, and hosts that are left as they were found."""

import dataclasses
import inspect
import math

import pytest

import labkit
from labkit.experiments import NAMES, load, simulated_host
from labkit.experiments.outcome import compare
from labkit.experiments.settings import describe
from labkit.host import Ability, HostError
from labkit.model.disks import SimulatedDisk

UNITS = {"CPU", "1", "s", "ms", "1/s", "MiB", "B", "Mbit/s"}


def opened(settings, kept=None):
    host = labkit.simulated(**simulated_host(settings))
    if kept is not None:
        kept.append(host)
    return host


def variants(module):
    """The default settings, and those with each other choice."""
    found = [module.Settings()]
    for field in dataclasses.fields(module.Settings):
        found += [module.Settings(**{field.name: word}) for word in field.metadata.get("choices", ())[1:]]
    return found


CASES = [(load(name), settings) for name in NAMES for settings in variants(load(name))]
each = pytest.mark.parametrize(("module", "settings"), CASES, ids=lambda part: getattr(part, "NAME", "-"))


def test_there_are_these():
    assert NAMES[:6] == ("cpu-shares", "cpu-cap", "cpu-overcommit", "cpu-monopoly", "cpu-sizing", "cpu-spike")


@pytest.mark.parametrize("name", NAMES)
def test_its_names(name):
    module = load(name)
    assert name == module.NAME and module.QUESTION.endswith("?") and module.LESSON
    assert set(module.QUANTITIES.values()) <= UNITS
    assert set(module.BOUNDS) <= set(module.QUANTITIES)
    known = {*module.QUANTITIES, *module.theory(module.Settings())}  # a bound of a quantity, or of one machine's
    assert set(module.bounds(module.Settings())) <= known
    assert module.bounds(module.Settings()) or module.UNBOUNDED.endswith("."), "neither a bound nor why there is none"
    assert set(getattr(module, "ADJUSTS", ())) <= set(describe(module.Settings))
    text = inspect.getdoc(module)
    for setting in describe(module.Settings):
        assert f"\n{setting} : " in text, f"the docstring does not tell of {setting}"
    assert "Bound between live and simulated" in text


def guests(module, settings, outcome=None):
    """How many guests it says that it makes; where it says nothing, one for each machine of its rows."""
    if hasattr(module, "machines"):
        return module.machines(settings)
    return len({row["machine"] for row in outcome.rows}) if outcome else None


@each
def test_its_rows(module, settings):
    kept = []
    outcome = compare(module, settings, simulated=lambda: opened(settings, kept))
    theory = module.theory(settings)
    assert outcome.rows and {(row["machine"], row["quantity"]) for row in outcome.rows} == set(theory)
    for row in outcome.rows:
        assert row["unit"] == module.QUANTITIES[row["quantity"]]
        assert math.isfinite(row["simulated"]) and row["simulated"] >= 0 and row["live"] is None
        assert row["theory"] is None or math.isfinite(row["theory"])
    assert not kept[0].machines
    assert sum(" create " in line for line in kept[0].journal()) == guests(module, settings, outcome)


@each
def test_the_same_twice(module, settings):
    first, again = (compare(module, settings, simulated=lambda: opened(settings)).rows for _ in range(2))
    assert first == again


@each
def test_theory_alone_is_told_with_its_gaps(module, settings):
    assert all(value is None or math.isfinite(value) for value in module.theory(settings, {}).values())
    assert {quantity for _machine, quantity in module.theory(settings)} <= set(module.QUANTITIES)
    every = {quantity for one in variants(module) for _machine, quantity in module.theory(one)}
    assert every == set(module.QUANTITIES)


@each
def test_the_host_is_asked_before_anything_is_started(module, settings):
    needed = module.needs(settings) if hasattr(module, "needs") else module.NEEDS
    assert set(module.NEEDS) <= set(needed)
    for missing in needed:
        host = opened(settings)
        able = host.can
        host.can = lambda what, missing=missing, able=able: (
            Ability(False, reason="Not here.", remedy="Elsewhere.") if what == missing else able(what)
        )
        with pytest.raises(HostError, match="Not here. Elsewhere."):
            module.run(host, settings)
        assert not host.machines and not any("create" in line for line in host.journal())
        host.close()


@pytest.mark.parametrize(
    ("module", "settings"),
    [case for case in CASES if guests(*case) != 0],
    ids=lambda part: getattr(part, "NAME", "-"),
)
def test_machines_are_switched_off_where_something_fails(module, settings, monkeypatch):
    host = opened(settings)

    def fails(*_args, **_more):
        raise HostError("The host is gone.")

    host.observe = host.times = host.boot = host.pass_time_until = fails
    host.reach = host.capture = host.transfer = fails
    monkeypatch.setattr(SimulatedDisk, "observe", fails)
    with pytest.raises(HostError, match="gone"):
        module.run(host, settings)
    assert not host.machines
