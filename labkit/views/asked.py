"""What a lesson asks for, made sure of: experiment and settings by their names, hosts by their openers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from labkit import experiments
from labkit.experiments.settings import SettingError, validate
from labkit.host import Host

__all__ = ["Openers", "experiment_of", "settings_of"]


def experiment_of(name: str | ModuleType) -> ModuleType:
    """The experiment of that name; an experiment's module is taken as it is."""
    return experiments.load(name) if isinstance(name, str) else name


def settings_of(experiment: ModuleType, given: Mapping[str, Any]) -> Any:
    """The experiment's settings, with those given in place of the defaults, checked.

    Raises
    ------
    SettingError
        Where a name is not a setting's, or a value does not fit; says which do.
    """
    known = [field.name for field in dataclasses.fields(experiment.Settings)]
    for name in given:
        if name not in known:
            raise SettingError(f"there is no setting {name!r:.60}; there are {', '.join(known)}.")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return validate(experiment.Settings(**values))


def _simulated(settings: Any) -> Host:
    import labkit

    return labkit.simulated(**experiments.simulated_host(settings))


def _live(tell: Callable[[str, float], None] | None = None, settings: Any = None) -> Host:
    import labkit

    return labkit.live(progress=tell, **experiments.live_host(settings))


@dataclasses.dataclass(frozen=True)
class Openers:
    """How the two hosts are opened: as `labkit` does, unless somebody brings their own.

    Parameters
    ----------
    live : callable, optional
        Opens the live host, as `labkit.live` does; may raise `HostError`.
    simulated : callable, optional
        Opens a simulated host for settings.
    """

    live: Callable[[], Host] = _live
    simulated: Callable[[Any], Host] = _simulated

    def open_live(self, tell: Callable[[str, float], None], settings: Any = None) -> Host:
        """Open the live host; labkit's own tells meanwhile what it is doing, and how much of it is done.

        It is one that has what an experiment with these settings needs.
        """
        return _live(tell, settings) if self.live is _live else self.live()

    @classmethod
    def of(cls, live: Callable[[], Host] | None, simulated: Callable[[Any], Host] | None) -> Openers:
        """The openers given, and labkit's own in place of None."""
        return cls(live or _live, simulated or _simulated)
