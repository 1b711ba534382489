"""A doorkeeper's list as libvirt's nwfilter has it; the format is https://libvirt.org/formatnwfilter.html.

Where books are kept, the first rule lets through whatever belongs to something that was let through before (the
kernel's conntrack), and all others look only at what begins something new. Where none are kept, the rules become ones
of ebtables, which looks at each frame by itself.

A rule that rejects is as silent here as one that drops. What iptables would answer it has no way to send, as a port's
little bridge has no address and its namespace no route to the guests; and for ebtables libvirt makes a drop of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from labkit.host.networks import Rule

__all__ = ["describe"]

FIRST = 100  # the priority of the first rule; those of libvirt go from -1000 to 1000, and the lower comes first
_ELEMENTS = {"any": "all", "icmp": "icmp", "tcp": "tcp", "udp": "udp", "arp": "arp"}


def _rule(parent: Element, action: str, direction: str, priority: int, element: str, **what: str) -> None:
    made = SubElement(parent, "rule", action=action, direction=direction, priority=str(priority))
    SubElement(made, element, what)


def _matched(rule: Rule, stateful: bool) -> tuple[str, dict[str, str]]:
    """What a rule looks at: nwfilter's element, and its attributes."""
    arp = rule.protocol == "arp"
    element, what = _ELEMENTS[rule.protocol], {}
    if stateful and not arp:
        what["state"] = "NEW"
    elif not arp:
        element = "ip"
        what = {} if rule.protocol == "any" else {"protocol": rule.protocol}
    if rule.port is not None:
        what["dstportstart"] = str(rule.port)
    if rule.source:
        network = ipaddress.IPv4Network(rule.source)
        address, mask = ("arpsrcipaddr", "arpsrcipmask") if arp else ("srcipaddr", "srcipmask")
        what |= {address: str(network.network_address), mask: str(network.prefixlen)}
    return element, what


def describe(name: str, rules: Sequence[Rule], *, stateful: bool = True, own: str = "") -> list[str]:
    """The filters of a port, in the order in which libvirt has to know them; the last is the port's.

    Parameters
    ----------
    name : str
        What the port's filter is called.
    rules : sequence of Rule
        In order.
    stateful : bool
        Whether books are kept.
    own : str
        The only address that the machine may send with; empty where it may send with any.
    """
    before: list[Element] = []
    made = Element("filter", name=name, chain="root")
    if own:
        for chain, element, its in (
            ("ipv4", "ip", {"srcipaddr": own}),
            ("arp", "arp", {"arpsrcipaddr": own, "arpsrcmacaddr": "$MAC"}),
        ):
            guard = Element("filter", name=f"{name}-{chain}", chain=chain)
            for attribute, value in its.items():  # one rule each: of two attributes in one, both would have to differ
                _rule(guard, "drop", "out", 500, element, match="no", **{attribute: value})
            before.append(guard)
            SubElement(made, "filterref", filter=f"{name}-{chain}")
        _rule(made, "drop", "out", -900, "mac", match="no", srcmacaddr="$MAC")
    if stateful and any(rule.protocol != "arp" for rule in rules):
        for direction in ("in", "out"):
            _rule(made, "accept", direction, FIRST - 1, "all", state="ESTABLISHED,RELATED")
    for place, rule in enumerate(rules):
        element, what = _matched(rule, stateful)
        for direction in ("in", "out") if rule.direction == "both" else (rule.direction,):
            _rule(made, rule.action, direction, FIRST + place, element, **what)
    return [ElementTree.tostring(each, encoding="unicode") for each in (*before, made)]
