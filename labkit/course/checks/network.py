"""Does the auditor's list come out, and does the guests' Wi-Fi leave the line to the shop?

Four machines on one switch: `web`, the shop; `database`, with its data; `wifi`, where customers' telephones are; and
`internet`, all the rest of the world. What is set at the first three ports the learner decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from labkit.course.exercise import Verdict
from labkit.experiments import wall
from labkit.experiments.settings import SettingError
from labkit.host import Host, HostError
from labkit.host.networks import Networked, Shape
from labkit.views.running import Teller
from labkit.views.watched import WatchedHost

__all__ = ["ADDRESSES", "LIST", "shop_goal"]

ADDRESSES = {"web": "10.0.0.1", "database": "10.0.0.2", "wifi": "10.0.0.3", "internet": "10.0.0.4"}

LIST = (
    ("internet", "web", 80, True),
    ("wifi", "web", 80, True),
    ("web", "database", 5432, True),
    ("wifi", "web", 22, False),
    ("wifi", "database", 5432, False),
    ("internet", "database", 5432, False),
)
"""The auditor's list: who, to whom, at which port of TCP, and whether that is to get through."""

SECONDS = 6.0  # that the two send, at the same time
FAST = 15.0  # Mbit/s that the shop is to keep beside the Wi-Fi; an emulated guest sends some 50 to 300
ABOVE, BELOW = 1.05, 0.8  # of the Wi-Fi's rate: no more, and not much less
_BURST = 0.05  # MB


def shop_goal(
    values: Mapping[str, Any],
    given: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
    where: Literal["live", "simulated"] = "live",
) -> Verdict:
    """The auditor's list comes out, the Wi-Fi sends at its rate, and the shop beside it at `FAST` or more.

    Parameters
    ----------
    values : mapping
        ``rate``, in Mbit/s, that the Wi-Fi may send with.
    given : mapping or callable
        For each of `web`, `database` and `wifi` a mapping with ``rules``, in words, and ``rate``, in Mbit/s, either of
        which may be missing; or a function that gives it.
    where : {"live", "simulated"}
        On which host it is tried; where there can be no real networks, on the simulated one, and the verdict says why.
    """
    import labkit

    try:
        plan = _read(given() if callable(given) else given)
    except SettingError as error:
        return Verdict(False, str(error))
    said = "On the simulated host."
    if where == "live":
        print("Plugging four machines in; with real guests that takes a minute or less.", flush=True)
        tell = Teller()
        try:
            with WatchedHost(lambda step: labkit.live(networks=True, progress=step), tell, len(ADDRESSES)) as host:
                verdict = _tried(host, plan, float(values["rate"]))
            return Verdict(verdict.done, f"{verdict.said} On real guests.")
        except HostError as error:
            said = f"On the simulated host, as real networks cannot be had: {error}"
        finally:
            tell.done()
    with labkit.simulated() as host:
        verdict = _tried(host, plan, float(values["rate"]))
    return Verdict(verdict.done, f"{verdict.said} {said}")


def _read(plan: Any) -> dict[str, dict[str, Any]]:
    """The plan, checked: rules as they are written, with the names of the four, and rates as numbers."""
    if not isinstance(plan, Mapping) or not set(plan) <= set(ADDRESSES) - {"internet"}:
        raise SettingError("A plan has web, database and wifi, each with rules or a rate, or both.")
    found: dict[str, dict[str, Any]] = {}
    for name, of in plan.items():
        if not isinstance(of, Mapping) or not set(of) <= {"rules", "rate"}:
            raise SettingError(f"The plan for {name} has rules, or a rate in Mbit/s, or both.")
        rate = of.get("rate")
        if rate is not None and (
            isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0.1 <= rate <= 1000
        ):
            raise SettingError(f"The rate of {name} is a number of Mbit/s from 0.1 to 1000.")
        try:
            rules = wall.read(of.get("rules") or wall.NONE, tuple(ADDRESSES))
        except SettingError as error:
            raise SettingError(f"{error} That is in the rules of {name}.") from None
        found[name] = {"rules": rules, "rate": rate}
    return found


def _tried(host: Host, plan: Mapping[str, Mapping[str, Any]], rate: float) -> Verdict:
    """Plug all four in as planned, and see what gets through."""
    for ability in ("networks", "firewall", "shaping"):
        if not (answer := host.can(ability)):
            raise HostError(answer.reason, answer.remedy)
    if not isinstance(host, Networked) and not hasattr(host, "network"):
        raise HostError("This host has no networks.", "Use labkit.simulated() or labkit.live(networks=True).")
    switch = host.network("shop")
    for name, address in ADDRESSES.items():
        of = plan.get(name, {"rules": (wall.NONE,), "rate": None})
        rules = wall.rules_of(of["rules"], ADDRESSES)
        shape = Shape(float(of["rate"]), burst=_BURST) if of["rate"] else None
        host.create(name, nics=[switch.port(address=f"{address}/24", rules=rules, shape=shape)])
    wrong = []
    for port in sorted({port for _one, _other, port, _through in LIST}):
        pairs = [(one, other) for one, other, its, _through in LIST if its == port]
        seen = host.reach(pairs, "tcp", port)
        for one, other, its, through in LIST:
            if its == port and bool(seen.value(f"{one}>{other}", "reachable")) != through:
                wrong.append(f"{one} {'does not reach' if through else 'reaches'} port {port} of {other}")
    if wrong:
        return Verdict(False, f"The auditor's list does not come out: {'; '.join(wrong)}.")
    seen = host.transfer(("wifi", "web"), "internet", SECONDS)
    wifi, shop = (seen.value(f"{name}>internet", "rate") for name in ("wifi", "web"))
    saw = f"The list comes out. Both at once, the Wi-Fi sends {wifi:.1f} Mbit/s and the shop {shop:.0f} Mbit/s"
    if wifi > rate * ABOVE:
        return Verdict(False, f"{saw}; the Wi-Fi is to have no more than {rate:g} Mbit/s.")
    if wifi < rate * BELOW:
        return Verdict(False, f"{saw}; the Wi-Fi was promised {rate:g} Mbit/s.")
    if shop < FAST:
        return Verdict(False, f"{saw}; the shop is to have {FAST:g} Mbit/s or more.")
    return Verdict(True, f"{saw}.")
