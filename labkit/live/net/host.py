"""What a live host does with networks; see `labkit.host.networks.Networked`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from labkit.host import Observation
from labkit.host.networks import Reaching, Rule
from labkit.live.errors import explained
from labkit.live.net import network as making

if TYPE_CHECKING:
    from labkit.live.journal import Journal
    from labkit.live.livehost import LiveHost
    from labkit.live.net.network import LiveNetwork

__all__ = ["HasNetworks"]


class HasNetworks:
    """Networks of a host, which a private host has (`labkit.live.private`)."""

    _id: str
    _journal: Journal

    def __init__(self) -> None:
        self.networks: dict[str, LiveNetwork] = {}
        self.devices: set[str] = set()  # names of network devices that were given

    @property
    def id(self) -> str:
        """What the names of all that belongs to this host begin with."""
        return self._id

    def command(self, words: Sequence[str]) -> None:
        """Write a command other than ``virsh`` into the journal."""
        self._journal.command(words)

    @explained("make the network")
    def network(self: LiveHost, name: str, *, rules: Sequence[Rule] = (), stateful: bool = True) -> LiveNetwork:
        """Make a switch; see `labkit.host.networks.Networked.network`."""
        return making.make(self, name, rules, stateful)

    @explained("try who reaches whom")
    def reach(
        self: LiveHost,
        pairs: Iterable[tuple[str, str]] | None = None,
        protocol: Reaching = "icmp",
        port: int | None = None,
        claim: str = "",
    ) -> Observation:
        """Let the guests try; see `labkit.host.networks.Networked.reach` and `labkit.live.net.reaching`."""
        from labkit.live.net import reaching

        return reaching.reach(self, pairs, protocol, port, claim)

    @explained("capture frames")
    def capture(self: LiveHost, sender: str, target: str, count: int = 1, *, known: bool = True) -> Observation:
        """Look at every tap while one guest pings another; see `labkit.host.networks.Networked.capture`."""
        from labkit.live.net import capturing

        return capturing.capture(self, sender, target, count, known)

    @explained("transfer data")
    def transfer(
        self: LiveHost, sender: str | Sequence[str], target: str, seconds: float, every: float = 0.5
    ) -> Observation:
        """Let iperf3 send; see `labkit.host.networks.Networked.transfer` and `labkit.live.net.transferring`."""
        from labkit.live.net import transferring

        return transferring.transfer(self, sender, target, seconds, every)
