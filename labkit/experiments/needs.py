"""Asking a host whether it can, before anything is started on it.

A guest that has been booted for an experiment which then turns out to be impossible has cost seconds for nothing.
"""

from __future__ import annotations

from labkit.host import Host, HostError

__all__ = ["ask"]


def ask(host: Host, *abilities: str) -> None:
    """Make sure that the host can do all that an experiment needs.

    Parameters
    ----------
    host : Host
        Who is asked.
    *abilities : str
        What for, as in `Host.can`.

    Raises
    ------
    HostError
        At the first that it cannot do, with the host's own reason and remedy.
    """
    for ability in abilities:
        answer = host.can(ability)
        if not answer:
            raise HostError(answer.reason or f"This host has no {ability}.", answer.remedy)
