"""Three columns side by side, with hosts that say what they are told to."""

import dataclasses
import json

import pytest

import labkit
from labkit.experiments import cpu_shares
from labkit.experiments.outcome import Outcome, compare
from labkit.host import HostError, Observation, Provenance

SETTINGS = cpu_shares.Settings(shares=(256, 512), seconds=1.0)


def seen(kind, disturbed=0.0, **weights):
    rows = tuple(
        {"machine": machine, "quantity": quantity, "unit": unit, "value": 0.5}
        for machine in ("m1", "m2")
        for quantity, unit in cpu_shares.QUANTITIES.items()
    )
    origin = Provenance(kind, f"a {kind} host", "TCG" if kind == "live" else "", weights=weights)
    return Observation(1.0, rows, (), (), origin, disturbed)


def outcome(simulated=None, live=None):
    return Outcome(cpu_shares, SETTINGS, simulated, live, {"simulated": None, "live": None})


def test_a_column_that_was_not_run_is_null():
    rows = outcome(simulated=seen("simulated")).rows
    assert len(rows) == 4
    assert all(row["live"] is None and row["simulated"] == 0.5 and row["theory"] is not None for row in rows)


def test_what_a_host_did_not_see_is_null_and_what_is_not_asked_for_is_left_out():
    more = ({"machine": "m1", "quantity": "throttled", "unit": "1", "value": 0.5},)
    simulated, live = seen("simulated"), seen("live")
    simulated = dataclasses.replace(simulated, rows=simulated.rows + more)
    rows = outcome(simulated, dataclasses.replace(live, rows=live.rows[:-1])).rows
    assert [row["quantity"] for row in rows] == ["cpu", "ready"] * 2
    assert rows[-1]["live"] is None and rows[-1]["simulated"] == 0.5 and rows[0]["live"] == 0.5


def test_disturbed_rows_are_marked():
    assert not any("disturbed" in row for row in outcome(seen("simulated"), seen("live", 0.03)).rows)
    assert all(row["disturbed"] is True for row in outcome(seen("simulated"), seen("live", 0.031)).rows)


def test_theory_follows_the_weights_that_the_live_host_could_set():
    rows = outcome(seen("simulated"), seen("live", m1=300, m2=300)).rows
    assert rows[0]["theory"] == pytest.approx(0.5)


def test_the_document_says_where_the_numbers_come_from():
    document = outcome(seen("simulated"), seen("live")).as_json()
    assert json.loads(json.dumps(document, allow_nan=False))["host"]["accelerator"] == "TCG"
    assert document["host"]["live"]["host"] == "live" and document["host"]["simulated"]["host"] == "simulated"


def test_compare_runs_what_it_is_given_and_closes_it():
    opened = []

    def host():
        opened.append(labkit.simulated(cpus=1))
        return opened[0]

    found = compare(cpu_shares, SETTINGS, simulated=host)
    assert found.live is None and found.seconds["live"] is None and found.seconds["simulated"] >= 0
    assert [row["simulated"] for row in found.rows][::2] == pytest.approx([1 / 3, 2 / 3], abs=0.02)
    assert not opened[0].machines


def test_a_host_that_cannot_says_so():
    def refuses():
        raise HostError("No.", "Try tomorrow.")

    with pytest.raises(HostError, match="tomorrow"):
        compare(cpu_shares, SETTINGS, live=refuses)
