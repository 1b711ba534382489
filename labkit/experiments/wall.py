"""A firewall's rules in words, as a person writes them down: one after the other, with commas between.

``accept tcp 80``
    an action (accept, drop or reject), then what it is about: any, icmp, tcp or udp, and for tcp and udp perhaps a port
``accept icmp from m3``
    only what comes from there: a machine of the experiment, or an address or network as ``10.0.0.0/24``
``drop tcp out``
    what the machine sends; without a direction it is what comes to it, ``in``, and ``both`` is both

So ``accept tcp 80, drop tcp, accept icmp`` lets web requests and pings in, and no other TCP. The first that fits
decides, and what none fits is let through. The word ``none`` is a list without a rule.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from labkit.experiments.settings import SettingError
from labkit.host.networks import Action, Direction, Rule
from labkit.host.words import listed

__all__ = ["MOST_RULES", "NONE", "read", "rules_of"]

MOST_RULES = 32
NONE = "none"
_ACTIONS, _DIRECTIONS, _KINDS = get_args(Action), get_args(Direction), ("any", "icmp", "tcp", "udp")
_LIKE = "accept tcp 80, drop tcp, accept icmp from m3"
_MACHINES = ("m1", "m2", "m3")


_BEGINS = f"begins with {listed(_ACTIONS, 'or')}"


def read(value: Any, machines: Sequence[str] = _MACHINES) -> tuple[str, ...]:
    """Read the setting: each rule is a word of the answer, written in one way.

    Parameters
    ----------
    value : str or iterable of str
        As above.
    machines : sequence of str, optional
        The names that may stand behind ``from``; those of the experiment where none are given.

    Raises
    ------
    SettingError
        Where it is none, or there are too many.
    """
    words = value.split(",") if isinstance(value, str) else list(value) if isinstance(value, Iterable) else []
    if not words or not all(isinstance(word, str) for word in words):
        raise SettingError(f"rules looks like {_LIKE}, not {value!r:.60}.")
    if [word.strip() for word in words] == [NONE]:
        return (NONE,)
    if len(words) > MOST_RULES:
        raise SettingError(f"rules holds {MOST_RULES} rules at the most, not {len(words)}.")
    return tuple(_in_words(*_parts(word, machines)) for word in words)


def _parts(text: str, machines: Sequence[str]) -> tuple[str, str, int | None, str, str]:
    """Action, kind, port, direction and source of a rule."""
    words = text.lower().split()
    if not words:
        raise SettingError(f"Between two commas of rules stands nothing; a rule {_BEGINS}, as in {_LIKE!r}.")
    action, kind = (*words, "")[:2]
    if action not in _ACTIONS:
        raise SettingError(f"A rule {_BEGINS}, not {text.strip()!r:.60}.")
    if not kind:
        raise SettingError(f"After {action!r} say what: {listed(_KINDS, 'or')}, as in '{action} any'.")
    if kind not in _KINDS:
        raise SettingError(f"After {action!r} comes {listed(_KINDS, 'or')}, not {kind!r:.40}.")
    rest, port, direction, source = words[2:], None, "in", ""
    if rest and kind in ("tcp", "udp") and rest[0].isascii() and rest[0].isdigit():
        number = rest.pop(0)
        port = int(number) if len(number) <= 5 else 0
        if not 1 <= port <= 65535:
            raise SettingError(f"a port of rules is a whole number from 1 to 65535, not {number:.40}.")
    if rest and rest[0] in _DIRECTIONS:
        direction = rest.pop(0)
    if len(rest) == 2 and rest[0] == "from":
        source = _source(rest[1], machines)
        rest = []
    if rest:
        raise SettingError(f"rules does not know {' '.join(rest)!r:.60}; a rule looks like those of {_LIKE}.")
    return action, kind, port, direction, source


def _source(word: str, machines: Sequence[str]) -> str:
    if word in machines:
        return word
    try:
        return str(ipaddress.IPv4Network(word)).removesuffix("/32")
    except ValueError:
        raise SettingError(
            f"After 'from' comes {listed(machines, 'or')}, "
            f"or an address such as 10.0.0.1 or 10.0.0.0/24, not {word!r:.40}."
        ) from None


def _in_words(action: str, kind: str, port: int | None, direction: str, source: str) -> str:
    words = [action, kind, *([str(port)] if port else []), *([direction] if direction != "in" else [])]
    return " ".join([*words, *(["from", source] if source else [])])


def rules_of(words: Iterable[str], addresses: Mapping[str, str]) -> tuple[Rule, ...]:
    """The rules of a setting, in order.

    Parameters
    ----------
    words : iterable of str
        As `read` gives them.
    addresses : mapping of str to str
        The IPv4 address of each machine that may stand behind ``from``.
    """
    found = []
    for word in words:
        if word != NONE:
            action, kind, port, direction, source = _parts(word, tuple(addresses))
            found.append(Rule(action, direction, kind, port, addresses.get(source, source)))
    return tuple(found)
