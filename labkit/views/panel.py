"""The panel of an experiment: sliders, a Simulated | Live switch, and the live view.

On *Simulated* a slider runs the simulated host anew and redraws at once. On *Live* the guests boot, the same slider
calls libvirt on them while they run, and what they get streams in beside the simulated curve. An experiment that has
an end cannot stream: there the switch says *Run live once*, and goes back by itself when the run is over.
"""

from __future__ import annotations

import html
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import ipywidgets as widgets

from labkit.experiments.outcome import Outcome, compare
from labkit.experiments.settings import SettingError
from labkit.host import Host, HostError, Observation
from labkit.host.words import listed
from labkit.views import frame as frames
from labkit.views import memory, text
from labkit.views.asked import Openers, experiment_of, settings_of
from labkit.views.cells import this_cell
from labkit.views.commands import folded
from labkit.views.controls import Controls
from labkit.views.hostview import HostView
from labkit.views.latest import Latest
from labkit.views.said import Said
from labkit.views.session import Audience, Session, stop_running, streams
from labkit.views.underway import Underway, aloud, plain
from labkit.views.watched import has_guests, machines_of

__all__ = ["Panel"]

_SIMULATED, _LIVE, _ONCE = "Simulated", "Live", "Run live once"
_STOP, _STOPPING = "Stop", "Stopping…"
_MORE, _FEWER = "More settings", "Fewer settings"
_STALE = "labkit-stale"  # the picture is not that of the sliders
_TOOLTIPS = {
    True: "real guests on this machine: takes seconds to start",
    False: "real guests on this machine, with the settings as they stand: from the beginning to the end, once",
}
_NO_GUESTS = "really done on this machine, without a guest: from the beginning to the end, once"


class Panel(widgets.VBox):
    """An experiment to play with, on the simulated host and on the live one.

    Parameters
    ----------
    experiment : str or module
        The experiment, such as ``"cpu-shares"``.
    open_live : callable, optional
        Opens the live host; `labkit.live` where not given.
    open_simulated : callable, optional
        Opens a simulated host for settings; `labkit.simulated` where not given.
    **settings
        Settings to start from, in place of the experiment's defaults.

    Attributes
    ----------
    outcome : Outcome
        What the panel shows at the moment.
    settings : object
        The settings as the sliders stand.
    """

    def __init__(
        self,
        experiment: str | ModuleType = "cpu-shares",
        *,
        open_live: Callable[[], Host] | None = None,
        open_simulated: Callable[[Any], Host] | None = None,
        **settings: Any,
    ) -> None:
        self.experiment = experiment_of(experiment)
        self.settings = settings_of(self.experiment, settings)
        self._openers = Openers.of(open_live, open_simulated)
        self._streams = streams(self.experiment)
        self._guests = has_guests(self.experiment, self.settings)  # else nothing is said of guests
        self._session: Session | None = None
        self._time_line: Observation | None = None
        self._measured = False  # whether the present live run, or the last one, has shown anything
        self._serial = self._begun = 0
        self._drawing = threading.Lock()
        self._latest = Latest(self._follow)
        self.view = HostView()
        self.controls = Controls(self.experiment, self.settings, self._latest.ask, self._refused)
        self.switch = widgets.ToggleButtons(
            options=[(_SIMULATED, _SIMULATED), (_LIVE if self._streams else _ONCE, _LIVE)],
            description="Host:",
            tooltips=["the simulated host: answers at once", _TOOLTIPS[self._streams] if self._guests else _NO_GUESTS],
            style={"description_width": "auto", "button_width": "96px" if self._streams else "120px"},
            layout=widgets.Layout(width="auto"),
        )
        self.stop_button = widgets.Button(
            description=_STOP, icon="stop", tooltip="Switch the live guests off" if self._guests else "End it"
        )
        self.stop_button.add_class("labkit-stop")
        self.stop_button.layout.display = "none"
        self.progress = Underway()
        self.reset_button = widgets.Button(description="Reset", icon="undo", tooltip="Put the sliders back")
        self.said = Said(unseen=True)
        self.alert = Said(role="alert")
        self.asked = widgets.HTML()
        self.switch.observe(self._switched, names="value")
        self.stop_button.on_click(lambda _button: self.stop())
        self.reset_button.on_click(self._reset)
        why_not = getattr(self.experiment, "NOT_LIVE", "")
        first = [self.switch]
        if why_not:
            first = [widgets.HTML(f"Simulated only. {html.escape(why_not)}")]
        top = widgets.Box([*first, self.stop_button, self.reset_button, self.progress, self.said])
        top.add_class("labkit-switch")
        super().__init__([top, self.alert, *self._settings_shown(), self.view, self.asked])
        self.add_class("labkit-panel")
        self.outcome = Outcome(self.experiment, self.settings, None, None, {"simulated": None, "live": None})
        self._cell = this_cell()
        stop_running(wait=0, again=self._cell)  # a cell that runs again leaves no guests of its last run behind
        self._simulate(self.settings)
        self._text = self._text_twin()

    def _settings_shown(self) -> list[widgets.Widget]:
        """The sliders; where an experiment names those to begin with, ``AT_FIRST``, the others behind a button."""
        first = getattr(self.experiment, "AT_FIRST", None)
        if not first:
            return [self.controls.box]
        sliders = self.controls.by_setting
        rest = widgets.Box([slider for name, those in sliders.items() if name not in first for slider in those])
        self.controls.box.children = [slider for name in first for slider in sliders[name]]
        rest.add_class("labkit-controls")
        rest.layout.display = "none"
        more = widgets.Button(description=_MORE, icon="sliders", tooltip="Settings that can stay as they are")

        def toggle(_button: widgets.Button) -> None:
            shown = rest.layout.display == "none"
            rest.layout.display = None if shown else "none"
            more.description = _FEWER if shown else _MORE

        more.on_click(toggle)
        return [self.controls.box, more, rest]

    # What it shows

    def _simulate(self, settings: Any) -> None:
        self.view.computing = True
        try:
            outcome = compare(self.experiment, settings, simulated=lambda: self._openers.simulated(settings))
        except (HostError, ValueError) as error:
            self._tell_error(error)
            return
        finally:
            self.view.computing = False
        self._time_line = outcome.simulated
        if self._session is None:
            self._show(outcome)

    def _show(self, outcome: Outcome, **how: Any) -> None:
        with self._drawing:
            self._serial += 1
            self.outcome = outcome
            self.view.frame = frames.build(outcome, self._serial, time_line=self._time_line, begun=self._begun, **how)

    def _reset(self, _button: widgets.Button) -> None:
        self._begun += 1
        self.controls.reset()

    def _follow(self, settings: Any) -> None:
        """The person moved a slider."""
        self.settings = settings
        self.alert.value = ""
        self.remove_class(_STALE)
        session = self._session
        if session is None:
            self.progress.tell("")
            self._tell_journal([])  # what is shown from here on was not measured
        if session is not None:
            session.adjust(settings)
        self._simulate(settings)

    def _text_twin(self) -> str:
        names = [slider.description for sliders in self.controls.by_setting.values() for slider in sliders]
        live = _LIVE if self._streams else _ONCE
        hosts = _SIMULATED if hasattr(self.experiment, "NOT_LIVE") else f"{_SIMULATED} or {live}"
        parts = memory.sentences(self.outcome)
        return "\n".join([text.table(self.outcome), *parts, f"controls: {', '.join(names)}; host: {hosts}"])

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle:
            bundle["text/plain"] = self._text
        return bundle

    # Words above the view

    def _tell_error(self, error: Exception) -> None:
        message = getattr(error, "message", str(error))
        remedy = getattr(error, "remedy", "")
        said = f"<strong>{html.escape(message)}</strong> {html.escape(remedy)}".strip()
        self.alert.value = f'<div class="labkit-alert">{said}</div>'

    def _refused(self, error: SettingError) -> None:
        """A slider stands where it cannot: say so, and which settings the picture still shows."""
        moved = [
            (name, sliders[0].value, getattr(self.settings, name))
            for name, sliders in self.controls.by_setting.items()
            if len(sliders) == 1 and _plain(sliders[0].value) != _plain(getattr(self.settings, name))
        ]
        asked = listed([_plain(wish) for _name, wish, _is in moved])
        shown = listed([f"{name.replace('_', ' ')} {_plain(is_)}" for name, _wish, is_ in moved])
        still = f"Not {asked}: the picture still shows {shown}." if moved else "The picture is that of before."
        self.add_class(_STALE)
        self._tell_error(HostError(f"{error}", still))

    def _tell_journal(self, commands: list[str]) -> None:
        self.asked.value = folded(commands)

    # The live run

    def _switched(self, change: dict[str, Any]) -> None:
        if change["new"] == _LIVE:
            self.start()
        elif self._session is not None:
            self.stop()

    def start(self) -> None:
        """Boot the guests and stream what they get, until `stop`; or run them once, where the experiment has an end."""
        if self.switch.value != _LIVE:
            self.switch.value = _LIVE  # which calls this again
            return
        if self._session is not None:
            return
        self.alert.value = ""
        self._measured = False
        self.stop_button.layout.display = ""
        self.controls.only(getattr(self.experiment, "ADJUSTS", self._lists()) if self._streams else ())
        self._tell_journal([])
        self.progress.tell("starting", 0.0)
        self.said.value = "Starting the live host."
        audience = Audience(self._booting, self._streamed, self._tell_journal, self._ended)
        self._session = Session(self.experiment, self.settings, self._openers, audience, self._cell)
        self._session.start()

    def _lists(self) -> tuple[str, ...]:
        """The settings that `adjust` can change while machines run: unless the experiment tells, its lists."""
        return tuple(name for name in self.controls.by_setting if isinstance(getattr(self.settings, name), tuple))

    def stop(self, wait: float = 0.0) -> None:
        """End the live run, if there is one; its guests are switched off, and what they got stays in the picture.

        Parameters
        ----------
        wait : float
            Wait up to so many seconds until they are gone.
        """
        session = self._session
        if session is None:
            self.switch.value = _SIMULATED
            return
        if not session.stopping:
            self.switch.disabled = self.stop_button.disabled = True  # until the guests are gone
            self.stop_button.description = _STOPPING
            self.progress.tell("")  # its seconds begin anew
            ending = "the guests are being switched off" if self._guests else "the run is being ended"
            self.progress.tell(f"stopping: {ending}", 0.0)
            self.said.value = f"Stopping. {ending.capitalize()}."
        session.stop(wait)

    def close(self) -> None:
        """End the live run and take the panel away."""
        session = getattr(self, "_session", None)
        if session is not None:
            session.stop()
        super().close()

    @property
    def _over(self) -> str:
        return "The guests are off" if self._guests else "The live run is over"

    @property
    def _stopping(self) -> bool:
        """Whether the live run is about to end: then nothing that it still does is told."""
        return self._session is not None and self._session.stopping

    def _booting(self, words: str, done: float) -> None:
        if self._stopping:
            return
        if self.said.value != aloud(words):
            self.said.value = aloud(words)
        self.progress.tell(plain(words), min(done, 0.99))

    def _streamed(self, outcome: Outcome, curves: list[frames.Curve], span: tuple[float, float]) -> None:
        self._measured = True
        self._show(outcome, curves=curves, span=(span[0], max(span[1], 6.0) if self._streams else span[1]))
        accelerator = outcome.live.provenance.accelerator if outcome.live else ""
        if self._stopping:
            return
        if self._streams and self._session is not None:
            several = machines_of(self.experiment, self.settings) > 1
            self.said.value = f"The {'guests are' if several else 'guest is'} up; measuring."
        by = f" on {accelerator}" if accelerator and self._guests else ""  # what ran guests, where there were any
        self.progress.tell(f"live{by}, {span[1]:.0f} s")

    def _ended(self, problem: HostError | None) -> None:
        why = self._session.why if self._session is not None else ""
        self._session = None
        self.switch.disabled = self.stop_button.disabled = False
        self.stop_button.layout.display = "none"
        self.stop_button.description = _STOP
        self.controls.only(None)
        self.switch.value = _SIMULATED
        if why and problem is None:
            again = _LIVE if self._streams else _ONCE
            self._tell_error(HostError(why, f"Press {again} to start again."))
        if problem is None and self._measured:
            what = "they got" if self._guests else "it gave"
            self.said.value = f"{self._over}; this is what {what}. Move a slider to simulate again."
            self.progress.tell(self.said.value)
            return
        self.progress.tell("")
        self._tell_journal([])  # the commands of a run that has shown nothing
        self.said.value = "" if problem else f"{self._over}."
        self._simulate(self.settings)
        if problem is not None:
            self._tell_error(problem)


def _plain(value: Any) -> str:
    """A value as a person types it."""
    if isinstance(value, tuple):
        return ", ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
