"""What this computer can do for the course, each with the evidence, and with the remedy where something is missing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from labkit.host import HostError

__all__ = ["LESSONS", "Finding", "Report", "examine"]

LESSONS = {
    "00": ("command",),
    "01": ("pin", "requests", "inside", "harm", "programs"),
    "02": ("shares", "pin"),
    "03": ("balloon",),
    "04": ("disks",),
    "05": ("disks", "snapshots"),
    "06": ("networks", "firewall", "shaping"),
}
"""The lessons, and the abilities that each asks of a live host."""

_NETWORKED = ("networks", "firewall", "shaping")  # abilities of a private host, not of the one that the others ask
_SIGNS = {"works": "✓", "absent": "–", "broken": "✗"}
INSTALL = "Run ./course open, which installs what is missing and says what."


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: Literal["works", "absent", "broken"]
    evidence: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """All that was found.

    Parameters
    ----------
    findings : tuple of Finding
        In the order in which one needs the other.
    accelerator : str or None
        ``"KVM"`` or ``"TCG"``; None without a live host.
    live_host : str or None
        The live host in words; None where there is none.
    machines_it_can_carry : int
        How many machines of 128 MiB have room beside what runs now.
    lessons : dict
        For each lesson ``"live"`` or ``"simulated"``.
    """

    findings: tuple[Finding, ...]
    accelerator: str | None
    live_host: str | None
    machines_it_can_carry: int
    lessons: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """The document that ``labkit doctor --json`` prints."""
        return {
            "rows": [vars(finding) for finding in self.findings],
            "accelerator": self.accelerator,
            "live_host": self.live_host,
            "machines_it_can_carry": self.machines_it_can_carry,
            "lessons": self.lessons,
        }

    def text(self) -> str:
        """The report as lines to read."""
        lines = []
        for finding in self.findings:
            lines.append(f"{finding.state:<7} {finding.name}: {finding.evidence}")
            if finding.remedy:
                lines.append(f"        what to do: {finding.remedy}")
        return "\n".join(lines + self.summary())

    def summary(self) -> list[str]:
        """What it comes to, in a few lines."""
        return [
            f"Live host: {self.live_host or 'none; the lessons run on the simulated host'}",
            f"Machines of 128 MiB that it can carry now: {self.machines_it_can_carry}",
            *(f"Lesson {lesson}: {how}" for lesson, how in self.lessons.items()),
        ]

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        """The report as a table, for a notebook; `text` is its twin."""
        left = 'style="text-align:left;vertical-align:top"'
        rows = "".join(
            f'<tr><th scope="row" {left}>{escape(found.name)}</th><td {left}>{_SIGNS[found.state]} {found.state}</td>'
            f"<td {left}>{escape(found.evidence)}{'<br>→ ' * bool(found.remedy)}{escape(found.remedy)}</td></tr>"
            for found in self.findings
        )
        head = "".join(f'<th scope="col" {left}>{word}</th>' for word in ("what", "state", "seen, and what to do"))
        told = "<br>".join(escape(line) for line in self.summary())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p>{told}</p>"


def _python() -> Finding:
    version = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] <= (3, 14)
    return Finding("Python", "works" if fits else "broken", version, "" if fits else "Install Python 3.11 to 3.14.")


def _program(name: str, program: str) -> Finding:
    path = shutil.which(program)
    return Finding(name, "works", path) if path else Finding(name, "absent", f"there is no {program}", INSTALL)


def _tried(name: str, trial: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "works", trial())
    except HostError as error:
        absent = "not installed" in error.message or "no guest image" in error.message.lower()
        return Finding(name, "absent" if absent else "broken", error.message, error.remedy)


def _libvirt() -> str:
    from labkit.live.driver import load_libvirt

    version = load_libvirt().getVersion()
    return f"{version // 1000000}.{version // 1000 % 1000}.{version % 1000}"


def _image() -> str:
    from labkit.live.image import load

    return f"complete, {load().digest[:12]}"


def _in_private(found: list[Finding]) -> bool:
    """Whether a private host has all that networks need; Open vSwitch is fetched when it is first needed."""
    ready = {one.name for one in found if one.state == "works"}
    if shutil.which("apt-get"):
        ready |= {one.name for one in found if (one.name, one.state) == ("VLANs", "absent")}
    return ready >= {"private host", "firewall", "VLANs", "shaping"}


def examine(progress: Callable[[str, float], None] | None = None) -> Report:
    """Look at everything that the live lessons need, by trying it.

    The first time after the computer was started this boots a guest, which takes some seconds.
    """
    from labkit.live import capacity, open_host
    from labkit.live.private.examine import findings as private_findings

    findings = [
        _python(),
        _program("QEMU", "qemu-system-x86_64"),
        _program("qemu-img", "qemu-img"),
        _tried("libvirt for Python", _libvirt),
        _tried("guest image", _image),
    ]
    lessons = dict.fromkeys(LESSONS, "simulated")
    private = [] if os.environ.get("LABKIT_NO_LIVE") else private_findings()
    findings += private
    try:
        with open_host(progress=progress) as host:
            findings.append(Finding("live host", "works", host.name))
            with host.create("doctor") as machine:
                said = machine.execute(["uname", "-sr"])
                findings.append(Finding("a guest", "works", f"booted, and answered {said.output.strip()!r}"))
            kvm = host.accelerator.name == "KVM"
            remedy = (
                ""
                if kvm
                else "Nothing is lost: the lessons run on TCG, slower. KVM needs Linux on bare metal, or nesting."
            )
            state = "works" if kvm else "absent" if "/dev/kvm does not exist" in host.accelerator.evidence else "broken"
            findings.append(Finding("KVM", state, host.accelerator.evidence, remedy))
            for ability in ("shares", "pin", "command"):
                can = host.can(ability)
                state = "works" if can else "absent"
                findings.append(Finding(ability, state, can.mechanism or can.reason, can.remedy))
            for lesson, needs in LESSONS.items():
                if all(_in_private(private) if need in _NETWORKED else host.can(need) for need in needs):
                    lessons[lesson] = "live"
            found = Report(tuple(findings), host.accelerator.name, host.name, capacity.carries(), lessons)
    except HostError as error:
        findings.append(Finding("live host", "broken", error.message, error.remedy))
        found = Report(tuple(findings), None, None, capacity.carries(), lessons)
    return found
