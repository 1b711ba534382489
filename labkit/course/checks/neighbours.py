"""Does a build machine notice what the machine beside it does?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.course.exercise import Verdict
from labkit.experiments.arrivals import AHEAD, poisson
from labkit.experiments.phases import mean_response
from labkit.host import CpuLoad, Host, Machine

__all__ = ["neighbours_goal"]

_SECONDS = 6.0
_RATE, _WORK, _SEED = 20.0, 0.015, 1  # requests in a second; CPU seconds of each, on average; which ones come
_SLOWER = 1.005  # as alone, but for what comes of rounding


def neighbours_goal(values: Mapping[str, Any], host: Host) -> Verdict:
    """While `test` spins, `build` answers as quickly as alone, and `test` still gets what it was promised.

    Parameters
    ----------
    values : mapping
        ``cpus``, which the host has; ``vcpus``, which `test` has; ``least``, the CPU time in CPU that `test` gets at
        least.
    host : Host
        A simulated host on which `test` and `build` were made; the check gives them their work.
    """
    if wrong := _not_as_asked(values, host):
        return Verdict(False, wrong)
    test, build = host.machines["test"], host.machines["build"]
    test.run(CpuLoad(1.0))
    response, used = _watched(host, build)
    alone, _ = _alone(values["cpus"])
    told = f"beside the spinning test machine build answers in {response:.1f} ms, alone in {alone:.1f} ms"
    if response > _SLOWER * alone:
        return Verdict(False, f"{told[0].upper()}{told[1:]}: somebody else is on its CPU.")
    if used < values["least"]:
        return Verdict(
            False, f"Build is fine, but test gets only {used:.2f} CPU of the {values['least']:g} CPU promised."
        )
    return Verdict(True, f"{told[0].upper()}{told[1:]}; test got {used:.2f} CPU. Neither can harm the other.")


def _not_as_asked(values: Mapping[str, Any], host: Host) -> str:
    """What is missing on the host; empty where all is there."""
    if host.kind != "simulated":
        return "This check needs a simulated host: labkit.simulated(...)."
    if host.cpus != values["cpus"]:
        return f"The host has {host.cpus} CPUs; the goal says {values['cpus']}."
    missing = [name for name in ("test", "build") if name not in host.machines]
    if missing:
        return f"There is no machine called {missing[0]} on this host."
    others = sorted(set(host.machines) - {"test", "build"})
    if others:
        return f"There is also {others[0]}: only test and build live here."
    for name, wanted in (("test", values["vcpus"]), ("build", 1)):
        has = host.machines[name].vcpus
        if has != wanted:
            return f"{name} has {has} vCPU{'s'[: has != 1]}; the goal says {wanted}."
    return ""


def _watched(host: Host, build: Machine) -> tuple[float, float]:
    """The mean response time of `build`'s requests, in ms, and the CPU time that `test` used meanwhile, in CPU."""
    job = build.run(poisson(_RATE, _WORK, _SEED, "build", _SECONDS + AHEAD))
    seen = host.observe(seconds=_SECONDS)
    job.cancel()
    response = mean_response(job.result, 0.0, _SECONDS, _SECONDS) or 0.0
    return 1000 * response, seen.value("test", "cpu") if "test" in host.machines else 0.0


def _alone(cpus: int) -> tuple[float, float]:
    """The same where there is nobody else."""
    import labkit

    with labkit.simulated(cpus=cpus) as host:
        return _watched(host, host.create("build"))
