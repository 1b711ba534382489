"""The book in which credit is handed out and taken off: Xen's accounting.

Picture the allowance of a large family. Every 30 ms the housekeeper hands out what all CPUs together can give, to
each by weight. What somebody uses is taken off to the fraction of a credit, and looked up every 10 ms. Who has
something left is *under* the allowance, who has spent too much is *over* it. Nobody saves up more than one CPU gives
out in 30 ms: who would, is struck off the list with half of it, until seen at work again; and old debts beyond that
are forgiven. With a *cap* one gets no more than that, and who has overspent it is *parked* until the debt is paid.

So it is in Xen (xen/common/sched/credit.c: `csched_tick`, `csched_unit_acct`, `csched_acct`; `burn_credits`), down to
the whole credits that are handed out, rounded up. Four things in it surprise:

- The weight is each vCPU's, not the machine's ("Make weight per-vcpu", `__csched_unit_acct_start`): a machine that
  works on two vCPUs weighs twice. To Linux's control groups it weighs the same (`labkit.model.vcpu`).
- Who is under and who is over is decided only every 30 ms; in between somebody under may spend what he has not.
- Who is heavy and has to wait for several turns of others would save more than is allowed, and loses half of it. So
  where several machines of very different weights spin on one CPU, the heavy ones get less than their part: at weights
  of 10:1:1 the first has 0.80 of the CPU, not 0.83; at 16:8:4:2:1 it has 0.37 in the first 9 s, not 0.52.
- Who has never been found running at a tick is on no list: such a one is handed nothing, and its debts count for
  nothing either. It is under, and boosted, for good.

Where the model departs: all CPUs tick at one moment, and where a tick and an accounting fall together, what was
used is taken off first. In Xen each CPU has its own timers, set anew from when they went off, so their order is left
to chance.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING

from simpy.events import Timeout

if TYPE_CHECKING:
    from simpy import Environment
    from simpy.events import Event

    from labkit.model.credit import CreditCpu
    from labkit.model.parking import Parking
    from labkit.model.rules import CreditRules
    from labkit.model.scheduler import Scheduler
    from labkit.model.vcpu import Group, VCpu

__all__ = ["Account", "Ledger", "Priority"]

# Credits below which a debt is no debt; far above what floats lose, far below a credit.
TINY = 1e-6


class Priority(IntEnum):
    """Who goes first; Xen's own numbers (CSCHED_PRI_TS_BOOST and its neighbours)."""

    BOOST = 0
    UNDER = -1
    OVER = -2
    IDLE = -64


class Account:
    """One vCPU's page in the ledger.

    Parameters
    ----------
    vcpu : VCpu
        Whose.

    Attributes
    ----------
    credit : float
        What it has left; below 0 what it owes.
    priority : Priority
        Its priority, as last decided.
    earning : bool
        Whether it is on the list of those who are handed credit.
    slept : float
        The seconds that it had slept when it last left a queue; where it has slept since, it wakes up.
    """

    __slots__ = ("credit", "earning", "priority", "slept", "vcpu")

    def __init__(self, vcpu: VCpu) -> None:
        self.vcpu = vcpu
        self.credit = 0.0
        self.priority = Priority.UNDER
        self.earning = False
        self.slept = -1.0  # a new one wakes up, too


class Ledger:
    """The accounts of all vCPUs of a host, and the clock by which they are kept.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    rules : CreditRules
        By which numbers credit is given and taken.
    scheduler : Scheduler
        Whose CPUs it looks at.

    Attributes
    ----------
    bias : int
        The CPU that work was last stolen from; the search goes on after it.
    parking : Parking or None
        Who keeps the capped ones from running while they owe credit; puts itself here.
    """

    def __init__(self, env: Environment, rules: CreditRules, scheduler: Scheduler) -> None:
        self.env = env
        self.rules = rules
        self.scheduler = scheduler
        self.bias = 0
        self.parking: Parking | None = None
        self._accounts: dict[VCpu, Account] = {}
        self._earning: dict[Group, list[Account]] = {}
        self._balance = 0.0
        self._overspent: list[Account] = []
        self._solvent: list[Account] = []
        self._ticks = 0
        self._ticking = False

    def account(self, vcpu: VCpu) -> Account:
        """The account of a vCPU; a new one is empty, and under."""
        found = self._accounts.get(vcpu)
        if found is None:
            found = self._accounts[vcpu] = Account(vcpu)
        return found

    def earn(self, account: Account) -> None:
        """Put a vCPU that was seen at work on the list of those who are handed credit."""
        account.earning = True
        self._earning.setdefault(account.vcpu.group, []).append(account)

    # -- the clock --------------------------------------------------------------------------------

    def wind(self) -> None:
        """See to it that the clock ticks: somebody is at work. An idle host, where nobody earns, needs no clock."""
        if not self._ticking:
            self._ticking = True
            self._ticks = math.floor(self.env.now / self.rules.tick + 1e-9)
            self._next()

    def _next(self) -> None:
        self._ticks += 1
        delay = self._ticks * self.rules.tick - self.env.now  # from the beginning of time, so that it does not drift
        Timeout(self.env, max(delay, 0.0)).callbacks.append(self._tick)

    def _tick(self, _event: Event) -> None:
        cpus: tuple[CreditCpu, ...] = self.scheduler.cpus
        for cpu in cpus:
            cpu.tick()
        if self._ticks % self.rules.ticks_per_accounting == 0:
            self._settle()
        for cpu in cpus:
            cpu.sort()
        self._enforce()
        self._ticking = bool(self._earning) or any(cpu.current is not None for cpu in cpus)
        if self._ticking:
            self._next()

    # -- the accounting ---------------------------------------------------------------------------

    def _settle(self) -> None:
        """Hand out credit to all who earn, by weight, and decide who is under and who is over."""
        heavy = sum(group.shares * len(members) for group, members in self._earning.items())
        total = self.rules.credits_per_accounting * len(self.scheduler.cpus) + max(-self._balance, 0.0)
        left, balance, short = heavy, 0.0, False
        for group, members in reversed(list(self._earning.items())):  # who came last is asked first
            weight = group.shares * len(members)
            left -= weight
            peak = self._peak(group, len(members), weight / heavy)
            fair = _whole(total * weight / heavy)
            if fair < peak:
                short = True
            else:
                if left:  # the others may have what this one may not take
                    total += _whole((fair - peak) * heavy / left)
                if short:  # somebody could have used more: next time this one is asked first, so that it is passed on
                    self._earning[group] = self._earning.pop(group)
                fair = peak
            each = _whole(fair / len(members))
            allowance = self._capped(group) / len(members)
            allowance = allowance if allowance == math.inf else _whole(allowance)
            balance += sum(self._pay(account, each, allowance) for account in list(members))
        self._balance = balance

    def _peak(self, group: Group, members: int, part: float) -> float:
        """The most credit that a machine, which is that part of the weight, is handed at once."""
        peak = self.rules.credits_per_accounting * members + _whole(max(-self._balance, 0.0) * part)
        return min(peak, self._capped(group))

    def _capped(self, group: Group) -> float:
        """The credit that a machine's cap allows it at once; infinite where none is kept by credit."""
        if self.parking is None or group.cap == math.inf:
            return math.inf
        return _whole(group.cap * self.rules.credits_per_accounting)

    def _pay(self, account: Account, credits: int, allowance: float) -> float:
        """Hand credit to one vCPU, which may owe no more than `allowance`, and return what it has then."""
        most = self.rules.credits_per_accounting
        account.credit += credits
        if account.credit < -TINY:
            account.priority = Priority.OVER
            if account.credit < -allowance - TINY:
                self._overspent.append(account)
            account.credit = max(account.credit, -most)
        else:
            account.priority = Priority.UNDER
            if allowance < math.inf:
                self._solvent.append(account)
            if account.credit > most + TINY:
                self._strike(account)
                account.credit = math.floor(account.credit / 2 + TINY)
        return account.credit

    def _enforce(self) -> None:
        """Park those of capped machines who have overspent, and let those go who owe nothing any more."""
        for account in self._overspent:
            self.parking.park(account.vcpu)
        for account in self._solvent:
            account.slept = account.vcpu.slept  # to be let go is not to wake up: it earns no boost
            self.parking.unpark(account.vcpu)
        self._overspent.clear()
        self._solvent.clear()

    def _strike(self, account: Account) -> None:
        """Take a vCPU off the list of those who earn."""
        account.earning = False
        members = self._earning[account.vcpu.group]
        members.remove(account)
        if not members:
            del self._earning[account.vcpu.group]


def _whole(credits: float) -> int:
    """Credits are handed out whole, rounded up; a hair more than a whole one is what floats lose."""
    return math.ceil(credits - TINY)
