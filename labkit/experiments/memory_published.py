"""What was published of memory policies, beside what our own arithmetic says of it: a table for the lesson.

A row says how its published number was checked: ``"text"``, read in the publication itself; ``"readers"``, told alike
by readers of it who do not copy each other, while its own words could not be had. Where nothing could be checked there
is no published number, only ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from labkit.host.policies import ESXI, HYPER_V
from labkit.host.policies.tax import taxed

__all__ = ["Published", "published"]

# C. A. Waldspurger, "Memory Resource Management in VMware ESX Server", OSDI 2002. The table names it shortly.
_PAPER = "Waldspurger 2002, section "


@dataclass(frozen=True)
class Published:
    """One row.

    Parameters
    ----------
    what : str
        What it is about.
    published : str
        What was published; empty where that could not be checked.
    ours : float or None
        What our own arithmetic gives; None where there is nothing to reckon.
    unit : str
        The unit of both.
    source : str
        Where it was published.
    checked : {"text", "readers", ""}
        How the published number was checked; see the module.
    """

    what: str
    published: str
    ours: float | None
    unit: str
    source: str
    checked: Literal["text", "readers", ""] = ""


def published(*, text_only: bool = True) -> list[Published]:
    """The table.

    Parameters
    ----------
    text_only : bool
        Whether numbers that only readers tell are left out.
    """
    rows = [
        Published("Idle memory tax, as it is set by default", "75", 100 * ESXI.tax, "%", f"{_PAPER}5.2", "text"),
        Published(
            "Pages watched to estimate what a machine touches, in each period of 30 s",
            "100",
            float(ESXI.samples),
            "pages",
            f"{_PAPER}5.3",
            "text",
        ),
        Published(
            "Standard error of that estimate where half is touched, √(f(1 − f)/100)",
            "",
            100 * math.sqrt(0.5 * 0.5 / ESXI.samples),
            "%",
            "the binomial distribution",
        ),
        Published("Memory that the books of page sharing take, at most", "0.5", None, "%", f"{_PAPER}4.3", "text"),
        *_two_machines(),
        Published(
            "Hyper-V: 1,000 MB committed, buffer 20%",
            "1200",
            HYPER_V.target(1000, 32, 1 << 20),
            "MB",
            "Microsoft Learn, Hyper-V Dynamic Memory Overview, table of settings",
            "text",
        ),
        Published(
            "Hyper-V: the least and the most buffer that can be set",
            "5 to 2000",
            None,
            "%",
            "Microsoft Learn, Set-VMMemory, parameter -Buffer",
            "text",
        ),
        Published(
            "Page sharing at its best, ten equal machines of 40 MB: part of their memory that is shared",
            "67",
            None,
            "%",
            f"{_PAPER}4.3",
            "readers",
        ),
        Published(
            "What a balloon costs beside a machine made as small, dbench with 40 clients",
            "1.4 to 4.4",
            None,
            "%",
            f"{_PAPER}3.2",
            "readers",
        ),
        Published(
            "Free memory below which ESX balloons, pages, and pages and blocks; above 6 it does nothing",
            "4, 2, 1",
            None,
            "%",
            f"{_PAPER}6.3",
            "readers",
        ),
    ]
    return [row for row in rows if row.checked != "readers" or not text_only]


def _two_machines(total: float = 360.0, promised: float = 256.0) -> list[Published]:
    """Two machines of equal shares, one that touches little and one that touches all it gets."""
    rows = []
    for tax in (0.0, ESXI.tax):
        for who, memory in zip(
            ("idle", "busy"),
            taxed([1.0, 1.0], [0.2 * promised, promised], [0.0, 0.0], [promised, promised], tax, total),
            strict=True,
        ):
            what = f"Two machines of 256 MB in 360 MB, tax {tax:.0%}: the {who} one (the idle one touches a fifth)"
            rows.append(Published(what, "", memory, "MB", f"the formula of {_PAPER}5.2"))
    return rows
