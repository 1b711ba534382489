"""What is asked for a port, made sure of: the same words and the same refusals on both hosts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import get_args

from labkit.host.networks import Action, Direction, Port, Rule, Shape

__all__ = ["MOST_SENDERS", "MOST_VLAN", "checked_name", "checked_port", "checked_rules", "checked_senders"]

MOST_VLAN = 4094
"""VLANs are numbered from 1 to 4094 (IEEE 802.1Q: twelve bits, of which 0 and 4095 have another meaning)."""

MOST_SENDERS = 16
"""So many machines may send to one at the same time."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}", re.ASCII | re.IGNORECASE)


def checked_name(name: object) -> str:
    """A network's name.

    Raises
    ------
    ValueError
        Where it is none.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("a name is a letter, then letters, digits and hyphens, 20 characters at most")
    return name


def _vlan(number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST_VLAN:
        raise ValueError(f"a VLAN is a whole number from 1 to {MOST_VLAN}, not {number!r:.40}")
    return number


def _address(text: object, with_length: bool) -> str:
    try:
        if not isinstance(text, str):
            raise ValueError
        return str(ipaddress.IPv4Interface(text)) if with_length else str(ipaddress.IPv4Network(text))
    except ValueError:
        example = "10.0.0.5/24" if with_length else "10.0.0.5 or 10.0.0.0/24"
        raise ValueError(f"an address is one like {example}, not {text!r:.40}") from None


def checked_rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules, each of which can be.

    Raises
    ------
    ValueError
        At the first that cannot.
    """
    checked = tuple(rules)
    for rule in checked:
        if not isinstance(rule, Rule):
            raise ValueError(f"rules are made with Rule, not {rule!r:.40}")
        if rule.action not in get_args(Action) or rule.direction not in get_args(Direction):
            raise ValueError(f"a rule accepts, drops or rejects what goes in, out or both, not {rule!r:.80}")
        if rule.protocol not in ("any", "icmp", "tcp", "udp", "arp"):
            raise ValueError(f"a rule's protocol is any, icmp, tcp, udp or arp, not {rule.protocol!r:.40}")
        if rule.port is not None:
            if rule.protocol not in ("tcp", "udp"):
                raise ValueError("only tcp and udp have ports")
            if isinstance(rule.port, bool) or not isinstance(rule.port, int) or not 1 <= rule.port <= 65535:
                raise ValueError(f"a rule's port is a whole number from 1 to 65535, not {rule.port!r:.40}")
        if rule.source:
            _address(rule.source, with_length=False)
    return checked


def _shape(shape: object) -> Shape | None:
    if shape is None:
        return None
    if not isinstance(shape, Shape):
        raise ValueError(f"a shape is made with Shape, not {shape!r:.40}")
    if not shape.average > 0 or not shape.burst > 0 or (shape.peak is not None and not shape.peak > shape.average):
        raise ValueError("a shape has average > 0, burst > 0, and a peak above its average or none")
    return shape


def checked_port(
    network: str,
    *,
    vlan: int | None = None,
    trunk: Iterable[int] = (),
    address: str = "",
    rules: Iterable[Rule] = (),
    shape: Shape | None = None,
    spoof: bool = True,
) -> Port:
    """The port that `labkit.host.networks.Network.port` gives.

    Raises
    ------
    ValueError
        Where something is outside its range, or cannot be together.
    """
    trunk = tuple(dict.fromkeys(map(_vlan, trunk)))
    if vlan is not None and trunk:
        raise ValueError("a port is of one VLAN, or a trunk of several; not both")
    return Port(
        network,
        None if vlan is None else _vlan(vlan),
        trunk,
        _address(address, with_length=True) if address else "",
        checked_rules(rules),
        _shape(shape),
        bool(spoof),
    )


def checked_senders(sender: str | Sequence[str]) -> list[str]:
    """Who is to send at the same time, in order.

    Raises
    ------
    ValueError
        Where there is nobody, one is named twice, or they are more than `MOST_SENDERS`.
    """
    names = [sender] if isinstance(sender, str) else list(sender)
    if not 0 < len(names) <= MOST_SENDERS or len(set(names)) < len(names):
        raise ValueError(f"name from 1 to {MOST_SENDERS} senders, each once")
    return names
