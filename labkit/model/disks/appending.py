"""The plainest way to be thin: whatever is written to for the first time is put at the end of the file.

Picture a book whose table of contents is printed in full before the first page. Each blank chapter has a line in it
that says "not yet"; when a chapter is begun, whole pages for it are bound in at the back, and the line says where.
Five of the formats work like that. They differ in how long the table is and how large a chapter.
"""

from __future__ import annotations

__all__ = ["Appending"]


class Appending:
    """A file with a fixed table at its beginning, that grows by one unit at a time.

    Parameters
    ----------
    size : int
        Of the disk as the guest sees it, in bytes.
    unit : int
        How much of the disk gets its place in the file at once, in bytes.
    start : int
        Length of the header and the table, in bytes.
    before : int
        Bytes that go with each unit and lie ahead of it.
    footer : int
        Bytes that are always the last of the file; a new unit takes their place, and they move on.
    told : bool
        Whether ``qemu-img map`` says of each unit whether it has a place. Of some formats it says that all is data.
    """

    def __init__(
        self, size: int, unit: int, start: int, *, before: int = 0, footer: int = 0, told: bool = True
    ) -> None:
        self.size = size
        self.unit = unit
        self.told = told
        self.places: dict[int, int] = {}
        self._end = start
        self._before = before
        self._footer = footer

    @property
    def file_bytes(self) -> int:
        """The length of the file."""
        return self._end + self._footer

    def reopen(self) -> None:
        """Nothing is kept from one write to the next but the end of the file."""

    def write(self, offset: int, length: int) -> None:
        """Append what is written to for the first time, whole units in the order of the disk."""
        for index in range(offset // self.unit, (offset + length - 1) // self.unit + 1):
            if index not in self.places:
                self.places[index] = self._end + self._before
                self._end += self._before + self.unit
