"""Has the host got its memory back from the machine that can spare it, and from nobody else?

Two machines, `shop` and `reports`, were both full once. One of them has cleared everything away, the other is at work.
From the host they look alike: it holds nearly all of the memory of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from labkit.course.exercise import Verdict
from labkit.host import Host, HostError, MemoryLoad
from labkit.views.running import Teller
from labkit.views.watched import WatchedHost

__all__ = ["MEMORY", "look", "reclaim_goal", "two_machines"]

MACHINES = ("shop", "reports")
MEMORY = 192.0  # MiB that each of the two is promised
_HELD = 48.0  # MiB that the busy one keeps in use
_LEFT = 14.0  # MiB that filling leaves free; the guest's agent needs some of it
_PATIENCE = 40  # looks at a balloon on its way
_LOOK = 0.5  # seconds
_STILL = 0.5  # MiB; a balloon that moved less between two looks has arrived
# What is shown of a machine, as the cards of the experiment call it.
_ROWS = {
    "size": "What the balloon leaves",
    "guest_total": "The guest's total",
    "guest_free": "Free in the guest",
    "host_resident": "On the host",
}
_MORE = 8.0  # MiB; so much more than was asked for may be taken


def _furnished(host: Host, values: Mapping[str, Any]) -> None:
    """Make the two machines, fill both, and clear the idle one."""
    for name in MACHINES:
        machine = host.create(name, memory=MEMORY)
        machine.set(memory=MEMORY)
        filling = machine.run(MemoryLoad(machine.memory_seen()["guest_free"] - _LEFT))
        filling.wait(60)
        filling.cancel()
        if name != values["idle"]:
            machine.run(MemoryLoad(_HELD)).wait(60)


@contextmanager
def two_machines(values: Mapping[str, Any], where: Literal["live", "simulated"] = "live") -> Iterator[tuple[Host, str]]:
    """A host with the two machines, and a sentence that says which host it is.

    Parameters
    ----------
    values : mapping
        The learner's: ``idle`` is the name of the machine that has cleared its memory away.
    where : {"live", "simulated"}
        With ``"live"`` real guests; where there can be none, the simulated host, and the sentence says why.
    """
    import labkit

    said, host, tell = "", None, Teller()
    if where == "live":
        print("Starting two machines and filling them; with real guests that takes a minute or so.", flush=True)
        try:
            host = WatchedHost(lambda step: labkit.live(progress=step), tell, len(MACHINES))
            answer = host.can("balloon")
            if not answer:
                raise HostError(answer.reason, answer.remedy)
            _furnished(host, values)
            said = f"On real guests ({host.name})."
        except HostError as error:
            if host is not None:
                host.close()
            host, said = None, f"On the simulated host, as real guests cannot be had: {error}"
            tell.done()
        except BaseException:  # somebody stopped it: nothing is left behind
            if host is not None:
                host.close()
            tell.done()
            raise
    if host is None:
        host = labkit.simulated(cpus=2)
        _furnished(host, values)
    try:
        with host:
            yield host, said or "On the simulated host."
    finally:
        tell.done()


def look(values: Mapping[str, Any], where: Literal["live", "simulated"] = "live") -> None:
    """Print what there is to be seen of the two machines' memory, as a table; see `two_machines`."""
    with two_machines(values, where) as (host, said):
        seen = {name: host.machines[name].memory_seen() for name in MACHINES}
    wide = max(map(len, _ROWS.values())) + 2
    lines = [f"{'MiB':<{wide}}" + "".join(f"{name:>10}" for name in MACHINES)]
    for what, words in _ROWS.items():
        lines.append(f"{words:<{wide}}" + "".join(f"{seen[name][what]:>10.0f}" for name in MACHINES))
    print("\n".join([*lines, said]))


def reclaim_goal(
    values: Mapping[str, Any],
    given: Host | Callable[[Host], Any],
    where: Literal["live", "simulated"] = "live",
) -> Verdict:
    """The wanted memory is back, it came from the idle machine, and the busy one has all that it had.

    Parameters
    ----------
    values : mapping
        ``idle``, the machine that can spare it; ``amount``, how much is wanted, in MiB.
    given : Host or callable
        A host with the two machines; or what is to be done on one, which is then tried on a host of its own.
    where : {"live", "simulated"}
        On which host a callable is tried; see `two_machines`.
    """
    if not callable(given):
        return _judged(values, given)
    with two_machines(values, where) as (host, said):
        given(host)
        verdict = _judged(values, host)
    return Verdict(verdict.done, f"{verdict.said} {said}")


def _settled(host: Host) -> dict[str, Mapping[str, float]]:
    """What is to be seen of the machines once no balloon moves any more."""
    before: dict[str, Mapping[str, float]] = {}
    for _again in range(_PATIENCE):
        host.observe(_LOOK, _LOOK)
        seen = {name: host.machines[name].memory_seen() for name in MACHINES}
        if before and all(abs(seen[name]["size"] - before[name]["size"]) < _STILL for name in MACHINES):
            break
        before = seen
    return seen


def _judged(values: Mapping[str, Any], host: Host) -> Verdict:
    missing = [name for name in MACHINES if name not in host.machines]
    if missing:
        return Verdict(False, f"There is no machine called {missing[0]} on this host: both have to go on running.")
    idle, amount = values["idle"], float(values["amount"])
    (busy,) = (name for name in MACHINES if name != idle)
    seen = _settled(host)
    got = {name: MEMORY - seen[name]["size"] for name in MACHINES}
    held = {name: f"{seen[name]['host_resident']:.0f} MiB" for name in MACHINES}
    saw = f"The host has {got[idle]:.0f} MiB back from {idle} and holds {held[idle]} for it"
    if got[busy] > 1:
        used = seen[busy]["guest_total"] - seen[busy]["guest_free"]
        return Verdict(False, f"{busy} is at work, with {used:.0f} MiB in use, and has lost {got[busy]:.0f} MiB.")
    if max(got.values()) < 1:
        return Verdict(False, f"The host has nothing back yet; {amount:.0f} MiB are wanted.")
    if got[idle] < amount - 1:
        return Verdict(False, f"{saw}; {amount:.0f} MiB are wanted, and {busy} is untouched.")
    if got[idle] > amount + _MORE:
        return Verdict(False, f"{saw}; only {amount:.0f} MiB are wanted: leave it the rest for its next busy hour.")
    if seen[idle]["host_resident"] > MEMORY - amount + _MORE:
        return Verdict(False, f"{saw}, more than the {MEMORY - amount:.0f} MiB that were to be left.")
    return Verdict(True, f"{saw}, and {busy} is untouched, with {held[busy]}.")
