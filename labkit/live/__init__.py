"""The live host: real guests on this computer, through libvirt.

libvirt is imported late, and only here: everything else of labkit works without it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from labkit.host import HostError

if TYPE_CHECKING:
    from labkit.live.foreign import ForeignHost
    from labkit.live.livehost import LiveHost
    from labkit.live.report import Report

__all__ = ["clean", "doctor", "open_host"]


def open_host(
    uri: str | None = None,
    progress: Callable[[str, float], None] | None = None,
    *,
    networks: bool = False,
    allow_changes: bool | None = None,
) -> LiveHost | ForeignHost:
    """Open the first live host that works here, or somebody's host by its address.

    Parameters
    ----------
    uri : str, optional
        A libvirt of the person's own, such as ``qemu:///system``; the environment's ``LABKIT_URI`` names one too.
        Without either, libvirt's QEMU driver runs inside this process. An address of another driver, such as
        ``test:///default`` or ``esx://host``, opens a `ForeignHost`: the machines that are there already.
    progress : callable, optional
        Told in words what is going on, and how much of it is done from 0 to 1.
    networks : bool
        Whether the host is to have networks. It is then a private host: libvirt in namespaces of its own, from which
        no traffic leaves, and all of which ends with this process.
    allow_changes : bool, optional
        Whether the machines of a foreign host may be changed, each by its name; they are only read where this is
        not given. Given for an address of QEMU's, True or False, the machines that are there already are meant, and
        labkit makes none of its own.

    Raises
    ------
    HostError
        Where none works, or networks are asked for and an address is named; with the remedy.
    ValueError
        Where changes are allowed and no address is named.
    """
    if os.environ.get("LABKIT_NO_LIVE"):
        raise HostError("Live guests are switched off by LABKIT_NO_LIVE.", "Unset it to have them.")
    from labkit.live import driver
    from labkit.live.errors import explained

    uri = (uri or os.environ.get("LABKIT_URI", "")).strip()
    if allow_changes is not None and not uri:
        raise ValueError("allow_changes is about somebody's host: name its address, or leave it out")
    if networks and uri:
        raise HostError(
            f"labkit makes no networks at {uri:.80}: they are for a host of its own.",
            "Name no address, and unset LABKIT_URI, to have them.",
        )
    if uri and (allow_changes is not None or not uri.startswith(("qemu:", "qemu+"))):
        from labkit.live.foreign import ForeignHost

        return ForeignHost(driver.named(uri), allow_changes=bool(allow_changes))
    from labkit.live.image import load
    from labkit.live.livehost import LiveHost
    from labkit.live.private import shared

    with explained("open the live host"):
        way = driver.named(uri) if uri else shared() if networks else driver.embedded()
        return LiveHost(way, load(), progress or (lambda _text, _done: None))


def clean(dry_run: bool = False) -> list[str]:
    """Remove what a crash left of labkit's own; see `labkit.live.ownership.clean`."""
    from labkit.live.ownership import clean as sweep

    return sweep(dry_run)


class _Openable(ModuleType):
    """A module that can be called: once this one is imported, the name `labkit.live` is it, not the function."""

    def __call__(
        self,
        uri: str | None = None,
        progress: Callable[[str, float], None] | None = None,
        *,
        networks: bool = False,
        allow_changes: bool | None = None,
    ) -> LiveHost | ForeignHost:
        return open_host(uri, progress, networks=networks, allow_changes=allow_changes)


sys.modules[__name__].__class__ = _Openable


def doctor(progress: Callable[[str, float], None] | None = None) -> Report:
    """What this computer can do for the course; see `labkit.live.report.examine`."""
    from labkit.live.report import examine

    return examine(progress)
