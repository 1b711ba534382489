"""What a person sees: controls, live views, figures, and the text twin of each.

`run` and `Panel` are what a lesson uses; `figure` and `table` draw an `Outcome` that somebody already has, and
`host_picture` is the one picture of lesson 00. `topology` and `matrix` show a network, `BucketPanel` and
`bytes_over_time` what a bucket lets through, and `consoles` the real guests. All but the consoles draw from what a host
says and from observations alone. The names are imported when first used, so that ``import labkit.views`` takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.views.arriving import bytes_over_time
    from labkit.views.bucketpanel import BucketPanel
    from labkit.views.console import Console, consoles
    from labkit.views.figures import figure
    from labkit.views.matrices import matrix
    from labkit.views.panel import Panel
    from labkit.views.pictures import host_picture
    from labkit.views.running import run
    from labkit.views.text import table
    from labkit.views.topologies import topology

__all__ = [
    "BucketPanel",
    "Console",
    "Panel",
    "bytes_over_time",
    "consoles",
    "figure",
    "host_picture",
    "matrix",
    "run",
    "table",
    "topology",
]

_HOMES = {
    "BucketPanel": "bucketpanel",
    "Console": "console",
    "Panel": "panel",
    "bytes_over_time": "arriving",
    "consoles": "console",
    "figure": "figures",
    "host_picture": "pictures",
    "matrix": "matrices",
    "run": "running",
    "table": "text",
    "topology": "topologies",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"labkit.views.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
