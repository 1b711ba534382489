"""`labkit experiments` and `labkit run`."""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from types import ModuleType
from typing import Any

import labkit
from labkit.commands import Answer, UsageError, columns, stages
from labkit.experiments import NAMES, live_host, load, simulated_host
from labkit.experiments.outcome import Outcome, compare
from labkit.experiments.settings import describe, from_text
from labkit.host import Host, HostError

__all__ = ["experiments", "run"]


def experiments(_args: Namespace) -> Answer:
    """List the experiments."""
    found = [
        {
            "name": module.NAME,
            "question": module.QUESTION,
            "lesson": module.LESSON,
            "settings": describe(module.Settings),
            "needs": list(module.NEEDS),
        }
        for module in map(load, NAMES)
    ]
    return Answer(found, lambda: "\n\n".join(map(_described, found)))


def _described(entry: dict[str, Any]) -> str:
    rows = [
        [f"  {name}", _default(about["default"]), about["unit"], f"{_range(about)}{about['about']}"]
        for name, about in entry["settings"].items()
    ]
    return f"{entry['name']} (lesson {entry['lesson']}): {entry['question']}\n{columns(rows)}"


def _default(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _range(about: dict[str, Any]) -> str:
    if about.get("choices"):
        return f"{', '.join(about['choices'])}: "
    return f"{about['min']:g} to {about['max']:g}: "


def _settings(module: ModuleType, words: list[str]) -> Any:
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(
                f"--set takes a name, '=' and a value, not {word!r:.60}.", "As in --set shares=256,512,1024."
            )
        if name in pairs:
            raise UsageError(f"the setting {name!r:.60} is given twice.", "Give it once.")
        pairs[name] = value
    return from_text(module.Settings, pairs)


def run(args: Namespace) -> Answer:
    """Run one experiment on one host or both."""
    module = load(args.name)
    settings = _settings(module, args.pairs)
    outcome = Outcome(module, settings, None, None, {"simulated": None, "live": None})
    if args.host != "live":
        outcome = compare(module, settings, simulated=lambda: labkit.simulated(**simulated_host(settings)))
    journal: list[str] = []
    if args.host != "simulated":
        outcome, journal = _with_live(outcome)
    document = {**outcome.as_json(), "rows": outcome.rows or _theory_rows(outcome), "journal": journal}
    missed = args.host != "simulated" and outcome.live is None
    return Answer(
        document,
        lambda: _shown(outcome, document["rows"], journal, args.journal),
        status=1 if missed else 0,
        complaint=f"the live column is empty: {outcome.why_not_live}" if missed else "",
    )


def _with_live(outcome: Outcome) -> tuple[Outcome, list[str]]:
    """The same outcome with the live column too, or with the reason why there is none."""
    opened: list[Host] = []

    def live() -> Host:
        opened.append(labkit.live(progress=stages(), **live_host(outcome.settings)))
        return opened[0]

    try:
        real = compare(outcome.experiment, outcome.settings, live=live)
    except HostError as error:
        return dataclasses.replace(outcome, why_not_live=str(error)), opened[0].journal() if opened else []
    seconds = {**outcome.seconds, "live": real.seconds["live"]}
    return dataclasses.replace(outcome, live=real.live, seconds=seconds), opened[0].journal()


def _theory_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """What theory alone says, where nothing could be run."""
    units = outcome.experiment.QUANTITIES
    return [
        {
            "machine": machine,
            "quantity": quantity,
            "unit": units[quantity],
            "theory": value,
            "simulated": None,
            "live": None,
        }
        for (machine, quantity), value in (outcome.experiment.theory(outcome.settings) or {}).items()
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _shown(outcome: Outcome, rows: list[dict[str, Any]], journal: list[str], whole: bool) -> str:
    if outcome.simulated is None and outcome.live is None:
        from labkit.views.words import rows_of

        cells = [[row["machine"], row["quantity"], _number(row["theory"]), row["unit"]] for row in rows]
        return columns([[rows_of(outcome.experiment), "quantity", "theory", "unit"], *cells]) if cells else ""
    from labkit.views.text import table

    text = table(outcome)
    if journal and whole:
        text += "\n\nThe same by hand:\n" + "\n".join(f"  {line}" for line in journal)
    elif journal:
        text += f"\n\n{len(journal)} plain commands did the live run; --journal shows them."
    return text
