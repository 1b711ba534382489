"""A doorkeeper with a list: the first line that fits decides, and who was expected is let in without looking.

In a second book stands who has begun a conversation that was let through. What belongs to such a one passes, in both
directions, whatever the list says: an answer is expected. That is what makes a firewall *stateful*.

Sources: libvirt's formatnwfilter (the order of rules, accept, drop and reject, directions as the machine sees them) and
Linux's netfilter, whose books (conntrack) libvirt's rules use; how long an entry lasts is netfilter's,
Documentation/networking/nf_conntrack-sysctl.rst.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from labkit.host.networks import Action, Rule
from labkit.model.net.frames import Arp, Flow, Packet

__all__ = ["Doorkeeper"]

REMEMBERED = {"icmp": 30.0, "udp": 30.0, "tcp": 432000.0}
"""Seconds for which a conversation is expected to go on (nf_conntrack_icmp_timeout, _udp_timeout, and
_tcp_timeout_established). Linux keeps UDP that goes back and forth for longer, and TCP that was not answered or has
ended for less."""


class Doorkeeper:
    """Who decides what passes a port.

    Parameters
    ----------
    rules : iterable of Rule
        The list, in order.
    stateful : bool
        Whether there is a book of conversations.
    """

    def __init__(self, rules: Iterable[Rule], stateful: bool = True) -> None:
        self._rules = [(rule, ipaddress.IPv4Network(rule.source) if rule.source else None) for rule in rules]
        self._stateful = stateful
        self._book: dict[Flow, float] = {}

    def judge(self, content: Arp | Packet, direction: str, now: float) -> Action:
        """What becomes of a packet that comes to the machine (``"in"``) or leaves it (``"out"``), at a moment."""
        if not self._rules:
            return "accept"
        if self._stateful and isinstance(content, Packet) and self._expected(content, now):
            return "accept"
        action = next(
            (rule.action for rule, source in self._rules if _fits(rule, source, content, direction)), "accept"
        )
        if action == "accept" and isinstance(content, Packet):
            self._book[content.flow] = now
        return action

    def _expected(self, packet: Packet, now: float) -> bool:
        """Whether it belongs to a conversation that has begun; an error does so to the one that it is about."""
        for flow in (packet.about,) if packet.about else (packet.flow, packet.flow_back):
            if flow in self._book and now - self._book[flow] <= REMEMBERED[packet.protocol]:
                self._book[flow] = now
                return True
        return False


def _fits(rule: Rule, source: ipaddress.IPv4Network | None, content: Arp | Packet, direction: str) -> bool:
    if rule.direction not in (direction, "both"):
        return False
    if isinstance(content, Arp):
        return rule.protocol == "arp" and (source is None or ipaddress.IPv4Address(content.sender) in source)
    if rule.protocol not in ("any", content.protocol):
        return False
    if rule.port is not None and rule.port != content.port:
        return False
    return source is None or ipaddress.IPv4Address(content.source) in source
