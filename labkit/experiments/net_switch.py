"""Who sees a frame that is meant for somebody else?

All machines are plugged into one switch. The first, `m1`, pings the second, `m2`, three times over: when it has to ask
for its hardware address first; when it knows that, and the switch has forgotten where everybody is; and when the switch
knows it too.

Settings
--------
machines : how many machines are plugged in, `m1`, `m2`, ...
pings : how many pings `m1` sends the third time; the other times it is one

Quantities
----------
frames_asking : frames of `m1` that a machine's card sees while it asks for the address and pings once; of `m1` itself
    those that it sends. Counted are its echo requests and its ARP requests. Others send frames too, which are not
    counted.
frames_before : the same for one ping, with the address known and the switch's table empty: before it has learnt.
frames_after : the same for the pings after that: the switch has learnt where `m2` is, from its answer.

Theory is about sets: who is at the other end of a port that a frame leaves by. A question to all goes to all. A frame
to somebody of whom the switch has not heard goes to all too (it is *flooded*). One to somebody of whom it has heard
goes there alone. As `m2` answers the question, a switch has heard of it by the time of the ping that follows.

Simulated is a switch that gets frames one by one (`labkit.model.net.switch`), live is what tcpdump sees at each
machine's cable.

Bound between live and simulated
--------------------------------
0 for all: they are counts. Written before the experiment first ran live. They presume that a ping is answered within
five seconds, as it is on any machine: after that Linux would ask again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labkit.experiments.following import one_after_the_other
from labkit.experiments.needs import ask
from labkit.experiments.settings import integer
from labkit.host import Host, HostError, Observation
from labkit.host.networks import Networked

__all__ = [
    "BOUNDS",
    "HEADLINE",
    "LABELS",
    "LESSON",
    "NAME",
    "NEEDS",
    "QUANTITIES",
    "QUESTION",
    "Settings",
    "bounds",
    "machines",
    "run",
    "theory",
]

NAME = "net-switch"
QUESTION = "Who sees a frame that is meant for somebody else?"
LESSON = "06"
NEEDS = ("networks",)
QUANTITIES = {"frames_asking": "1", "frames_before": "1", "frames_after": "1"}
LABELS = {
    "frames_asking": ("Frames seen, asking for the address", "Who hears the question, and who the ping?", "frames"),
    "frames_before": (
        "Frames seen, before the switch has learnt",
        "A bystander's bar: a frame that is flooded.",
        "frames",
    ),
    "frames_after": ("Frames seen, after it has learnt", "No bar for bystanders: the switch knows the way.", "frames"),
}
HEADLINE = "frames_before"
BOUNDS = dict.fromkeys(QUANTITIES, 0.0)


@dataclass(frozen=True)
class Settings:
    """How many machines, and how many pings."""

    machines: int = integer(3, minimum=2, maximum=16, unit="", about="machines that are plugged into the switch")
    pings: int = integer(3, minimum=1, maximum=20, unit="", about="pings after the switch has learnt")


def _names(settings: Settings) -> list[str]:
    return [f"m{number}" for number in range(1, settings.machines + 1)]


def bounds(settings: Settings) -> dict[str, float]:
    """How far live may be from simulated, by quantity: not at all."""
    return dict(BOUNDS)


def machines(settings: Settings) -> int:
    """How many machines there are."""
    return settings.machines


def theory(settings: Settings, weights: Mapping[str, float] | None = None) -> dict[tuple[str, str], float]:
    """Who sees each frame, from where it goes.

    Parameters
    ----------
    settings : Settings
        The experiment's.
    weights : mapping of str to float, optional
        Not used.

    Returns
    -------
    dict of (machine, quantity) to float
        Frames.

    References
    ----------
    IEEE 802.1D-2004, 7.7 (forwarding: filtered where the address is known, to all ports where it is not) and 7.8
    (learning from the source address); RFC 826 (the question is a broadcast, the answer is not).
    """
    everyone = set(_names(settings))
    there = {"m1", "m2"}  # who sends it, and whom it is for
    passing = {
        "frames_asking": [everyone, there],
        "frames_before": [everyone],
        "frames_after": [there] * settings.pings,
    }
    return {
        (name, quantity): float(sum(name in seen for seen in frames))
        for name in _names(settings)
        for quantity, frames in passing.items()
    }


def run(host: Host, settings: Settings) -> Observation:
    """Ping in a switch that knows nothing, and in one that has learnt, on either host."""
    ask(host, *NEEDS)
    if not isinstance(host, Networked):
        raise HostError("This host has no networks.", "Use labkit.simulated() or labkit.live(networks=True).")
    lan = host.network("lan")
    made = []
    try:
        for name in _names(settings):
            made.append(host.create(name, nics=[lan.port()]))
        lan.forget()
        seen = {"frames_asking": host.capture("m1", "m2", known=False)}
        lan.forget()
        seen["frames_before"] = host.capture("m1", "m2")
        seen["frames_after"] = host.capture("m1", "m2", settings.pings)
    finally:
        for machine in made:
            machine.stop()
        lan.remove()
    return one_after_the_other(seen)
