"""Where labkit keeps what it can make again: one directory, of one person, that may be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from labkit.host import HostError

__all__ = ["cache_root"]


def cache_root() -> Path:
    """Return the directory that everything cached lies under, made if need be.

    The environment's ``LABKIT_CACHE`` names another one. Only its owner may look into it: saved
    guests lie there, and a saved guest is everything that was in its memory.

    Returns
    -------
    pathlib.Path
        An absolute path to an existing directory.

    Raises
    ------
    HostError
        Where it cannot be made, or belongs to somebody else.
    """
    named = os.environ.get("LABKIT_CACHE")
    remedy = "Set LABKIT_CACHE to a directory that you can write to."
    try:
        root = Path(named).expanduser().absolute() if named else platformdirs.user_cache_path("labkit").absolute()
    except RuntimeError as error:  # ~somebody, and there is no such user
        raise HostError(f"LABKIT_CACHE names a home directory that there is not: {named:.80}.", remedy) from error
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = root.stat()
        if found.st_uid != os.getuid():
            raise HostError(f"The cache directory {root} belongs to another user.", remedy)
        if found.st_mode & 0o077:
            if named and not _ours(root):
                raise HostError(
                    f"{root} is open to others and holds more than labkit's cache, so it stays as it is.",
                    f"Set LABKIT_CACHE to a directory for labkit alone, such as {root / 'labkit'}.",
                )
            root.chmod(0o700)
    except OSError as error:
        raise HostError(f"The cache directory {root} cannot be used: {error.strerror}.", remedy) from error
    return root


def _ours(root: Path) -> bool:
    """Whether a directory is new, or one in which labkit keeps things already."""
    names = {entry.name for entry in root.iterdir()}
    ours = {"image", "saved", "capabilities", "programs", "jupyter", "accelerator.json"}
    return not names or not names.isdisjoint(ours)
