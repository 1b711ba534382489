"""From what machines should have to what is done about it: first take, then give, and never more than there is."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["moves"]


def moves(granted: Sequence[float], targets: Sequence[float], floors: Sequence[float], host: float) -> list[float]:
    """What each machine is told to have, so that at every moment the sum is at most the host's memory.

    A balloon can only take what the guest lets go, so a machine that should have less goes down to its floor at most.
    Those that should have more share what is free then in proportion to what they lack.

    Parameters
    ----------
    granted : sequence of float
        What each has now, in MiB.
    targets : sequence of float
        What each should have.
    floors : sequence of float
        The least to which each could be brought now.
    host : float
        The memory that the host has for machines, in MiB.

    Returns
    -------
    list of float
        In the order given. Whoever carries it out does all that make machines smaller before the rest.
    """
    told = [min(has, max(wish, floor)) for has, wish, floor in zip(granted, targets, floors, strict=True)]
    lacking = [max(0.0, wish - has) for has, wish in zip(told, targets, strict=True)]
    free, wanted = max(0.0, host - sum(told)), sum(lacking)
    part = 1.0 if wanted <= free else free / wanted
    return [has + lack * part for has, lack in zip(told, lacking, strict=True)]
