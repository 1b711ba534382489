"""A small network to type in: its picture, the frames of a ping one by one, and a console for each machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets

from labkit.host import HostError
from labkit.views.console import Consoles, consoles
from labkit.views.running import Teller
from labkit.views.topologies import topology
from labkit.views.watched import WatchedHost

__all__ = ["NetworkLab"]

_open: list[NetworkLab] = []  # those whose guests run
_STOPPED = "Stop has switched the machines off. Run the cell again to make new ones."
_OTHER = "These machines were switched off, as a cell has made others. Run this cell again to make new ones."


def _live(tell: Any) -> Any:
    import labkit

    return labkit.live(networks=True, progress=tell)


class NetworkLab(widgets.VBox):
    """Machines on one switch, on a private host; their guests run until *Stop*, or until the cell runs again.

    Where there can be no private host, the simulated one shows the picture, and says why there are no consoles.

    Parameters
    ----------
    vlans : sequence of int
        The VLAN of each machine's port, in the order `m1`, `m2`, …; 0 is none.
    """

    def __init__(self, vlans: Sequence[int] = (10, 10, 20)) -> None:
        for other in list(_open):  # one lab at a time, as with every live run
            other.stop(_OTHER)
        self.host: Any = None
        self.consoles: Consoles | None = None
        self._said = ""
        tell = Teller()
        try:
            self.host = WatchedHost(_live, tell, len(vlans))
            self._plug(self.host, vlans)
            _open.append(self)
        except HostError as error:
            self.stop()
            self._said = f"On the simulated host, as there can be no real network here: {error}"
        except BaseException:
            self.stop()
            raise
        finally:
            tell.done()
        if self.host is None:
            import labkit

            self.host = labkit.simulated()
            self._plug(self.host, vlans)
        machines = [self.host.machines[name] for name in self.names]
        for network in self.host.networks.values():  # a guest that starts says a word or two
            network.forget()
        seen = self.host.capture(self.names[0], self.names[1], 2, known=False)
        self.picture = topology(self.host, seen, from_nothing=True)
        self.consoles = consoles(*machines[:2], rows=12)
        self.stop_button = widgets.Button(description="Stop", icon="stop", tooltip="Switch the guests off")
        self.stop_button.on_click(lambda _button: self.stop())
        words = widgets.HTML(f"<p>{self._said}</p>" if self._said else "")
        drawn = self.picture if isinstance(self.picture, widgets.Widget) else widgets.HTML(self.picture.html)
        super().__init__([words, drawn, self.consoles, *([] if self._said else [self.stop_button])])
        self.add_class("labkit-networklab")

    def _plug(self, host: Any, vlans: Sequence[int]) -> None:
        self.names = [f"m{number}" for number in range(1, len(vlans) + 1)]
        lan = host.network("lan")
        for name, vlan in zip(self.names, vlans, strict=True):
            host.create(name, nics=[lan.port(vlan=vlan or None)])

    def stop(self, why: str = _STOPPED) -> None:
        """Switch the guests off. Stopping twice is no error.

        Parameters
        ----------
        why : str
            What their consoles say from then on.
        """
        if self in _open:
            _open.remove(self)
            for console in self.consoles.children if self.consoles else ():
                console.end(why)
        if self.host is not None:
            self.host.close()
            self.host = None
        if getattr(self, "stop_button", None) is not None:
            self.stop_button.disabled = True

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            data["text/plain"] = "\n".join(filter(None, [self._said, repr(self.picture), repr(self.consoles)]))
        return bundle
