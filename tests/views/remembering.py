"""Experiments about memory, made by hand: what a guest says of itself, and what a model knows of everything."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from labkit.experiments.settings import number, size
from labkit.host import Observation, Provenance, Series


@dataclass(frozen=True)
class Balloon:
    target: float = size(128.0, minimum=64.0, maximum=256.0, about="what the balloon leaves")
    memory: float = size(256.0, minimum=96.0, maximum=4096.0, about="what it was made with")
    seconds: float = number(4.0, minimum=0.5, maximum=120.0, unit="s", about="how long")


@dataclass(frozen=True)
class Dynamic:
    host_memory: float = size(512.0, minimum=64.0, maximum=4096.0, about="what the host has")
    memory: float = size(256.0, minimum=96.0, maximum=4096.0, about="what each was made with")
    seconds: float = number(4.0, minimum=0.5, maximum=120.0, unit="s", about="how long")


def experiment(name, settings, seen, **more):
    """A module like those of `labkit.experiments`; `seen` maps (machine, quantity) to its values in each second."""
    module = ModuleType(name)
    module.NAME, module.QUESTION, module.Settings = name, "Where is the memory?", settings
    module.QUANTITIES = {quantity: "MiB" for _machine, quantity in seen}
    module.theory = lambda _settings, _weights=None: None
    module.bounds = lambda _settings: {}

    def run(host, asked):
        rows, series = [], []
        for (machine, quantity), values in seen.items():
            own = [value + (5.0 if host.kind == "live" and quantity == "guest_free" else 0.0) for value in values]
            rows.append({"machine": machine, "quantity": quantity, "unit": "MiB", "value": own[-1]})
            times = [float(second + 1) for second in range(len(own))]
            series.append(Series(machine, quantity, "MiB", times, own))
        return Observation(float(len(own)), tuple(rows), tuple(series), (), Provenance(host.kind, host.name))

    module.run = run
    for key, value in more.items():
        setattr(module, key, value)
    return module


def balloon(**more):
    """A guest of 256 MiB on its way to 128, second by second."""
    total = [218.379, 178.379, 138.379, 90.379]
    seen = {
        ("m1", "guest_total"): total,
        ("m1", "guest_free"): [value - 28.2 for value in total],
        ("m1", "host_resident"): [256.0, 216.0, 176.0, 128.0],
    }
    return experiment("balloon", Balloon, seen, **more)


def dynamic(machines=4, **more):
    """Machines of which a model knows all parts."""
    seen = {}
    for number_ in range(1, machines + 1):
        name = f"m{number_}"
        seen[name, "working_set"] = [60.0, 70.0, 90.0 + number_]
        seen[name, "idle"] = [100.0, 80.0, 40.0]
        seen[name, "ballooned"] = [96.0, 76.0, 56.0]
        seen[name, "shared"] = [0.0, 10.0, 20.0]
        seen[name, "swapped"] = [0.0, 20.0, 50.0 - number_]
    return experiment("dynamic", Dynamic, seen, **more)
