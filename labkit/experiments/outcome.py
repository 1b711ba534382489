"""Theory, simulation and measurement side by side.

`compare` runs an experiment on one host or both and puts the numbers next to each other. The three columns
come from three computations that know nothing of each other.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from labkit.host import Host, Observation

__all__ = ["Outcome", "bound_of", "compare"]


@dataclass(frozen=True)
class Outcome:
    """The three columns of one experiment.

    Parameters
    ----------
    experiment : module
        Which one, such as `labkit.experiments.cpu_shares`.
    settings : object
        The experiment's `Settings`.
    simulated, live : Observation or None
        What was seen on each host; None where it was not asked for or could not run.
    seconds : dict
        How long each run took by the clock on the wall, by ``"simulated"`` and ``"live"``, in seconds or None.
    why_not_live : str
        Where a live run was asked for and could not be had: the reason and the remedy.
    earlier : sequence of object
        The settings under which the same machines ran before, in order, where they were changed meanwhile; for an
        experiment whose theory knows what that leaves behind (``theory_after``).
    """

    experiment: ModuleType
    settings: Any
    simulated: Observation | None
    live: Observation | None
    seconds: dict[str, float | None]
    why_not_live: str = ""
    earlier: Sequence[Any] = ()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row for each machine and quantity: machine, quantity, unit, theory, simulated, live.

        Of what a host saw, those quantities that the experiment is about.
        """
        weights = self.live.provenance.weights if self.live else None
        after = getattr(self.experiment, "theory_after", None) if self.earlier else None
        asked = (self.settings, self.earlier, weights) if after else (self.settings, weights)
        given = getattr(self.experiment, "given", None)  # what a host measured apart, for theory to go by
        more = given(self.settings, self.live) if given and self.live else {}
        theory = (after or self.experiment.theory)(*asked, **more) or {}
        seen = self.simulated or self.live
        rows = []
        for row in seen.rows if seen else ():
            key = (row["machine"], row["quantity"])
            if key[1] not in self.experiment.QUANTITIES:
                continue
            cells: dict[str, Any] = {
                "machine": key[0],
                "quantity": key[1],
                "unit": row["unit"],
                "theory": theory.get(key),
            }
            for column, observation in (("simulated", self.simulated), ("live", self.live)):
                cells[column] = _value(observation, *key)
            if self.live and self.live.disturbed > 0.03:
                cells["disturbed"] = True
            rows.append(cells)
        return rows

    @property
    def host(self) -> dict[str, Any]:
        """Where the numbers come from: names, accelerator, mechanisms, versions."""
        described: dict[str, Any] = {"accelerator": None}
        for column, observation in (("simulated", self.simulated), ("live", self.live)):
            provenance = observation.provenance if observation else None
            described[column] = dataclasses.asdict(provenance) if provenance else None
            if provenance and provenance.host == "live":
                described["accelerator"] = provenance.accelerator
                described["disturbed"] = round(observation.disturbed, 4)
        if self.why_not_live:
            described["why_not_live"] = self.why_not_live
        return described

    def columns(self, machine: str, quantity: str, per: float = 1.0) -> dict[str, float]:
        """What each column says about one quantity of one machine; empty columns left out.

        Parameters
        ----------
        machine, quantity : str
            Which row.
        per : float
            How many of its unit make one of yours: ``2**20`` for MiB of bytes.

        Raises
        ------
        KeyError
            Where there is no such row.
        """
        for row in self.rows:
            if (row["machine"], row["quantity"]) == (machine, quantity):
                names = ("theory", "simulated", "live")
                return {name: row[name] / per for name in names if row[name] is not None}
        raise KeyError(f"no {quantity!r} of {machine!r}")

    def total(self, quantity: str) -> dict[str, float]:
        """Each column's sum over all machines; a column that has not all of them is left out."""
        found = {}
        for name in ("theory", "simulated", "live"):
            values = [row[name] for row in self.rows if row["quantity"] == quantity]
            if values and None not in values:
                found[name] = sum(values)
        return found

    def as_json(self) -> dict[str, Any]:
        """The document that ``labkit run --json`` prints."""
        return {
            "experiment": self.experiment.NAME,
            "settings": dataclasses.asdict(self.settings),
            "host": self.host,
            "rows": self.rows,
            "seconds": self.seconds,
        }


def bound_of(bounds: Mapping[Any, float], row: Mapping[str, Any]) -> float | None:
    """How far live may be from simulated in a row; None where no bound was derived.

    Parameters
    ----------
    bounds : mapping
        What an experiment's ``bounds(settings)`` says: a limit for a quantity, or for a pair of machine and quantity
        where it is not the same for all machines.
    row : mapping
        One of `Outcome.rows`, of which its machine and its quantity count.
    """
    return bounds.get((row["machine"], row["quantity"]), bounds.get(row["quantity"]))


def _value(observation: Observation | None, machine: str, quantity: str) -> float | None:
    """What was seen; None where nothing was, as where no request came."""
    if observation is None:
        return None
    try:
        return observation.value(machine, quantity)
    except KeyError:
        return None


def _timed(module: ModuleType, open_host: Callable[[], Host], settings: Any) -> tuple[Observation, float]:
    started = time.monotonic()
    with open_host() as host:
        observation = module.run(host, settings)
    return observation, round(time.monotonic() - started, 3)


def compare(
    module: ModuleType,
    settings: Any,
    *,
    simulated: Callable[[], Host] | None = None,
    live: Callable[[], Host] | None = None,
) -> Outcome:
    """Run an experiment on the hosts given and put what they say beside theory.

    Parameters
    ----------
    module : module
        The experiment.
    settings : object
        Its settings, checked.
    simulated, live : callable that opens a host, optional
        A column whose host is not given stays empty.

    Raises
    ------
    HostError
        Where the live host cannot run it; the caller decides whether to show the simulated column alone.
    """
    seen: dict[str, Observation | None] = {"simulated": None, "live": None}
    seconds: dict[str, float | None] = {"simulated": None, "live": None}
    for column, open_host in (("simulated", simulated), ("live", live)):
        if open_host is not None:
            seen[column], seconds[column] = _timed(module, open_host, settings)
    return Outcome(module, settings, seen["simulated"], seen["live"], seconds)
