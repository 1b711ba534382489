"""A host made by hand: it divides the CPUs by shares at once, and can be told to be slow or to fail."""

from __future__ import annotations

import threading
import time

from labkit.host import Ability, CpuLoad, Event, HostError, Observation, Provenance, Series


class FakeJob:
    progress = 0.0
    result = None

    def wait(self, timeout=None):
        return None

    def cancel(self):
        return None


class FakeMachine:
    def __init__(self, host, name, shares, memory=128.0):
        self.host, self.name, self.shares, self.vcpus, self.memory, self.state = (
            host,
            name,
            shares,
            1,
            memory,
            "running",
        )

    def set(self, *, shares=None, pin=None):
        if self.host.fail_on_set:
            raise HostError("The guest does not answer.", "Start it again.")
        if shares is not None:
            self.shares = shares
        self.host.log.append(f"virsh schedinfo {self.name} --set cpu_shares={shares}")

    def run(self, load: CpuLoad):
        return FakeJob()

    def stop(self):
        self.host.machines.pop(self.name, None)


class FakeHost:
    """`offset` is added to what machine m1 gets, so that live differs from simulated."""

    def __init__(self, cpus=1, kind="simulated", *, offset=0.0, boot=0.0, pace=0.0, fail_after=None, disturbed=0.0):
        self.cpus, self.kind, self.name = cpus, kind, f"{kind} host, {cpus} CPU"
        self.machines, self.log, self.closed, self.observed = {}, [], threading.Event(), 0
        self.offset, self.boot, self.pace, self.fail_after = offset, boot, pace, fail_after
        self.disturbed, self.fail_on_set = disturbed, False

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.close()

    def can(self, ability):
        return Ability(True, "by hand")

    def create(self, name, *, vcpus=1, memory="128 MiB", shares=1024, pin=None):
        time.sleep(self.boot)
        self.machines[name] = FakeMachine(self, name, shares)
        self.log.append(f"virsh start {name}")
        return self.machines[name]

    def observe(self, seconds, every=0.2):
        self.observed += 1
        if self.fail_after is not None and self.observed > self.fail_after:
            raise HostError("The guest m1 stopped.", "Switch to Live again.")
        time.sleep(self.pace)
        total = sum(m.shares for m in self.machines.values())
        rows, series, events, at = [], [], [], 0.0
        count = max(1, round(seconds / every))
        times = [every * (i + 1) for i in range(count)]
        for index, machine in enumerate(self.machines.values()):
            got = min(1.0, machine.shares * self.cpus / total) + (self.offset if index == 0 else 0.0)
            for quantity, unit, value in (("cpu", "CPU", got), ("ready", "1", 1.0 - got)):
                row = {"machine": machine.name, "quantity": quantity, "unit": unit, "value": value}
                rows.append(row | ({"disturbed": True} if self.disturbed > 0.03 else {}))
                series.append(Series(machine.name, quantity, unit, times, [value] * count))
            if self.kind == "simulated":
                for turn in range(20):
                    start = turn * 0.012 + at
                    events.append(Event(start, "run", machine.name, got * 0.012, vcpu=0, cpu=0))
                at += got * 0.012
        accelerator = "" if self.kind == "simulated" else "TCG"
        mechanisms = {} if self.kind == "simulated" else {"shares": "libvirt's cgroup"}
        origin = Provenance(self.kind, self.name, accelerator, mechanisms)
        events.sort(key=lambda event: event.time)
        return Observation(seconds, tuple(rows), tuple(series), tuple(events), origin, self.disturbed)

    def journal(self):
        return list(self.log)

    def close(self):
        self.machines.clear()
        self.closed.set()
