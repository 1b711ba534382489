"""Kernel same-page merging: the host's kernel looks for equal pages of the guests and keeps one of each.

It is a switch of the whole computer (Linux, Documentation/admin-guide/mm/ksm.rst), so it is touched with care: by root
only, with the person's consent, and only where nobody has it in use. What its settings were is written into the host's
directory before the first of them is changed; whoever clears the directory away, be it this process, its guardian or
``labkit clean``, puts them back first (`labkit.live.guardian`).
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.host import Ability, HostError
from labkit.host.memory import PAGES_PER_MIB
from labkit.live import guardian

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost
    from labkit.live.machine import LiveMachine

__all__ = ["CONSENT", "KernelSharing", "ability"]

CONSENT = "LABKIT_ALLOW_KSM"
"""The variable of the environment with which somebody says that the kernel's page merging may be switched on."""

_PLACE = Path("/sys/kernel/mm/ksm")
_REST = 20  # milliseconds between two portions of pages
_USUAL = 5000.0  # pages per second: the kernel's 100 in 20 ms
# In this order; what a kernel has not is passed over. Without smart_scan and the advisor the kernel looks at each page
# in each pass, as many as it is told; with use_zero_pages it counts empty pages apart.
_WANTED = {"advisor_mode": "none", "smart_scan": "0", "use_zero_pages": "1", "sleep_millisecs": str(_REST)}


def ability(host: LiveHost) -> Ability:
    """Whether the kernel's page merging may be switched on here, and how, or why not."""
    if host.root is None:
        return Ability(
            False,
            reason="The kernel's page merging belongs to the computer, and these guests run under somebody's daemon.",
            remedy="Leave LABKIT_URI unset to have guests of your own.",
        )
    if not (_PLACE / "run").exists() or not Path("/proc/self/ksm_stat").exists():
        return Ability(
            False,
            reason="This kernel does not merge equal pages, or does not count them by process (that takes Linux 6.1).",
            remedy="Use the simulated host.",
        )
    if os.geteuid() != 0 or not os.access(_PLACE / "run", os.W_OK):
        return Ability(
            False,
            reason="Only root may switch the kernel's page merging on.",
            remedy="Run as root, or use the simulated host.",
        )
    if os.environ.get(CONSENT) != "1":
        return Ability(
            False,
            reason="The kernel's page merging is a switch of the whole computer: other programs' memory may be merged, "
            "too, which can tell one program what another has in memory. labkit switches it on for some "
            "seconds only where you allow it.",
            remedy=f"Set {CONSENT}=1 to allow it; all settings are put back afterwards.",
        )
    return Ability(True, "kernel same-page merging, counted by process")


def _read(name: str) -> str:
    text = (_PLACE / name).read_text().strip()
    # A choice of several is shown as "[none] scan-time".
    return text.partition("[")[2].partition("]")[0] if "[" in text else text


def _way_back(were: dict[str, str]) -> list[tuple[str, str]]:
    """What to write where, in this order, so that the settings are again what they were, and nothing is merged.

    Parameters
    ----------
    were : dict
        The settings by name, in the order in which they are going to be changed.
    """
    # "2" parts what was merged, "0" switches off. Then the last that is changed is the first that is put back: with an
    # advisor on the kernel sets pages_to_scan by itself, and refuses it from others (mm/ksm.c, `pages_to_scan_store`).
    order = [("run", "2"), ("run", "0"), *reversed(were.items())]
    advised = were.get("advisor_mode", "none") != "none"
    return [(str(_PLACE / name), value) for name, value in order if not (advised and name == "pages_to_scan")]


class KernelSharing:
    """The kernel's page merging, switched on; see `labkit.host.memory.PageSharing`.

    Parameters
    ----------
    host : LiveHost
        Whose directory keeps what the settings were.
    machine_of : callable
        Gives a machine by its name.
    rate : float or None
        How many pages to look at in a second; as the kernel's own settings have it where not given.

    Raises
    ------
    HostError
        Where it may not be switched on, or somebody has it in use.
    """

    def __init__(self, host: LiveHost, machine_of: Callable[[str], LiveMachine], rate: float | None = None) -> None:
        if not (able := host.can("sharing")):
            raise HostError(able.reason, able.remedy)
        assert host.root is not None
        if rate is not None and not 50 <= rate <= 1_000_000:
            raise ValueError(f"rate is a number of pages per second from 50 to 1000000, not {rate!r:.40}")
        self._root = str(host.root)
        self._machine_of = machine_of
        self._note = host.comment
        self._on = False
        if _read("run") != "0" or _read("pages_shared") != "0":
            raise HostError(
                "The kernel's page merging is in use on this computer already.",
                "Whoever switched it on would be disturbed: let them end first, or use the simulated host.",
            )
        portion = max(1, round((rate or _USUAL) * _REST / 1000))
        wanted = {name: value for name, value in _WANTED.items() if (_PLACE / name).exists()}
        wanted |= {"pages_to_scan": str(portion)}
        # Before anything is touched.
        record = Path(self._root) / guardian.KERNEL_SETTINGS
        writing = record.with_suffix(".new")
        writing.write_text(json.dumps(_way_back({name: _read(name) for name in wanted})))
        writing.rename(record)
        self._on = True
        try:
            for name, value in wanted.items():
                self._write(name, value)
            self._began = int(_read("full_scans"))
            self._write("run", "1")
        except BaseException:
            self.stop()
            raise

    def _write(self, name: str, value: str) -> None:
        try:
            (_PLACE / name).write_text(value)
        except OSError as error:
            raise HostError(
                f"The kernel's page merging could not be set up ({name}: {error.strerror}).", "Use the simulated host."
            ) from error
        self._note(f"echo {value} >{_PLACE / name}")

    @property
    def passes(self) -> int:
        """How often the kernel has been through all pages since this began."""
        return int(_read("full_scans")) - self._began

    def merged(self, machine: str) -> float:
        """How much of a machine's memory points to a page that is kept for several, in MiB; pages of zeros aside.

        That of its QEMU process: proc(5), /proc/pid/ksm_stat, ``ksm_merging_pages``.
        """
        process = self._machine_of(machine).process
        try:
            lines = Path(f"/proc/{process}/ksm_stat").read_text().splitlines()
            counts = {name: int(value) for name, value in (line.split()[:2] for line in lines) if value.isdigit()}
            if "ksm_merging_pages" not in counts:
                counts["ksm_merging_pages"] = int(Path(f"/proc/{process}/ksm_merging_pages").read_text())
        except OSError as error:
            raise HostError(
                f"The kernel does not tell what {machine} shares: {error.strerror}.", "Try again."
            ) from error
        return counts["ksm_merging_pages"] / PAGES_PER_MIB

    @property
    def saved(self) -> None:
        """Not told: the kernel's ``pages_sharing`` counts all programs of the computer, not these machines alone."""

    def stop(self) -> None:
        """Part what was merged, and put all settings back. Stopping twice is no error."""
        if self._on:
            self._on = False
            try:
                guardian.put_settings_back(self._root)
            except OSError as error:
                raise HostError(
                    f"Not all settings of the kernel's page merging could be put back: {error.strerror}.",
                    f"labkit tries again when this host is closed. Look at {_PLACE} then; 'echo 0 >{_PLACE / 'run'}' "
                    "switches it off.",
                ) from error
            self._note(f"echo 2 >{_PLACE / 'run'}, and all settings as they were")

    def __enter__(self) -> KernelSharing:
        return self

    def __exit__(self, *_how: object) -> None:
        try:
            self.stop()
        except HostError as error:  # what was measured meanwhile is as good as before, and is not to be lost
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
