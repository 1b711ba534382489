"""The idle memory tax of ESX: who holds memory without touching it pays more for it, and so loses it first.

A machine bids for memory with its shares. What a page costs it is its shares divided by its pages, and when memory is
short a page is taken from the machine that pays least for its pages (*min-funding revocation*). With the tax an idle
page counts as several, so that a machine with many of them seems to pay little for each.

References
----------
C. A. Waldspurger, "Memory Resource Management in VMware ESX Server", OSDI 2002, section 5.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from labkit.host.policies.pouring import poured

__all__ = ["paid_for_a_page", "taxed"]


def paid_for_a_page(shares: float, memory: float, active: float, tax: float) -> float:
    """The adjusted shares-per-page ratio, ρ = S / (P·(f + k·(1 − f))), with k = 1 / (1 − τ).

    Parameters
    ----------
    shares : float
        S, the machine's shares.
    memory : float
        P, its memory; MiB here in place of pages.
    active : float
        How much of it is active, f·P, in MiB; what is more than `memory` counts for nothing.
    tax : float
        τ, from 0 to less than 1.
    """
    return shares / _counted(memory, active, tax)


def _counted(memory: float, active: float, tax: float) -> float:
    """What a machine's memory counts for, each idle MiB as several."""
    touched = min(active, memory)
    return touched + (memory - touched) / (1 - tax)


def taxed(
    shares: Sequence[float],
    active: Sequence[float],
    minima: Sequence[float],
    maxima: Sequence[float],
    tax: float,
    total: float,
) -> list[float]:
    """How much memory each machine has once no page can go from one that pays less to one that pays more, in MiB.

    Parameters
    ----------
    shares, active, minima, maxima : sequence of float
        Of each machine: its shares, above 0; what it touches; the least and the most it may have, in MiB.
    tax : float
        τ, from 0 (pure shares) to less than 1.
    total : float
        What there is, in MiB.

    Returns
    -------
    list of float
        They all pay the same for a page, but for those at their minimum or maximum.

    Raises
    ------
    ValueError
        Where the tax is outside its range, or the minima are more than there is.
    """
    if not 0 <= tax < 1:
        raise ValueError(f"an idle memory tax is from 0 to less than 1, not {tax!r:.20}")
    curves = []
    for own, touched, least, most in zip(shares, active, minima, maxima, strict=True):
        corners = [least, *([touched] if least < touched < most else []), most]
        # The level is what a share buys, 1/ρ: how many pages, idle ones counted several times, go on each share.
        curves.append([(_counted(memory, touched, tax) / own, memory) for memory in corners])
    return poured(curves, total)
