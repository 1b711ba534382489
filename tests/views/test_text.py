import dataclasses
from types import ModuleType

import pytest

from labkit.experiments.outcome import compare
from labkit.views import table
from labkit.views.text import live_line, reading
from labkit.views.words import quantity, significant

from .fakes import FakeHost

EXPECTED = """\
cpu-shares: Who gets the CPU when everybody wants it?
shares = 256, 512, 1024 · cpus = 1 CPU · seconds = 6 s

CPU time used (CPU)
machine     theory  simulated       live  live − simulated
m1           0.143      0.143      0.153            +0.010
m2           0.286      0.286      0.286            +0.000
m3           0.571      0.571      0.571            +0.000

Ready time: wanted a CPU, had to wait (fraction of the time)
machine     theory  simulated       live  live − simulated
m1           0.857      0.857      0.847            −0.010
m2           0.714      0.714      0.714            +0.000
m3           0.429      0.429      0.429            +0.000

Live: m1 0.153, m2 0.286, m3 0.571 CPU; live and simulated are at most 0.010 CPU apart (on m1), \
within the bound of 0.03.
simulated host, 1 CPU, 6 s of its own clock
live host, 1 CPU, on TCG, shares by libvirt's cgroup"""


def test_the_table_is_this(both):
    assert table(both) == EXPECTED


def test_an_absent_column_is_a_dash_and_says_why(simulated):
    text = table(dataclasses.replace(simulated, why_not_live="There is no libvirt here. Install it."))
    assert "m1           0.143      0.143          –                 –" in text
    assert text.endswith("live: not run: There is no libvirt here. Install it.")


def test_nothing_run(simulated):
    text = table(dataclasses.replace(simulated, simulated=None))
    assert "Nothing was run." in text
    assert "simulated: not run" in text


def test_a_disturbed_measurement_says_so(experiment):
    outcome = compare(experiment, experiment.Settings(), live=lambda: FakeHost(kind="live", disturbed=0.08))
    assert "others took up to 8% of the time of the CPUs that it ran on" in table(outcome)


def test_beyond_the_bound_says_so(experiment):
    outcome = compare(
        experiment, experiment.Settings(), simulated=FakeHost, live=lambda: FakeHost(kind="live", offset=0.05)
    )
    assert "beyond the bound of 0.03" in table(outcome)


def test_equal_machines_read_as_equal(experiment):
    outcome = compare(experiment, experiment.Settings(shares=(100, 100)), simulated=FakeHost)
    assert "Simulated: all machines get the same, 0.500 CPU." in table(outcome)


def test_the_sentence_names_the_column_and_every_machine(experiment, simulated):
    assert reading(simulated) == "Simulated: m1 0.143, m2 0.286, m3 0.571 CPU."
    live = compare(experiment, experiment.Settings(), live=lambda: FakeHost(kind="live"))
    assert reading(live) == "Live: m1 0.143, m2 0.286, m3 0.571 CPU."


def test_of_many_machines_the_sentence_names_two(experiment):
    outcome = compare(experiment, experiment.Settings(shares=(100, 200, 300, 200, 200)), simulated=FakeHost)
    assert reading(outcome) == "Simulated: m3 has the most, 0.300 CPU, and m1 the least, 0.100 CPU."


def test_64_machines(experiment):
    outcome = compare(experiment, experiment.Settings(shares=(9,) * 64, cpus=8), simulated=lambda: FakeHost(8))
    assert "m64" in table(outcome)


def test_of_a_hosts_mechanisms_those_that_were_needed(both):
    origin = dataclasses.replace(both.live.provenance, mechanisms={"shares": "a cgroup", "harm": "the guest's kernel"})
    outcome = dataclasses.replace(both, live=dataclasses.replace(both.live, provenance=origin))
    assert "shares by a cgroup" in table(outcome) and "harm" not in table(outcome)
    assert live_line(outcome.live).endswith("shares by a cgroup and harm by the guest's kernel")


def test_a_slowdown_is_no_fraction_of_the_time():
    module = ModuleType("slow")
    module.QUANTITIES = {"slowdown": "1", "ready": "1"}
    assert quantity(module, "slowdown").heading == "slowdown (times)"
    assert quantity(module, "slowdown").after_number == " times"
    assert quantity(module, "ready").unit_words == "fraction of the time"
    assert quantity(module, "ready").after_number == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.00769947, "0.0077"), (2553.0, "2550"), (7.767e6, "7,770,000"), (0.03, "0.03"), (0.0, "0"), (6.0, "6")],
)
def test_three_digits_are_enough_and_there_is_no_exponent(value, said):
    assert significant(value) == said


def test_a_mechanism_has_no_exponent_either(both):
    mechanisms = {"requests": "a server in the guest; 1 CPU second = 7.767e+06 rounds"}
    origin = dataclasses.replace(both.live.provenance, mechanisms=mechanisms)
    line = live_line(dataclasses.replace(both.live, provenance=origin))
    assert "1 CPU second = 7,770,000 rounds" in line
