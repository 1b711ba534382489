"""Does each of three busy machines on one CPU get what it should?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.course.exercise import Verdict
from labkit.host import CpuLoad, Host

__all__ = ["shares_goal"]

MACHINES = ("web", "database", "backup")
_SECONDS = 10.0
_NEAR = 0.02
_FEWEST, _MOST = 2, 262144


def shares_goal(values: Mapping[str, Any], given: Host | Mapping[str, int]) -> Verdict:
    """Web gets the wanted part of one CPU, backup no more than it may, and all three want all they can get.

    Parameters
    ----------
    values : mapping
        ``web`` and ``backup``, in percent of one CPU; ``database``, the shares that it has to keep.
    given : Host or mapping
        A host on which the three run busily; or their shares, which are then tried on a simulated host.
    """
    if not isinstance(given, Mapping):
        return _judged(values, given)
    if set(given) != set(MACHINES):
        return Verdict(False, f"Shares are needed for {', '.join(MACHINES)}, and for nobody else.")
    for name, shares in given.items():
        if isinstance(shares, bool) or not isinstance(shares, int) or not _FEWEST <= shares <= _MOST:
            return Verdict(False, f"The shares of {name} must be a whole number from {_FEWEST} to {_MOST:,}.")
    kept = values.get("database", given["database"])
    if given["database"] != kept:
        return Verdict(False, f"The database keeps its {kept} shares: change those of the other two.")
    import labkit

    with labkit.simulated(cpus=1) as host:
        for name, shares in given.items():
            host.create(name, shares=shares, pin=[0]).run(CpuLoad())
        return _judged(values, host)


def _judged(values: Mapping[str, Any], host: Host) -> Verdict:
    missing = [name for name in MACHINES if name not in host.machines]
    if missing:
        return Verdict(False, f"There is no machine called {missing[0]} on this host.")
    seen = host.observe(seconds=_SECONDS)
    used = {name: seen.value(name, "cpu") for name in MACHINES}
    lazy = [name for name in MACHINES if used[name] + seen.value(name, "ready") < 0.9]
    if lazy:
        return Verdict(False, f"{lazy[0]} does not want the CPU all the time: all three have to be busy.")
    if sum(used.values()) > 1 + 2 * _NEAR:
        return Verdict(False, "The three do not meet on one CPU: together they use more than one.")
    saw = f"web got {used['web']:.0%} of the CPU, database {used['database']:.0%} and backup {used['backup']:.0%}"
    low, high = values["web"] / 100 - _NEAR, values["web"] / 100 + _NEAR
    wanted = f"wanted: web {values['web']}%, backup {values['backup']}% at most"
    reached = low <= used["web"] <= high and used["backup"] <= values["backup"] / 100 + _NEAR / 2
    return Verdict(reached, f"In {_SECONDS:g} s {saw}" + ("." if reached else f"; {wanted}."))
