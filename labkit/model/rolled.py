"""A roll of paper: how long it is can be seen from outside, what stands on it only when it is unrolled.

Most of what an observer notes down is never read. So it is kept rolled up, and becomes objects when somebody
looks at the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, overload

__all__ = ["Rolled"]

Item = TypeVar("Item")


class Rolled(Sequence[Item]):
    """A tuple that is made when it is first looked at; it equals that tuple, and any roll of the same.

    Parameters
    ----------
    length : int
        How many there will be.
    make : callable
        Makes them, without arguments; it is called once at most.
    """

    __slots__ = ("_items", "_length", "_make")

    def __init__(self, length: int, make: Callable[[], tuple[Item, ...]]) -> None:
        self._length = length
        self._make: Callable[[], tuple[Item, ...]] | None = make
        self._items: tuple[Item, ...] = ()

    def unrolled(self) -> tuple[Item, ...]:
        """The tuple itself."""
        if self._make is not None:
            self._items = self._make()
            self._make = None
        return self._items

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> Item: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Item, ...]: ...

    def __getitem__(self, place: int | slice) -> Item | tuple[Item, ...]:
        return self.unrolled()[place]

    def __iter__(self) -> Iterator[Item]:
        return iter(self.unrolled())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Rolled):
            other = other.unrolled()
        return self.unrolled() == other if isinstance(other, tuple) else NotImplemented

    __hash__ = None

    def __reduce__(self) -> tuple[type, tuple[tuple[Item, ...]]]:
        return tuple, (self.unrolled(),)  # a copy that is kept or sent is a plain tuple

    def __repr__(self) -> str:
        return f"<{self._length} of them, rolled up>" if self._make is not None else repr(self._items)
