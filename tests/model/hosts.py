"""Random hosts, and what can be read off a host's observation without trusting its books."""

from collections import defaultdict
from dataclasses import dataclass
from math import floor, inf
from random import Random

from hypothesis import strategies as st

from labkit.host import CpuLoad, Observation
from labkit.model import SimulatedHost

SLICE = 0.004  # seconds: 0.7 ms, stretched for up to 8 CPUs and rounded up to ticks of 4 ms, is always 4 ms
SWITCH = 4e-6  # seconds
PERIOD = 0.1  # seconds between two portions of work of a load with a duty

shares = st.integers(1, 18).flatmap(lambda power: st.integers(2**power, min(2 ** (power + 1), 262144)))
caps = st.one_of(st.just(inf), st.integers(1, 150).map(lambda hundredths: hundredths / 100))
duties = st.one_of(st.just(1.0), st.integers(1, 19).map(lambda twentieths: twentieths / 20))


@dataclass(frozen=True)
class Spec:
    """A machine to be made: its vCPUs, shares, pinning, load and cap."""

    vcpus: int
    shares: int
    pin: tuple[int, ...]
    duty: float
    cap: float = inf


@st.composite
def rooms(draw: st.DrawFn, most_cpus: int = 4, most_machines: int = 6) -> tuple[int, list[Spec], int]:
    """A number of CPUs, some machines, and a seed."""
    cpus = draw(st.integers(1, most_cpus))
    pins = st.sets(st.integers(0, cpus - 1), min_size=1).map(lambda pin: tuple(sorted(pin)))
    spec = st.builds(Spec, vcpus=st.integers(1, 3), shares=shares, pin=pins, duty=duties)
    return cpus, draw(st.lists(spec, min_size=1, max_size=most_machines)), draw(st.integers(0, 5))


def furnish(cpus: int, specs: list[Spec], seed: int = 0) -> SimulatedHost:
    """A host with machines m1, m2, … made and loaded as told."""
    host = SimulatedHost(cpus, seed=seed)
    for number, spec in enumerate(specs, 1):
        machine = host.create(
            f"m{number}", vcpus=spec.vcpus, shares=spec.shares, pin=spec.pin, cap=spec.cap, maximum_vcpus=spec.vcpus + 2
        )
        machine.run(CpuLoad(spec.duty))
    return host


def spinning_bound(vcpus: int, seconds: float, lags: int = 1) -> float:
    """Seconds by which spinning vCPUs of one queue may be off; derived in test_fairness."""
    return lags * vcpus * SLICE + SWITCH * (seconds / SLICE + 1) + 1e-9


def ran(seen: Observation, kind: str = "run") -> dict[str, float]:
    """CPU seconds by machine, from the time line alone; or seconds of another kind of event."""
    total: dict[str, float] = defaultdict(float)
    for event in seen.events:
        if event.kind == kind:
            total[event.machine] += event.seconds
    return total


def assert_no_overlap(seen: Observation) -> None:
    """No CPU runs two vCPUs at once, no vCPU is in two places at once, nothing lies outside the observation."""
    runs = [event for event in seen.events if event.kind == "run"]
    held = [event for event in seen.events if event.kind == "throttled"]
    for events, key in (
        (runs, lambda event: event.cpu),
        (sorted(runs + held, key=lambda event: event.time), lambda event: (event.machine, event.vcpu)),
    ):
        ends: dict[object, float] = defaultdict(float)
        for event in events:
            assert event.seconds > 0
            assert event.time >= ends[key(event)] - 1e-9
            ends[key(event)] = event.time + event.seconds
            assert ends[key(event)] <= seen.seconds + 1e-9


def period_start(machine: str, vcpu: int | None, seed: int = 0) -> float:
    """When the first whole period of a vCPU's cap begins on the host's clock, in seconds; the same for ever."""
    return PERIOD * Random(f"period/{seed}/{machine}/{vcpu}").random()


def by_period(seen: Observation, began: float = 0.0, seed: int = 0) -> dict[tuple[str, int | None, int], float]:
    """CPU seconds of each vCPU in each of its own periods of 100 ms, from the time line alone.

    Period 0 is the first whole one of the host's clock; -1 is the one before, that was under way as the host opened.

    Parameters
    ----------
    seen : Observation
        What was seen.
    began : float
        When the observation began, on the host's clock.
    seed : int
        The host's.
    """
    total: dict[tuple[str, int | None, int], float] = defaultdict(float)
    for event in seen.events:
        if event.kind != "run":
            continue
        begin = began + event.time - period_start(event.machine, event.vcpu, seed)
        end = begin + event.seconds
        for period in range(floor(begin / PERIOD) - 1, int(end / PERIOD) + 2):
            part = min(end, (period + 1) * PERIOD) - max(begin, period * PERIOD)
            if part > 0:
                total[event.machine, event.vcpu, period] += part
    return total
