"""Run an experiment from a cell of a lesson, on one host or both, and show the columns side by side."""

from __future__ import annotations

import dataclasses
import functools
import html
from collections.abc import Callable
from types import ModuleType
from typing import Any

from labkit.experiments.outcome import Outcome, compare
from labkit.host import Host, HostError
from labkit.views import text
from labkit.views.asked import Openers, experiment_of, settings_of
from labkit.views.commands import folded
from labkit.views.figures import BESIDE, figure
from labkit.views.matrices import asks_only_who, reached
from labkit.views.picture import Picture
from labkit.views.underway import aloud, plain
from labkit.views.watched import WatchedHost, machines_of, steps_of
from labkit.views.words import number, quantity, rows_of, signed

__all__ = ["Result", "Teller", "run"]

_LINE = "padding:1px 8px;border:0;border-bottom:1px solid rgba(128,128,128,.45);background:none;color:inherit"
_TABLE = 'style="margin:0;border:0;border-collapse:collapse;table-layout:auto;font-size:12px;line-height:1.5"'
_ROW = 'style="background:none"'
_NAME = f'style="{_LINE};padding-left:0;text-align:left;font-weight:600"'
_HEAD = f'style="{_LINE};text-align:right;font-weight:400;white-space:nowrap"'
_CELL = f'style="{_LINE};text-align:right;font-weight:400;font-variant-numeric:tabular-nums"'


class Result(Picture):
    """What a run gave: the figure, the table, and what libvirt was asked.

    Parameters
    ----------
    outcome : Outcome
        The three columns.
    journal : list of str
        The plain commands that would have done what the live host did; empty where it did not run.
    """

    def __init__(self, outcome: Outcome, journal: list[str]) -> None:
        self.outcome = outcome
        self.journal = journal
        who = asks_only_who(outcome)
        drawn, numbers = reached(outcome) if who else figure(outcome), _table(outcome)
        numbers = f"<details><summary>In numbers</summary>{numbers}</details>" if who else numbers
        super().__init__(drawn.html + numbers + folded(journal), drawn.text)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row for each machine and quantity, with theory, simulated and live."""
        return self.outcome.rows

    def value(self, machine: str, name: str, column: str = "simulated") -> float:
        """One number: the column's value of a machine's quantity.

        Raises
        ------
        KeyError
            Where there is none.
        """
        for row in self.rows:
            if row["machine"] == machine and row["quantity"] == name and row[column] is not None:
                return row[column]
        raise KeyError(f"no {column} {name!r} of {machine!r}")

    def columns(self, machine: str, name: str, per: float = 1.0) -> dict[str, float]:
        """What each column says about one quantity of one machine; see `Outcome.columns`."""
        return self.outcome.columns(machine, name, per)

    def total(self, name: str) -> dict[str, float]:
        """Each column's sum over all machines; see `Outcome.total`."""
        return self.outcome.total(name)


def _table(outcome: Outcome) -> str:
    """Every quantity's table, each below its picture; styled here, as pages have styles of their own."""
    parts = []
    for name, rows in text.by_quantity(outcome.rows).items():
        words = quantity(outcome.experiment, name)
        heads = "".join(
            f'<th scope="col" {_HEAD}>{head}</th>' for head in ("theory", "simulated", "live", "live − simulated")
        )
        body = "".join(
            f'<tr {_ROW}><th scope="row" {_NAME}>{html.escape(row["machine"])}</th>'
            + "".join(
                f"<td {_CELL}>{number(row[column], words.places)}</td>" for column in ("theory", "simulated", "live")
            )
            + f"<td {_CELL}>{signed(text.error(row), words.places)}</td></tr>"
            for row in [*rows, *text.together(outcome.experiment, name, rows)]
        )
        parts.append(
            f'<div role="group" tabindex="0" aria-label="Table: {html.escape(words.label)}" '
            f'style="max-width:100%;overflow-x:auto"><table {_TABLE}>'
            '<caption style="caption-side:top;text-align:left;font-weight:600;color:inherit;padding:0 0 2px">'
            f"{html.escape(words.heading)}</caption>"
            f'<thead><tr {_ROW}><th scope="col" {_NAME}>{rows_of(outcome.experiment)}</th>{heads}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )
    return f'<div style="{BESIDE};row-gap:8px;margin-top:10px">{"".join(parts)}</div>'


class Teller:
    """A line of progress in the notebook; nothing outside of one."""

    def __init__(self) -> None:
        self._line: Any = None
        self._said: Any = None

    def __call__(self, words: str, done: float) -> None:
        """Show what is being done, and how much of it is done."""
        if self._line is None:
            self._line, self._said = _progress_line() or (False, None)
        if self._line:
            if self._said.value != aloud(words):
                self._said.value = aloud(words)
            self._line.tell(plain(words), min(done, 0.99))

    def done(self) -> None:
        """Take the line away; the region that spoke stays, or its last words would not be read out."""
        if self._line:
            self._said.value = "The live run has ended."
            self._line.tell("")


def _progress_line() -> Any:
    """A line in the cell's output, and what it says aloud; None where there is no notebook."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    import ipywidgets
    from IPython.display import display

    from labkit.views.said import Said
    from labkit.views.underway import Underway

    line, said = Underway(), Said(unseen=True)
    bundle = ipywidgets.VBox([line, said])._repr_mimebundle_() or {}
    # What stays on a static page, where there are no widgets.
    display({**bundle, "text/plain": "(progress of the live run)"}, raw=True)
    return line, said


def run(
    experiment: str | ModuleType = "cpu-shares",
    host: str = "both",
    *,
    open_live: Callable[[], Host] | None = None,
    open_simulated: Callable[[Any], Host] | None = None,
    **settings: Any,
) -> Result:
    """Run an experiment and show theory, simulation and measurement side by side.

    Where the live host cannot run it, or somebody interrupts it, the live column stays empty and the result says why.

    Parameters
    ----------
    experiment : str or module
        The experiment, such as ``"cpu-shares"``.
    host : {"both", "simulated", "live"}
        Where to run it.
    open_live, open_simulated : callable, optional
        Open the hosts, in place of `labkit.live` and `labkit.simulated`.
    **settings
        Settings in place of the experiment's defaults, such as ``shares=(256, 512)``.

    Returns
    -------
    Result
        To look at, or to compute with: `Result.outcome`, `Result.value`, `Result.journal`.

    Examples
    --------
    >>> run("cpu-shares", host="simulated", shares=(100, 300)).value("m2", "cpu") > 0.7
    True
    """
    if host not in ("both", "simulated", "live"):
        raise ValueError(f"host is 'both', 'simulated' or 'live', not {host!r:.40}")
    module = experiment_of(experiment)
    asked = settings_of(module, settings)
    openers = Openers.of(open_live, open_simulated)
    outcome = Outcome(module, asked, None, None, {"simulated": None, "live": None})
    if host != "live":
        outcome = compare(module, asked, simulated=lambda: openers.simulated(asked))
    journal: list[str] = []
    if host != "simulated":
        outcome, journal = _with_live(outcome, openers)
    return Result(outcome, journal)


def _with_live(outcome: Outcome, openers: Openers) -> tuple[Outcome, list[str]]:
    """The outcome with its live column filled, or with the reason why it is not; and the journal."""
    from labkit.views.session import TAKEN_OVER, stop_running

    tell = Teller()
    machines = machines_of(outcome.experiment, outcome.settings)
    steps = steps_of(outcome.experiment, outcome.settings)
    opened: list[WatchedHost] = []

    def open_watched() -> Host:
        stop_running(why=TAKEN_OVER)  # a panel's guests would take part in the measurement
        opens = functools.partial(openers.open_live, settings=outcome.settings)
        opened.append(WatchedHost(opens, tell, machines, steps=steps))
        return opened[-1]

    why = ""
    try:
        measured = compare(outcome.experiment, outcome.settings, live=open_watched)
    except HostError as error:
        why = str(error)
    except KeyboardInterrupt:
        why = "somebody stopped it. Run the cell again to measure."
    else:
        seconds = outcome.seconds | {"live": measured.seconds["live"]}
        outcome = dataclasses.replace(outcome, live=measured.live, seconds=seconds)
    finally:
        tell.done()
    if why:
        outcome = dataclasses.replace(outcome, why_not_live=why)
    return outcome, opened[-1].asked if opened else []
