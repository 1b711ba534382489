"""Settings that say what is written to a disk, and whose complaints call them by their own name.

`labkit.experiments.writes` reads them all, and calls each of them *writes*. Where an experiment has two, or calls its
one otherwise, a person wants to be told which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from labkit.experiments import writes
from labkit.experiments.settings import SettingError

__all__ = ["places", "reader"]


def reader(name: str) -> Callable[[Any], tuple[str, ...]]:
    """A function that reads a setting as `labkit.experiments.writes.read` does, and complains of it by its name.

    Parameters
    ----------
    name : str
        The setting's.
    """

    def read(value: Any) -> tuple[str, ...]:
        # What a panel's box gives is a list of words; a person typed them with commas between.
        words = isinstance(value, (list, tuple)) and value and all(isinstance(word, str) for word in value)
        with _named(name):
            return writes.read(",".join(value) if words else value)

    return read


def places(name: str, words: tuple[str, ...], size: int) -> list[tuple[int, int]]:
    """Every write of a setting, as `labkit.experiments.writes.places` gives it, with complaints by the setting's name.

    Parameters
    ----------
    name : str
        The setting's.
    words : tuple of str
        As it was read.
    size : int
        Of the disk, in bytes.

    Raises
    ------
    SettingError
        As there.
    """
    with _named(name):
        return writes.places(words, size)


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except SettingError as error:
        said = str(error).replace("each of writes is", f"each write of '{name}' is", 1)
        if said == str(error):
            said = said.replace("writes", f"'{name}'", 1)
        raise SettingError(said) from error
