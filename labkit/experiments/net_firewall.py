"""Who gets through a firewall, with what, and in which order are its rules read?

A server, `m2`, has a list of rules at its port. Two others are in the same network: `m1`, whom nobody knows, and `m3`,
a friend. `m1` and `m3` try to reach `m2`, and `m2` tries to reach `m1`, by ping, by TCP and by UDP; at each port that
is tried somebody listens. At the end `m1` sends `m2` a ping that gives the address of `m3` for its own.

Settings
--------
rules : the list, in order, with commas between, as ``accept tcp 80, drop tcp, accept icmp from m3``
    (`labkit.experiments.wall` has all of it). The first that fits decides; what none fits is let through. Ports go up
    to 32767, as those above belong to who asks. ``from`` may be followed by m1, m2, m3, or an address: they have
    10.0.0.1, 10.0.0.2 and 10.0.0.3
state : ``yes``: the answer to what was let through is let through too; ``no``: an answer has to pass the rules as
    everything else does
spoof : ``allowed``: `m1` may send with any address; ``stopped``: its port throws away what has another than its own

Quantities
----------
icmp, tcp_80, tcp_22, udp_53 : of each pair ``m1>m2``, ``m3>m2`` and ``m2>m1``: 1 where the first reaches the second,
    and the answer comes back; else 0.
spoofed : of ``m1>m2``: 1 where the ping with another's address arrives; its answer goes to the other.

Theory is about sets: of all kinds of packets, the first rule takes those that fit it, the second those that fit it of
what is left, and so on; what is left at the end passes. A pair reaches the other where both the question and the
answer are in the set that passes; with state the answer is where the question is.

Simulated are packets that meet a doorkeeper one by one (`labkit.model.net.doorkeeper`), live is libvirt's nwfilter.
Whether somebody is refused or hears nothing is all one to these quantities; live nobody is told
(`labkit.live.net.filters`).

Bound between live and simulated
--------------------------------
0 for all: they are 0 or 1. Written before the experiment first ran live.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labkit.experiments import wall
from labkit.experiments.following import one_after_the_other
from labkit.experiments.needs import ask
from labkit.experiments.settings import SettingError, choice, words
from labkit.host import Host, HostError, Observation
from labkit.host.networks import Networked, Reaching, Rule

__all__ = [
    "BOUNDS",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "ROWS",
    "Settings",
    "bounds",
    "machines",
    "run",
    "theory",
]

NAME = "net-firewall"
QUESTION = "Who gets through a firewall, with what, and in which order are its rules read?"
LESSON = "06"
NEEDS = ("networks", "firewall")
ROWS = "pair"
PROBES: dict[str, tuple[Reaching, int | None]] = {
    "icmp": ("icmp", None),
    "tcp_80": ("tcp", 80),
    "tcp_22": ("tcp", 22),
    "udp_53": ("udp", 53),
}
QUANTITIES = {**dict.fromkeys(PROBES, "1"), "spoofed": "1"}
LABELS = {
    "icmp": ("Ping", "Whom does a ping reach?", "1 or 0"),
    "tcp_80": ("TCP port 80, the web", "Who gets a connection to the web server?", "1 or 0"),
    "tcp_22": ("TCP port 22, remote shell", "Who may log in?", "1 or 0"),
    "udp_53": ("UDP port 53, names", "Who gets an answer about a name?", "1 or 0"),
    "spoofed": (
        "A ping with the address of m3",
        "Is a firewall that looks at addresses fooled by a false one?",
        "1 or 0",
    ),
}
HEADLINE = "tcp_80"
BOUNDS = dict.fromkeys(QUANTITIES, 0.0)

ADDRESSES = {"m1": "10.0.0.1", "m2": "10.0.0.2", "m3": "10.0.0.3"}
PAIRS = (("m1", "m2"), ("m3", "m2"), ("m2", "m1"))
HIGHEST = 32767
"""From 32768 on a Linux takes the port that a question comes from (net.ipv4.ip_local_port_range)."""
OWN = 0
"""Stands for such a port; no rule can have it."""


@dataclass(frozen=True)
class Settings:
    """The rules, and who keeps books."""

    rules: tuple[str, ...] = words(
        ("accept tcp 80", "drop tcp", "accept icmp from m3", "drop icmp"),
        read=wall.read,
        longest=wall.MOST_RULES,
        unit="",
        about="the server's rules in order, such as accept tcp 80, drop tcp, accept icmp from m3",
    )
    state: str = choice("yes", ("yes", "no"), about="whether answers to what was let through pass")
    spoof: str = choice("allowed", ("allowed", "stopped"), about="whether m1 may send with another's address")

    def check(self) -> None:
        """Make sure that no rule is about ports that questions come from.

        Raises
        ------
        SettingError
            Where one is.
        """
        for rule in self.in_order():
            if (rule.port or 0) > HIGHEST:
                raise SettingError(f"a port of rules is {HIGHEST} at the most here, not {rule.port}.")

    def in_order(self) -> tuple[Rule, ...]:
        """The rules, each with an address for a name."""
        return wall.rules_of(self.rules, ADDRESSES)


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity: not at all."""
    return dict(BOUNDS)


def machines(_settings: Settings) -> int:
    """How many machines there are."""
    return len(ADDRESSES)


_Kind = tuple[
    str, str, int | None, str
]  # of a packet at the port of m2: direction, protocol, to which port, from where


def _passing(rules: Iterable[Rule], kinds: set[_Kind]) -> set[_Kind]:
    """Which kinds of packets pass a list of rules."""
    left, passed = set(kinds), set()
    for rule in rules:
        where = ipaddress.IPv4Network(rule.source or "0.0.0.0/0")
        fit = {
            (direction, protocol, port, source)
            for direction, protocol, port, source in left
            if rule.direction in (direction, "both")
            and rule.protocol in (protocol, "any")
            and rule.port in (port, None)
            and ipaddress.IPv4Address(source) in where
        }
        left -= fit
        if rule.action == "accept":
            passed |= fit
    return passed | left


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float]:
    """Who gets through, from which packets the rules take one after the other.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used.

    Returns
    -------
    dict of (machine, quantity) to float
        1 or 0.

    References
    ----------
    libvirt, formatnwfilter ("Filter rules": priorities and actions); netfilter's conntrack, RFC 2979 ("Behavior of and
    Requirements for Internet Firewalls"); RFC 2827 on source addresses that are not the sender's.
    """
    asked: dict[tuple[str, str], tuple[_Kind, _Kind]] = {}  # the question and the answer, as they pass the port of m2
    for sender, target in PAIRS:
        for name, (protocol, port) in PROBES.items():
            own = None if port is None else OWN
            there, back = ("in", "out") if target == "m2" else ("out", "in")
            question = there, protocol, port, ADDRESSES[sender]
            asked[f"{sender}>{target}", name] = question, (back, protocol, own, ADDRESSES[target])
    false = "in", "icmp", None, ADDRESSES["m3"]
    passing = _passing(settings.in_order(), {kind for both in asked.values() for kind in both} | {false})
    found = {
        key: float(question in passing and (settings.state == "yes" or answer in passing))
        for key, (question, answer) in asked.items()
    }
    found["m1>m2", "spoofed"] = float(false in passing and settings.spoof == "allowed")
    return found


def run(host: Host, settings: Settings) -> Observation:
    """Try all of it, on either host."""
    ask(host, *NEEDS)
    if not isinstance(host, Networked):
        raise HostError("This host has no networks.", "Use labkit.simulated() or labkit.live(networks=True).")
    lan = host.network("lan", stateful=settings.state == "yes")
    made = []
    try:
        for name, address in ADDRESSES.items():
            rules = settings.in_order() if name == "m2" else ()
            spoof = settings.spoof == "allowed" or name != "m1"
            made.append(host.create(name, nics=[lan.port(address=f"{address}/24", rules=rules, spoof=spoof)]))
        seen = {name: host.reach(PAIRS, protocol, port) for name, (protocol, port) in PROBES.items()}
        # The last one, since a false address may confuse who was who.
        seen["spoofed"] = host.reach([("m1", "m2")], "icmp", claim=ADDRESSES["m3"])
    finally:
        for machine in made:
            machine.stop()
        lan.remove()
    return one_after_the_other(seen)
