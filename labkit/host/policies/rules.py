"""The rules of four ways to share memory out; each constant with its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.host.policies.pouring import shared
from labkit.host.policies.seen import Policy, Seen
from labkit.host.policies.tax import taxed

__all__ = ["DYNAMIC", "ESXI", "HYPER_V", "POLICIES", "STATIC", "Dynamic", "Esxi", "HyperV", "Static"]


def _clamped(value: float, machine: Seen) -> float:
    return min(max(value, machine.minimum), machine.promised)


@dataclass(frozen=True)
class Static:
    """A fixed part for each, in proportion to what was promised; nobody looks at what is used."""

    name: str = "static"
    title: str = "fixed parts"

    def targets(self, seen: Sequence[Seen], host: float) -> list[float]:
        """See `labkit.host.policies.Policy.targets`."""
        promised = [machine.promised for machine in seen]
        return shared(promised, [machine.minimum for machine in seen], promised, host)


@dataclass(frozen=True)
class Dynamic:
    """Ours: what a machine uses, and some to spare; where there is not enough, by weight.

    Parameters
    ----------
    margin : float
        How much to spare, as a part of what was promised. Our own choice: at every look a machine that has taken all
        that it has can grow by as much.
    """

    margin: float = 0.1
    name: str = "dynamic"
    title: str = "what is used, and some to spare"

    def targets(self, seen: Sequence[Seen], host: float) -> list[float]:
        """See `labkit.host.policies.Policy.targets`."""
        wishes = [_clamped(machine.used + self.margin * machine.promised, machine) for machine in seen]
        return _by_weight(wishes, seen, host)


@dataclass(frozen=True)
class HyperV:
    """Hyper-V's dynamic memory: what is committed, and a buffer.

    Parameters
    ----------
    buffer : float
        How much more than is needed a machine is given, as a part of that.
    buffers : tuple of float
        The least and the most that can be set: 5 to 2000%.
    startup : float
        What a machine starts with, in MiB, whatever its programs want, until its guest reports. Never less than its
        minimum, and that where nothing is set.

    Notes
    -----
    How it shares out by memory weight where memory is short is not published. Here buffers go first; then each gets its
    minimum, and of the rest in proportion to its weight, never more than is committed. How fast it takes memory away is
    not published either, and is left out.

    References
    ----------
    Microsoft Learn, "Hyper-V Dynamic Memory Overview", table of settings: buffer = what the machine actually needs ×
    (memory buffer / 100), needs by what is committed; 1,000 MB and 20% give 1,200 MB; minimum and maximum RAM; no
    buffer is kept where memory is short. `Set-VMMemory`, parameter ``-Buffer``: "Allowed values range from 5 to 2000".
    20% is the number of that page's example; that it is also the default is told by books, not by the page.
    ``-StartupBytes``: "Specifies the initial amount of memory to be assigned to a virtual machine with dynamic memory
    enabled". That this is more than the minimum, as a system needs more while it starts than afterwards: Microsoft's
    private cloud blog, "How to handle deployment of large memory virtual machines using Dynamic Memory feature in
    Windows Server 2012 Hyper-V", 20 June 2013.
    """

    buffer: float = 0.20
    buffers: tuple[float, float] = (0.05, 20.0)
    startup: float = 0.0
    name: str = "hyper-v"
    title: str = "Hyper-V's dynamic memory"

    def __post_init__(self) -> None:
        least, most = self.buffers
        if not least <= self.buffer <= most:
            raise ValueError(f"a memory buffer is from {least:.0%} to {most:.0%}, not {self.buffer:.0%}")

    def target(self, committed: float, minimum: float, maximum: float) -> float:
        """What a machine is given where there is enough, in MiB: committed × (1 + buffer), within its limits."""
        return min(max(committed * (1 + self.buffer), minimum), maximum)

    def targets(self, seen: Sequence[Seen], host: float) -> list[float]:
        """See `labkit.host.policies.Policy.targets`."""
        needs = [_clamped(machine.committed if machine.reported else self.startup, machine) for machine in seen]
        wishes = [
            self.target(machine.committed, machine.minimum, machine.promised) if machine.reported else start
            for machine, start in zip(seen, needs, strict=True)
        ]
        if sum(needs) > host:
            return _by_weight(needs, seen, host)
        return shared(wishes, needs, [machine.weight for machine in seen], host)


@dataclass(frozen=True)
class Esxi:
    """ESX: proportional shares, adjusted by the idle memory tax; all that was promised where there is enough.

    Parameters
    ----------
    tax : float
        The idle memory tax. 75% by default: the paper's section 5.2.
    states : tuple of (str, float)
        The states of a host, and which part of its memory is free in each at least: in ``high`` it takes nothing back,
        in ``soft`` it balloons, in ``hard`` it swaps, in ``low`` it swaps and holds up machines that have more than
        they should. 6, 4, 2 and 1%: section 6.3, as its readers tell it.
    samples : int
        How many pages are watched to estimate what a machine touches; 100 in each period: section 5.3.
    period : float
        How long they are watched, in s; 30: section 5.3.

    Notes
    -----
    The paper smooths the estimates with a slow and a fast moving average and takes the larger; how fast they are it
    does not say, so that is left out.

    References
    ----------
    C. A. Waldspurger, "Memory Resource Management in VMware ESX Server", OSDI 2002.
    """

    tax: float = 0.75
    states: tuple[tuple[str, float], ...] = (("high", 0.06), ("soft", 0.04), ("hard", 0.02), ("low", 0.01))
    samples: int = 100
    period: float = 30.0
    name: str = "esxi"
    title: str = "ESX's shares and idle memory tax"

    def targets(self, seen: Sequence[Seen], host: float) -> list[float]:
        """See `labkit.host.policies.Policy.targets`."""
        promised, minima = [machine.promised for machine in seen], [machine.minimum for machine in seen]
        # What is kept free is given up before a minimum is.
        total = max(host * (1 - self.states[0][1]), min(sum(minima), host))
        if sum(promised) <= total:
            return promised
        weights, active = [machine.weight for machine in seen], [machine.active for machine in seen]
        return taxed(weights, active, minima, promised, self.tax, total)

    def state(self, free: float, before: str = "high") -> str:
        """The state of a host that has so much of its memory free, and so what it does about it.

        Parameters
        ----------
        free : float
            The part that is free, from 0 to 1.
        before : str
            The state it was in. It goes back to a better one only where the threshold of that one is passed, so that it
            does not go to and fro.
        """
        names = [name for name, _least in self.states]
        place = names.index(before)
        while place < len(names) - 1 and free < self.states[place + 1][1]:
            place += 1
        while place > 0 and free >= self.states[place - 1][1]:
            place -= 1
        return names[place]


def _by_weight(wishes: Sequence[float], seen: Sequence[Seen], host: float) -> list[float]:
    return shared(wishes, [machine.minimum for machine in seen], [machine.weight for machine in seen], host)


STATIC = Static()
DYNAMIC = Dynamic()
HYPER_V = HyperV()
ESXI = Esxi()

POLICIES: dict[str, Policy] = {policy.name: policy for policy in (STATIC, DYNAMIC, HYPER_V, ESXI)}
"""All policies, by name."""
