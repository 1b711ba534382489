"""Outcomes of a host made by hand."""

from __future__ import annotations

import pytest

from labkit.experiments import load
from labkit.experiments.outcome import compare

from .fakes import FakeHost


@pytest.fixture
def experiment():
    return load("cpu-shares")


@pytest.fixture
def simulated(experiment):
    return compare(experiment, experiment.Settings(), simulated=FakeHost)


@pytest.fixture
def both(experiment):
    return compare(
        experiment, experiment.Settings(), simulated=FakeHost, live=lambda: FakeHost(kind="live", offset=0.01)
    )
