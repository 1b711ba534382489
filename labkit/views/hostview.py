"""The live view of a host, as a widget: it shows the frames it is given.

Its JavaScript is in `js/src`, bundled by esbuild into `static/`; ``npm run build`` in `js/` makes it anew, and a test
holds the two together. It asks nothing of any server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

__all__ = ["HostView"]

_STATIC = Path(__file__).parent / "static"


class HostView(anywidget.AnyWidget):
    """Bars, curves and the CPUs' time line.

    Parameters
    ----------
    frame : dict
        What `labkit.views.frame.build` gives. Setting it redraws; the browser then shows the frame's serial number
        in the attribute ``data-drawn``.
    computing : bool
        Whether newer numbers are on their way; said beside those shown, where it takes longer than a moment.
    """

    _esm = (_STATIC / "hostview.js").read_text(encoding="utf-8")
    _css = (_STATIC / "hostview.css").read_text(encoding="utf-8")

    frame = traitlets.Dict().tag(sync=True)
    computing = traitlets.Bool(False).tag(sync=True)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            data["text/plain"] = f"Live view. {self.frame.get('reading', '')}".strip()
        return bundle
