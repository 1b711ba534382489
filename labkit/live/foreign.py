"""Somebody's host, by any driver of libvirt's: labkit is a guest there, and behaves like one.

It looks at everything, as the person who named the address may. It makes no machine and forgets none, and changes
one only by name, once it was told that it may: ``labkit.live("test:///default", allow_changes=True)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from types import TracebackType
from typing import Any, NoReturn, Self

from labkit.host import Ability, HostError, HostKind
from labkit.live.controls import CONTROLS, INERT, offers
from labkit.live.driver import Driver
from labkit.live.errors import translated
from labkit.live.foreign_machine import ForeignMachine
from labkit.live.journal import Journal

__all__ = ["ForeignHost"]

_OWN = "Guests of labkit's own come with labkit.live() without an address."


class ForeignHost:
    """A host whose machines are somebody's own.

    Leaving its ``with`` block closes the connection, and changes nothing.

    Parameters
    ----------
    driver : Driver
        The way to libvirt.
    allow_changes : bool
        Whether its owner consents to changes of the machines that are named.
    """

    kind: HostKind = "live"

    def __init__(self, driver: Driver, *, allow_changes: bool = False) -> None:
        self.driver = driver
        self.connection = driver.connection
        self.allow_changes = allow_changes
        self._journal = Journal()
        self._closed = False
        with translated(f"ask {driver.uri} what it is"):
            self.type: str = self.connection.getType()
            self.cpus: int = self.connection.getInfo()[2]

    @property
    def driver_key(self) -> str:
        """The driver's name in `labkit.live.controls`, such as ``"test"``."""
        scheme = self.driver.uri.partition(":")[0].partition("+")[0]
        return {"vpx": "esx", "gsx": "esx"}.get(scheme, "vmware" if scheme.startswith("vmware") else scheme)

    @property
    def driver_name(self) -> str:
        """The driver in words."""
        return f"libvirt's {self.driver_key} driver"

    @property
    def really_runs(self) -> bool:
        """Whether anything runs behind it; the test driver only keeps books."""
        return self.driver_key != "test"

    @property
    def name(self) -> str:
        """The host in words."""
        what = "" if self.really_runs else ", which keeps books and runs nothing"
        return f"foreign host, {self.driver.uri}, {self.driver_name}{what}"

    def __repr__(self) -> str:
        may = "machines may be changed by name" if self.allow_changes else "for reading only"
        lines = [f"{self.name}, {self.cpus} CPUs, {may}"]
        return "\n".join(lines + [f"  {machine!r}" for machine in self.machines.values()])

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def require_open(self) -> None:
        """Say so where this host was closed.

        Raises
        ------
        HostError
            Where it was.
        """
        if self._closed:
            raise HostError("This host is closed.", f"Open it again with labkit.live({self.driver.uri!r}).")

    def require_consent(self, name: str, what: str) -> None:
        """Say so where its owner has not consented to changes.

        Parameters
        ----------
        name, what : str
            The machine, and what was to be done, as in ``"start"``.

        Raises
        ------
        HostError
            Where this host was opened without ``allow_changes=True``.
        """
        self.require_open()
        if not self.allow_changes:
            raise HostError(
                f"labkit was asked to {what} {name}, which is not labkit's own, and nobody has allowed that.",
                f"If you may: labkit.live({self.driver.uri!r}, allow_changes=True).",
            )

    @property
    def machines(self) -> Mapping[str, ForeignMachine]:
        """All machines of the host, running or not, by name."""
        self.require_open()
        with translated(f"list the machines of {self.driver.uri}"):
            found = [ForeignMachine(self, domain) for domain in self.connection.listAllDomains()]
        return {machine.name: machine for machine in sorted(found, key=lambda machine: machine.name)}

    def create(self, name: str, **_wanted: Any) -> NoReturn:
        """Refuse: what a foreign host's machines are made of is its owner's business.

        Raises
        ------
        HostError
            Always.
        """
        raise HostError(f"labkit makes no machine {name} on {self.driver.uri}, a foreign host.", _OWN)

    def disk(self, name: str, size: str | float, *, format: str = "qcow2", cluster: int | None = None) -> NoReturn:
        """Refuse: the disks there are somebody's.

        Raises
        ------
        HostError
            Always.
        """
        raise HostError(f"labkit makes no disk {name} on {self.driver.uri}, a foreign host.", _OWN)

    def can(self, ability: str) -> Ability:
        """Whether this host's driver can do something, such as ``"memory"``, and by which call, or why not."""
        control = CONTROLS.get(ability)
        if ability == "cap":
            return Ability(False, reason="Each driver counts a cap in a unit of its own; labkit sets none here.")
        if control is None:
            return Ability(False, reason=f"labkit cannot do {ability!r} on a foreign host.", remedy=_OWN)
        if ability in INERT.get(self.driver_key, {}):
            return Ability(False, reason=f"{self.driver_name} {INERT[self.driver_key][ability]}.", remedy=_OWN)
        if ability not in offers(self.driver_key):
            return Ability(False, reason=f"{self.driver_name} has no {control}.", remedy=_OWN)
        return Ability(True, f"{self.driver_name}, {control}")

    def observe(self, seconds: float, every: float = 0.2) -> NoReturn:
        """Refuse: labkit measures only machines whose load it knows.

        Raises
        ------
        HostError
            Always.
        """
        why = "" if self.really_runs else ", and the counters of this driver are made up"
        raise HostError(f"labkit does not measure on {self.driver.uri}: its machines are not labkit's{why}.", _OWN)

    def note(self, *words: str | int | float) -> None:
        """Write a ``virsh`` command into the journal."""
        self._journal.virsh("-c", self.driver.uri, *words)

    def journal(self) -> list[str]:
        """The plain commands of all changes that were made."""
        return self._journal.lines()

    def close(self) -> None:
        """Close the connection. Nothing is switched off; closing twice is no error."""
        if not self._closed:
            self._closed = True
            with translated("close the connection"):
                self.connection.close()
