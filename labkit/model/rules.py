"""The rules of the house: the numbers by which a hypervisor shares its CPUs out.

Think of the card of rules on the wall of a sports hall: how long a team may play before the next
one gets the court, how long it takes to change teams, and how often the warden looks whether one
court has a longer queue than another. Another hall has another card; the game is the same. One
`Rules` object is one card, and the model reads nothing about a hypervisor except through it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["LINUX", "RULES", "Rules"]


@dataclass(frozen=True)
class Rules:
    """The numbers by which a hypervisor shares its CPUs out.

    Parameters
    ----------
    name : str
        What `labkit.simulated(rules=...)` calls them.
    title : str
        What a reader calls them, as in ``"Linux's rules"``.
    base_slice : float
        The shortest stretch in seconds that a vCPU is given before another's turn, on one CPU.
    tick : float
        The scheduler looks at the clock this often, in seconds; slices are whole ticks.
    switch_cost : float
        Seconds that a CPU loses each time it changes the vCPU it runs.
    lag_limit : float
        Wake-up placement: the most that a vCPU is owed, or owes, when it comes back from a sleep,
        in slices before they are rounded up to ticks; but never less than a tick. It keeps a sleeper
        from hoarding credit.
    run_to_parity : bool
        Whether a woken vCPU has to wait while the running one has not yet had its fair part.
    balance_interval : tuple of float
        A host whose CPUs are busy compares its run queues at intervals between these two, in
        seconds for each CPU of the host.
    imbalance : float
        How many times longer the other queue must be before a busy CPU takes from it.
    """

    name: str
    title: str
    base_slice: float
    tick: float
    switch_cost: float
    lag_limit: float
    run_to_parity: bool
    balance_interval: tuple[float, float]
    imbalance: float

    def slice(self, cpus: int) -> float:
        """The time slice in seconds on a host of `cpus` CPUs.

        Linux lengthens the base slice with the logarithm of the number of CPUs, counted up to 8,
        and looks whether it is over at each tick; so it lasts a whole number of ticks.
        """
        return math.ceil(self._asked(cpus) / self.tick - 1e-9) * self.tick

    def most_lag(self, cpus: int) -> float:
        """The most CPU seconds that a vCPU is owed, or owes, when it comes back, on a host of `cpus` CPUs."""
        return max(self.lag_limit * self._asked(cpus), self.tick)

    def _asked(self, cpus: int) -> float:
        """The slice that the scheduler has in mind, before it waits for a tick to see that it is over."""
        return self.base_slice * (1 + int(math.log2(min(cpus, 8))))


# Which Linux: 6.6 and later, whose fair scheduler is EEVDF. Older kernels, among them Debian 12's own (6.1), have
# CFS, which is another set of rules; a live host that runs one shares by the same weights, in other slices.
#
# Where the numbers come from (files under kernel/sched/):
# - base_slice: fair.c, sysctl_sched_base_slice, "0.70 msec * (1 + ilog(ncpus))", ncpus counted up to 8
#   (get_update_sysctl_factor). The first kernels with EEVDF have 0.75 ms.
# - tick: CONFIG_HZ=250, the default of kernel/Kconfig.hz. Without HRTICK (off by default) a slice is seen to be over
#   only at a tick, so 0.7 ms to 2.8 ms all last 4 ms. Kernels with CONFIG_HZ=1000 switch more often. A departure:
#   Linux still sets deadlines 0.7 ms to 2.8 ms ahead, the model the 4 ms that the slice lasts. So where weights
#   differ, those who are due may come in another order; what each gets in the end is the same.
# - switch_cost: a round figure, not Linux's own. Direct costs of a few microseconds are usual; Li, Ding and Shen,
#   "Quantifying the cost of context switch" (ExpCS 2007), show how far caches can push it up. That part is left out.
# - lag_limit: fair.c, update_entity_lag: "max_t(u64, 2*se->slice, TICK_NSEC)", with the slice of 0.7 ms to 2.8 ms:
#   4 ms to 5.6 ms. Later kernels take the longest slice in the queue and a tick instead, 4.7 ms to 6.8 ms.
# - run_to_parity: features.h, RUN_TO_PARITY, on. Later kernels protect the one that runs for a slice at most.
# - balance_interval: topology.c, sd_init: min_interval = sd_weight (1 ms a CPU), max_interval = twice that,
#   busy_factor = 16. Linux moves between the two as it finds balance or not; the model draws from its seed.
# - imbalance: topology.c, sd_init: imbalance_pct = 117.
LINUX = Rules(
    name="kvm",
    title="Linux's rules",
    base_slice=0.0007,
    tick=0.004,
    switch_cost=4e-6,
    lag_limit=2.0,
    run_to_parity=True,
    balance_interval=(0.016, 0.032),
    imbalance=1.17,
)
"""The rules of KVM, which are Linux's own: to Linux a vCPU is a thread like any other."""

RULES = {rules.name: rules for rules in (LINUX,)}
"""All rules there are, by name."""
