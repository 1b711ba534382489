"""Whole numbers of things that are never cut in two."""

from __future__ import annotations

__all__ = ["ceiling"]


def ceiling(amount: int, part: int) -> int:
    """How many parts hold an amount, the last one perhaps not full."""
    return -(-amount // part)
