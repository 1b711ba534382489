"""Experiments made by hand, of shapes that `cpu-shares` has not: other units, phases, roles, no theory, an end."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType

from labkit.experiments.settings import choice, integer, number
from labkit.host import Event, Observation, Provenance, Series

LIST = {"type": "list", "item": "number", "min": 1.0, "max": 100.0, "shortest": 1, "longest": 8}


@dataclass(frozen=True)
class Caps:
    caps: tuple[float, ...] = field(
        default=(25.0, 50.0, 100.0), metadata={**LIST, "unit": "%", "about": "the most each may use"}
    )
    cpus: int = integer(1, minimum=1, maximum=64, unit="CPU", about="host CPUs")
    control: str = choice("none", ("none", "shares", "cap"), about="what holds them")
    load: float = number(1.0, minimum=0.1, maximum=1.0, unit="1", about="how busy each is")
    service_time: float = number(0.012, minimum=0.001, maximum=10.0, unit="s", about="work of a request")
    seconds: float = number(6.0, minimum=0.5, maximum=120.0, unit="s", about="how long")


def experiment(name, seen, quantities, *, theory=None, settings=Caps, **more):
    """A module like those of `labkit.experiments`; `seen` maps (machine, quantity) to what a host sees."""
    module = ModuleType(name)
    module.NAME, module.QUESTION, module.QUANTITIES, module.Settings = name, "What happens?", quantities, settings
    module.theory = lambda _settings, _weights=None: theory
    module.bounds = lambda _settings: {}

    def run(host, asked):
        host.create("m1")
        host.observe(asked.seconds)
        rows = [
            {"machine": machine, "quantity": quantity, "unit": quantities[quantity], "value": value}
            for (machine, quantity), value in seen.items()
        ]
        times = [1.0, 2.0, 3.0]
        series = [Series(r["machine"], "cpu", "CPU", times, [r["value"]] * 3) for r in rows if r["quantity"] == "cpu"]
        events = [Event(0.0, "run", "m1", 0.025, 0, 0), Event(0.025, "throttled", "m1", 0.075, 0)]
        origin = Provenance(host.kind, host.name)
        return Observation(3.0, tuple(rows), tuple(series), events, origin)

    module.run = run
    for key, value in more.items():
        setattr(module, key, value)
    return module


def capped(**more):
    """A machine that its cap holds back."""
    seen = {("m1", "cpu"): 0.25, ("m1", "ready"): 0.0, ("m1", "throttled"): 0.75}
    return experiment("capped", seen, {"cpu": "CPU", "ready": "1", "throttled": "1"}, **more)


def monopoly(**more):
    """A greedy machine of four vCPUs that answers nobody, and a web server."""
    seen = {("greedy", "cpu"): 3.2, ("web", "cpu"): 0.1, ("web", "response"): 1234.567, ("web", "rate"): 9.876}
    return experiment("monopoly", seen, {"cpu": "CPU", "response": "ms", "rate": "1/s"}, **more)


def spike(**more):
    """Before, during and after."""
    phases = {"before": 0.2, "during": 0.9, "after": 0.4}
    seen = {(machine, f"cpu_{phase}"): value for phase, value in phases.items() for machine in ("web", "other")}
    return experiment("spike", seen, {f"cpu_{phase}": "CPU" for phase in phases}, **more)
