"""Random hosts, and what can be read off a host's observation without trusting its books."""

from collections import defaultdict
from dataclasses import dataclass

from hypothesis import strategies as st

from labkit.host import CpuLoad, Observation
from labkit.model import SimulatedHost

SLICE = 0.004  # seconds: 0.7 ms, stretched for up to 8 CPUs and rounded up to ticks of 4 ms, is always 4 ms
SWITCH = 4e-6  # seconds
PERIOD = 0.1  # seconds between two portions of work of a load with a duty

shares = st.integers(1, 18).flatmap(lambda power: st.integers(2**power, min(2 ** (power + 1), 262144)))
duties = st.one_of(st.just(1.0), st.integers(1, 19).map(lambda twentieths: twentieths / 20))


@dataclass(frozen=True)
class Spec:
    """A machine to be made: its vCPUs, shares, pinning and load."""

    vcpus: int
    shares: int
    pin: tuple[int, ...]
    duty: float


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
        machine = host.create(f"m{number}", vcpus=spec.vcpus, shares=spec.shares, pin=spec.pin)
        machine.run(CpuLoad(spec.duty))
    return host


def spinning_bound(vcpus: int, seconds: float, lags: int = 1) -> float:
    """Seconds by which spinning vCPUs of one queue may be off; derived in test_fairness."""
    return lags * vcpus * SLICE + SWITCH * (seconds / SLICE + 1) + 1e-9


def ran(seen: Observation) -> dict[str, float]:
    """CPU seconds by machine, from the time line alone."""
    total: dict[str, float] = defaultdict(float)
    for event in seen.events:
        if event.kind == "run":
            total[event.machine] += event.seconds
    return total


def assert_no_overlap(seen: Observation) -> None:
    """No CPU runs two vCPUs at once, no vCPU is on two CPUs at once, nothing lies outside the observation."""
    for key in (lambda event: event.cpu, lambda event: (event.machine, event.vcpu)):
        ends: dict[object, float] = defaultdict(float)
        for event in seen.events:
            if event.kind == "run":
                assert event.seconds > 0
                assert event.time >= ends[key(event)] - 1e-9
                ends[key(event)] = event.time + event.seconds
                assert ends[key(event)] <= seen.seconds + 1e-9
