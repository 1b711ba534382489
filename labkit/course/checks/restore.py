"""Is the shop open again, as it was, within ten seconds?

The machine `shop` has its orders on a disk, and what customers have in their baskets in its memory. At five o'clock
somebody starts an upgrade, and it goes wrong: the orders are written over, and no program can be started any more.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

from labkit.course.exercise import Verdict
from labkit.host import Host, HostError, Machine
from labkit.host.snapshots import HoldsContents
from labkit.views.running import Teller
from labkit.views.watched import WatchedHost

__all__ = ["LIMIT", "Shop", "restored_goal"]

LIMIT = 10.0
"""Seconds of the host's own clock from the upgrade until the shop is as it was."""

MEBI = 1 << 20
DISK = "orders"
_STEPS = 8  # that a live check tells: filling the shop, three; the snapshot, the upgrade in two, going back, a look
_CALLS = 'shop.machine.snapshot("before", kind=...), and shop.machine.revert(snap)'
_HOW = f"Take a snapshot before, and go back after: {_CALLS}."


class Shop:
    """The shop's machine, and what was in it when it was handed over.

    ``snap = shop.machine.snapshot("before", kind=...)`` takes a snapshot of it; `kind` is ``"internal"``,
    ``"external"`` or ``"disk-only"``. ``shop.upgrade()`` starts the upgrade, which goes wrong.
    ``shop.machine.revert(snap)`` goes back to the snapshot.

    Parameters
    ----------
    host : Host
        Where it is; it can do ``"snapshots"`` and ``"contents"``.
    values : mapping
        The learner's: ``orders`` and ``baskets`` say how many MiB there are on the disk and in memory.
    """

    def __init__(self, host: Host, values: Mapping[str, Any]) -> None:
        for ability in ("disks", "snapshots", "contents"):
            if not (answer := host.can(ability)):
                raise HostError(answer.reason, answer.remedy)
        self.host = host
        # The disk is raw: only a snapshot in files of its own can be taken of it.
        self.machine: Machine = host.create("shop", disks=[host.disk(DISK, "8 MiB", format="raw")])
        shop = _looked_through(self.machine)
        shop.overwrite(DISK, [(0, int(values["orders"]) * MEBI)])
        shop.hold(float(values["baskets"]))
        self.was = dict(shop.contents(DISK))
        self.upgraded: float | None = None

    def __repr__(self) -> str:
        when = "" if self.upgraded is None else f", upgraded {self.now - self.upgraded:.1f} s ago"
        return f"the shop on the {self.host.kind} host: {self.machine.state}{when}"

    @property
    def now(self) -> float:
        """The host's own clock, in s."""
        clock = getattr(self.host, "now", None)
        return time.monotonic() if clock is None else float(clock)

    def upgrade(self) -> None:
        """Start the upgrade; it goes wrong."""
        if self.upgraded is not None:
            raise HostError("The upgrade has been started already.", "Begin with a new shop.")
        shop = _looked_through(self.machine)
        shop.overwrite(DISK, [(0, MEBI)])
        shop.ruin()
        self.upgraded = self.now

    def waited(self) -> float:
        """How long its vCPUs have wanted a CPU that others used, since its QEMU was started, in s.

        Ready time, as libvirt counts it (``vcpu.N.delay``, Linux's run_delay); none where nobody counts it.
        """
        count = getattr(self.machine, "statistics", None)
        if not callable(count):
            return 0.0
        counted = count().items()
        return sum(value for name, value in counted if name.startswith("vcpu.") and name.endswith(".delay")) / 1e9


def _looked_through(machine: Machine) -> HoldsContents:
    if not isinstance(machine, HoldsContents):
        raise HostError("This host's machines cannot be looked through.", "Use labkit.simulated() or labkit.live().")
    return machine


def restored_goal(
    values: Mapping[str, Any],
    given: Shop | Callable[[Shop], object],
    where: Literal["live", "simulated"] = "live",
) -> Verdict:
    """All that the shop had is there again, less than `LIMIT` seconds after the upgrade.

    Where it took longer, the time for which the machine that came back waited for a CPU that others used is left out.

    Parameters
    ----------
    values : mapping
        ``orders`` and ``baskets``, in MiB.
    given : Shop or callable
        The shop, after all is done; or what to do with a shop, `Shop.upgrade` included, which is then tried.
    where : {"live", "simulated"}
        Where that is tried. With ``"live"`` on a real guest; where there can be none, on the simulated host, and the
        verdict says why.
    """
    if isinstance(given, Shop):
        return _judged(given)
    if not callable(given):
        return Verdict(False, "A shop is needed, or a function that is given one.")
    import labkit

    said = "On the simulated host."
    if where == "live":
        print("Opening the shop; with a real guest the whole evening takes some twenty seconds.", flush=True)
        tell = Teller()
        try:
            with WatchedHost(lambda step: labkit.live(progress=step), tell, steps=_STEPS) as host:
                shop = Shop(host, values)
                return _tried(shop, given, f"On a real guest ({host.name}).")
        except HostError as error:
            said = f"On the simulated host, as real guests cannot be had: {error}"
        finally:
            tell.done()
    with labkit.simulated() as host:
        return _tried(Shop(host, values), given, said)


def _tried(shop: Shop, given: Callable[[Shop], object], where: str) -> Verdict:
    """What comes of doing that with a shop."""
    try:
        given(shop)
    except HostError as error:
        return Verdict(False, f"{_refusal(error)} {where}")
    except (AttributeError, TypeError, ValueError) as error:
        if _raised_here(error) and not isinstance(error, ValueError):
            raise  # a mistake of ours, and not of who wrote the steps
        said = f"{error}".rstrip(".")
        return Verdict(False, f"Your steps ended early: {said}. What there is: shop.upgrade(), {_CALLS}. {where}")
    verdict = _judged(shop)
    return Verdict(verdict.done, f"{verdict.said} {where}")


def _refusal(error: HostError) -> str:
    """A host's refusal as it is; only, where its remedy is the exercise's answer, the reason in the remedy's place."""
    if 'kind="external"' not in error.remedy:
        return f"{error}"
    refused = error.message.replace(f"disk {DISK} ", f"disk `{DISK}` ")
    return f"{refused} A raw file is, byte for byte, what the guest sees: there is no place in it for anything else."


def _raised_here(error: Exception) -> bool:
    """Whether an error comes from labkit's own code, and not from what it was given."""
    *_outer, (frame, _line) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "labkit"


def _judged(shop: Shop) -> Verdict:
    if shop.upgraded is None:
        said = "The upgrade has not been started: the shop is open, and five o'clock is still to come."
        return Verdict(False, said if shop.machine.snapshots else f"{said} {_HOW}")
    seconds = shop.now - shop.upgraded
    waited = 0.0
    with suppress(HostError):
        waited = shop.waited() if seconds >= LIMIT else 0.0
    found: dict[str, str] = {}
    with suppress(HostError):
        found = dict(_looked_through(shop.machine).contents(DISK))
    wrong = [
        words for key, words in (("disk", "its orders"), ("memory", "its baskets")) if found.get(key) != shop.was[key]
    ]
    if wrong:
        said = f"The shop does not have {' and '.join(wrong)} as they were before the upgrade."
        return Verdict(False, said if shop.machine.snapshots else f"{said} {_HOW}")
    took = f"It took {seconds:.1f} s from the upgrade until the shop was as it had been"
    if seconds < LIMIT:
        return Verdict(True, f"{took}.")
    if waited < 0.1:
        return Verdict(False, f"{took}; {LIMIT:g} s are allowed.")
    took += f". For {waited:.1f} s of that it waited for a CPU that others used, which does not count"
    own = seconds - waited
    return Verdict(own < LIMIT, f"{took}: {own:.1f} s are left, and {LIMIT:g} s are allowed.")
