"""QEMU's programs for disk files, run one at a time: ``qemu-img`` and ``qemu-io``."""

from __future__ import annotations

import functools
import re
import subprocess

from labkit.host import HostError

__all__ = ["INSTALL", "driver_of", "run_tool", "version_of"]

INSTALL = "Run ./course open, which installs what is missing and says what."
PATIENCE = 600  # seconds; after that a program hangs, or the store does


def driver_of(format: str) -> str:
    """QEMU's own name for a format."""
    return {"vhd": "vpc"}.get(format, format)


def run_tool(*words: str) -> str:
    """Run one of QEMU's disk tools and return what it prints.

    Raises
    ------
    HostError
        Where it is not here, fails, or does not end.
    """
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    except FileNotFoundError as error:
        raise HostError(f"The program {words[0]} is not installed here.", INSTALL) from error
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{words[0]} did not end within {PATIENCE} s.", "Write less, or to a faster store.") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[0]
        raise HostError(f"{words[0]} could not do it: {said.rstrip('.')}.", "'labkit doctor' shows what works here.")
    return done.stdout


@functools.cache
def version_of(program: str) -> str:
    """Which version of a program this is."""
    found = re.search(r"version (\S+)", run_tool(program, "--version"))
    return found[1] if found else "unknown"
