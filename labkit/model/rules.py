"""The rules of the house: the numbers by which a hypervisor shares its CPUs out.

Think of the card of rules on the wall of a sports hall: how long a team may play before the next
one gets the court, how long it takes to change teams, and how often the warden looks whether one
court has a longer queue than another. Another hall has another card; the game is the same. One
`Rules` object is one card, and the model reads nothing about a hypervisor except through it.

Two games are known. Linux's goes by clocks (`Rules`, played by `labkit.model.cpu`), Xen's by an allowance of
credit (`CreditRules`, played by `labkit.model.credit`). A card says itself by which game it is played, so
nothing else in the model asks whose card it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labkit.model.bandwidth import Bandwidth
    from labkit.model.cpu import Cpu
    from labkit.model.parking import Parking

__all__ = ["LINUX", "RULES", "XEN", "CreditRules", "Rules"]


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

    def cpu_class(self) -> type[Cpu]:
        """The class of CPU that plays by these numbers: the earliest eligible virtual deadline goes first."""
        from labkit.model.cpu import Cpu

        return Cpu

    def cap_class(self) -> type[Bandwidth]:
        """The class that keeps the caps: a purse for each vCPU, filled anew every period."""
        from labkit.model.bandwidth import Bandwidth

        return Bandwidth

    def _asked(self, cpus: int) -> float:
        """The slice that the scheduler has in mind, before it waits for a tick to see that it is over."""
        return self.base_slice * (1 + int(math.log2(min(cpus, 8))))


@dataclass(frozen=True)
class CreditRules:
    """The numbers by which a hypervisor shares its CPUs out where it hands out credit.

    Parameters
    ----------
    name : str
        What `labkit.simulated(rules=...)` calls them.
    title : str
        What a reader calls them, as in ``"Xen's rules"``.
    time_slice : float
        A vCPU runs for so many seconds before the next one of its priority has its turn.
    tick : float
        So often, in seconds, what the running vCPU has used is taken off its credit, and a boost ends.
    ticks_per_accounting : int
        Credit is handed out, and who is under or over it decided, once in so many ticks.
    credits_per_second : float
        What a second on a CPU costs; and what each CPU of the host gives out in a second.
    rate_limit : float
        A vCPU that has just begun to run is left alone for so many seconds, whoever wakes up.
    switch_cost : float
        Seconds that a CPU loses each time it changes the vCPU it runs.
    """

    name: str
    title: str
    time_slice: float
    tick: float
    ticks_per_accounting: int
    credits_per_second: float
    rate_limit: float
    switch_cost: float

    @property
    def credits_per_accounting(self) -> float:
        """What one CPU gives out each time; also the most that a vCPU may save, and the most it may owe."""
        return self.credits_per_second * self.tick * self.ticks_per_accounting

    def slice(self, cpus: int) -> float:
        """The time slice in seconds on a host of `cpus` CPUs; Xen's does not depend on them."""
        return self.time_slice

    def most_lag(self, cpus: int) -> float:
        """The most CPU seconds that a vCPU saves up, or owes: what one accounting gives out for a CPU."""
        return self.credits_per_accounting / self.credits_per_second

    def cpu_class(self) -> type[Cpu]:
        """The class of CPU that plays by these numbers: who has credit left goes before who has not."""
        from labkit.model.credit import CreditCpu

        return CreditCpu

    def cap_class(self) -> type[Parking]:
        """The class that keeps the caps: who has overspent is parked until the debt is paid."""
        from labkit.model.parking import Parking

        return Parking


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

# Which Xen: its first credit scheduler ("credit", also called credit1), which was the default for many years and is
# still there (boot it with sched=credit). The default is credit2 now, another set of rules. `labkit.model.credit` plays
# this one.
#
# Where the numbers come from (files of Xen; looked up in xen-project/xen, commit 0e60f1d9):
# - time_slice: xen/common/sched/credit.c, CSCHED_DEFAULT_TSLICE_MS 30.
# - tick: the slice by CSCHED_TICKS_PER_TSLICE 3, so 10 ms (__csched_set_tslice).
# - ticks_per_accounting: csched_acct sets its timer to one time slice each time, so 3 ticks.
# - credits_per_second: CSCHED_CREDITS_PER_MSEC 10: 100 credits a tick, 300 an accounting and CPU.
# - rate_limit: SCHED_DEFAULT_RATELIMIT_US 1000, in xen/common/sched/private.h (sched-if.h before 4.14).
# - switch_cost: not Xen's own; the same round figure as for Linux, so that rules are compared and not machines.
#
# A weight is CSCHED_DEFAULT_WEIGHT 256 where nothing is said, and may be 1 to 65535 (Xen's wiki, "Credit Scheduler");
# here it is a machine's `shares`, and the model takes any that the protocol allows.
XEN = CreditRules(
    name="xen",
    title="Xen's rules",
    time_slice=0.030,
    tick=0.010,
    ticks_per_accounting=3,
    credits_per_second=10_000.0,
    rate_limit=0.001,
    switch_cost=4e-6,
)
"""The rules of Xen's credit scheduler."""

RULES: dict[str, Rules | CreditRules] = {rules.name: rules for rules in (LINUX, XEN)}
"""All rules there are, by name."""
